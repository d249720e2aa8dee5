from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from fireworks import FWAction, FWorker, LaunchPad

from lzc_flows.database.locks import database_lock
from lzc_flows.database.processes import ProcessName
from lzc_flows.database.stores import RECOVERIES, TASKS, WORKERS, Database, connect
from lzc_flows.flows.candidate import Campaign
from lzc_flows.launch.batch import BatchQueue
from lzc_flows.launch.heartbeat import heartbeat
from lzc_flows.launch.held import RESERVED_ON
from lzc_flows.launch.launchpad import open_launchpad
from lzc_flows.launch.pool import Place
from lzc_flows.launch.recover import Patience, Recovery, carry_out, recover_lost, whole_plan
from lzc_flows.launch.submit import submit
from lzc_flows.launch.tries import Decision, history
from lzc_flows.launch.worker import work


@pytest.fixture
def recovery(database: Database, campaign: Campaign, launchpad: LaunchPad) -> Recovery:
    """Of the submitted campaign, whose two order jobs are ready."""
    submit(campaign, database, launchpad)
    return Recovery(database, launchpad, "tiny")


def check_out(launchpad: LaunchPad, worker: str, fw_id: int = 1) -> int:
    firework, _ = launchpad.checkout_fw(FWorker(name=worker), "/tmp", fw_id=fw_id)
    return firework.fw_id


def fail(launchpad: LaunchPad, line: str, fw_id: int = 1) -> None:
    """Let a job fail with this as the last line of its exception."""
    check_out(launchpad, me(), fw_id)
    trace = f'Traceback (most recent call last):\n  File "x.py", line 1\n{line}\n'
    action = FWAction(stored_data={"_exception": {"_stacktrace": trace, "_details": None}}, exit=True)
    launchpad.complete_launch(launchpad.get_fw_by_id(fw_id).launches[-1].launch_id, action, "FIZZLED")


def states(launchpad: LaunchPad) -> list[str]:
    return [entry["state"] for entry in launchpad.fireworks.find({}, sort=[("fw_id", 1)])]


def me() -> str:
    return str(ProcessName.of_this_process())


def dead_worker() -> str:
    return str(replace(ProcessName.of_this_process(), started=1.0))  # its id went on to this process


def recover(recovery: Recovery) -> list[Decision]:
    return carry_out(recovery, whole_plan(recovery))


def announce(database: Database, name: str, **facts: object) -> None:
    """A worker that has just beaten."""
    beat = {"$set": {"campaign": "tiny", **facts}}
    if "beat" not in facts:
        beat["$currentDate"] = {"beat": True}
    database.collection(WORKERS).update_one({"_id": name}, beat, upsert=True)


def test_what_a_living_worker_runs_is_left_alone(recovery: Recovery) -> None:
    with heartbeat(recovery.database, "tiny"):
        check_out(recovery.launchpad, me())
        assert whole_plan(recovery).decisions == []
    assert whole_plan(recovery).decisions == []  # withdrawn, but it lives
    assert states(recovery.launchpad) == ["RUNNING", "READY"]


@pytest.mark.parametrize("worker", ["lzc/elsewhere/4711/1.00", "some rlaunch on a cluster"])
def test_what_others_run_is_left_alone(recovery: Recovery, worker: str) -> None:
    check_out(recovery.launchpad, worker)
    assert whole_plan(recovery).decisions == []


def test_what_a_dead_worker_ran_is_queued_again_once(recovery: Recovery) -> None:
    launchpad = recovery.launchpad
    fw_id = check_out(launchpad, dead_worker())
    # it died while it held the workflow's lock, which FireWorks would wait for for five minutes
    launchpad.workflows.update_one({"nodes": fw_id}, {"$set": {"locked": True}})
    assert recover_lost(recovery.database, launchpad, "another") == []
    assert recover_lost(recovery.database, launchpad, "tiny") == [fw_id]
    assert states(launchpad) == ["READY", "READY"]
    assert recover_lost(recovery.database, launchpad, "tiny") == []


