from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from fireworks import FWorker, LaunchPad

from lzc_flows.database.processes import ProcessName
from lzc_flows.database.queries import planned_keys
from lzc_flows.database.stores import TASKS, Database, connect
from lzc_flows.flows.candidate import Campaign
from lzc_flows.launch.pool import Place
from lzc_flows.launch.recover import recover_failed, recover_lost
from lzc_flows.launch.submit import submit
from lzc_flows.launch.worker import work


@pytest.fixture
def keys(database: Database, campaign: Campaign, launchpad: LaunchPad) -> set[str]:
    """Of the submitted campaign."""
    submit(campaign, database, launchpad)
    return planned_keys(database, "tiny")


def check_out(launchpad: LaunchPad, worker: str) -> int:
    firework, _ = launchpad.checkout_fw(FWorker(name=worker), "/tmp", fw_id=1)
    return firework.fw_id


def states(launchpad: LaunchPad) -> list[str]:
    return [entry["state"] for entry in launchpad.fireworks.find({}, sort=[("fw_id", 1)])]


def test_what_a_living_worker_runs_is_left_alone(launchpad: LaunchPad, keys: set[str]) -> None:
    check_out(launchpad, str(ProcessName.of_this_process()))
    assert recover_lost(launchpad, keys) == []
    assert states(launchpad) == ["RUNNING", "READY"]


@pytest.mark.parametrize("worker", ["lzc/elsewhere/4711/1.00", "some rlaunch on a cluster"])
def test_what_others_run_is_left_alone(launchpad: LaunchPad, keys: set[str], worker: str) -> None:
    check_out(launchpad, worker)
    assert recover_lost(launchpad, keys) == []


def dead_worker() -> str:
    me = ProcessName.of_this_process()
    return str(ProcessName(me.host, me.pid, 1.0))  # its id went on to this process


def test_what_a_dead_worker_ran_is_queued_again_once(launchpad: LaunchPad, keys: set[str]) -> None:
    fw_id = check_out(launchpad, dead_worker())
    # it died while it held the workflow's lock, which FireWorks would wait for for five minutes
    launchpad.workflows.update_one({"nodes": fw_id}, {"$set": {"locked": True}})
    assert recover_lost(launchpad, set()) == []
    assert recover_lost(launchpad, keys) == [fw_id]
    assert states(launchpad) == ["READY", "READY"]
    assert recover_lost(launchpad, keys) == []


@pytest.mark.parametrize(("is_dead", "released"), [(True, [1]), (False, [])])
def test_a_claim_is_as_good_as_its_worker(
    launchpad: LaunchPad, keys: set[str], is_dead: bool, released: list[int]
) -> None:
    worker = dead_worker() if is_dead else str(ProcessName.of_this_process())
    launchpad.fireworks.update_one({"fw_id": 1}, {"$set": {"state": "RESERVED", "claimed_by": worker}})
    assert recover_lost(launchpad, keys) == released


def test_a_reservation_of_another_program_is_left_alone(launchpad: LaunchPad, keys: set[str]) -> None:
    launchpad.fireworks.update_one({"fw_id": 1}, {"$set": {"state": "RESERVED"}})
    assert recover_lost(launchpad, keys) == []


def test_failed_ones_are_queued_again_only_when_asked(launchpad: LaunchPad, keys: set[str]) -> None:
    fw_id = check_out(launchpad, str(ProcessName.of_this_process()))
    launchpad.mark_fizzled(launchpad.get_fw_by_id(fw_id).launches[-1].launch_id)
    assert states(launchpad) == ["FIZZLED", "READY"]
    assert recover_lost(launchpad, keys) == []
    assert recover_failed(launchpad, set()) == []
    assert recover_failed(launchpad, keys) == [fw_id]
    assert states(launchpad) == ["READY", "READY"]


def work_quietly(folder: Path) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # FireWorks logs there
    work(connect(), "tiny", folder, Place(0, 1, os.getppid()))


# the order job of the undoped host takes about 40 commands from claim to completion
MOMENTS = sorted(random.Random(6).sample(range(3, 60), 9))


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_worker_killed_at_any_moment_loses_nothing_and_leaves_one_result(
    database: Database,
    campaign: Campaign,
    launchpad: LaunchPad,
    keys: set[str],
    fork: Callable,
    die_at: Callable,
    wait_until: Callable,
    tmp_path: Path,
    moment: int,
) -> None:
    fork(die_at, moment, work_quietly, tmp_path).join(60)
    recover_lost(launchpad, keys)
    assert set(states(launchpad)) <= {"READY", "COMPLETED"}
    fork(work_quietly, tmp_path)
    wait_until(lambda: states(launchpad) == ["COMPLETED", "COMPLETED"])
    tasks = [task["metadata"]["key"] for task in database.collection(TASKS).find()]
    assert sorted(tasks) == sorted(candidate.stage_keys["order"] for candidate in campaign.candidates)
