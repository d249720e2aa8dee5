from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fireworks import FWorker, LaunchPad

from lzc_flows.database.stores import Database, connect
from lzc_flows.flows.candidate import Campaign
from lzc_flows.launch.outlook import Outlook, outlook_of
from lzc_flows.launch.pool import Place
from lzc_flows.launch.recover import Patience, Recovery, carry_out
from lzc_flows.launch.status import CampaignStatus, campaign_status, scan, status_of
from lzc_flows.launch.submit import queue_job, submit
from lzc_flows.launch.worker import work


def test_before_it_runs_everything_is_ready_or_to_do(
    database: Database, campaign: Campaign, launchpad: LaunchPad
) -> None:
    assert campaign_status(database, launchpad, "tiny").candidates == 0
    submit(campaign, database, launchpad)
    status = campaign_status(database, launchpad, "tiny")
    assert status == CampaignStatus("tiny", 2, {"order": {"READY": 2}, "relax": {"TO DO": 2}, "bvse": {"TO DO": 2}}, [])
    assert (status.active, status.completed) == (2, 0)


def work_silently(folder: Path) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # FireWorks logs there
    work(connect(), "tiny", folder, Place(0, 1, os.getppid()))


@pytest.fixture
def failed(
    database: Database, campaign: Campaign, launchpad: LaunchPad, fork: Callable, wait_until: Callable, tmp_path: Path
) -> CampaignStatus:
    """A bvse job whose structure is not in the database failed, the order jobs ended well."""
    submit(campaign, database, launchpad)
    queue_job(launchpad, campaign.next_job(campaign.candidates[1], "bvse", "no-such-uuid"))
    fork(work_silently, tmp_path)
    wait_until(lambda: not campaign_status(database, launchpad, "tiny").active)
    return campaign_status(database, launchpad, "tiny")


def test_a_failed_job_is_counted_and_named_with_its_reason_in_one_line(
    failed: CampaignStatus, database: Database, campaign: Campaign, launchpad: LaunchPad
) -> None:
    assert failed.counts == {
        "order": {"COMPLETED": 2},
        "relax": {"TO DO": 2},
        "bvse": {"FIZZLED": 1, "TO DO": 1},
    }
    assert (failed.active, failed.completed) == (0, 2)
    (failure,) = failed.failures
    assert (failure.key, failure.stage) == (campaign.candidates[1].key, "bvse")
    assert "no-such-uuid" in failure.reason
    assert "\n" not in failure.reason
    assert (failure.cause, failure.given_up) == ("input missing", False)
    (group,) = failed.causes
    assert (group.cause, group.stage, group.count, group.example) == ("input missing", "bvse", 1, failure.key)
    launchpad.rerun_fw(3)
    again = campaign_status(database, launchpad, "tiny")
    assert again.counts["bvse"] == {"READY": 1, "TO DO": 1}
    assert again.failures == []


def test_a_failure_without_exception_says_so(database: Database, campaign: Campaign, launchpad: LaunchPad) -> None:
    submit(campaign, database, launchpad)
    launchpad.fireworks.update_one({"fw_id": 1}, {"$set": {"state": "FIZZLED"}})
    (failure,) = campaign_status(database, launchpad, "tiny").failures
    assert failure.reason == "no exception recorded"


def test_what_was_given_up_is_a_failure_with_its_reason(
    database: Database, campaign: Campaign, launchpad: LaunchPad
) -> None:
    submit(campaign, database, launchpad)
    launchpad.checkout_fw(FWorker(name="some rlaunch"), "/tmp", fw_id=1)
    launchpad.mark_fizzled(launchpad.get_fw_by_id(1).launches[-1].launch_id)
    recovery = Recovery(database, launchpad, "tiny", patience=Patience(failed=1))
    carry_out(recovery, recovery.failed())
    launchpad.defuse_fw(2)  # by hand: no failure
    status = campaign_status(database, launchpad, "tiny")
    assert status.counts["order"] == {"DEFUSED": 2}
    (failure,) = status.failures
    assert failure.given_up
    assert failure.reason == "no exception recorded (after 1 tries)"
    assert status.active == 0


@pytest.mark.parametrize("state", ["RUNNING", "FIZZLED", "READY"])
def test_states_are_those_of_the_fireworks_where_their_workflows_lag_behind(
    database: Database, campaign: Campaign, launchpad: LaunchPad, state: str
) -> None:
    submit(campaign, database, launchpad)
    launchpad.fireworks.update_one({"fw_id": 1}, {"$set": {"state": state}})
    if state == "READY":  # put back by one that was killed before it could tell the workflow
        launchpad.workflows.update_one({"nodes": 1}, {"$set": {"fw_states.1": "FIZZLED"}})
    counts = campaign_status(database, launchpad, "tiny").counts["order"]
    assert counts == ({"READY": 2} if state == "READY" else {"READY": 1, state: 1})


def test_the_outlook_says_how_fast_it_goes_who_works_and_when_it_ends(
    database: Database, campaign: Campaign, launchpad: LaunchPad, fork: Callable, wait_until: Callable, tmp_path: Path
) -> None:
    def outlook() -> Outlook:
        seen = scan(database, launchpad, "tiny")
        return outlook_of(database, launchpad, status_of(database, launchpad, "tiny", seen), seen)

    submit(campaign, database, launchpad)
    first = outlook()
    assert (first.throughput_per_h, first.remaining_s, first.ends_at) == ({}, None, None)
    assert first.workers == {"alive": 0, "lost": 0, "hosts": {}}
    worker = fork(work_silently, tmp_path)
    wait_until(lambda: not campaign_status(database, launchpad, "tiny").active)
    later = outlook()
    assert later.throughput_per_h["order"].jobs == 2
    assert later.mean_run_s["order"] > 0
    assert later.workers["alive"] == 1
    assert (later.remaining_s, later.estimate) == (None, "nothing has ended yet of relax, bvse")
    worker.kill()
    wait_until(lambda: outlook().workers["lost"] == 1)
