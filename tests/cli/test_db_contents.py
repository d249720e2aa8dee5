from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lzc_flows.database.stores import CAMPAIGNS, CANDIDATES, DATA, PLAN, TASKS, Database
from lzc_flows.database.version import META
from lzc_flows.documents.base import SCHEMA
from lzc_flows.flows.candidate import Campaign
from lzc_flows.flows.spec import parse_campaign
from lzc_flows.launch.launchpad import open_launchpad
from lzc_flows.launch.submit import submit


@pytest.fixture
def submitted(database: Database, tiny: Callable[[], dict[str, Any]]) -> Database:
    """Two campaigns of two candidates each, of which they share the undoped one."""
    launchpad = open_launchpad(database)
    for name, cation in (("tiny", "Ti3+"), ("other", "In3+")):
        content = tiny() | {"name": name}
        content["grid"] = content["grid"] | {"cations": [cation]}
        submit(Campaign(parse_campaign(content, where="c.yaml", folder=Path())), database, launchpad)
    return database


def contents(database: Database) -> dict[str, list[dict[str, Any]]]:
    names = sorted(database.pymongo.list_collection_names())
    held = {name: sorted(database.collection(name).find(), key=str) for name in names}
    return {name: documents for name, documents in held.items() if documents}


def one_line(result: Any, code: int) -> str:
    assert (result.code, result.out) == (code, "")
    (line,) = result.err.splitlines()
    assert line.startswith("lzc: ")
    return line


def test_backup_and_restore(submitted: Database, lzc: Callable, tmp_path: Path) -> None:
    before = contents(submitted)
    written = json.loads(lzc("db", "backup", tmp_path / "a.zip", "--json").out)
    assert written["documents"]["plan"] == 3
    assert "is not empty" in one_line(lzc("db", "restore", tmp_path / "a.zip"), 2)
    other = f"{submitted.name}_b"
    restored = lzc("db", "restore", tmp_path / "a.zip", "--into", other)
    assert restored.code == 0
    assert restored.out.startswith(f"restored {tmp_path}/a.zip: ")
    submitted.collection(PLAN).delete_many({})
    replace = ("db", "restore", tmp_path / "a.zip", "--replace")
    assert f"--yes-i-mean {submitted.name}" in one_line(lzc(*replace), 2)
    assert "nothing was changed" in one_line(lzc(*replace, "--yes-i-mean", "another"), 2)
    assert lzc(*replace, "--yes-i-mean", submitted.name).code == 0
    assert contents(submitted) == before


def test_a_folder_gets_a_file_with_the_names_of_database_and_time(
    submitted: Database, lzc: Callable, tmp_path: Path
) -> None:
    assert lzc("db", "backup", tmp_path).code == 0
    (path,) = tmp_path.glob("*.zip")
    assert path.name.startswith(submitted.name)


def test_a_campaign_is_dropped_by_name_and_what_others_hold_stays(submitted: Database, lzc: Callable) -> None:
    before = contents(submitted)
    command = ("db", "drop-campaign", "tiny", "--json")
    planned = lzc(*command, "--dry-run")
    counts = {"candidates": 1, "candidates_kept_for_other_campaigns": 1, "jobs": 1, "results": 0}
    assert json.loads(planned.out) == {"campaign": "tiny", **counts, "dropped": False}
    unnamed = lzc("db", "drop-campaign", "tiny")
    assert unnamed.code == 2
    assert "--yes-i-mean tiny" in unnamed.err.splitlines()[-1]
    assert lzc(*command, "--yes-i-mean", "tiny2").code == 2
    # a look changes nothing
    assert contents(submitted) == before

    assert json.loads(lzc(*command, "--yes-i-mean", "tiny").out)["dropped"]
    assert [entry["name"] for entry in submitted.collection(CAMPAIGNS).find()] == ["other"]
    for name in (PLAN, CANDIDATES):
        assert [entry["campaigns"] for entry in submitted.collection(name).find()] == [["other"], ["other"]]
    launchpad = open_launchpad(submitted)
    assert len(launchpad.get_wf_ids()) == len(launchpad.get_fw_ids()) == 2
    assert "not in the database" in one_line(lzc("db", "drop-campaign", "tiny", "--yes-i-mean", "tiny"), 2)


def store_results(database: Database) -> None:
    """A result with large data for each candidate's first stage."""
    with database.job_store() as store:
        for number, plan in enumerate(database.collection(PLAN).find()):
            document = {"uuid": f"u{number}", "index": 1, "output": None, "completed_at": "2026", "name": "order"}
            document["metadata"] = {"key": plan["stage_keys"]["order"], "stage": "order"}
            store.update(document | {"extra": {"field": [1, 2]}}, save={"data": "field"})


@pytest.mark.parametrize(("options", "left"), [((), 3), (("--results",), 2)])
def test_results_stay_unless_they_are_to_go(
    submitted: Database, lzc: Callable, options: tuple[str, ...], left: int
) -> None:
    store_results(submitted)
    assert lzc("db", "drop-campaign", "tiny", *options, "--yes-i-mean", "tiny").code == 0
    for name in (TASKS, f"{DATA}.files", f"{DATA}.chunks"):
        assert submitted.collection(name).count_documents({}) == left


def test_a_campaign_whose_jobs_run_is_not_dropped(submitted: Database, lzc: Callable) -> None:
    open_launchpad(submitted).fireworks.update_many({}, {"$set": {"state": "RUNNING"}})
    before = contents(submitted)
    assert "1 of its jobs are running" in one_line(lzc("db", "drop-campaign", "tiny", "--yes-i-mean", "tiny"), 2)
    assert contents(submitted) == before


def test_clean_says_what_no_result_names(submitted: Database, lzc: Callable) -> None:
    store_results(submitted)
    nothing = {"files": 0, "pieces": 0, "removed": False}
    assert json.loads(lzc("db", "clean", "--json").out) == nothing


def test_an_older_database_is_refused_until_it_is_migrated(submitted: Database, lzc: Callable) -> None:
    submitted.collection(META).delete_many({})
    assert "run `lzc db migrate`" in one_line(lzc("status", "tiny"), 2)
    planned = json.loads(lzc("db", "migrate", "--dry-run", "--json").out)
    assert (len(planned["steps"]), planned["migrated"]) == (SCHEMA - 1, False)
    assert lzc("db", "migrate").code == 2
    assert lzc("db", "migrate", "--yes-i-mean", submitted.name).code == 0
    assert lzc("status", "tiny").code == 0
    assert json.loads(lzc("db", "migrate", "--json").out)["steps"] == []


@pytest.mark.parametrize(
    "command",
    [
        ("status", "tiny"),
        ("query", "tiny"),
        ("advance", "tiny"),
        ("recover", "tiny"),
        ("rank", "tiny"),
        ("db", "migrate", "--yes-i-mean", "x"),
        ("db", "backup", "a.zip"),
        ("db", "drop-campaign", "tiny", "--yes-i-mean", "tiny"),
        ("db", "clean"),
    ],
)
def test_a_newer_database_is_refused_in_one_line_and_not_touched(
    submitted: Database, lzc: Callable, command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    submitted.collection(META).update_one({"_id": "schema"}, {"$set": {"version": SCHEMA + 1}})
    before = contents(submitted)
    assert f"has schema {SCHEMA + 1}" in one_line(lzc(*command), 2)
    assert contents(submitted) == before
    assert not (tmp_path / "a.zip").exists()
