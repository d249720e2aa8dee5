"""Relaxations under custodian: their error handlers, and the run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lzc_flows.documents.base import Correction
from lzc_flows.engines.relax_worker import (
    LOG_FILE,
    REQUEST_FILE,
    RESULT_FILE,
    Relaxed,
    RelaxRequest,
    RelaxResult,
)
from lzc_flows.recovery.worker import WorkerHandler, WorkerKind, run_worker

STDERR_FILE = "relax.stderr"

NEXT_OPTIMIZER = {"FIRE": "LBFGS", "LBFGS": "BFGS", "BFGS": "FIRE"}

SHORTEST_DISTANCE_ANGSTROM = 0.7
"""Atoms closer than this are a broken run; the shortest bond of a halide is above 1.5 Å."""

VOLUME_RATIO = (0.5, 2.0)
"""A relaxed volume outside this range, relative to the start, is a broken run."""


class ExplodedHandler(WorkerHandler):
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


class UnconvergedHandler(WorkerHandler):
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
    """What a run under custodian gave.

    Attributes
    ----------
    attempts
        What was relaxed; the last one is the result.
    corrections
        What custodian mended.
    finished
        Whether all was done; otherwise it stopped in order because the time was over.
    """

    attempts: list[Relaxed]
    corrections: list[Correction]
    finished: bool = True


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


def _run(request: RelaxRequest, folder: Path, handlers: list[WorkerHandler]) -> RelaxRun:
    for leftover in (RESULT_FILE, LOG_FILE):
        (folder / leftover).unlink(missing_ok=True)
    request.write(folder)
    corrections = run_worker(RELAX, folder, handlers)
    return RelaxRun(RelaxResult.read(folder).relaxed, corrections)


def _last_attempt(folder: Path) -> Relaxed | None:
    """Return the last relaxed structure; None while the worker has something left to do."""
    attempts = RelaxResult.read(folder).relaxed
    return attempts[-1] if len(attempts) == len(RelaxRequest.read(folder).structures) else None


def _try_again(folder: Path, request: RelaxRequest, structure: Any, error: str) -> dict[str, Any]:
    """Append `structure` to the request, to be relaxed with the next optimizer."""
    assert request.protocol is not None  # no handler asks for single points again
    optimizer = NEXT_OPTIMIZER[request.protocol.optimizer]
    request.protocol = request.protocol.model_copy(update={"optimizer": optimizer})
    request.structures.append(structure)
    request.write(folder)
    return {"errors": [error], "actions": [f"optimizer {optimizer}"]}


RELAX = WorkerKind(
    what="relaxation",
    module="lzc_flows.engines.relax_worker",
    stderr=STDERR_FILE,
    news=(REQUEST_FILE, LOG_FILE, RESULT_FILE),
    step="optimizer step",
    is_done=lambda folder: _last_attempt(folder) is not None,
)
"""The worker of relaxations."""
