from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fireworks import FWorker, LaunchPad
from jobflow import SETTINGS, Job, Response, job
from pymongo import monitoring

from lzc_flows.database.stores import TASKS, Database, connect
from lzc_flows.launch.launchpad import open_launchpad
from lzc_flows.launch.rocket import run_firework
from lzc_flows.launch.single import SingleFireworkLaunchPad
from lzc_flows.launch.submit import queue_job

SHORT_WAYS = ("checkout_fw", "complete_launch", "ping_launch")


@job
def small() -> dict[str, int]:
    return {"number": 1}


@job
def broken() -> None:
    raise ValueError("nothing to be done")


@job
def continued() -> Response:
    return Response(replace=labelled(small()))


def labelled(made: Job) -> Job:
    made.update_metadata({"key": "a", "stage": "relax"})
    return made


def queue(launchpad: LaunchPad, made: Job) -> int:
    queue_job(launchpad, labelled(made))
    return max(launchpad.get_fw_ids())


def run(database: Database, launchpad: LaunchPad, fw_id: int, folder: Path) -> bool:
    SETTINGS.JOB_STORE = database.job_store()
    with contextlib.redirect_stdout(io.StringIO()):  # FireWorks logs there
        return run_firework(launchpad, FWorker(name="me"), fw_id, folder)


def documents(launchpad: LaunchPad, fw_id: int) -> dict[str, Any]:
    return {
        "firework": launchpad.fireworks.find_one({"fw_id": fw_id}),
        "workflow": launchpad.workflows.find_one({"nodes": fw_id}),
        "launch": launchpad.launches.find_one({"fw_id": fw_id}),
    }


def form(content: Any) -> Any:
    """The kinds of all values, without what the database or the patient client adds, and the words of states."""
    if isinstance(content, dict):
        added = ("_id", "_ticket", "checkpoint")
        return {
            "N" if name.isdigit() else name: content[name] if name == "state" else form(content[name])
            for name in sorted(content)
            if name not in added
        }
    return [form(entry) for entry in content] if isinstance(content, list) else type(content).__name__


@pytest.mark.parametrize("work", [small, broken])
def test_the_short_ways_leave_the_documents_that_fireworks_leaves(
    database: Database, launchpad: LaunchPad, work: Callable[[], Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = queue(launchpad, work())
    assert run(database, launchpad, mine, tmp_path)
    for name in SHORT_WAYS:
        monkeypatch.delattr(SingleFireworkLaunchPad, name)
    theirs = queue(launchpad, work())
    assert run(database, launchpad, theirs, tmp_path)
    assert form(documents(launchpad, mine)) == form(documents(launchpad, theirs))
    ended = {small: "COMPLETED", broken: "FIZZLED"}[work]
    assert launchpad.get_wf_by_fw_id(mine).fw_states == {mine: ended}
    assert launchpad.get_fw_by_id(mine).launches[0].state == ended


def test_a_job_takes_a_third_of_the_operations(database: Database, launchpad: LaunchPad, tmp_path: Path) -> None:
    class Counter(monitoring.CommandListener):
        number = 0

        def started(self, event: monitoring.CommandStartedEvent) -> None:
            Counter.number += 1

        def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

        def failed(self, event: monitoring.CommandFailedEvent) -> None: ...

    fw_id = queue(launchpad, small())
    monitoring.register(Counter())
    try:
        run(connect(), open_launchpad(database), fw_id, tmp_path)
    finally:
        monitoring._LISTENERS.command_listeners.pop()
    assert Counter.number <= 20  # FireWorks' own ways: 37


def test_a_job_that_goes_on_in_another_is_fireworks_affair(
    database: Database, launchpad: LaunchPad, tmp_path: Path
) -> None:
    fw_id = queue(launchpad, continued())
    run(database, launchpad, fw_id, tmp_path)
    workflow = launchpad.get_wf_by_fw_id(fw_id)
    assert workflow.fw_states == {fw_id: "COMPLETED", fw_id + 1: "READY"}
    run(database, launchpad, fw_id + 1, tmp_path)
    assert launchpad.get_wf_by_fw_id(fw_id).state == "COMPLETED"


def test_a_job_that_runs_again_keeps_its_history(database: Database, launchpad: LaunchPad, tmp_path: Path) -> None:
    fw_id = queue(launchpad, small())
    for _ in range(2):
        assert run(database, launchpad, fw_id, tmp_path)
        assert launchpad.get_fw_by_id(fw_id).state == "COMPLETED"
        launchpad.rerun_fw(fw_id)
    firework = launchpad.get_fw_by_id(fw_id)
    assert (firework.state, len(firework.launches), len(firework.archived_launches)) == ("READY", 0, 2)
    assert database.collection(TASKS).count_documents({}) == 1


def test_a_job_that_was_given_up_while_it_ran_stays_given_up(launchpad: LaunchPad, tmp_path: Path) -> None:
    fw_id = queue(launchpad, small())
    launchpad.fireworks.update_one({"fw_id": fw_id}, {"$set": {"state": "RESERVED", "claimed_by": "me"}})
    _, launch_id = launchpad.checkout_fw(FWorker(name="me"), str(tmp_path), fw_id=fw_id)
    launchpad.defuse_fw(fw_id)
    firework = launchpad.get_fw_by_id(fw_id)
    launchpad.complete_launch(launch_id, None, "COMPLETED")
    assert firework.state == launchpad.get_fw_by_id(fw_id).state == "DEFUSED"


def test_what_another_has_taken_over_is_not_checked_out(launchpad: LaunchPad, tmp_path: Path) -> None:
    fw_id = queue(launchpad, small())
    launchpad.fireworks.update_one({"fw_id": fw_id}, {"$set": {"state": "RUNNING"}})
    assert launchpad.checkout_fw(FWorker(name="me"), str(tmp_path), fw_id=fw_id) == (None, None)
