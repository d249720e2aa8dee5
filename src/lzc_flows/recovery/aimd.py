"""Molecular dynamics under custodian: error handlers, and the run, which goes on from where an earlier one stopped."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lzc_flows.documents.base import Correction
from lzc_flows.dynamics.checkpoint import read_checkpoint
from lzc_flows.engines.aimd_worker import (
    CHECKPOINT_FILE,
    OUTCOME_FILE,
    REQUEST_FILE,
    TRAJECTORY_FILE,
    AimdOutcome,
    AimdRequest,
)
from lzc_flows.engines.mlip import engine_by_name
from lzc_flows.errors import InputError
from lzc_flows.recovery.worker import WorkerHandler, WorkerKind, run_worker

STDERR_FILE = "aimd.stderr"

AIMD = WorkerKind(
    what="molecular dynamics",
    module="lzc_flows.engines.aimd_worker",
    stderr=STDERR_FILE,
    news=(REQUEST_FILE, TRAJECTORY_FILE, CHECKPOINT_FILE, OUTCOME_FILE),
    step="checkpoint",
    is_done=lambda folder: AimdOutcome.read(folder) is not None,
)
"""The worker of molecular dynamics."""


class ExplodedHandler(WorkerHandler):
    """Too hot, energy from nowhere, atoms too close or not a number: half the time step from the last checkpoint on."""

    max_num_corrections = 3

    def check(self, directory: str = "./") -> bool:
        """Return whether the run exploded."""
        outcome = AimdOutcome.read(Path(directory))
        return outcome is not None and outcome.explosion is not None

    def error(self, folder: Path) -> str:
        """Return what went wrong, and where."""
        outcome = AimdOutcome.read(folder)
        return str(outcome.explosion) if outcome else "no outcome"

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Ask for half the time step."""
        folder = Path(directory)
        error, request = self.error(folder), AimdRequest.read(folder)
        (folder / OUTCOME_FILE).unlink()
        halved = replace(request, halvings=request.halvings + 1)
        halved.write(folder)
        longest_fs = max(segment.time_step_fs for segment in request.protocol.segments) / 2**halved.halvings
        return {"errors": [error], "actions": [f"time step {longest_fs:g} fs from the last checkpoint on"]}


@dataclass(frozen=True)
class AimdRun:
    """What a run under custodian gave; its trajectory is in `folder`."""

    folder: Path
    outcome: AimdOutcome
    corrections: list[Correction]

    @property
    def trajectory(self) -> Path:
        """The trajectory's file."""
        return self.folder / TRAJECTORY_FILE


def run_dynamics(request: AimdRequest, folder: Path) -> AimdRun:
    """Run molecular dynamics in `folder`, from its checkpoint if there is one, to the end or until its time is over.

    Raises
    ------
    InputError
        A checkpoint or trajectory of another run is there, or the engine is not installed.
    CalculationError
        The handlers could not mend what went wrong.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / CHECKPOINT_FILE).is_file():
        before = _state_of(request, folder)
        request = replace(request, halvings=max(request.halvings, before))
    (folder / OUTCOME_FILE).unlink(missing_ok=True)
    request.write(folder)
    corrections = run_worker(AIMD, folder, [ExplodedHandler()])
    outcome = AimdOutcome.read(folder)
    assert outcome is not None  # the worker is done
    return AimdRun(folder, outcome, corrections)


def take_over(request: AimdRequest, earlier: list[Path], folder: Path) -> Path | None:
    """Copy the run that got farthest among earlier folders to `folder`, unless that has one; return where it was.

    Folders without this run's checkpoint are passed over. A run that still goes on there is not disturbed.
    """
    if (folder / CHECKPOINT_FILE).is_file():
        return None
    identity, species = request.identity(engine_by_name(request.engine).stamp()), request.crystal.system
    farthest, step = None, -1
    for place in earlier:
        try:
            state = read_checkpoint(place / CHECKPOINT_FILE, species, identity)
        except InputError:
            continue
        if state.protocol_step > step and (place / TRAJECTORY_FILE).is_file():
            farthest, step = place, state.protocol_step
    if farthest is not None:
        # the checkpoint first: the trajectory then holds at least its frames
        for name in (CHECKPOINT_FILE, TRAJECTORY_FILE):
            shutil.copyfile(farthest / name, folder / name)
    return farthest


def _state_of(request: AimdRequest, folder: Path) -> int:
    """Return how often the run in a folder has halved its time step; refuse one that is another run."""
    identity = request.identity(engine_by_name(request.engine).stamp())
    return read_checkpoint(folder / CHECKPOINT_FILE, request.crystal.system, identity).halvings
