from __future__ import annotations

from pathlib import Path

import pytest
from fireworks import LaunchPad

from lzc_flows.database.stores import Database
from lzc_flows.flows.candidate import Campaign
from lzc_flows.launch import allocation
from lzc_flows.launch.run import Setting
from lzc_flows.launch.submit import submit


def test_a_batch_job_ends_none_of_its_own_jobs(
    database: Database, campaign: Campaign, launchpad: LaunchPad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks more often than its jobs take, all of which run at the same time, and goes through all stages."""
    monkeypatch.setattr(allocation, "POLL_S", 0.05)
    submit(campaign, database, launchpad)
    assert allocation.work_in_allocation(Setting(campaign, database, launchpad, tmp_path, workers=2))
    fireworks = list(launchpad.fireworks.find({}))
    assert [firework["state"] for firework in fireworks] == ["COMPLETED"] * 6
    assert launchpad.launches.count_documents({}) == 6
