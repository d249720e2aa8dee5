"""A run that goes on in a further firework, killed between FireWorks' writes at its end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from fireworks import FWorker, LaunchPad
from jobflow import SETTINGS, Job, Response, job
from pymongo import monitoring

from lzc_flows.database.processes import ProcessName
from lzc_flows.database.stores import TASKS, Database, connect
from lzc_flows.flows.candidate import Campaign
from lzc_flows.launch.heartbeat import heartbeat
from lzc_flows.launch.launchpad import open_launchpad
from lzc_flows.launch.recover import recover_lost
from lzc_flows.launch.rocket import run_firework
from lzc_flows.launch.submit import queue_job, submit
from lzc_flows.launch.worker import ready_ids


@job
def long_run(key: str, parts: int) -> Response | dict[str, int]:
    """One part of a run that goes on in a further job."""
    if parts == 1:
        return {"number": 1}
    return Response(replace=part(key, parts - 1))


def part(key: str, parts: int) -> Job:
    made = long_run(key, parts)
    made.update_metadata({"key": key, "stage": "relax"})
    return made


def run(fw_id: int, folder: Path) -> None:
    """Run one firework as a worker does."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # FireWorks logs there
    database = connect()
    SETTINGS.JOB_STORE = database.job_store()
    with heartbeat(database, "tiny"):
        run_firework(open_launchpad(database), FWorker(name=str(ProcessName.of_this_process())), fw_id, folder)


def die_after_end(number: int, fw_id: int, folder: Path) -> None:
    """Run one firework and be killed after so many commands since its launch is recorded as completed."""

    class Killer(monitoring.CommandListener):
        done = -1

        def started(self, event: monitoring.CommandStartedEvent) -> None:
            if event.command.get("findAndModify") == "launches" and event.command["update"]["state"] == "COMPLETED":
                Killer.done = 0

        def failed(self, event: monitoring.CommandFailedEvent) -> None: ...

        def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
            if Killer.done >= 0:
                Killer.done += 1
            if Killer.done == number:
                os.kill(os.getpid(), signal.SIGKILL)

    monitoring.register(Killer())
    run(fw_id, folder)


# each of FireWorks' writes and ours, from the record of the launch on; the others read
@pytest.mark.parametrize("moment", [1, 3, 9, 10, 12, 13, 14])
def test_it_goes_on_once_whenever_it_is_killed(
    database: Database, campaign: Campaign, launchpad: LaunchPad, fork: Callable, tmp_path: Path, moment: int
) -> None:
    submit(campaign, database, launchpad)
    key = campaign.candidates[0].stage_keys["relax"]
    queue_job(launchpad, part(key, 2))
    fork(die_after_end, moment, 3, tmp_path).join(300)
    recover_lost(database, launchpad, "tiny")
    (fw_id,) = ready_ids(launchpad, {key})
    fork(run, fw_id, tmp_path).join(300)
    assert ready_ids(launchpad, {key}) == []
    assert recover_lost(database, launchpad, "tiny") == []
    fireworks = list(launchpad.fireworks.find({"spec.key": key}))
    assert [firework["state"] for firework in fireworks] == ["COMPLETED"] * 2
    workflow = launchpad.workflows.find_one({"metadata.key": key})
    assert (workflow["state"], workflow["nodes"]) == ("COMPLETED", sorted(entry["fw_id"] for entry in fireworks))
    assert "locked" not in workflow
    assert database.collection(TASKS).count_documents({"output.number": 1}) == 1