@pytest.mark.parametrize(("is_dead", "released"), [(True, [1]), (False, [])])
def test_a_claim_is_as_good_as_its_worker(recovery: Recovery, is_dead: bool, released: list[int]) -> None:
    worker = dead_worker() if is_dead else me()
    recovery.launchpad.fireworks.update_one({"fw_id": 1}, {"$set": {"state": "RESERVED", "claimed_by": worker}})
    assert recover_lost(recovery.database, recovery.launchpad, "tiny") == released


def test_a_reservation_that_another_program_makes_now_is_left_alone(recovery: Recovery) -> None:
    recovery.launchpad.fireworks.update_one({"fw_id": 1}, {"$set": {"state": "RESERVED"}})
    assert whole_plan(recovery).decisions == []


def test_failed_ones_are_queued_again_only_when_asked(recovery: Recovery) -> None:
    fail(recovery.launchpad, "RuntimeError: once")
    assert recover_lost(recovery.database, recovery.launchpad, "tiny") == []
    assert whole_plan(replace(recovery, campaign="another")).decisions == []
    plan = whole_plan(recovery)
    assert states(recovery.launchpad) == ["FIZZLED", "READY"]  # planned is not done
    (decision,) = carry_out(recovery, plan)
    assert (decision.fw_id, decision.cause, decision.action, decision.attempt) == (1, "unknown", "continue", 1)
    assert states(recovery.launchpad) == ["READY", "READY"]


FOREIGN = "lzc/elsewhere/4711/1.00"


def test_a_worker_elsewhere_is_lost_when_it_has_been_silent_for_long(
    recovery: Recovery, set_lzc: Callable, database: Database
) -> None:
    check_out(recovery.launchpad, FOREIGN)
    announce(database, FOREIGN)
    assert whole_plan(recovery).decisions == []
    environment = {"LZC_MONGO_URI": database.uri.get_secret_value(), "LZC_MONGO_DATABASE": database.name}
    with set_lzc(**environment, LZC_HEARTBEAT_TIMEOUT_S="0.001"):
        (decision,) = recover(recovery)
    assert (decision.cause, decision.action) == ("worker silent", "continue")
    assert "nothing heard of process 4711 on elsewhere" in decision.words
    assert states(recovery.launchpad) == ["READY", "READY"]


@pytest.mark.parametrize(
    ("facts", "is_lost"),
    [
        ({"slurm_job": "12"}, True),
        ({"slurm_job": "12", "slurm_cluster": "here"}, True),
        ({"slurm_job": "12", "slurm_cluster": "another"}, False),
        ({"slurm_job": "13"}, False),
        ({}, False),
    ],
)
def test_a_worker_elsewhere_is_lost_when_its_batch_job_has_ended(
    recovery: Recovery, facts: dict[str, str], is_lost: bool
) -> None:
    check_out(recovery.launchpad, FOREIGN)
    announce(recovery.database, FOREIGN, **facts)
    asked = replace(recovery, ask_queue=lambda: BatchQueue("here", frozenset(("13", "14"))))
    assert whole_plan(recovery).decisions == []  # where squeue does not answer nothing is known
    plan = whole_plan(asked)
    assert bool(plan.decisions) == is_lost
    if is_lost:
        (decision,) = carry_out(asked, plan)
        assert decision.cause == "batch job ended"
        assert "still beats: end it there" in decision.words
        assert recovery.database.collection(WORKERS).count_documents({}) == 0


