"""Relaxations under custodian: the job, its error handlers, and the run."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from custodian.custodian import Custodian, CustodianError, ErrorHandler, Job, MaxCorrectionsPerHandlerError

from lzc_flows.documents.base import Correction
from lzc_flows.engines.relax_worker import (
    LOG_FILE,
    REQUEST_FILE,
    RESULT_FILE,
    Relaxed,
    RelaxRequest,
    RelaxResult,
)
from lzc_flows.errors import CalculationError

STDERR_FILE = "relax.stderr"

FROZEN_S = 900.0
"""A worker without an optimizer step for so long is frozen, in s."""

POLL_S = 0.2
"""How often custodian looks whether the worker has ended, in s."""

POLLS_A_CHECK = 50
"""How many of these looks go by until it checks whether the worker is frozen."""

NEXT_OPTIMIZER = {"FIRE": "LBFGS", "LBFGS": "BFGS", "BFGS": "FIRE"}

SHORTEST_DISTANCE_ANGSTROM = 0.7
"""Atoms closer than this are a broken run; the shortest bond of a halide is above 1.5 Å."""

VOLUME_RATIO = (0.5, 2.0)
"""A relaxed volume outside this range, relative to the start, is a broken run."""


class RelaxJob(Job):
    """Runs the relax worker in a subprocess."""

    def __init__(self) -> None:
        self.process: subprocess.Popen | None = None
        self.terminated = False

    @property
    def running(self) -> bool:
        """Whether the worker has been started and has not ended."""
        return self.process is not None and self.process.poll() is None

    def setup(self, directory: str = "./") -> None:
        """Nothing to prepare: the request is in the directory."""

    def run(self, directory: str = "./") -> subprocess.Popen:
        """Start the worker."""
        self.terminated = False
        # the optimizer's linear algebra is of 3×3 matrices: threads only cost there, on a busy node 5 times the run
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        with open(Path(directory) / STDERR_FILE, "w") as stderr:
            command = [sys.executable, "-m", "lzc_flows.engines.relax_worker", str(os.getpid())]
            self.process = subprocess.Popen(command, cwd=directory, stdout=stderr, stderr=stderr, env=environment)
        return self.process

    def terminate(self, directory: str = "./") -> None:
        """End the worker, whatever it does; a stopped process would not hear a SIGTERM."""
        if self.process is not None and self.running:
            self.terminated = True
            self.process.kill()
            self.process.wait()

    def postprocess(self, directory: str = "./") -> None:
        """Nothing to clean up."""


class RelaxHandler(ErrorHandler):
    """What the handlers share: each rules on a case that no other one has, at most twice."""

    max_num_corrections = 2
    raise_on_max = True

    @abstractmethod
    def error(self, folder: Path) -> str:
        """Return in one line what is wrong with the run in `folder`."""


class CrashedHandler(RelaxHandler):
    """The worker ended by itself before its work was done: run it again; it keeps what was finished."""

    def __init__(self, job: RelaxJob) -> None:
        self.job = job

    def check(self, directory: str = "./") -> bool:
        """Return whether results are missing and no handler ended the worker."""
        return _last_attempt(Path(directory)) is None and not self.job.terminated

    def error(self, folder: Path) -> str:
        """Return how the worker ended and the last line that it wrote."""
        status = self.job.process.returncode if self.job.process else None
        return f"worker crashed with exit status {status}: {_last_line(folder / STDERR_FILE)}"

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Leave everything as it is and run again."""
        return {"errors": [self.error(Path(directory))], "actions": ["rerun"]}


class FrozenHandler(RelaxHandler):
    """The optimizer has not made a step for a long time: end the worker and run it again."""

    is_monitor = True

    def __init__(self, job: RelaxJob, timeout_s: float) -> None:
        self.job = job
        self.timeout_s = timeout_s

    def check(self, directory: str = "./") -> bool:
        """Return whether the worker runs but has changed none of its files within the timeout."""
        files = [Path(directory) / name for name in (REQUEST_FILE, LOG_FILE, STDERR_FILE, RESULT_FILE)]
        newest = max(file.stat().st_mtime for file in files if file.exists())
        return self.job.running and time.time() - newest > self.timeout_s

    def error(self, folder: Path) -> str:
        """Return how long nothing happened."""
        return f"no optimizer step for {self.timeout_s:g} s"

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Run again."""
        return {"errors": [self.error(Path(directory))], "actions": ["rerun"]}


class ExplodedHandler(RelaxHandler):
    """Energy not finite, atoms on top of each other or a runaway cell: start again with another optimizer."""

    def check(self, directory: str = "./") -> bool:
        """Return whether the last attempt is broken."""
        folder = Path(directory)
        last = _last_attempt(folder)
        return last is not None and not is_sound(last, RelaxRequest.read(folder).structures[0].volume)

    def error(self, folder: Path) -> str:
        """Return the energy of the broken attempt."""
        last = RelaxResult.read(folder).relaxed[-1]
        return f"relaxation exploded after {last.steps} steps, {last.energy_ev:.3f} eV"

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Append the starting structure to the request."""
        folder = Path(directory)
        request = RelaxRequest.read(folder)
        return _try_again(folder, request, request.structures[0], self.error(folder))


