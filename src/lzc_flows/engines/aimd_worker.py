"""`python -m lzc_flows.engines.aimd_worker PARENT`: run the molecular dynamics of a request, in a process of its own.

A crash of the engine ends this process only; it ends with its parent, whose process id is PARENT. Reads
``aimd_request.json`` in the working directory, goes on from ``aimd_checkpoint.npz`` if that is there, appends to
``trajectory.h5``, and says in ``aimd_outcome.json`` how it ended. SIGTERM, and the time after which the request
wants no step to begin, end it in order: with a checkpoint.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from monty.serialization import loadfn
from pymatgen.core import Structure

from lzc_flows.documents.aimd_protocol import AimdProtocol
from lzc_flows.documents.base import EngineStamp
from lzc_flows.documents.engine import EngineSpec
from lzc_flows.dynamics.checkpoint import RunIdentity, read_checkpoint, write_checkpoint
from lzc_flows.dynamics.forces import System
from lzc_flows.dynamics.run import Dynamics
from lzc_flows.dynamics.schedule import Schedule
from lzc_flows.dynamics.state import Crystal, State, starting_state
from lzc_flows.dynamics.watch import ExplosionError
from lzc_flows.engines.base import ions_of
from lzc_flows.engines.registry import engine_of
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.files import write_atomically
from lzc_flows.processes import end_with_parent
from lzc_flows.trajectory.model import Frame, Header
from lzc_flows.trajectory.writer import Writer

REQUEST_FILE = "aimd_request.json"
CHECKPOINT_FILE = "aimd_checkpoint.npz"
TRAJECTORY_FILE = "trajectory.h5"
OUTCOME_FILE = "aimd_outcome.json"

FLUSH_S = 60.0
"""Frames are on the disk after so long at the latest, in s: between checkpoints of a slow engine, which may lie hours
apart, they show that the run goes on."""


@dataclass(frozen=True)
class AimdRequest:
    """What to run.

    Attributes
    ----------
    structure
        Where to start.
    engine
        What computes the forces.
    protocol
        What to do.
    seed
        Seed of the starting velocities.
    halvings
        How often to halve the protocol's time steps from the next checkpoint on.
    stop_at_s
        Time since the epoch, in s, after which no step begins; None for no such time.
    """

    structure: Structure
    engine: EngineSpec
    protocol: AimdProtocol
    seed: int
    halvings: int = 0
    stop_at_s: float | None = None

    def write(self, folder: Path) -> None:
        """Write the request atomically."""
        content = {
            **vars(self),
            "structure": self.structure.as_dict(),
            "engine": self.engine.model_dump(mode="json"),
            "protocol": self.protocol.model_dump(mode="json"),
        }
        write_atomically(folder / REQUEST_FILE, json.dumps(content).encode())

    @classmethod
    def read(cls, folder: Path) -> AimdRequest:
        """Read the request."""
        content = loadfn(folder / REQUEST_FILE, cls=None)
        structure, protocol = Structure.from_dict(content.pop("structure")), AimdProtocol(**content.pop("protocol"))
        engine = EngineSpec.model_validate(content.pop("engine"))
        return cls(structure=structure, engine=engine, protocol=protocol, **content)

    @property
    def crystal(self) -> Crystal:
        """The atoms, without charges and labels, which engines do not know."""
        system = System.of([site.specie.symbol for site in self.structure])
        return Crystal(system, self.structure.cart_coords, self.structure.lattice.matrix.copy())

    def identity(self, stamp: EngineStamp) -> RunIdentity:
        """Return what the run's checkpoints must fit."""
        return RunIdentity.of(self.crystal, self.protocol, stamp, self.seed)


@dataclass(frozen=True)
class AimdOutcome:
    """How a worker ended.

    Attributes
    ----------
    finished
        Whether the protocol is done; otherwise it stopped in order, or exploded.
    step
        Steps done, of the protocol's own time step.
    halvings
        How often its time steps were halved in the end.
    wall_s
        Time of this worker in s.
    explosion
        What went wrong, None if nothing did.
    refusal
        Why the run cannot begin, or go on from what is in its folder; None if it can.
    """

    finished: bool
    step: int
    halvings: int
    wall_s: float = 0.0
    explosion: str | None = None
    refusal: str | None = None

    def write(self, folder: Path) -> None:
        """Write the outcome atomically."""
        write_atomically(folder / OUTCOME_FILE, json.dumps(vars(self)).encode())

    @classmethod
    def read(cls, folder: Path) -> AimdOutcome | None:
        """Read the outcome; None if there is none."""
        path = folder / OUTCOME_FILE
        return cls(**json.loads(path.read_text())) if path.is_file() else None