def test_what_begins_while_slurm_is_asked_is_not_lost(recovery: Recovery) -> None:
    """A batch job that SLURM's answer does not know yet has its worker running by the time that it arrives."""
    launchpad = recovery.launchpad
    jobs = {"12"}

    def ask() -> BatchQueue:
        answer = BatchQueue("here", frozenset(jobs))
        launchpad.checkout_fw(FWorker(name=FOREIGN), "/tmp", fw_id=2)
        announce(recovery.database, FOREIGN, slurm_job="13")
        jobs.add("13")
        return answer

    _, launch_id = launchpad.reserve_fw(FWorker(name="cluster"), "/tmp", fw_id=1)
    launchpad.set_reservation_id(launch_id, 12)
    assert recover_lost(recovery.database, launchpad, "tiny", ask) == []
    assert states(launchpad) == ["RESERVED", "RUNNING"]
    assert recovery.database.collection(WORKERS).count_documents({}) == 1


def test_slurm_is_asked_only_where_a_batch_job_holds_something(recovery: Recovery) -> None:
    def ask() -> BatchQueue:
        raise AssertionError

    check_out(recovery.launchpad, dead_worker())
    announce(recovery.database, FOREIGN)
    assert recover_lost(recovery.database, recovery.launchpad, "tiny", ask) == [1]


@pytest.mark.parametrize(("state", "cause"), [("RUNNING", "batch job ended"), ("RESERVED", "never started")])
def test_what_rlaunch_or_the_queue_launcher_holds_goes_with_its_batch_job(
    recovery: Recovery, state: str, cause: str
) -> None:
    launchpad = recovery.launchpad
    _, launch_id = launchpad.reserve_fw(FWorker(name="cluster"), "/tmp", fw_id=1)
    launchpad.set_reservation_id(launch_id, 12)
    if state == "RUNNING":
        check_out(launchpad, "cluster")
    assert whole_plan(replace(recovery, ask_queue=lambda: BatchQueue("here", frozenset(("12",))))).decisions == []
    (decision,) = recover(replace(recovery, ask_queue=lambda: BatchQueue("here", frozenset())))
    assert (decision.cause, decision.state) == (cause, state)
    assert states(launchpad) == ["READY", "READY"]


def test_a_reservation_of_another_cluster_is_left_alone(recovery: Recovery) -> None:
    """Two clusters number their jobs alike."""
    _, launch_id = recovery.launchpad.reserve_fw(FWorker(name="a", env={RESERVED_ON: "there"}), "/tmp", fw_id=1)
    recovery.launchpad.set_reservation_id(launch_id, 12)
    assert whole_plan(replace(recovery, ask_queue=lambda: BatchQueue("here", frozenset()))).decisions == []
    (decision,) = whole_plan(replace(recovery, ask_queue=lambda: BatchQueue("there", frozenset()))).decisions
    assert decision.cause == "never started"


def test_what_rlaunch_runs_is_lost_without_a_ping_for_as_long_as_fireworks_waits(recovery: Recovery) -> None:
    check_out(recovery.launchpad, "some rlaunch")
    long_ago = {
        "state_history.0.updated_on": "2020-01-01T00:00:00",
        "state_history.0.created_on": "2020-01-01T00:00:00",
    }
    recovery.launchpad.launches.update_one({}, {"$set": long_ago})
    (decision,) = recover(recovery)
    assert decision.cause == "no ping"


def start_worker_with_engine(engine: Path) -> None:
    """Fork a worker that holds a job, with a child as its engine."""
    if os.fork() == 0:
        database = connect()
        with heartbeat(database, "tiny"):
            check_out(open_launchpad(database), me())
            child = os.fork()
            if child != 0:
                engine.write_text(str(ProcessName.of(psutil.Process(child))))
            signal.pause()
    signal.pause()


