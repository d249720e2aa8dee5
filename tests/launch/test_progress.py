from __future__ import annotations

import re
from pathlib import Path

import pytest
from fireworks import FWorker, LaunchPad

from lzc_flows.database.plans import planned_keys
from lzc_flows.database.stores import Database
from lzc_flows.engines.neb_worker import PROGRESS_FILE
from lzc_flows.engines.relax_worker import LOG_FILE
from lzc_flows.flows.candidate import Campaign
from lzc_flows.launch.progress import CampaignProgress, _last_step
from lzc_flows.launch.status import CampaignStatus, Failure
from lzc_flows.launch.submit import queue_job, submit


def status(order: int, bvse: int = 0, failed: int = 0) -> CampaignStatus:
    counts = {
        "order": {"COMPLETED": order, "READY": 4 - order},
        "relax": {"COMPLETED": bvse, "FIZZLED": failed, "TO DO": 4 - bvse - failed},
        "bvse": {"COMPLETED": bvse, "TO DO": 4 - bvse},
    }
    return CampaignStatus("tiny", 4, counts, [Failure("key", "relax", "why")] * failed)


def test_without_a_terminal_lines_are_few_and_the_last_one_is_printed(
    launchpad: LaunchPad, capsys: pytest.CaptureFixture[str]
) -> None:
    with CampaignProgress(launchpad, set()) as progress:
        for done in (0, 0, 1, 2, 3):
            progress.show(status(done))
        progress.show(status(4, bvse=3, failed=1))
        progress.show(status(4, bvse=3, failed=1))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "tiny: order 0/4, relax 0/4, bvse 0/4",
        "tiny: order 4/4, relax 3/4, bvse 3/4, 1 failed",
    ]


@pytest.mark.parametrize(
    ("file", "content", "shown"),
    [
        (PROGRESS_FILE, '{"what": "paths", "done": 3, "of": 13, "evaluations": 57}', " 3/13 paths"),
        (PROGRESS_FILE, '{"what": "ends", "done": 0, "of": 9, "evaluations": 0}', " 0/9 ends"),
        (PROGRESS_FILE, "{", ""),
        (LOG_FILE, "LBFGS:    4 05:11:35     -126.707088        0.125\n", " step 4, 0.12 eV/Å"),
        (LOG_FILE, "", ""),
        ("other", "", ""),
    ],
)
def test_how_far_a_job_is(tmp_path: Path, file: str, content: str, shown: str) -> None:
    (tmp_path / file).write_text(content)
    assert _last_step(tmp_path) == shown


@pytest.mark.parametrize(
    ("log", "shown"),
    [
        ("      Step     Time          Energy          fmax\nFIRE:   17 05:11:35     -126.707088        0.370282\n",
         "step 17, 0.37 eV/Å"),
        ("      Step     Time          Energy          fmax\n", None),
        (None, None),
    ],
)  # fmt: skip
def test_a_terminal_shows_bars_and_the_optimizers_last_step(
    database: Database,
    campaign: Campaign,
    launchpad: LaunchPad,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    log: str | None,
    shown: str | None,
) -> None:
    submit(campaign, database, launchpad)
    queue_job(launchpad, campaign.next_job(campaign.candidates[1], "relax", "0-1-2"))
    launchpad.checkout_fw(FWorker(), str(tmp_path), fw_id=3)
    if log is not None:
        (tmp_path / LOG_FILE).write_text(log)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    with CampaignProgress(launchpad, planned_keys(database, "tiny")) as progress:
        progress.show(status(3, bvse=1, failed=2))
    captured = capsys.readouterr()
    assert captured.out == ""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", captured.err)
    relax = [line for line in text.splitlines() if line.startswith("relax")][-1]
    assert "3/4" in relax  # one ended well, two failed
    assert "2 failed" in relax
    assert "Ti3-1a-x1_F1-6i-x1_1x1x1" in relax
    assert ("step" in relax) == (shown is not None)
    assert (shown or "") in relax
