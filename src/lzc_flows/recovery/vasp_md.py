"""Molecular dynamics by VASP: a protocol as a chain of calculations, each going on where the one before stopped.

A ramp is a calculation of its own, because VASP knows one linear change of temperature only; a long segment is several.
Each starts from the CONTCAR of the one before, with velocities and thermostat as VASP wrote them. Frames go from
XDATCAR and OSZICAR, which grow with each step, into the trajectory that all engines write: what was computed before a
kill, or before the time was over, is kept.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.io.vasp.inputs import Poscar

from lzc_flows.documents.base import Correction
from lzc_flows.dynamics.checkpoint import RunIdentity
from lzc_flows.dynamics.schedule import Schedule, Stretch
from lzc_flows.dynamics.state import starting_state
from lzc_flows.dynamics.units import BOLTZMANN_EV
from lzc_flows.engines.aimd_worker import TRAJECTORY_FILE, AimdOutcome, AimdRequest, header_of
from lzc_flows.engines.registry import engine_of
from lzc_flows.engines.vasp_inputs import MdPart, grouped, md_inputs
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.files import write_atomically
from lzc_flows.recovery.aimd import HISTORY_FILE, LOCK_FILE, AimdRun
from lzc_flows.recovery.folder import alone_in
from lzc_flows.recovery.history import History
from lzc_flows.recovery.vasp import MD, STDOUT_FILE, change_tags, changed_tags, run_vasp_once, write_inputs
from lzc_flows.recovery.vasp_handlers import is_whole_poscar
from lzc_flows.settings import get_settings
from lzc_flows.trajectory.foreign import read_xdatcar
from lzc_flows.trajectory.model import Frame
from lzc_flows.trajectory.reader import read_trajectory
from lzc_flows.trajectory.writer import Writer

PROGRESS_FILE = "vasp_md.json"

PART_STEPS = 5000
"""Most steps of one calculation: its output stays readable, and a damaged one costs no more."""

MOST_CUTS = 5
"""So many calculations on end that stop by themselves before their end: it is not an accident."""


@dataclass(frozen=True)
class Progress:
    """How far a run has got.

    Attributes
    ----------
    identity
        Which run it is.
    step
        Steps done, of the whole protocol.
    part
        Number of the next calculation.
    poscar
        Where that starts: positions, velocities and thermostat, as VASP wrote them.
    tags
        What error handlers have changed of the INCAR so far.
    """

    identity: RunIdentity
    step: int
    part: int
    poscar: str
    tags: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write the progress, whole or not at all."""
        write_atomically(folder / PROGRESS_FILE, json.dumps(asdict(self)).encode())

    @classmethod
    def read(cls, folder: Path) -> Progress | None:
        """Return the progress of the run in a folder; None if there is none."""
        path = folder / PROGRESS_FILE
        if not path.is_file():
            return None
        content = json.loads(path.read_text())
        return cls(identity=RunIdentity(**content.pop("identity")), **content)


def run_dynamics_with_vasp(request: AimdRequest, folder: Path) -> AimdRun:
    """Run molecular dynamics in `folder`, from where it was left, to the end or until its time is over.

    Raises
    ------
    InputError
        There is no VASP or no POTCAR, the folder holds another run, or another process runs there.
    CalculationError
        The handlers could not mend what went wrong.
    """
    begun = time.monotonic()
    with alone_in(folder, LOCK_FILE):
        chain = _Chain(request, folder)
        finished, corrections = chain.run()
        history = History.read(folder / HISTORY_FILE).after(time.monotonic() - begun, corrections)
        history.write(folder / HISTORY_FILE)
        return AimdRun(folder, AimdOutcome(finished, chain.progress.step, 0, history.wall_s), history)


def take_over_from_vasp(request: AimdRequest, earlier: list[Path], folder: Path) -> Path | None:
    """Copy the run that got farthest among earlier folders to `folder`, unless that has one; return where it was."""
    if Progress.read(folder) is not None:
        return None
    identity = _identity(request)
    found = {place: progress for place in earlier if (progress := _readable(place)) and progress.identity == identity}
    if not found:
        return None
    farthest = max(found, key=lambda place: (found[place].step, _steps_done(place / part_name(found[place].part))))
    part = part_name(found[farthest].part)
    if (farthest / part).is_dir():
        shutil.copytree(farthest / part, folder / part)
    for name in (TRAJECTORY_FILE, HISTORY_FILE):
        if (farthest / name).is_file():
            shutil.copyfile(farthest / name, folder / name)
    found[farthest].write(folder)
    return farthest


