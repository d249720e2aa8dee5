"""Molecular dynamics under custodian: error handlers, and the run, which goes on from where an earlier one stopped."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lzc_flows.documents.aimd_protocol import AimdProtocol
from lzc_flows.dynamics.checkpoint import read_checkpoint, steps_done
from lzc_flows.dynamics.schedule import Schedule
from lzc_flows.dynamics.state import State
from lzc_flows.engines.aimd_worker import (
    CHECKPOINT_FILE,
    OUTCOME_FILE,
    REQUEST_FILE,
    TRAJECTORY_FILE,
    AimdOutcome,
    AimdRequest,
)
from lzc_flows.engines.registry import engine_of
from lzc_flows.errors import InputError
from lzc_flows.files import write_atomically
from lzc_flows.recovery.folder import alone_in
from lzc_flows.recovery.history import History
from lzc_flows.recovery.worker import WorkerHandler, WorkerKind, patience_s, run_worker

STDERR_FILE = "aimd.stderr"
HISTORY_FILE = "aimd_history.json"
LOCK_FILE = "aimd.lock"

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
    history: History

    @property
    def trajectory(self) -> Path:
        """The trajectory's file."""
        return self.folder / TRAJECTORY_FILE


def run_dynamics(request: AimdRequest, folder: Path) -> AimdRun:
    """Run molecular dynamics in `folder`, from its checkpoint if there is one, to the end or until its time is over.

    Raises
    ------
    InputError
        A checkpoint or trajectory of another run is there, another process runs there, the folder cannot be written,
        the engine is not installed or does not know an element. No new folder is left without a checkpoint.
    CalculationError
        The handlers could not mend what went wrong.
    """
    is_new = not folder.exists()
    if (folder / CHECKPOINT_FILE).is_file():
        state = _state_in(folder, request)
        done = _finished(folder, request, state)
        if done is not None:
            return done
        request = replace(request, halvings=max(request.halvings, state.halvings))
    with alone_in(folder, LOCK_FILE):
        try:
            return _launch(request, folder)
        except InputError:
            if is_new and not (folder / CHECKPOINT_FILE).exists():  # nothing was computed
                shutil.rmtree(folder)
            raise


def _launch(request: AimdRequest, folder: Path) -> AimdRun:
    """Run the worker until it is done or refuses the request."""
    (folder / OUTCOME_FILE).unlink(missing_ok=True)
    request.write(folder)
    corrections = run_worker(AIMD, folder, [ExplodedHandler()], patience_s(request.engine))
    outcome = AimdOutcome.read(folder)
    assert outcome is not None  # the worker is done
    if outcome.refusal is not None:
        raise InputError(outcome.refusal)
    history = History.read(folder / HISTORY_FILE).after(outcome.wall_s, corrections)
    history.write(folder / HISTORY_FILE)
    return AimdRun(folder, outcome, history)


def take_over(request: AimdRequest, earlier: list[Path], folder: Path) -> Path | None:
    """Copy the run that got farthest among earlier folders to `folder`, unless that has one; return where it was.

    Folders without this run's checkpoint are passed over. A run that still goes on there is not disturbed.
    """
    if (folder / CHECKPOINT_FILE).is_file():
        return None
    identity, species = request.identity(engine_of(request.engine).stamp()), request.crystal.system
    farthest, step = None, -1
    for place in earlier:
        try:
            state = read_checkpoint(place / CHECKPOINT_FILE, species, identity)
            if state.protocol_step > step and (place / TRAJECTORY_FILE).is_file():
                farthest, step = place, state.protocol_step
        except (InputError, OSError):  # of another run, or a folder that others keep to themselves
            continue
    if farthest is not None:
        # read first, so that the trajectory holds at least its frames; written last, so that it stands for a whole copy
        checkpoint = (farthest / CHECKPOINT_FILE).read_bytes()
        for name in (TRAJECTORY_FILE, HISTORY_FILE):
            if (farthest / name).is_file():
                shutil.copyfile(farthest / name, folder / name)
        write_atomically(folder / CHECKPOINT_FILE, checkpoint)
    return farthest


def done_ps(folder: Path, protocol: AimdProtocol) -> float:
    """Return how far the run in a folder has got by its last checkpoint, in ps."""
    schedule = Schedule.of(protocol)
    step = min(steps_done(folder / CHECKPOINT_FILE), schedule.steps)  # it may be another run's
    return schedule.stretch(step).time_fs(step) / 1000


def _state_in(folder: Path, request: AimdRequest) -> State:
    """Return the last checkpoint of the run in a folder; refuse one that is another run."""
    identity = request.identity(engine_of(request.engine).stamp())
    return read_checkpoint(folder / CHECKPOINT_FILE, request.crystal.system, identity)


def _finished(folder: Path, request: AimdRequest, state: State) -> AimdRun | None:
    """Return the run in a folder if nothing of it is left to do; its files stay as they are."""
    outcome = AimdOutcome.read(folder)
    at_end = state.step >= Schedule.of(request.protocol, state.halvings).steps
    whole = (folder / TRAJECTORY_FILE).is_file() and (folder / HISTORY_FILE).is_file()
    if not (outcome is not None and outcome.finished and at_end and whole):
        return None
    return AimdRun(folder, outcome, History.read(folder / HISTORY_FILE))
