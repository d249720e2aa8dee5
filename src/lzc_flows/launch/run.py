"""A campaign on one machine: submit, work, advance, rank."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fireworks import LaunchPad

from lzc_flows.database.plans import planned_keys
from lzc_flows.database.stores import TASKS, Database
from lzc_flows.documents.ranking import RankingDoc
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.flows.candidate import Campaign
from lzc_flows.launch.batch import SeldomAsked
from lzc_flows.launch.pool import WorkerPool
from lzc_flows.launch.progress import CampaignProgress
from lzc_flows.launch.recover import recover_lost
from lzc_flows.launch.status import CampaignStatus, campaign_status
from lzc_flows.launch.submit import Submission, advance, queue_job, submit
from lzc_flows.launch.worker import run_ranking
from lzc_flows.settings import get_settings

POLL_S = 1.0
"""Least pause between two looks at a campaign, in s."""

PAUSES_A_LOOK = 4.0
"""A pause is at least so many times as long as the look before it: of a large campaign a look takes seconds."""

LEAST_FREE_BYTES = 200 * 2**20
"""About what a hundred candidates leave: server files, launch directories, report."""


@dataclass(frozen=True)
class Setting:
    """A campaign and where it runs."""

    campaign: Campaign
    database: Database
    launchpad: LaunchPad
    folder: Path
    workers: int

    @property
    def name(self) -> str:
        """Name of the campaign."""
        return self.campaign.spec.name

    def status(self) -> CampaignStatus:
        """Return where the campaign stands."""
        return campaign_status(self.database, self.launchpad, self.name)


@dataclass(frozen=True)
class Outcome:
    """What a run left."""

    status: CampaignStatus
    ranking: RankingDoc


def run_campaign(setting: Setting, submission: Submission = submit) -> Outcome:
    """Submit, work and advance until nothing is left to do, then rank.

    Raises
    ------
    InputError
        What `submission` refuses.
    CalculationError
        All workers died, or the ranking job failed.
    """
    check_disk(setting.folder)
    submission(setting.campaign, setting.database, setting.launchpad)
    status = _work_until_idle(setting, advance)
    return Outcome(status, _rank(setting))


def work_off(setting: Setting) -> CampaignStatus:
    """Run what is queued until nothing is left; queue nothing."""
    check_disk(setting.folder)
    return _work_until_idle(setting, lambda *_: 0)


def check_disk(folder: Path) -> None:
    """Refuse to start where the disk is nearly full.

    Raises
    ------
    InputError
        Less than `LEAST_FREE_BYTES` are free where `folder` is or will be.
    """
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < LEAST_FREE_BYTES:
        needed = LEAST_FREE_BYTES // 2**20
        raise InputError(f"disk full: {free // 2**20} MiB free at {folder}, at least {needed} MiB are needed")


def _work_until_idle(setting: Setting, queue_more: Callable[[Campaign, Database, LaunchPad], int]) -> CampaignStatus:
    keys = planned_keys(setting.database, setting.name)
    ask_queue = SeldomAsked()  # a look may come each second, too often for SLURM's controller
    recover_lost(setting.database, setting.launchpad, setting.name, ask_queue)
    status = setting.status()
    if not status.active:
        return status
    pool = WorkerPool(setting.name, setting.folder, setting.workers)
    advanced_at: dict[str, dict[str, int]] = {}
    pause_s = POLL_S
    with pool, CampaignProgress(setting.launchpad, keys) as progress:
        # what ended after the last advance may have a next stage
        while status.active or status.counts != advanced_at:
            progress.show(status)
            if not pool.alive and get_settings().time_is_over:
                break  # the next run goes on
            if not pool.alive:
                raise CalculationError(f"all workers ended early: see {setting.folder / 'workers'}")
            time.sleep(pause_s)
            started = time.monotonic()
            # a worker may have been killed while others go on
            recover_lost(setting.database, setting.launchpad, setting.name, ask_queue)
            status = setting.status()
            if status.counts != advanced_at:
                advanced_at = status.counts
                if queue_more(setting.campaign, setting.database, setting.launchpad):
                    status = setting.status()
            pause_s = max(POLL_S, PAUSES_A_LOOK * (time.monotonic() - started))
        progress.show(status)
    # the workers have been ended, and did not withdraw
    recover_lost(setting.database, setting.launchpad, setting.name, ask_queue)
    return status


def _rank(setting: Setting) -> RankingDoc:
    """Return the ranking; its job runs unless one has seen the same candidates and settings."""
    from lzc_flows.jobs.rank import RankMaker, campaign_fingerprint  # slow, and batch jobs rank nothing

    spec = setting.campaign.spec.ranking
    tasks = setting.database.collection(TASKS)
    # a ranking has no key: the index of keys leaves out the results of all candidates
    seen = {
        "metadata.key": None,
        "metadata.stage": "rank",
        "metadata.campaign": setting.name,
        "output.fingerprint": campaign_fingerprint(setting.database, setting.name, spec),
    }
    found = tasks.find_one(seen, {"uuid": True})
    if found is None:
        job = RankMaker(ranking=spec).make(setting.name)
        job.update_metadata({"stage": "rank", "campaign": setting.name})
        queue_job(setting.launchpad, job)
        run_ranking(setting.database, setting.launchpad, setting.name, setting.folder)
        found = tasks.find_one(seen, {"uuid": True})
    if found is None:
        raise CalculationError(f"the ranking job of {setting.name!r} failed: see {setting.folder / 'launches'}")
    with setting.database.job_store() as store:
        return RankingDoc.from_stored(store.get_output(found["uuid"], load=True))