class UnconvergedHandler(RelaxHandler):
    """Forces above the limit when the steps ran out: go on from there with another optimizer."""

    def check(self, directory: str = "./") -> bool:
        """Return whether the last attempt is sound but unconverged."""
        folder = Path(directory)
        last = _last_attempt(folder)
        if last is None or last.converged:
            return False
        return is_sound(last, RelaxRequest.read(folder).structures[0].volume)

    def error(self, folder: Path) -> str:
        """Return the steps and the largest force that is left."""
        last = RelaxResult.read(folder).relaxed[-1]
        return f"not converged after {last.steps} steps, {last.max_force_ev_per_angstrom:.3f} eV/Å"

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Append the last structure to the request."""
        folder = Path(directory)
        last = RelaxResult.read(folder).relaxed[-1]
        return _try_again(folder, RelaxRequest.read(folder), last.structure, self.error(folder))


@dataclass(frozen=True)
class RelaxRun:
    """What a run under custodian gave."""

    attempts: list[Relaxed]
    corrections: list[Correction]


def relax_to_convergence(request: RelaxRequest, folder: Path) -> RelaxRun:
    """Relax one structure until it converges; the last attempt is the result.

    Raises
    ------
    CalculationError
        The handlers could not mend it; the line says what was wrong last.
    """
    return _run(request, folder, [ExplodedHandler(), UnconvergedHandler()])


def relax_shortly(request: RelaxRequest, folder: Path) -> RelaxRun:
    """Relax several structures for at most the protocol's steps each, converged or not."""
    return _run(request, folder, [])


def is_sound(relaxed: Relaxed, start_volume: float) -> bool:
    """Return whether a relaxed structure is not broken (volume in Å³)."""
    if not (math.isfinite(relaxed.energy_ev) and math.isfinite(relaxed.max_force_ev_per_angstrom)):
        return False
    low, high = VOLUME_RATIO
    if not low < relaxed.structure.volume / start_volume < high:
        return False
    distances = relaxed.structure.distance_matrix + 1e3 * np.eye(len(relaxed.structure))
    return bool(distances.min() >= SHORTEST_DISTANCE_ANGSTROM)


def _run(request: RelaxRequest, folder: Path, handlers: list[RelaxHandler]) -> RelaxRun:
    """Run the worker with `handlers` and those of every run: what crashed, what froze."""
    for leftover in (RESULT_FILE, LOG_FILE):
        (folder / leftover).unlink(missing_ok=True)
    request.write(folder)
    job = RelaxJob()
    custodian = Custodian(
        [CrashedHandler(job), *handlers, FrozenHandler(job, FROZEN_S)],
        [job],
        max_errors=6,
        polling_time_step=POLL_S,
        monitor_freq=POLLS_A_CHECK,
        terminate_on_nonzero_returncode=False,
        directory=os.fspath(folder),
    )
    try:
        custodian.run()
    except CustodianError as error:
        corrections = _corrections(custodian)
        cause = corrections[-1].errors[-1] if corrections else error.message
        if isinstance(error, MaxCorrectionsPerHandlerError) and isinstance(error.handler, RelaxHandler):
            cause = error.handler.error(folder)  # what no correction answered
        raise CalculationError(f"relaxation failed after {len(corrections)} corrections: {cause}") from error
    finally:
        job.terminate()  # custodian leaves it running where it gives up on a frozen one
    return RelaxRun(RelaxResult.read(folder).relaxed, _corrections(custodian))


def _last_attempt(folder: Path) -> Relaxed | None:
    """Return the last relaxed structure; None while the worker has something left to do."""
    attempts = RelaxResult.read(folder).relaxed
    return attempts[-1] if len(attempts) == len(RelaxRequest.read(folder).structures) else None


def _corrections(custodian: Custodian) -> list[Correction]:
    return [
        Correction(
            handler=type(entry["handler"]).__name__,
            errors=[str(error) for error in entry["errors"]],
            actions=[str(action) for action in entry["actions"] or []],
        )
        for job in custodian.run_log
        for entry in job["corrections"]
    ]


def _try_again(folder: Path, request: RelaxRequest, structure: Any, error: str) -> dict[str, Any]:
    """Append `structure` to the request, to be relaxed with the next optimizer."""
    assert request.protocol is not None  # no handler asks for single points again
    optimizer = NEXT_OPTIMIZER[request.protocol.optimizer]
    request.protocol = request.protocol.model_copy(update={"optimizer": optimizer})
    request.structures.append(structure)
    request.write(folder)
    return {"errors": [error], "actions": [f"optimizer {optimizer}"]}


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1] if lines else "no message"
