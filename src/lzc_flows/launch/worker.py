"""Workers: processes that run the queued fireworks of a campaign on this machine.

A worker checks fireworks out by their id: FireWorks' own search for the next one scans the whole queue, which
is slow on the embedded server (1.2 s a checkout with 3,000 queued; a checkout by id uses an index).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import time
from pathlib import Path

from fireworks import FWorker, LaunchPad
from jobflow import SETTINGS

from lzc_flows.database.processes import ProcessName
from lzc_flows.database.queries import planned_keys
from lzc_flows.database.stores import Database, connect
from lzc_flows.launch.launchpad import fireworks_of, open_launchpad
from lzc_flows.launch.pool import Place
from lzc_flows.launch.rocket import run_firework
from lzc_flows.settings import get_settings

IDLE_S = 0.5
"""How long a worker waits before it looks for work again."""


def ready_ids(launchpad: LaunchPad, keys: set[str]) -> list[int]:
    """Return the ids of these candidates' fireworks that are ready, first queued first."""
    return sorted(firework["fw_id"] for firework in fireworks_of(launchpad, keys, ["READY"]))


def work(database: Database, campaign: str, folder: Path, place: Place) -> None:
    """Run a campaign's ready fireworks one after another until the parent process is gone or the walltime is over."""
    SETTINGS.JOB_STORE = database.job_store()
    launchpad = open_launchpad(database)
    name = FWorker(name=str(ProcessName.of_this_process()))
    while os.getppid() == place.parent and not get_settings().time_is_over:
        ready = ready_ids(launchpad, planned_keys(database, campaign))
        for fw_id in ready[place.number :: place.size] or ready:
            if os.getppid() != place.parent or get_settings().time_is_over:
                return
            run_firework(launchpad, name, fw_id, folder)
        if not ready:
            time.sleep(IDLE_S)


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
    work(connect(), given.campaign, given.folder.resolve(), Place(given.number, given.size, given.parent))


if __name__ == "__main__":
    main()