def test_a_living_orphan_is_ended_with_its_engine_and_its_job_put_back(
    recovery: Recovery, fork: Callable, wait_until: Callable, tmp_path: Path
) -> None:
    engine = tmp_path / "engine"
    parent = fork(start_worker_with_engine, engine)
    wait_until(lambda: engine.is_file() and engine.read_text())
    assert whole_plan(recovery).decisions == []
    parent.kill()
    wait_until(lambda: psutil.Process(parent.pid).status() == psutil.STATUS_ZOMBIE)
    (entry,) = recovery.database.collection(WORKERS).find()
    orphan = ProcessName.parse(entry["_id"])
    assert orphan is not None
    assert recover_lost(recovery.database, recovery.launchpad, "tiny") == []  # a run lets it end its job
    assert not orphan.is_dead()
    (decision,) = recover(recovery)
    assert (decision.cause, decision.action) == ("orphan", "continue")
    assert orphan.is_dead()
    assert ProcessName.parse(engine.read_text()).is_dead()
    assert states(recovery.launchpad) == ["READY", "READY"]
    assert recovery.database.collection(WORKERS).count_documents({}) == 0


def test_an_orphan_elsewhere_that_ends_its_job_after_all_changes_nothing(recovery: Recovery) -> None:
    launchpad = recovery.launchpad
    _, first = launchpad.checkout_fw(FWorker(name=dead_worker()), "/tmp", fw_id=1)
    recover(recovery)
    _, second = launchpad.checkout_fw(FWorker(name=me()), "/tmp", fw_id=1)
    launchpad.complete_launch(first, FWAction())
    assert states(launchpad) == ["RUNNING", "READY"]
    launchpad.complete_launch(second, FWAction())
    assert states(launchpad) == ["COMPLETED", "READY"]


@pytest.mark.parametrize(("ended", "state"), [("COMPLETED", "COMPLETED"), ("FIZZLED", "READY")])
def test_a_job_whose_worker_died_before_it_could_say_that_it_had_ended(
    recovery: Recovery, ended: str, state: str
) -> None:
    launchpad = recovery.launchpad
    _, launch_id = launchpad.checkout_fw(FWorker(name=dead_worker()), "/tmp", fw_id=1)
    launchpad.launches.update_one({"launch_id": launch_id}, {"$set": {"state": ended, "action": FWAction().to_dict()}})
    launchpad.workflows.update_one({"nodes": 1}, {"$set": {"locked": True}})
    done = recover(recovery)
    assert done[0].action == "settle"
    assert states(launchpad) == [state, "READY"]


def test_a_job_is_given_up_after_so_many_tries_and_tried_anew_when_asked(
    recovery: Recovery,
) -> None:
    actions = []
    for _ in range(3):
        fail(recovery.launchpad, "SegmentationFault: the engine fell over")
        actions += [(decision.action, decision.attempt) for decision in recover(recovery)]
    assert actions == [("continue", 1), ("continue", 2), ("give up", 3)]
    assert states(recovery.launchpad) == ["DEFUSED", "READY"]
    assert recover(recovery) == []

    (decision,) = carry_out(recovery, recovery.given_up())
    assert (decision.action, decision.cause) == ("retry", "unknown")
    assert states(recovery.launchpad) == ["READY", "READY"]
    fail(recovery.launchpad, "SegmentationFault: the engine fell over")
    assert [(decision.action, decision.attempt) for decision in recover(recovery)] == [("continue", 1)]

    found = history(recovery.database, set(recovery.results), decision.candidate)
    assert [entry["action"] for entry in found] == ["continue", "continue", "give up", "retry", "continue"]
    assert found[2]["words"] == "SegmentationFault: the engine fell over (after 3 tries)"
    assert all(entry["worker"] == me() and entry["stage"] == "order" for entry in found)
    assert [entry["when"] for entry in found] == sorted(entry["when"] for entry in found)
    assert history(recovery.database, set(recovery.results), "no such key") == []


def test_what_somebody_defused_by_hand_is_not_tried_anew(recovery: Recovery) -> None:
    recovery.launchpad.defuse_fw(1)
    assert recovery.given_up().decisions == []


