from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fireworks import LaunchPad

from lzc_flows.database.candidates import build_candidates
from lzc_flows.database.stores import BUILT, PLAN, TASKS, Database
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.flows.candidate import Campaign
from lzc_flows.launch.run import LEAST_FREE_BYTES, Setting, _rank, check_disk, work_off
from lzc_flows.launch.submit import submit
from lzc_flows.settings import get_settings


@pytest.fixture
def setting(database: Database, campaign: Campaign, launchpad: LaunchPad, tmp_path: Path) -> Setting:
    return Setting(campaign, database, launchpad, tmp_path / "campaigns" / "tiny", workers=1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system takes root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_nearly_full_disk_is_refused_before_anything_runs(small_disk: Path) -> None:
    for folder in (small_disk, small_disk / "not" / "there" / "yet"):
        with pytest.raises(InputError) as caught:
            check_disk(folder)
        assert str(caught.value) == f"disk full: 8 MiB free at {folder}, at least 200 MiB are needed"
    assert list(small_disk.iterdir()) == []


def test_a_disk_with_room_is_not(tmp_path: Path) -> None:
    assert shutil.disk_usage(tmp_path).free > LEAST_FREE_BYTES
    check_disk(tmp_path / "not" / "there" / "yet")


def test_dead_workers_are_an_error_that_says_where_to_look(setting: Setting, set_lzc: Callable[..., Any]) -> None:
    submit(setting.campaign, setting.database, setting.launchpad)
    # the workers, not this process, look for a server where there is none
    nowhere = set_lzc(LZC_MONGO_URI="mongodb://127.0.0.1:1", LZC_MONGO_TIMEOUT_S="0.1")
    with nowhere, pytest.raises(CalculationError) as caught:
        work_off(setting)
    assert str(caught.value) == f"all workers ended early: see {setting.folder / 'workers'}"
    assert "no MongoDB server answers" in (setting.folder / "workers" / "worker-0.log").read_text()


def rank_launches(setting: Setting) -> int:
    return setting.launchpad.fireworks.count_documents({"spec.stage": "rank"})


def test_the_ranking_job_runs_once_for_the_same_candidates_and_settings(
    setting: Setting, capfd: pytest.CaptureFixture[str], tiny: Callable, campaign_of: Callable
) -> None:
    submit(setting.campaign, setting.database, setting.launchpad)
    first = _rank(setting)
    captured = capfd.readouterr()
    assert captured.out == ""  # stdout is for the command's own document
    assert captured.err == ""
    assert rank_launches(setting) == 1
    assert _rank(setting) == first
    assert rank_launches(setting) == 1
    stored = setting.database.collection(TASKS).find_one({"metadata.stage": "rank"})
    assert stored["metadata"]["campaign"] == "tiny"
    assert stored["output"]["fingerprint"] == first.fingerprint

    other_weights = tiny()
    other_weights["ranking"]["cost_weight"] = 0.9
    changed = Setting(campaign_of(other_weights), setting.database, setting.launchpad, setting.folder, 1)
    assert _rank(changed).fingerprint != first.fingerprint
    assert rank_launches(setting) == 2


def test_a_candidate_with_news_is_ranked_again(setting: Setting) -> None:
    submit(setting.campaign, setting.database, setting.launchpad)
    before = _rank(setting)
    changed = {"$set": {"formula": "Li2ZrCl6", "campaigns": ["tiny", "x"]}, "$unset": {BUILT: True}}
    setting.database.collection(PLAN).update_many({}, changed)
    build_candidates(setting.database)
    after = _rank(setting)
    assert after.fingerprint != before.fingerprint
    assert [row["cost_usd_per_kg"] for row in after.rows] == pytest.approx([8.68, 8.68], rel=1e-3, abs=0)


def test_a_ranking_job_that_fails_is_an_error(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    submit(setting.campaign, setting.database, setting.launchpad)
    # the job asks the settings for the database: it finds an empty one
    monkeypatch.setenv("LZC_MONGO_DATABASE", "test_empty")
    get_settings.cache_clear()
    with pytest.raises(CalculationError, match=r"^the ranking job of 'tiny' failed: see "):
        _rank(setting)
