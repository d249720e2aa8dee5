"""Molecular dynamics by VASP: a protocol as a chain of calculations, each going on where the one before stopped.

A ramp is a calculation of its own, because VASP knows one linear change of temperature only; a long segment is several.
Each starts from the CONTCAR of the one before, with velocities and thermostat as VASP wrote them. Frames go from
XDATCAR and OSZICAR, which grow with each step, into the trajectory that all engines write: what was computed before a
kill, or before the time was over, is kept.

VASP's step n has positions, energies and forces of the state after n - 1 time steps: a run of N time steps takes N + 1
of VASP's, of which the first has the state at the start, and the last one the state at the end.
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
from monty.shutil import compress_file
from numpy.typing import NDArray
from pymatgen.io.vasp.inputs import Poscar

from lzc_flows.documents.aimd_protocol import AimdProtocol
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
from lzc_flows.trajectory.model import Frame, Trajectory
from lzc_flows.trajectory.reader import read_trajectory
from lzc_flows.trajectory.writer import Writer

PROGRESS_FILE = "vasp_md.json"

PART_STEPS = 5000
"""Most steps of one calculation: its output stays readable, and a damaged one costs no more."""

BULKY = ("OUTCAR", "XDATCAR", "vasprun.xml")
"""Files that grow with each step; those of a calculation that the trajectory has are kept compressed."""

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
        Steps of VASP's done, of the whole protocol.
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
    dft = request.engine.dft
    assert dft is not None
    # refused before anything is written
    _identity(request)
    md_inputs(dft, next_part(Schedule.of(request.protocol), 0)[1], grouped(request.structure)[0])
    with alone_in(folder, LOCK_FILE):
        chain = _Chain(request, folder)
        finished = chain.run()
        history = History.read(folder / HISTORY_FILE).after(time.monotonic() - begun, [])
        history.write(folder / HISTORY_FILE)
        step = min(chain.progress.step, chain.schedule.steps)
        return AimdRun(folder, AimdOutcome(finished, step, 0, history.wall_s), history)


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


def done_ps_of_vasp(folder: Path, protocol: AimdProtocol) -> float:
    """Return how far the run in a folder has got, the unfinished calculation included, in ps."""
    progress = _readable(folder)
    if progress is None:
        return 0.0
    schedule = Schedule.of(protocol)
    step = min(progress.step + _steps_done(folder / part_name(progress.part)), schedule.steps)
    return schedule.stretch(step).time_fs(step) / 1000


def next_part(schedule: Schedule, step: int) -> tuple[Stretch, MdPart]:
    """Return the segment that goes on after so many of VASP's steps, and the calculation that does it."""
    last = schedule.stretches[-1]
    stretch = next((stretch for stretch in schedule.stretches if step < stretch.stop), last)
    left = stretch.stop - step + (1 if stretch is last else 0)
    steps = left if left <= PART_STEPS + 1 else PART_STEPS
    protocol = schedule.protocol
    part = MdPart(
        ensemble=stretch.ensemble,
        start_k=stretch.target_k(min(step, stretch.stop)),
        end_k=stretch.target_k(min(step + steps, stretch.stop)),
        steps=steps,
        time_step_fs=stretch.time_step_fs,
        # all of them: which ones XDATCAR has with NBLOCK above 1 differs between versions
        frame_interval_fs=stretch.time_step_fs,
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

    def run(self) -> bool:
        """Return whether the protocol is done."""
        cuts = 0
        with self.writer:
            self._gather()  # what a killed launch left
            while self.progress.step <= self.schedule.steps:
                if get_settings().time_is_over:
                    return False
                stretch, part = next_part(self.schedule, self.progress.step)
                here = self.folder / part_name(self.progress.part)
                self._prepare(here, part)
                end = run_vasp_once(MD, here)
                self._remember(end.corrections)
                self.progress = replace(self.progress, tags={**self.progress.tags, **changed_tags(here)})
                done = self._gather()
                if end.stopped:
                    return self.progress.step > self.schedule.steps
                cuts = 0 if done == part.steps else cuts + 1
                if cuts == MOST_CUTS:
                    raise CalculationError(f"VASP ended before its end {cuts} times on end: {_last_words(here)}")
                if cuts and not end.corrections:
                    error = f"VASP ended after {done} of {part.steps} steps in segment {stretch.number}"
                    self._remember([Correction(handler="CutShort", errors=[error], actions=["go on from there"])])
        return True

    def _remember(self, corrections: list[Correction]) -> None:
        """Write down what was mended, at once: this process may be killed."""
        if corrections:
            before = History.read(self.folder / HISTORY_FILE)
            after = before.model_copy(update={"corrections": [*before.corrections, *corrections]})
            after.write(self.folder / HISTORY_FILE)

    def _prepare(self, here: Path, part: MdPart) -> None:
        """Write the input of a calculation."""
        shutil.rmtree(here, ignore_errors=True)
        here.mkdir()
        dft = self.request.engine.dft
        assert dft is not None
        write_inputs(md_inputs(dft, part, self.sites), here)
        change_tags(here, self.progress.tags)
        (here / "POSCAR").write_text(self.progress.poscar)

    def _gather(self) -> int:
        """Take what the present calculation wrote into the trajectory; return the steps that it did."""
        here = self.folder / part_name(self.progress.part)
        done = _steps_done(here)
        configurations = _configurations(here) if done else None
        if configurations is not None and len(configurations) >= done and _is_at(here, configurations, done - 1):
            done -= 1  # killed before it wrote where the next step begins: that step is done again
        frames = self._frames(here, done, configurations)
        if not done or frames is None:
            self.progress.write(self.folder)
            return 0
        for frame in frames:
            self.writer.append(frame)
        self.writer.flush()
        step, poscar = self.progress.step + done, (here / "CONTCAR").read_text()
        self.progress = replace(self.progress, step=step, part=self.progress.part + 1, poscar=poscar)
        self.progress.write(self.folder)
        for name in BULKY:
            if (here / name).is_file():
                compress_file(here / name)
        return done

    def _frames(self, here: Path, done: int, configurations: Trajectory | None) -> list[Frame] | None:
        """Return the frames of a calculation's first steps; None where one is missing, so that all is done again."""
        first, schedule = self.progress.step, self.schedule
        stretches = {number: schedule.stretch(first + number) for number in range(done)}
        due = [n for n, stretch in stretches.items() if schedule.frame_number(stretch, first + n) is not None]
        if not due:
            return []
        if configurations is None or due[-1] >= len(configurations):
            return None
        rows, last = _oszicar_rows(here / "OSZICAR"), self._last_positions()
        frames = []
        for number in due:
            where, cell = np.empty((len(self.order), 3)), configurations.cells[number]
            where[list(self.order)] = configurations.positions[number]
            last = _nearest_image(where, last, cell)
            potential, kinetic, conserved = rows[number]
            frames.append(
                Frame(
                    step=first + number,
                    time_ps=stretches[number].time_fs(first + number) / 1000,
                    positions=last,
                    cell=cell,
                    temperature_k=2 * kinetic / (3 * (len(self.order) - 1) * BOLTZMANN_EV),
                    potential_ev=potential,
                    kinetic_ev=kinetic,
                    conserved_ev=conserved,
                )
            )
        return frames

    def _last_positions(self) -> NDArray[np.float64]:
        """Return where the last frame is, or the start."""
        if self.writer.n_frames == 0:
            return self.request.structure.cart_coords
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
    """Return the steps of a calculation after which it can go on, with velocities; 0 where it cannot."""
    contcar = here / "CONTCAR"
    if not is_whole_poscar(contcar) or Poscar.from_file(contcar).velocities is None:
        return 0
    return len(_oszicar_rows(here / "OSZICAR")) if (here / "OSZICAR").is_file() else 0


def _configurations(here: Path) -> Trajectory | None:
    """Return what is whole of XDATCAR, which has every step; None where nothing is."""
    try:
        return read_xdatcar(here / "XDATCAR", 1.0)
    except (InputError, OSError):
        return None


def _is_at(here: Path, configurations: Trajectory, number: int) -> bool:
    """Return whether CONTCAR is at a configuration of XDATCAR, to its eight decimals."""
    there = configurations.positions[number] @ np.linalg.inv(configurations.cells[number])
    off = Poscar.from_file(here / "CONTCAR").structure.frac_coords - there
    return bool(np.abs(off - np.rint(off)).max() < 1e-7)


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
