"""Workers: processes that run the queued fireworks of a campaign on this machine.

A worker checks fireworks out by their id: FireWorks' own search for the next one scans the whole queue, which
is slow on the embedded server (1.2 s a checkout with 3,000 queued; a checkout by id uses an index).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import time
from pathlib import Path

from fireworks import FWorker, LaunchPad
from jobflow import SETTINGS
from pymongo.errors import PyMongoError

from lzc_flows.database.plans import planned_keys
from lzc_flows.database.processes import ProcessName
from lzc_flows.database.stores import Database, connect
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.launch.heartbeat import heartbeat
from lzc_flows.launch.launchpad import open_launchpad
from lzc_flows.launch.pool import Place
from lzc_flows.launch.queued import fireworks_of
from lzc_flows.launch.rocket import run_firework
from lzc_flows.settings import get_settings

IDLE_S = 0.5
"""How long a worker waits before it looks for work again."""


def ready_ids(launchpad: LaunchPad, keys: set[str]) -> list[int]:
    """Return the ids of these candidates' fireworks that are ready, first queued first."""
    return sorted(firework["fw_id"] for firework in fireworks_of(launchpad, keys, ["READY"]))


def work(database: Database, campaign: str, folder: Path, place: Place) -> None:
    """Run a campaign's ready fireworks one after another until the parent process is gone or the walltime is over.

    A server that goes away is waited for as long as the database's patience lasts, and every operation goes on where
    it was cut off.

    Raises
    ------
    pymongo.errors.PyMongoError
        The server has been away for longer, or refuses.
    OSError
        The launch directory cannot be made; the firework that was claimed for it is ready again.
    """
    SETTINGS.JOB_STORE = database.job_store()
    launchpad = open_launchpad(database)
    worker = FWorker(name=str(ProcessName.of_this_process()))

    def look() -> list[int]:
        if launchpad.fireworks.find_one({"state": "READY"}, {"_id": True}) is None:
            return []  # an idle worker need not read what the campaign wants again and again
        return ready_ids(launchpad, planned_keys(database, campaign))

    with heartbeat(database, campaign):
        while not _is_over(place):
            ready = database.patience.retrying(lambda _: look())
            for fw_id in ready[place.number :: place.size] or ready:
                if _is_over(place):
                    return
                _run(launchpad, worker, fw_id, folder)
            if not ready:
                time.sleep(IDLE_S)


def _is_over(place: Place) -> bool:
    return os.getppid() != place.parent or get_settings().time_is_over


def _run(launchpad: LaunchPad, worker: FWorker, fw_id: int, folder: Path) -> None:
    try:
        run_firework(launchpad, worker, fw_id, folder)
    except OSError:  # before the job began: what happens in it is the job's failure
        launchpad.fireworks.update_one(
            {"fw_id": fw_id, "state": "RESERVED", "claimed_by": worker.name}, {"$set": {"state": "READY"}}
        )
        raise


def run_ranking(database: Database, launchpad: LaunchPad, campaign: str, folder: Path) -> None:
    """Run the campaign's queued ranking jobs in this process."""
    SETTINGS.JOB_STORE = database.job_store()
    worker = FWorker(name=str(ProcessName.of_this_process()))
    queued = {"state": "READY", "spec.stage": "rank", "spec.campaign": campaign}
    for entry in list(launchpad.fireworks.find(queued, {"fw_id": True})):
        with contextlib.redirect_stdout(io.StringIO()):  # FireWorks and jobflow log there
            run_firework(launchpad, worker, entry["fw_id"], folder)


def main() -> None:
    """Run one worker; started by `lzc_flows.launch.pool.WorkerPool`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("campaign")
    parser.add_argument("folder", type=Path)
    parser.add_argument("number", type=int)
    parser.add_argument("size", type=int)
    parser.add_argument("parent", type=int)
    given = parser.parse_args()
    place = Place(given.number, given.size, given.parent)
    try:
        database = connect().patient()
    except (InputError, CalculationError) as error:
        sys.exit(f"lzc: {error}")
    try:
        work(database, given.campaign, given.folder.resolve(), place)
    except (InputError, CalculationError) as error:
        sys.exit(f"lzc: {error}")
    except PyMongoError as error:
        away = f"the database has been away for {database.patience_s:g} s ({type(error).__name__})"
        sys.exit(f"lzc: {database.patience.obstacle or away}; this worker ends, `lzc recover` mends its job")
    except OSError as error:
        sys.exit(f"lzc: cannot write {error.filename or given.folder}: {error.strerror}: this worker ends")


if __name__ == "__main__":
    main()
