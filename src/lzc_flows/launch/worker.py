"""Workers: processes that run the queued fireworks of a campaign on this machine.

A worker checks fireworks out by their id: FireWorks' own search for the next one scans the whole queue, which
is slow on the embedded server (1.2 s a checkout with 3,000 queued; a checkout by id uses an index).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from fireworks import FWorker, LaunchPad
from fireworks.core.rocket_launcher import launch_rocket
from jobflow import SETTINGS

from lzc_flows.database.queries import planned_keys
from lzc_flows.database.stores import Database, connect
from lzc_flows.launch.launchpad import open_launchpad
from lzc_flows.processes import started_s_after_boot

IDLE_S = 0.5
"""How long a worker waits before it looks for work again."""


@dataclass(frozen=True)
class WorkerName:
    """Who runs a firework: host, process and the process's start, so that a dead worker is known as dead."""

    host: str
    pid: int
    started_s_after_boot: float

    @classmethod
    def of_this_process(cls) -> WorkerName:
        """Return the name of the calling process."""
        return cls(socket.gethostname(), os.getpid(), started_s_after_boot(psutil.Process()))

    @classmethod
    def parse(cls, text: str) -> WorkerName | None:
        """Return the name that `str` wrote; None if another program did."""
        words = text.split("/")
        if len(words) != 4 or words[0] != "lzc":
            return None
        return cls(words[1], int(words[2]), float(words[3]))

    def __str__(self) -> str:
        return f"lzc/{self.host}/{self.pid}/{self.started_s_after_boot:.2f}"

    def is_dead(self) -> bool:
        """Return whether the process is known to be gone: it ran on this host and runs no more."""
        if self.host != socket.gethostname():
            return False
        try:
            return abs(started_s_after_boot(psutil.Process(self.pid)) - self.started_s_after_boot) > 0.1
        except psutil.NoSuchProcess:
            return True


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
            with (logs / f"worker-{number}.log").open("a") as log:
                process = subprocess.Popen(
                    [*command, str(number), str(self.size)],
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
    found = launchpad.fireworks.find({"state": "READY"}, {"fw_id": True, "spec.key": True, "_id": False})
    return sorted(entry["fw_id"] for entry in found if entry["spec"].get("key") in keys)


def work(database: Database, campaign: str, folder: Path, place: tuple[int, int]) -> None:
    """Run a campaign's ready fireworks one after another until the parent process is gone.

    `place` is (number, size): worker `number` of `size` takes every `size`-th firework first, so that workers
    seldom meet.
    """
    number, size = place
    SETTINGS.JOB_STORE = database.job_store()
    launchpad = open_launchpad(database)
    name = FWorker(name=str(WorkerName.of_this_process()))
    parent = os.getppid()
    while os.getppid() == parent:
        ready = ready_ids(launchpad, planned_keys(database, campaign))
        for fw_id in ready[number::size] or ready:
            if os.getppid() != parent:
                return
            _launch(launchpad, name, fw_id, folder)
        if not ready:
            time.sleep(IDLE_S)


def run_ranking(database: Database, launchpad: LaunchPad, campaign: str, folder: Path) -> None:
    """Run the campaign's queued ranking jobs in this process."""
    SETTINGS.JOB_STORE = database.job_store()
    worker = FWorker(name=str(WorkerName.of_this_process()))
    queued = {"state": "READY", "spec.stage": "rank", "spec.campaign": campaign}
    for entry in list(launchpad.fireworks.find(queued, {"fw_id": True})):
        _launch(launchpad, worker, entry["fw_id"], folder)


def _launch(launchpad: LaunchPad, worker: FWorker, fw_id: int, folder: Path) -> None:
    """Run one firework in a directory of its own: launches/<stage>/<key>/<try>."""
    spec = launchpad.fireworks.find_one({"fw_id": fw_id}, {"spec.key": True, "spec.stage": True})["spec"]
    launch_dir = folder.resolve() / "launches" / spec["stage"] / spec.get("key", "") / f"{time.time_ns()}"
    launch_dir.mkdir(parents=True)
    with contextlib.chdir(launch_dir):
        ran = launch_rocket(launchpad, worker, fw_id=fw_id, strm_lvl="CRITICAL")
    if not ran and not any(launch_dir.iterdir()):
        launch_dir.rmdir()  # another worker was first


def main() -> None:
    """Run one worker; started by `WorkerPool`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("campaign")
    parser.add_argument("folder", type=Path)
    parser.add_argument("number", type=int)
    parser.add_argument("size", type=int)
    given = parser.parse_args()
    work(connect(), given.campaign, given.folder.resolve(), (given.number, given.size))


if __name__ == "__main__":
    main()
