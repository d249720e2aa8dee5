from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fireworks import LaunchPad

from lzc_flows.database.queries import planned_keys
from lzc_flows.database.stores import Database, connect
from lzc_flows.flows.candidate import Campaign
from lzc_flows.launch.pool import Place
from lzc_flows.launch.recover import recover_failed
from lzc_flows.launch.status import CampaignStatus, campaign_status
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
    assert recover_failed(launchpad, planned_keys(database, "tiny")) == [3]
    again = campaign_status(database, launchpad, "tiny")
    assert again.counts["bvse"] == {"READY": 1, "TO DO": 1}
    assert again.failures == []


def test_a_failure_without_exception_says_so(database: Database, campaign: Campaign, launchpad: LaunchPad) -> None:
    submit(campaign, database, launchpad)
    launchpad.fireworks.update_one({"fw_id": 1}, {"$set": {"state": "FIZZLED"}})
    (failure,) = campaign_status(database, launchpad, "tiny").failures
    assert failure.reason == "no exception recorded"
