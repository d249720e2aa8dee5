"""Relaxations under custodian: the job, its error handlers, and the run."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from custodian.custodian import Custodian, CustodianError, ErrorHandler, Job

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

NEXT_OPTIMIZER = {"FIRE": "LBFGS", "LBFGS": "BFGS", "BFGS": "FIRE"}

SHORTEST_DISTANCE_ANGSTROM = 0.7
"""Atoms closer than this are a broken run; the shortest bond of a halide is above 1.5 Å."""

VOLUME_RATIO = (0.5, 2.0)
"""A relaxed volume outside this range, relative to the start, is a broken run."""


class RelaxJob(Job):
    """Runs the relax worker in a subprocess."""

    def setup(self, directory: str = "./") -> None:
        """Nothing to prepare: the request is in the directory."""

    def run(self, directory: str = "./") -> subprocess.Popen:
        """Start the worker."""
        with open(Path(directory) / STDERR_FILE, "w") as stderr:
            command = [sys.executable, "-m", "lzc_flows.engines.relax_worker"]
            return subprocess.Popen(command, cwd=directory, stdout=stderr, stderr=stderr)

    def postprocess(self, directory: str = "./") -> None:
        """Nothing to clean up."""


class CrashedHandler(ErrorHandler):
    """The worker ended before its work was done: run it again; it keeps what was finished."""

    max_num_corrections = 2
    raise_on_max = True

    def check(self, directory: str = "./") -> bool:
        """Return whether results are missing."""
        folder = Path(directory)
        return len(RelaxResult.read(folder).relaxed) < len(RelaxRequest.read(folder).structures)

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Leave everything as it is and run again."""
        return {
            "errors": [f"worker crashed: {_last_line(Path(directory) / STDERR_FILE)}"],
            "actions": ["rerun"],
        }


class FrozenHandler(ErrorHandler):
    """The optimizer has not made a step for a long time: end the worker and run it again."""

    is_monitor = True
    max_num_corrections = 2
    raise_on_max = True

    def __init__(self, timeout_s: float = 900.0) -> None:
        self.timeout_s = timeout_s

    def check(self, directory: str = "./") -> bool:
        """Return whether neither the request nor the log has changed within the timeout."""
        files = [Path(directory) / name for name in (REQUEST_FILE, LOG_FILE, STDERR_FILE)]
        newest = max(file.stat().st_mtime for file in files if file.exists())
        return time.time() - newest > self.timeout_s

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Run again."""
        return {"errors": [f"no optimizer step for {self.timeout_s:g} s"], "actions": ["rerun"]}


class ExplodedHandler(ErrorHandler):
    """Energy not finite, atoms on top of each other or a runaway cell: start again with another optimizer."""

    max_num_corrections = 2
    raise_on_max = True

    def check(self, directory: str = "./") -> bool:
        """Return whether the last attempt is broken."""
        folder = Path(directory)
        attempts = RelaxResult.read(folder).relaxed
        return bool(attempts) and _is_broken(attempts[-1], RelaxRequest.read(folder).structures[0].volume)

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Append the starting structure to the request."""
        folder = Path(directory)
        request = RelaxRequest.read(folder)
        return _try_again(folder, request, request.structures[0], "relaxation exploded")


class UnconvergedHandler(ErrorHandler):
    """Forces above the limit when the steps ran out: go on from there with another optimizer."""

    max_num_corrections = 2
    raise_on_max = True

    def check(self, directory: str = "./") -> bool:
        """Return whether the last attempt is unconverged."""
        attempts = RelaxResult.read(Path(directory)).relaxed
        return bool(attempts) and not attempts[-1].converged

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Append the last structure to the request."""
        folder = Path(directory)
        last = RelaxResult.read(folder).relaxed[-1]
        error = f"not converged after {last.steps} steps, {last.max_force_ev_per_angstrom:.3f} eV/Å"
        return _try_again(folder, RelaxRequest.read(folder), last.structure, error)


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
    handlers = [CrashedHandler(), ExplodedHandler(), UnconvergedHandler(), FrozenHandler()]
    return _run(request, folder, handlers)


def relax_shortly(request: RelaxRequest, folder: Path) -> RelaxRun:
    """Relax several structures for at most the protocol's steps each, converged or not."""
    return _run(request, folder, [CrashedHandler(), FrozenHandler()])


def is_sound(relaxed: Relaxed, start_volume: float) -> bool:
    """Return whether a relaxed structure is not broken (volume in Å³)."""
    return not _is_broken(relaxed, start_volume)


def _run(request: RelaxRequest, folder: Path, handlers: list[ErrorHandler]) -> RelaxRun:
    for leftover in (RESULT_FILE, LOG_FILE):
        (folder / leftover).unlink(missing_ok=True)
    request.write(folder)
    custodian = Custodian(
        handlers,
        [RelaxJob()],
        max_errors=6,
        polling_time_step=0.2,
        monitor_freq=50,
        terminate_on_nonzero_returncode=False,
        directory=os.fspath(folder),
    )
    try:
        custodian.run()
    except CustodianError as error:
        corrections = _corrections(custodian)
        cause = corrections[-1].errors[-1] if corrections else error.message
        raise CalculationError(f"relaxation failed after {len(corrections)} corrections: {cause}") from error
    return RelaxRun(RelaxResult.read(folder).relaxed, _corrections(custodian))


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
    optimizer = NEXT_OPTIMIZER[request.protocol.optimizer]
    request.protocol = request.protocol.model_copy(update={"optimizer": optimizer})
    request.structures.append(structure)
    request.write(folder)
    return {"errors": [error], "actions": [f"optimizer {optimizer}"]}


def _is_broken(relaxed: Relaxed, start_volume: float) -> bool:
    if not (math.isfinite(relaxed.energy_ev) and math.isfinite(relaxed.max_force_ev_per_angstrom)):
        return True
    low, high = VOLUME_RATIO
    if not low < relaxed.structure.volume / start_volume < high:
        return True
    distances = relaxed.structure.distance_matrix + 1e3 * np.eye(len(relaxed.structure))
    return bool(distances.min() < SHORTEST_DISTANCE_ANGSTROM)


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1] if lines else "no message"
