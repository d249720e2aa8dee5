"""Workers: processes that run the queued fireworks of a campaign on this machine.

A worker checks fireworks out by their id: FireWorks' own search for the next one scans the whole queue, which
is slow on the embedded server (1.2 s a checkout with 3,000 queued; a checkout by id uses an index).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from fireworks import FWorker, LaunchPad
from fireworks.core.rocket_launcher import launch_rocket
from jobflow import SETTINGS

from lzc_flows.database.processes import ProcessName
from lzc_flows.database.queries import planned_keys
from lzc_flows.database.stores import Database, connect
from lzc_flows.launch.launchpad import fireworks_of, open_launchpad
from lzc_flows.settings import get_settings

IDLE_S = 0.5
"""How long a worker waits before it looks for work again."""


@dataclass
class WorkerPool:
    """Worker processes of a campaign; a context manager that ends them when it is left.

    Attributes
    ----------
    campaign
        Name of the campaign.
    folder
        Its directory; launches and logs go below it.
    size
        Number of workers.
    """

    campaign: str
    folder: Path
    size: int
    processes: list[subprocess.Popen] = field(default_factory=list)

    def __enter__(self) -> WorkerPool:
        logs = self.folder / "workers"
        logs.mkdir(parents=True, exist_ok=True)
        threads = str(max(1, (os.cpu_count() or 1) // self.size))
        limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), threads)
        for number in range(self.size):
            command = [sys.executable, "-m", "lzc_flows.launch.worker", self.campaign, str(self.folder)]
            place = [str(number), str(self.size), str(os.getpid())]
            with (logs / f"worker-{number}.log").open("a") as log:
                process = subprocess.Popen(
                    [*command, *place],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, **limits},
                    start_new_session=True,  # Ctrl-C reaches the parent, which ends them in order
                )
            self.processes.append(process)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @property
    def alive(self) -> int:
        """Number of workers that still run."""
        return sum(process.poll() is None for process in self.processes)


def ready_ids(launchpad: LaunchPad, keys: set[str]) -> list[int]:
    """Return the ids of these candidates' fireworks that are ready, first queued first."""
    return sorted(firework["fw_id"] for firework in fireworks_of(launchpad, keys, ["READY"]))


@dataclass(frozen=True)
class Place:
    """Where a worker stands in its pool.

    Attributes
    ----------
    number, size
        Worker `number` of `size` takes every `size`-th firework first, so that workers seldom meet.
    parent
        Process id of the pool's owner.
    """

    number: int
    size: int
    parent: int


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
            _launch(launchpad, name, fw_id, folder)
        if not ready:
            time.sleep(IDLE_S)


def run_ranking(database: Database, launchpad: LaunchPad, campaign: str, folder: Path) -> None:
    """Run the campaign's queued ranking jobs in this process."""
    SETTINGS.JOB_STORE = database.job_store()
    worker = FWorker(name=str(ProcessName.of_this_process()))
    queued = {"state": "READY", "spec.stage": "rank", "spec.campaign": campaign}
    for entry in list(launchpad.fireworks.find(queued, {"fw_id": True})):
        with contextlib.redirect_stdout(io.StringIO()):  # FireWorks and jobflow log there
            _launch(launchpad, worker, entry["fw_id"], folder)


def _launch(launchpad: LaunchPad, worker: FWorker, fw_id: int, folder: Path) -> None:
    """Run one firework, unless another worker was first, in a directory of its own: launches/<stage>/<key>/<try>."""
    # claimed here because FireWorks' checkout by id also takes what another worker has just reserved
    claimed = launchpad.fireworks.find_one_and_update(
        {"fw_id": fw_id, "state": "READY"}, {"$set": {"state": "RESERVED", "claimed_by": worker.name}}
    )
    if claimed is None:
        return
    spec = claimed["spec"]
    launch_dir = folder.resolve() / "launches" / spec["stage"] / spec.get("key", "") / f"{time.time_ns()}"
    launch_dir.mkdir(parents=True)
    with contextlib.chdir(launch_dir):
        launch_rocket(launchpad, worker, fw_id=fw_id, strm_lvl="CRITICAL")


def main() -> None:
    """Run one worker; started by `WorkerPool`."""
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