def done_steps(folder: Path) -> int:
    """Return how many steps of its protocol the run in a folder has done, the unfinished calculation included."""
    progress = _readable(folder)
    return 0 if progress is None else progress.step + _steps_done(folder / part_name(progress.part))


def next_part(schedule: Schedule, step: int) -> tuple[Stretch, MdPart]:
    """Return the segment to which a step of the run belongs, and the calculation that goes on from there."""
    stretch = next(stretch for stretch in schedule.stretches if step < stretch.stop)
    every = stretch.steps_per_frame
    off = (step - stretch.first) % every
    # after a cut: up to the next frame first, so that frames stay evenly spaced
    steps = every - off if off else min(PART_STEPS // every * every or every, stretch.stop - step)
    protocol = schedule.protocol
    part = MdPart(
        ensemble=stretch.ensemble,
        start_k=stretch.target_k(step),
        end_k=stretch.target_k(step + steps),
        steps=steps,
        time_step_fs=stretch.time_step_fs,
        frame_interval_fs=stretch.time_step_fs * (steps if off else every),
        thermostat_fs=protocol.thermostat_fs,
        barostat_fs=protocol.barostat_fs,
        pressure_gpa=protocol.pressure_gpa,
    )
    return stretch, part


def first_poscar(request: AimdRequest) -> str:
    """Return the POSCAR of the first calculation, with the velocities that every engine starts with."""
    sites, order = grouped(request.structure)
    state = starting_state(request.crystal, request.protocol, request.seed)
    velocities = state.velocities[list(order)].tolist()
    return Poscar(sites, velocities=velocities, sort_structure=False).get_str(significant_figures=16)


def part_name(number: int) -> str:
    """Return the folder of a calculation."""
    return f"part-{number:04d}"


class _Chain:
    """The calculations of a run, one after the other."""

    def __init__(self, request: AimdRequest, folder: Path) -> None:
        self.request, self.folder = request, folder
        self.schedule = Schedule.of(request.protocol)
        self.sites, self.order = grouped(request.structure)
        identity = _identity(request)
        self.progress = Progress.read(folder) or Progress(identity, 0, 0, first_poscar(request))
        if self.progress.identity != identity:
            raise InputError(f"{folder}: of another run; take another folder")
        header = header_of(request, identity)
        trajectory = folder / TRAJECTORY_FILE
        is_new = self.progress.step == 0 and self.progress.part == 0
        if is_new:
            trajectory.unlink(missing_ok=True)
        self.writer = Writer.create(trajectory, header) if is_new else Writer.open(trajectory, header)
        self.writer.truncate_after(self.progress.step if self.progress.step else -1)

    def run(self) -> tuple[bool, list[Correction]]:
        """Return whether the protocol is done, and what was mended."""
        corrections: list[Correction] = []
        cuts = 0
        with self.writer:
            self._gather()  # what a killed launch left
            while self.progress.step < self.schedule.steps:
                if get_settings().time_is_over:
                    return False, corrections
                stretch, part = next_part(self.schedule, self.progress.step)
                here = self.folder / part_name(self.progress.part)
                self._prepare(here, part)
                end = run_vasp_once(MD, here)
                corrections += end.corrections
                self.progress = replace(self.progress, tags={**self.progress.tags, **changed_tags(here)})
                done = self._gather()
                if end.stopped:
                    return False, corrections
                cuts = 0 if done == part.steps else cuts + 1
                if cuts == MOST_CUTS:
                    raise CalculationError(f"VASP ended before its end {cuts} times on end: {_last_words(here)}")
                if cuts and not end.corrections:
                    error = f"VASP ended after {done} of {part.steps} steps in segment {stretch.number}"
                    corrections.append(Correction(handler="CutShort", errors=[error], actions=["go on from there"]))
        return True, corrections

    def _prepare(self, here: Path, part: MdPart) -> None:
        """Write the input of a calculation."""
        shutil.rmtree(here, ignore_errors=True)
        here.mkdir()
        dft = self.request.engine.dft
        assert dft is not None
        write_inputs(md_inputs(dft, part, self.sites), here)
        change_tags(here, self.progress.tags)
        (here / "POSCAR").write_text(self.progress.poscar)
        write_atomically(here / "part.json", json.dumps(asdict(part)).encode())

    def _gather(self) -> int:
        """Take what the present calculation wrote into the trajectory; return the steps that it did."""
        here = self.folder / part_name(self.progress.part)
        done = _steps_done(here)
        if done:
            part = MdPart(**json.loads((here / "part.json").read_text()))
            for frame in self._frames(here, part, done):
                self.writer.append(frame)
            self.writer.flush()
            step, poscar = self.progress.step + done, (here / "CONTCAR").read_text()
            self.progress = replace(self.progress, step=step, part=self.progress.part + 1, poscar=poscar)
        self.progress.write(self.folder)
        return done

    def _frames(self, here: Path, part: MdPart, done: int) -> list[Frame]:
        """Return the frames of a calculation; before the first one, the start of the run."""
        rows = _oszicar_rows(here / "OSZICAR")
        stretch = next(stretch for stretch in self.schedule.stretches if self.progress.step < stretch.stop)
        places = []
        if self.writer.n_frames == 0:
            places.append((0, self.request.structure.cart_coords, self.request.structure.lattice.matrix))
        every = round(part.frame_interval_fs / part.time_step_fs)
        count = done // every
        if count:
            trajectory = read_xdatcar(here / "XDATCAR", part.frame_interval_fs)
            positions = np.empty((len(trajectory), len(self.order), 3))
            positions[:, list(self.order)] = trajectory.positions
            numbers = range(1, min(count, len(trajectory)) + 1)
            places += [(n * every, positions[n - 1], trajectory.cells[n - 1]) for n in numbers]
        last = self._last_positions()
        frames = []
        for step, where, cell in places:
            last = where if last is None else _nearest_image(where, last, cell)
            potential, kinetic, conserved = rows[max(step - 1, 0)]
            frames.append(
                Frame(
                    step=self.progress.step + step,
                    time_ps=stretch.time_fs(self.progress.step + step) / 1000,
                    positions=last,
                    cell=cell,
                    temperature_k=2 * kinetic / (3 * (len(self.order) - 1) * BOLTZMANN_EV),
                    potential_ev=potential,
                    kinetic_ev=kinetic,
                    conserved_ev=conserved,
                )
            )
        return frames

    def _last_positions(self) -> NDArray[np.float64] | None:
        if self.writer.n_frames == 0:
            return None
        self.writer.flush()
        whole = read_trajectory(self.folder / TRAJECTORY_FILE)
        return whole.between(float(whole.times_ps[-1])).positions[-1]


def _identity(request: AimdRequest) -> RunIdentity:
    return request.identity(engine_of(request.engine).stamp())


def _readable(place: Path) -> Progress | None:
    try:
        return Progress.read(place)
    except (OSError, ValueError, TypeError):  # a folder that others keep to themselves, or of something else
        return None


def _steps_done(here: Path) -> int:
    """Return the steps of a calculation after which it can go on; 0 where it cannot."""
    if not is_whole_poscar(here / "CONTCAR") or not (here / "OSZICAR").is_file():
        return 0
    return len(_oszicar_rows(here / "OSZICAR"))


_OSZICAR_ROW = re.compile(
    r"^\s*\d+\s+T=\s*\S+\s+E=\s*(\S+)\s+F=\s*(\S+)\s+E0=\s*\S+\s+EK=\s*(\S+)\s+SP=\s*\S+\s+SK=\s*\S+\s*$", re.MULTILINE
)


def _oszicar_rows(path: Path) -> list[tuple[float, float, float]]:
    """Return potential energy, kinetic energy and conserved quantity of each step, eV."""
    found = _OSZICAR_ROW.findall(path.read_text())
    return [(float(free), float(kinetic), float(total)) for total, free, kinetic in found]


def _nearest_image(
    positions: NDArray[np.float64], last: NDArray[np.float64], cell: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the images of positions that are nearest to those of the frame before."""
    fractional = (positions - last) @ np.linalg.inv(cell)
    return positions - np.rint(fractional) @ cell


def _last_words(here: Path) -> str:
    lines = (
        (here / STDOUT_FILE).read_text(errors="replace").strip().splitlines() if (here / STDOUT_FILE).exists() else []
    )
    return lines[-1].strip() if lines else "it said nothing"