def test_lost_runs_have_more_patience_than_failed_ones(recovery: Recovery) -> None:
    few = replace(recovery, patience=Patience(failed=1, lost=2))
    check_out(few.launchpad, dead_worker())
    assert [decision.action for decision in recover(few)] == ["continue"]
    check_out(few.launchpad, dead_worker())
    (decision,) = recover(few)
    assert (decision.action, decision.kind, decision.attempt) == ("give up", "lost", 2)
    assert states(few.launchpad) == ["DEFUSED", "READY"]
    assert [decision.action for decision in carry_out(few, few.given_up())] == ["retry"]
    assert states(few.launchpad) == ["READY", "READY"]


@pytest.mark.parametrize("line", ["lzc_flows.errors.InputError: no", "lzc_flows.errors.CalculationError: exploded"])
def test_what_would_fail_again_in_the_same_way_is_given_up_at_once(recovery: Recovery, line: str) -> None:
    fail(recovery.launchpad, line)
    (decision,) = recover(recovery)
    assert decision.action == "give up"
    assert decision.words == f"{line} (a rerun does not mend it)"
    assert states(recovery.launchpad) == ["DEFUSED", "READY"]


def test_what_has_changed_since_the_plan_is_left_alone(recovery: Recovery) -> None:
    launchpad = recovery.launchpad
    fail(launchpad, "RuntimeError: once")
    check_out(launchpad, dead_worker(), fw_id=2)
    plan = whole_plan(recovery)
    launchpad.rerun_fw(1)
    launchpad.rerun_fw(2)
    check_out(launchpad, me(), fw_id=2)
    assert carry_out(recovery, plan) == []
    assert states(launchpad) == ["READY", "RUNNING"]
    assert recovery.database.collection(RECOVERIES).count_documents({}) == 0


def recover_here() -> None:
    database = connect()
    recover(Recovery(database, open_launchpad(database), "tiny"))


def test_two_who_recover_at_the_same_time_do_each_thing_once(recovery: Recovery, fork: Callable) -> None:
    fail(recovery.launchpad, "RuntimeError: once")
    check_out(recovery.launchpad, dead_worker(), fw_id=2)
    children = [fork(recover_here) for _ in range(3)]
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    assert states(recovery.launchpad) == ["READY", "READY"]
    assert recovery.database.collection(RECOVERIES).count_documents({}) == 2


@pytest.mark.parametrize("moment", sorted(random.Random(8).sample(range(1, 60), 6)))
def test_one_who_is_killed_half_way_is_followed_by_one_who_does_the_rest(
    recovery: Recovery, fork: Callable, die_at: Callable, moment: int
) -> None:
    fail(recovery.launchpad, "RuntimeError: once")
    check_out(recovery.launchpad, dead_worker(), fw_id=2)
    fork(die_at, moment, recover_here).join(60)
    recover(recovery)
    assert states(recovery.launchpad) == ["READY", "READY"]
    with database_lock(recovery.database, "recover", patience_s=0.0):
        pass  # killed after its last deed, its lock is left to whoever wants it next
    found = history(recovery.database, set(recovery.results))
    assert sorted((entry["fw_id"], entry["attempt"]) for entry in found) == [(1, 1), (2, 1)]


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
    recovery: Recovery,
    fork: Callable,
    die_at: Callable,
    wait_until: Callable,
    tmp_path: Path,
    moment: int,
) -> None:
    fork(die_at, moment, work_quietly, tmp_path).join(60)
    recover_lost(database, launchpad, "tiny")
    assert set(states(launchpad)) <= {"READY", "COMPLETED"}
    assert database.collection(WORKERS).count_documents({}) == 0
    fork(work_quietly, tmp_path)
    wait_until(lambda: states(launchpad) == ["COMPLETED", "COMPLETED"])
    tasks = [task["metadata"]["key"] for task in database.collection(TASKS).find()]
    assert sorted(tasks) == sorted(candidate.stage_keys["order"] for candidate in campaign.candidates)