class Recorder:
    """Writes frames and checkpoints, and stops at a time or when told to."""

    def __init__(self, folder: Path, identity: RunIdentity, writer: Writer, stop_at_s: float | None) -> None:
        self.checkpoint_file = folder / CHECKPOINT_FILE
        self.identity = identity
        self.writer = writer
        self.stop_at_s = stop_at_s
        self.told_to_stop = False
        self.flushed_s = time.monotonic()

    def frame(self, frame: Frame) -> None:
        """Append a frame to the trajectory."""
        self.writer.append(frame)
        if time.monotonic() - self.flushed_s > FLUSH_S:
            self._flush()

    def checkpoint(self, state: State) -> None:
        """Write the state, after all frames up to it."""
        self._flush()
        write_checkpoint(self.checkpoint_file, state, self.identity)

    def stop_requested(self) -> bool:
        """Return whether the time is over or a signal came."""
        return self.told_to_stop or (self.stop_at_s is not None and time.time() > self.stop_at_s)

    def tell_to_stop(self, *_: Any) -> None:
        """Stop before the next step; handles a signal."""
        self.told_to_stop = True

    def _flush(self) -> None:
        self.writer.flush()
        self.flushed_s = time.monotonic()


def run(folder: Path) -> AimdOutcome:
    """Run what the request in `folder` asks for from where its checkpoint left off; return the outcome, written."""
    start = time.monotonic()
    request = AimdRequest.read(folder)
    try:
        outcome = _advance(request, folder)
    except InputError as error:  # another try would end in the same way
        outcome = AimdOutcome(finished=False, step=0, halvings=request.halvings, refusal=str(error))
    outcome = replace(outcome, wall_s=time.monotonic() - start)
    outcome.write(folder)
    return outcome


def _advance(request: AimdRequest, folder: Path) -> AimdOutcome:
    """Run the request from where its checkpoint left off; refuse it before anything is written."""
    engine = engine_of(request.engine)
    identity = request.identity(engine.stamp())
    force_field = engine.force_field(ions_of(request.structure))
    state, writer = _state_and_writer(request, identity, folder)
    recorder = Recorder(folder, identity, writer, request.stop_at_s)
    signal.signal(signal.SIGTERM, recorder.tell_to_stop)
    with writer:
        dynamics = Dynamics(state, request.protocol, force_field)
        if writer.n_frames == 0:
            recorder.frame(dynamics.frame())
            recorder.checkpoint(state)
        explosion = None
        try:
            finished = dynamics.run(recorder)
        except ExplosionError as error:
            finished, explosion = False, str(error)
    return AimdOutcome(finished, state.protocol_step, state.halvings, explosion=explosion)


def _state_and_writer(request: AimdRequest, identity: RunIdentity, folder: Path) -> tuple[State, Writer]:
    """Return where to begin, and the trajectory up to there."""
    crystal, header = request.crystal, header_of(request, identity)
    trajectory = folder / TRAJECTORY_FILE
    if not (folder / CHECKPOINT_FILE).is_file():
        state = starting_state(crystal, request.protocol, request.seed)
        if not trajectory.is_file():
            return state, Writer.create(trajectory, header)
        writer = Writer.open(trajectory, header)
        writer.truncate_after(-1)
        return state, writer
    state = read_checkpoint(folder / CHECKPOINT_FILE, crystal.system, identity)
    writer = Writer.open(trajectory, header)
    writer.truncate_after(state.protocol_step)
    expected = frames_up_to(request.protocol, state)
    if writer.n_frames != expected:
        raise CalculationError(f"{trajectory}: {writer.n_frames} frames up to the checkpoint, which has {expected}")
    while state.halvings < request.halvings:
        state = state.halved()
    return state, writer


def header_of(request: AimdRequest, identity: RunIdentity) -> Header:
    """Return the header of a request's trajectory."""
    time_step_fs = request.protocol.segments[0].time_step_fs
    return Header(
        species=tuple(site.specie.symbol for site in request.structure),
        time_step_fs=time_step_fs,
        steps_per_frame=round(request.protocol.frame_interval_fs / time_step_fs),
        engine=identity.engine,
        protocol=identity.protocol,
        seed=request.seed,
        fingerprint=identity.structure,
    )


def frames_up_to(protocol: AimdProtocol, state: State) -> int:
    """Return the number of frames that a run has up to a state, the first one included."""
    schedule = Schedule.of(protocol, state.halvings)
    stretch = schedule.stretch(state.step)
    first = round(stretch.start_fs / protocol.frame_interval_fs)
    return first + (state.step - stretch.first) // stretch.steps_per_frame + 1


if __name__ == "__main__":
    end_with_parent()
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the parent was gone before the work began")
    run(Path.cwd())
