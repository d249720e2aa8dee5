"""Inside a batch job: workers that take what is ready until nothing is, or the walltime comes; or one firework."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from fireworks import FWorker
from jobflow import SETTINGS

from lzc_flows.database.plans import planned_keys
from lzc_flows.database.processes import ProcessName
from lzc_flows.errors import CalculationError
from lzc_flows.launch.heartbeat import heartbeat
from lzc_flows.launch.pool import WorkerPool
from lzc_flows.launch.queued import fireworks_of, holder_of, newest_launches
from lzc_flows.launch.recover import recover_lost
from lzc_flows.launch.rocket import run_reserved
from lzc_flows.launch.run import POLL_S, Setting, check_disk
from lzc_flows.launch.submit import advance
from lzc_flows.settings import get_settings

LOOKS_WITHOUT_WORK = 3
"""So many looks in a row, each after further stages have been queued, find nothing to do: the job ends."""

MOST_REPLACED = 10
"""Workers that are replaced in one batch job: what kills more is not chance."""

ADVANCE_SHARE = 0.1
"""Share of the time that queueing further stages may take while the workers have work."""


class Stopped(BaseException):
    """SLURM ends the job: its walltime is over, or someone cancelled it."""


@contextmanager
def stopped_by_slurm() -> Iterator[None]:
    """Let the signals by which SLURM ends a job leave the block with `Stopped`."""

    def stop(number: int, _: FrameType | None) -> None:
        for each in signals:  # once: what ends the workers in order is not cut short
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(signal.Signals(number).name)

    signals = (signal.SIGTERM, signal.SIGUSR1)
    before = {number: signal.signal(number, stop) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def work_in_allocation(setting: Setting) -> bool:
    """Run the campaign's ready fireworks, and those that follow from them, until none is left for these workers.

    What the workers held when they are stopped goes back into the queue. What other batch jobs hold is not asked of
    SLURM, whose controller would hear from every job: `lzc launch` asks, and these workers wait for nobody else's jobs.

    Returns
    -------
    Whether it ended by itself: for want of work or of time, not by a signal.

    Raises
    ------
    CalculationError
        All workers died.
    """
    check_disk(setting.folder)
    keys = planned_keys(setting.database, setting.name)
    try:
        with stopped_by_slurm(), WorkerPool(setting.name, setting.folder, setting.workers) as pool:
            _watch(setting, keys, pool)
    except Stopped:
        recover_lost(setting.database, setting.launchpad, setting.name)
        return False
    recover_lost(setting.database, setting.launchpad, setting.name)
    return True


def _watch(setting: Setting, keys: set[str], pool: WorkerPool) -> None:
    idle_looks, advanced_at, advance_took_s, replaced = 0, 0.0, 0.0, 0
    while idle_looks < LOOKS_WITHOUT_WORK:
        if not pool.alive and get_settings().time_is_over:
            return
        if replaced < MOST_REPLACED:
            replaced += pool.replace_failed()
        if not pool.alive:
            raise CalculationError(f"all workers ended early: see {setting.folder / 'workers'}")
        busy = _is_busy(setting, keys, pool)
        idle_looks = 0 if busy else idle_looks + 1
        if not busy or time.monotonic() - advanced_at > advance_took_s / ADVANCE_SHARE:
            began = time.monotonic()
            recover_lost(setting.database, setting.launchpad, setting.name)
            advance(setting.campaign, setting.database, setting.launchpad)
            advanced_at = time.monotonic()
            advance_took_s = advanced_at - began
        time.sleep(POLL_S)


def _is_busy(setting: Setting, keys: set[str], pool: WorkerPool) -> bool:
    """Return whether something is ready or these workers run something."""
    workers = {process.pid for process in pool.processes}
    held = list(fireworks_of(setting.launchpad, keys, ["READY", "RESERVED", "RUNNING"]))
    launches = newest_launches(setting.launchpad, held)
    for firework in held:
        holder = ProcessName.parse(holder_of(firework, launches.get(firework["fw_id"])))
        if firework["state"] == "READY" or (holder is not None and holder.is_here() and holder.pid in workers):
            return True
    return False


def run_single(setting: Setting, fw_id: int, reservation: str) -> bool:
    """Run the firework that is reserved for this batch job; return whether it still was.

    A stop by SLURM's signals ends this process where it stands; `lzc recover` puts the firework back. What follows from
    the result is queued by the rounds of `lzc launch`, which alone give it a batch job: thousands of jobs need not each
    look through the whole campaign.
    """
    check_disk(setting.folder)
    SETTINGS.JOB_STORE = setting.database.job_store()
    worker = FWorker(name=str(ProcessName.of_this_process()))
    with heartbeat(setting.database, setting.name):
        return run_reserved(setting.launchpad, worker, (fw_id, reservation), setting.folder)
