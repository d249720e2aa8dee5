"""Worker processes of a campaign on this machine, and the place of each among them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

GPU_VARIABLES = ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_GPUS")
"""Which GPUs a process has: the first that is set counts."""


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
        self._logs.mkdir(parents=True, exist_ok=True)
        self.processes.extend(self._start(number) for number in range(self.size))
        return self

    def replace_failed(self) -> int:
        """Start anew each worker that was killed or has failed; return how many."""
        failed = [number for number, process in enumerate(self.processes) if process.poll()]
        for number in failed:
            self.processes[number] = self._start(number)
        return len(failed)

    @property
    def _logs(self) -> Path:
        return self.folder / "workers"

    def _start(self, number: int) -> subprocess.Popen:
        command = [sys.executable, "-m", "lzc_flows.launch.worker", self.campaign, str(self.folder)]
        place = [str(number), str(self.size), str(os.getpid())]
        with (self._logs / f"worker-{number}.log").open("a") as log:
            return subprocess.Popen(
                [*command, *place],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=worker_environment(os.environ, number, self.size),
                start_new_session=True,  # Ctrl-C reaches the parent, which ends them in order
            )

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


def cores() -> int:
    """Return the number of cores that this process may use: in a batch job, those of the job."""
    told = os.environ.get("SLURM_CPUS_ON_NODE", "")
    return int(told) if told.isdigit() else os.cpu_count() or 1


def visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """Return the GPUs of an environment, as CUDA names them: numbers or identifiers; none where it names none."""
    told = next((environment[name] for name in GPU_VARIABLES if name in environment), "")
    gpus = [gpu.strip() for gpu in told.split(",") if gpu.strip()]
    # CUDA's own words for no GPU
    return [] if gpus in (["-1"], ["NoDevFiles"]) else gpus


def worker_environment(environment: Mapping[str, str], number: int, size: int) -> dict[str, str]:
    """Return the environment of worker `number` of `size`: its share of the cores, and one of the GPUs, in turn."""
    threads = str(max(1, cores() // size))
    limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), threads)
    gpus = visible_gpus(environment)
    mine = {"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} if gpus else {}
    return {**environment, **limits, **mine}
