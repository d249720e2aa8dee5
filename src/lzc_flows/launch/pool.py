"""Worker processes of a campaign on this machine, and the place of each among them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path


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
