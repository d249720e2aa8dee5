"""`python -m lzc_flows.engines.neb_worker PARENT`: relax ends and find paths, in a process of its own.

A crash of the engine ends this process only; it ends with its parent, whose process id is PARENT. Reads
``neb_request.json`` in the working directory and does its tasks one after another, each in its folder. A band goes on
from its ``search.npz``; tasks with an outcome are done. SIGTERM, and the time after which the request wants nothing to
begin, end it in order: with ``neb_stopped``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lzc_flows.band.climb import ClimbingBand
from lzc_flows.band.lbfgs import LONGEST_STEP_ANGSTROM
from lzc_flows.band.path import distances_angstrom, images_for, linear
from lzc_flows.band.search import (
    ManyLegsError,
    PathSearch,
    Potential,
    SearchState,
    UnconvergedError,
    new_leg,
)
from lzc_flows.band.settle import ExplodedError, SettleLimits, settle
from lzc_flows.band.start import Start, bent_start
from lzc_flows.band.stored import read_search, write_search
from lzc_flows.documents.engine import EngineSpec
from lzc_flows.documents.protocols import NebProtocol
from lzc_flows.dynamics.forces import ForceField, Forces
from lzc_flows.engines.neb_tasks import EndResult, LegResult, Outcome, PathResult, Status, Task, chained
from lzc_flows.engines.registry import engine_of
from lzc_flows.errors import InputError
from lzc_flows.files import write_atomically
from lzc_flows.processes import end_with_parent

REQUEST_FILE = "neb_request.json"
PROGRESS_FILE = "neb_progress.json"
STOPPED_FILE = "neb_stopped"
SEARCH_FILE = "search.npz"

SAVE_S = 1.0
"""A band is saved, and progress told, after so long at the latest, in s: writing takes some milliseconds."""

STATUS_OF: dict[type[Exception], Status] = {
    UnconvergedError: "unconverged",
    ExplodedError: "exploded",
    ManyLegsError: "many minima",
}


@dataclass(frozen=True)
class NebRequest:
    """What to do.

    Attributes
    ----------
    engine
        What computes the forces.
    protocol
        Limits and numbers of images.
    tasks
        Names of the tasks' folders, in their order.
    attempts
        For each task that is tried again, which attempt it is; 0 for all others.
    stop_at_s
        Time since the epoch, in s, after which no step begins; None for no such time.
    """

    engine: EngineSpec
    protocol: NebProtocol
    tasks: tuple[str, ...]
    attempts: dict[str, int] = field(default_factory=dict)
    stop_at_s: float | None = None

    def write(self, folder: Path) -> None:
        """Write the request atomically."""
        settings = {name: getattr(self, name).model_dump(mode="json") for name in ("engine", "protocol")}
        content = {**vars(self), **settings}
        write_atomically(folder / REQUEST_FILE, json.dumps(content).encode())

    @classmethod
    def read(cls, folder: Path) -> NebRequest:
        """Read the request."""
        content = json.loads((folder / REQUEST_FILE).read_text())
        engine, protocol = EngineSpec.model_validate(content.pop("engine")), NebProtocol(**content.pop("protocol"))
        return cls(engine, protocol, tuple(content.pop("tasks")), **content)

    def missing(self, folder: Path) -> tuple[str, ...]:
        """Return the tasks whose attempt has no outcome yet."""
        outcomes = {name: Outcome.read(folder / name) for name in self.tasks}
        return tuple(
            name for name, done in outcomes.items() if done is None or done.attempt < self.attempts.get(name, 0)
        )


@dataclass(frozen=True)
class Attempt:
    """How a task is tried: the first attempt, and those after a failure.

    Attributes
    ----------
    longest_step_angstrom
        No atom moves farther in one step: a shorter one is softer.
    patience
        Factor of the protocol's steps.
    goes_on
        Whether it goes on from the images of the attempt before.
    start
        What a new path starts from: ``bent`` (see `lzc_flows.band.start`) or ``linear``.
    """

    longest_step_angstrom: float
    patience: int
    goes_on: bool
    start: Literal["bent", "linear"]


ATTEMPTS = (
    Attempt(LONGEST_STEP_ANGSTROM, 1, goes_on=False, start="bent"),
    Attempt(LONGEST_STEP_ANGSTROM / 2, 2, goes_on=True, start="bent"),
    Attempt(LONGEST_STEP_ANGSTROM / 4, 3, goes_on=False, start="linear"),
)


@dataclass(frozen=True)
class Progress:
    """How far a worker is: with its ends or paths, and in force evaluations of the one that it is at."""

    what: str
    done: int
    of: int
    evaluations: int


def read_progress(folder: Path) -> Progress | None:
    """Return how far the worker in a folder is; None where that is not known."""
    try:
        return Progress(**json.loads((folder / PROGRESS_FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return None


class StoppedError(Exception):
    """The time is over, or a signal came; what has been saved is good."""


class Recorder:
    """Saves a band as it goes, tells how far all is, and stops at a time or when told to."""

    def __init__(self, folder: Path, request: NebRequest) -> None:
        self.folder, self.request = folder, request
        self.task = ""
        self.evaluations = 0
        self.told_to_stop = False
        self.saved_s = self.told_s = time.monotonic()

    def begin(self, task: str) -> None:
        """Take note of the task that begins now."""
        self.task, self.evaluations = task, 0
        self._progress()
        self.check_time()

    def evaluated(self, arrangements: int) -> None:
        """Tell of evaluations now and then: a slow engine that relaxes is not frozen."""
        self.evaluations += arrangements
        if time.monotonic() - self.told_s > SAVE_S:
            self._progress()

    def evaluated_or_stop(self, arrangements: int) -> None:
        """Tell of evaluations where there is nothing to save; stop between them."""
        self.evaluated(arrangements)
        self.check_time()

    def step(self, state: SearchState) -> None:
        """Save the state now and then."""
        if time.monotonic() - self.saved_s > SAVE_S:
            self.save(state)
        self.check_time()

    def save(self, state: SearchState) -> None:
        """Save the state."""
        write_search(self.folder / self.task / SEARCH_FILE, state)
        self.evaluations = state.evaluations
        self._progress()
        self.saved_s = time.monotonic()

    def check_time(self) -> None:
        """Raise `StoppedError` if nothing should begin any more."""
        late = self.request.stop_at_s is not None and time.time() > self.request.stop_at_s
        if self.told_to_stop or late:
            raise StoppedError

    def tell_to_stop(self, *_: Any) -> None:
        """Stop before the next step; handles a signal."""
        self.told_to_stop = True

    def _progress(self) -> None:
        done = self.request.tasks.index(self.task)
        progress = Progress(f"{self.task.partition('-')[0]}s", done, len(self.request.tasks), self.evaluations)
        write_atomically(self.folder / PROGRESS_FILE, json.dumps(vars(progress)).encode())
        self.told_s = time.monotonic()


@dataclass(frozen=True)
class HeardForceField:
    """An engine's forces, told of before each call by how many arrangements it is."""

    force_field: ForceField
    hear: Callable[[int], None]

    def evaluate(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> Forces:
        """Return energy and forces."""
        self.hear(1)
        return self.force_field.evaluate(positions, cell)

    def evaluate_with_virial(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> Forces:
        """Return energy, forces and virial."""
        self.hear(1)
        return self.force_field.evaluate_with_virial(positions, cell)

    def evaluate_many(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> list[Forces]:
        """Return energies and forces of several arrangements."""
        self.hear(len(positions))
        return self.force_field.evaluate_many(positions, cell)


def run(folder: Path) -> None:
    """Do what the request in `folder` asks for and has no outcome yet."""
    request = NebRequest.read(folder)
    recorder = Recorder(folder, request)
    signal.signal(signal.SIGTERM, recorder.tell_to_stop)
    force_field = cache(engine_of(request.engine).force_field)  # loading a model takes a second
    for name in request.missing(folder):
        try:
            recorder.begin(name)
            _do(folder / name, force_field(Task.read(folder / name).ions), recorder)
        except StoppedError:
            (folder / STOPPED_FILE).touch()
            return
        except InputError as error:  # an element that the engine does not know, a damaged file
            Outcome("refused", str(error), request.attempts.get(name, 0), 0, 0.0).write(folder / name)


def _do(folder: Path, force_field: ForceField, recorder: Recorder) -> None:
    """Do one task and write its outcome."""
    start, task, before = time.monotonic(), Task.read(folder), Outcome.read(folder)
    number = recorder.request.attempts.get(folder.name, 0)
    worker = _TaskWorker(folder, task, force_field, recorder)
    status: Status = "converged"
    reason = None
    try:
        if task.kind == "end":
            worker.relax(ATTEMPTS[number])
        else:
            worker.find(ATTEMPTS[number])
    except tuple(STATUS_OF) as error:
        status, reason = STATUS_OF[type(error)], str(error)
    Outcome(
        status=status,
        reason=reason,
        attempt=number,
        evaluations=recorder.evaluations + (before.evaluations if before else 0),
        wall_s=time.monotonic() - start + (before.wall_s if before else 0.0),
    ).write(folder)


class _TaskWorker:
    """One task in its folder."""

    def __init__(self, folder: Path, task: Task, force_field: ForceField, recorder: Recorder) -> None:
        self.folder, self.task, self.force_field, self.recorder = folder, task, force_field, recorder
        self.protocol = recorder.request.protocol

    def relax(self, attempt: Attempt) -> None:
        """Relax an end."""
        limits = SettleLimits(
            self.protocol.fmax_ends_ev_per_angstrom,
            self.protocol.max_steps * attempt.patience,
            attempt.longest_step_angstrom,
        )
        force_field = HeardForceField(self.force_field, self.recorder.evaluated_or_stop)
        found = settle(self.task.positions[0], self.task.cell, force_field, limits)
        if not found.converged:
            raise UnconvergedError(f"end not relaxed after {limits.max_steps} steps: {found.fmax:.3f} eV/Å")
        EndResult(found.positions, found.energy_ev, found.fmax).write(self.folder)

    def find(self, attempt: Attempt) -> None:
        """Find a path."""
        # a band stops after its steps only: what it saved within one would not go on as the uncut band
        potential = Potential(HeardForceField(self.force_field, self.recorder.evaluated), self.task.cell)
        state = self._state(attempt, potential)
        self.recorder.evaluations = state.evaluations
        search = PathSearch(state, potential, self.protocol)
        try:
            legs = search.run(self.protocol.max_steps * attempt.patience, self.recorder)
        except (StoppedError, UnconvergedError, ManyLegsError):
            self.recorder.save(state)
            raise
        joined(legs).write(self.folder)

    def _state(self, attempt: Attempt, potential: Potential) -> SearchState:
        """Return where the search goes on, or where a new one begins."""
        saved = self.folder / SEARCH_FILE
        if saved.is_file():
            state = read_search(saved)
            same = {leg.band.optimiser.longest_step_angstrom for leg in state.legs} == {attempt.longest_step_angstrom}
            if same:
                return state
            if attempt.goes_on:
                return _softer(state, attempt.longest_step_angstrom)
        first, last = self.task.positions
        images = self.protocol.images or images_for(first, last)
        if attempt.start == "bent":
            start = bent_start(self.task.positions, images, potential)
        else:
            start = Start(linear(first, last, images), 0)
        energies = (float(self.task.energies_ev[0]), float(self.task.energies_ev[1]))
        leg = new_leg(start.path, energies, potential, attempt.longest_step_angstrom)
        return SearchState([leg], spent=start.evaluations)


def _softer(state: SearchState, longest_step_angstrom: float) -> SearchState:
    """Return the state with shorter steps that remember nothing; what it took so far is in the last outcome."""
    state.spent = 0
    for leg in state.legs:
        leg.band.optimiser.longest_step_angstrom = longest_step_angstrom
        leg.band.optimiser = leg.band.optimiser.anew()
        leg.band.evaluations = 0
    return state


def joined(legs: list[ClimbingBand]) -> PathResult:
    """Return the path that converged legs make together."""
    return chained([_path_of(band) for band in legs])


def _path_of(band: ClimbingBand) -> PathResult:
    path, last = band.state.path, len(band.state.path) - 1
    saddle = None if band.state.climbing is None else 1 + band.state.climbing
    leg = LegResult(0, last, saddle, band.fmax_climbing, band.fmax_band, band.state.steps)
    slopes = band.profile.slopes_ev_per_angstrom
    return PathResult(path, band.state.energies_ev, distances_angstrom(path), slopes, (leg,))


if __name__ == "__main__":
    end_with_parent()
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the parent was gone before the work began")
    run(Path.cwd())
