"""CP2K under custodian: single points and relaxations by CP2K itself, in folders from which later launches go on.

The state is CP2K's input in the folder: error handlers change it by custodian's actions, so that each correction says
which keyword got which value. Of custodian's own handlers for CP2K only that of the walltime is used; the tests show
why not the others: `UnconvergedScfErrorHandler` adds smearing of 300 K, which is another calculation, and sees only the
first geometry; `UnconvergedRelaxationErrorHandler` knows no CELL_OPT; `FrozenJobErrorHandler` and `StdErrHandler`
correct nothing, which ends the run; and `Cp2kJob` ends a job by ``killall`` of all CP2K processes on the node.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from custodian.cp2k.handlers import WalltimeHandler
from custodian.cp2k.interpreter import Cp2kModder
from custodian.cp2k.jobs import Cp2kJob
from custodian.custodian import Custodian, CustodianError, ErrorHandler, MaxCorrectionsPerHandlerError
from pymatgen.core import Lattice, Structure

from lzc_flows.documents.base import Correction
from lzc_flows.documents.dft import DftProtocol
from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.engines.base import Ions, ions_of
from lzc_flows.engines.cp2k import Cp2kEngine
from lzc_flows.engines.cp2k_inputs import relax_input, static_input, upright
from lzc_flows.engines.cp2k_outputs import (
    INPUT_FILE,
    OUTPUT_FILE,
    RESTART_FILE,
    WAVEFUNCTION_FILES,
    Cp2kOutput,
    last_geometry,
    read_output,
)
from lzc_flows.engines.cp2k_program import cp2k_command, cp2k_environment
from lzc_flows.engines.relax_worker import Relaxed
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.files import write_atomically
from lzc_flows.processes import end_with_parent
from lzc_flows.recovery.corrections import corrections_of
from lzc_flows.recovery.folder import alone_in
from lzc_flows.recovery.relax import RelaxRun, is_sound
from lzc_flows.recovery.worker import MOST_ERRORS, POLL_S, POLLS_A_CHECK, WorkerHandler
from lzc_flows.settings import get_settings

STDERR_FILE = "cp2k.err"
CALCULATION_FILE = "cp2k_calculation.json"
"""What is calculated in the folder, and what its launches before the last one did."""

LOCK_FILE = "cp2k.lock"

SLOWER_MIXING = ({"ALPHA": 0.1, "NBUFFER": 20}, {"ALPHA": 0.05, "NBUFFER": 20})
"""How the density is mixed after one failure of the self-consistency, and after two."""

OTHER_OPTIMIZER = {"BFGS": "CG", "LBFGS": "BFGS", "CG": "BFGS"}


class TimeOverError(CalculationError):
    """CP2K stopped because the time of the batch job was over; a later launch in the same folder goes on."""


@dataclass(frozen=True)
class Cp2kCalculation:
    """What is calculated.

    Attributes
    ----------
    structure
        Where it starts; oxidation states count.
    dft
        How the electrons are treated.
    protocol
        How it relaxes; None for a single point.
    """

    structure: Structure
    dft: DftProtocol
    protocol: RelaxProtocol | None

    @property
    def ions(self) -> Ions:
        """Elements and oxidation states."""
        return ions_of(self.structure)

    @property
    def what(self) -> str:
        """What an error calls it."""
        return "single point" if self.protocol is None else "relaxation"

    def as_text(self) -> str:
        """Return JSON that is equal for equal calculations only."""
        return json.dumps(
            {
                "cell": self.structure.lattice.matrix.tolist(),
                "positions": self.structure.frac_coords.tolist(),
                "ions": self.ions.words("cp2k"),
                "dft": self.dft.for_cp2k,
                "protocol": self.protocol and self.protocol.model_dump(mode="json"),
            }
        )

    def input_text(self) -> str:
        """Return CP2K's input; a cell that relaxes is turned upright."""
        if self.protocol is None:
            return str(static_input(self.structure, self.ions, self.dft))
        start = upright(self.structure)[0] if self.protocol.relax_cell else self.structure
        return str(relax_input(start, self.ions, self.dft, self.protocol))

    def result(self, folder: Path, steps_before: int, wall_s: float) -> Relaxed:
        """Return what the files in `folder` hold, turned back."""
        output, structure = read_output(folder / OUTPUT_FILE), self.structure.copy().remove_oxidation_states()
        geometry = None if self.protocol is None else last_geometry(folder)
        if geometry is not None:
            assert self.protocol is not None  # it moves
            rotation = upright(self.structure)[1] if self.protocol.relax_cell else np.eye(3)
            cell, positions = (each @ rotation for each in geometry)
            structure = Structure(Lattice(cell), structure.species, positions, coords_are_cartesian=True)
        return Relaxed(
            structure=structure,
            energy_ev=output.energies_ev[-1] if output.energies_ev else float("nan"),
            max_force_ev_per_angstrom=output.max_force_ev_per_angstrom,
            converged=self.is_converged(output, structure),
            steps=steps_before + output.steps,
            wall_s=wall_s,
        )

    def is_converged(self, output: Cp2kOutput, structure: Structure) -> bool:
        """Return whether the self-consistency and, in a relaxation, forces and stress converged."""
        if not output.ended or output.time_over or not output.scf_converged or output.forces is None:
            return False
        if self.protocol is None:
            return True
        limit = self.protocol.fmax_ev_per_angstrom
        if not output.optimised or output.max_force_ev_per_angstrom > limit:
            return False
        if not self.protocol.relax_cell:
            return True
        if output.stress_ev_per_angstrom3 is None:
            return False
        # as ASE's cell filters count the force on a cell
        on_cell = output.stress_ev_per_angstrom3 * structure.volume / len(structure)
        return bool(np.linalg.norm(on_cell, axis=1).max() <= limit)


class OwnCp2kJob(Cp2kJob):
    """CP2K in a process group of its own, which ends with this process."""

    def __init__(self, command: Sequence[str]) -> None:
        self.command = command
        super().__init__(list(command), INPUT_FILE, OUTPUT_FILE, STDERR_FILE, backup=False)
        self.process: subprocess.Popen | None = None
        self.terminated = False

    def setup(self, directory: str = "./") -> None:
        """Nothing to prepare: custodian's job would unpack every archive in the folder, errors of before among them."""

    def run(self, directory: str = "./") -> subprocess.Popen:
        """Start CP2K with what is left of the time."""
        folder = Path(directory)
        Launches.of(folder).count_last(folder)
        _set_walltime(folder, get_settings().stop_at_s)
        self.terminated = False
        with (folder / OUTPUT_FILE).open("w") as output, (folder / STDERR_FILE).open("w") as errors:
            self.process = subprocess.Popen(
                [*self.cp2k_cmd, "-i", INPUT_FILE],
                cwd=folder,
                stdout=output,
                stderr=errors,
                env=cp2k_environment(),
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
        return self.process

    @property
    def running(self) -> bool:
        """Whether CP2K has been started and has not ended."""
        return self.process is not None and self.process.poll() is None

    def terminate(self, directory: str = "./") -> None:
        """End this CP2K; custodian's job would end all of them: ``killall cp2k.psmp``."""
        if self.process is not None and self.running:
            self.terminated = True
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Cp2kHandler(WorkerHandler):
    """What the handlers share: they change keywords of the input, and go on from the last geometry."""

    def error(self, folder: Path) -> str:
        """Return in one line what is wrong."""
        raise NotImplementedError

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Change the input."""
        folder = Path(directory)
        error, updates = self.error(folder), self.updates(folder)
        actions: list[Any] = [{"dict": INPUT_FILE, "action": {"_set": updates}}] if updates else []
        Cp2kModder(filename=INPUT_FILE, directory=os.fspath(folder)).apply_actions(actions)
        took = take_last_geometry(folder)
        return {"errors": [error], "actions": actions + ([f"geometry of {RESTART_FILE}"] if took else []) or ["rerun"]}

    def updates(self, folder: Path) -> dict[str, Any]:
        """Return the keywords to change, in their sections."""
        return {}


class UnconvergedScfHandler(Cp2kHandler):
    """A self-consistency that did not converge: mix less of the new density, starting from atoms."""

    def check(self, directory: str = "./") -> bool:
        """Return whether one failed."""
        output = read_output(Path(directory) / OUTPUT_FILE)
        return not output.scf_converged and not output.time_over

    def error(self, folder: Path) -> str:
        """Return at which geometry it failed."""
        return f"self-consistency not converged at geometry {len(read_output(folder / OUTPUT_FILE).energies_ev)}"

    def updates(self, folder: Path) -> dict[str, Any]:
        """Slow the mixing down."""
        for name in WAVEFUNCTION_FILES:
            (folder / name).unlink(missing_ok=True)
        slower = SLOWER_MIXING[min(self.n_applied_corrections, len(SLOWER_MIXING) - 1)]
        return {"FORCE_EVAL": {"DFT": {"SCF": {"MIXING": dict(slower)}}}}


class IllConditionedHandler(Cp2kHandler):
    """An overlap matrix that Cholesky's method refuses: sharper integrals, and the inverse instead."""

    max_num_corrections = 1

    def check(self, directory: str = "./") -> bool:
        """Return whether CP2K aborted there."""
        abort = read_output(Path(directory) / OUTPUT_FILE).abort
        return abort is not None and "cholesky" in abort.lower()

    def error(self, folder: Path) -> str:
        """Return CP2K's words."""
        return read_output(folder / OUTPUT_FILE).abort or "no message"

    def updates(self, folder: Path) -> dict[str, Any]:
        """Sharpen the integrals."""
        return {"FORCE_EVAL": {"DFT": {"QS": {"EPS_DEFAULT": 1e-14}, "SCF": {"CHOLESKY": "INVERSE"}}}}


class CutShortHandler(Cp2kHandler):
    """CP2K ended in the middle, as when it is killed: run it again from the last geometry."""

    def __init__(self, job: OwnCp2kJob, others: Sequence[ErrorHandler]) -> None:
        self.job, self.others = job, others

    def check(self, directory: str = "./") -> bool:
        """Return whether the output lacks its end and no other handler knows why."""
        ended = read_output(Path(directory) / OUTPUT_FILE).ended
        return not (ended or self.job.terminated or any(other.check(directory) for other in self.others))

    def error(self, folder: Path) -> str:
        """Return how it ended and its last words."""
        status = self.job.process.returncode if self.job.process else None
        said = read_output(folder / OUTPUT_FILE).abort or "no message"
        return f"CP2K ended with exit status {status}: {said}"


class FrozenCp2kHandler(Cp2kHandler):
    """CP2K has written nothing for a long time: end it and run it again from the last geometry."""

    is_monitor = True

    def __init__(self, job: OwnCp2kJob, timeout_s: float) -> None:
        self.job, self.timeout_s = job, timeout_s

    def check(self, directory: str = "./") -> bool:
        """Return whether it runs without a word."""
        silent_s = time.time() - (Path(directory) / OUTPUT_FILE).stat().st_mtime
        return self.job.running and silent_s > self.timeout_s

    def error(self, folder: Path) -> str:
        """Return how long nothing happened."""
        return f"no output for {self.timeout_s:g} s"


class UnrelaxedHandler(Cp2kHandler):
    """A relaxation that ended above its limits: go on with another optimizer, and tighter where CP2K was content."""

    def __init__(self, calculation: Cp2kCalculation) -> None:
        self.calculation = calculation

    def check(self, directory: str = "./") -> bool:
        """Return whether a sound relaxation has not converged."""
        output = read_output(Path(directory) / OUTPUT_FILE)
        if not output.ended or output.time_over or not output.scf_converged:
            return False
        result = self.calculation.result(Path(directory), 0, 0.0)
        return not result.converged and is_sound(result, self.calculation.structure.volume)

    def error(self, folder: Path) -> str:
        """Return the steps and the largest force that is left."""
        output = read_output(folder / OUTPUT_FILE)
        return f"not converged after {output.steps} steps, {output.max_force_ev_per_angstrom:.3f} eV/Å"

    def updates(self, folder: Path) -> dict[str, Any]:
        """Change the optimizer."""
        from pymatgen.io.cp2k.inputs import Cp2kInput

        kind = "CELL_OPT" if self.calculation.protocol and self.calculation.protocol.relax_cell else "GEO_OPT"
        section = Cp2kInput.from_file(folder / INPUT_FILE)["MOTION"][kind]
        changes: dict[str, Any] = {"OPTIMIZER": OTHER_OPTIMIZER[str(section["OPTIMIZER"].values[0])]}
        if read_output(folder / OUTPUT_FILE).optimised:
            limits = ("MAX_FORCE", "RMS_FORCE", "PRESSURE_TOLERANCE")
            changes |= {name: float(section[name].values[0]) / 2 for name in limits if name in section.keywords}
        return {"MOTION": {kind: changes}}


class ExplodedHandler(Cp2kHandler):
    """Atoms on top of each other or a runaway cell: start again with conjugate gradients."""

    max_num_corrections = 1

    def __init__(self, calculation: Cp2kCalculation) -> None:
        self.calculation = calculation

    def check(self, directory: str = "./") -> bool:
        """Return whether the last geometry is broken."""
        if not read_output(Path(directory) / OUTPUT_FILE).energies_ev:
            return False
        return not is_sound(self.calculation.result(Path(directory), 0, 0.0), self.calculation.structure.volume)

    def error(self, folder: Path) -> str:
        """Return the energy of the broken geometry."""
        output = read_output(folder / OUTPUT_FILE)
        return f"relaxation exploded after {output.steps} steps, {output.energies_ev[-1]:.3f} eV"

    def updates(self, folder: Path) -> dict[str, Any]:
        """Go back to the start."""
        for name in (RESTART_FILE, *WAVEFUNCTION_FILES):
            (folder / name).unlink(missing_ok=True)
        (folder / INPUT_FILE).write_text(self.calculation.input_text())
        kind = "CELL_OPT" if self.calculation.protocol and self.calculation.protocol.relax_cell else "GEO_OPT"
        return {"MOTION": {kind: {"OPTIMIZER": "CG"}}}


def static_handlers(job: OwnCp2kJob) -> list[ErrorHandler]:
    """Return the handlers of a single point."""
    known = [UnconvergedScfHandler(), IllConditionedHandler(), WalltimeHandler(OUTPUT_FILE, enable_checkpointing=False)]
    return [*known, CutShortHandler(job, known), FrozenCp2kHandler(job, get_settings().dft_frozen_s)]


def relax_handlers(job: OwnCp2kJob, calculation: Cp2kCalculation) -> list[ErrorHandler]:
    """Return the handlers of a relaxation."""
    return [*static_handlers(job), ExplodedHandler(calculation), UnrelaxedHandler(calculation)]


def static_with_cp2k(structure: Structure, dft: DftProtocol, folder: Path) -> RelaxRun:
    """Compute energy, forces and stress in `folder`; its one attempt is the result. Raises as `relax_with_cp2k`."""
    return _run(Cp2kCalculation(structure, dft, None), folder)


def relax_with_cp2k(structure: Structure, dft: DftProtocol, protocol: RelaxProtocol, folder: Path) -> RelaxRun:
    """Relax a structure in `folder` until it converges, or go on with what an earlier launch left there.

    Raises
    ------
    InputError
        CP2K is not installed or cannot treat the ions, another calculation's files are in the folder, another
        process runs there, it cannot be written.
    TimeOverError
        The time of the batch job was over before.
    CalculationError
        The handlers could not mend what went wrong; the line says what it was last.
    """
    return _run(Cp2kCalculation(structure, dft, protocol), folder)


@dataclass
class Launches:
    """What is calculated in a folder, and what its earlier launches did."""

    calculation: str
    steps: int = 0
    wall_s: float = 0.0
    started_s: float | None = None

    @classmethod
    def of(cls, folder: Path) -> Launches:
        """Read them."""
        return cls(**json.loads((folder / CALCULATION_FILE).read_text()))

    def write(self, folder: Path) -> None:
        """Write them atomically."""
        write_atomically(folder / CALCULATION_FILE, json.dumps(vars(self)).encode())

    def count_last(self, folder: Path) -> None:
        """Add what the last launch did, before another one overwrites its output."""
        self.steps += read_output(folder / OUTPUT_FILE).steps
        self.wall_s += self.last_s(folder)
        self.started_s = time.time()
        self.write(folder)

    def last_s(self, folder: Path) -> float:
        """Return how long the last launch ran, in s."""
        if self.started_s is None or not (folder / OUTPUT_FILE).exists():
            return 0.0
        return max((folder / OUTPUT_FILE).stat().st_mtime - self.started_s, 0.0)


def _run(calculation: Cp2kCalculation, folder: Path) -> RelaxRun:
    Cp2kEngine(calculation.dft).require_elements(calculation.ions)
    command = cp2k_command()
    with alone_in(folder, LOCK_FILE):
        _prepare(calculation, folder)
        corrections: list[Correction] = []
        if not _result(calculation, folder).converged:
            if get_settings().time_is_over:
                raise TimeOverError(f"{calculation.what}: the time of the batch job is over")
            corrections = _under_custodian(calculation, folder, OwnCp2kJob(command))
        result = _result(calculation, folder)
        if read_output(folder / OUTPUT_FILE).time_over:
            raise TimeOverError(f"{calculation.what}: the time of the batch job was over after {result.steps} steps")
        if not result.converged:
            raise CalculationError(f"{calculation.what}: CP2K ended without a converged result")
        return RelaxRun([result], corrections)


def _result(calculation: Cp2kCalculation, folder: Path) -> Relaxed:
    launches = Launches.of(folder)
    return calculation.result(folder, launches.steps, launches.wall_s + launches.last_s(folder))


def _prepare(calculation: Cp2kCalculation, folder: Path) -> None:
    """Write the input, or make that of an earlier launch go on from its last geometry."""
    text = calculation.as_text()
    if (folder / CALCULATION_FILE).is_file():
        if Launches.of(folder).calculation != text:
            raise InputError(f"{folder}: another calculation's files are there; an empty folder is allowed")
        if not _result(calculation, folder).converged:
            take_last_geometry(folder)
        return
    write_atomically(folder / INPUT_FILE, calculation.input_text().encode())
    Launches(text).write(folder)


def _under_custodian(calculation: Cp2kCalculation, folder: Path, job: OwnCp2kJob) -> list[Correction]:
    """Run CP2K until it ends well or its time is over; return what was mended."""
    handlers = static_handlers(job) if calculation.protocol is None else relax_handlers(job, calculation)
    custodian = Custodian(
        handlers,
        [job],
        max_errors=MOST_ERRORS,
        polling_time_step=POLL_S,
        monitor_freq=POLLS_A_CHECK,
        terminate_on_nonzero_returncode=False,
        directory=os.fspath(folder),
    )
    try:
        custodian.run()
    except CustodianError as error:
        corrections = corrections_of(custodian)
        cause = corrections[-1].errors[-1] if corrections else error.message
        if isinstance(error, MaxCorrectionsPerHandlerError) and isinstance(error.handler, Cp2kHandler):
            cause = error.handler.error(folder)  # what no correction answered
        raise CalculationError(f"{calculation.what} failed after {len(corrections)} corrections: {cause}") from error
    finally:
        job.terminate()
    return corrections_of(custodian)


def take_last_geometry(folder: Path) -> bool:
    """Write the cell and positions of CP2K's restart file into its input; return whether there are any.

    The input itself stays: the restart file, which CP2K would start from as well, has lost the corrections, and
    pymatgen cannot read all of it back.
    """
    try:
        geometry = last_geometry(folder)
    except CalculationError:  # cut short while it was written
        return False
    if geometry is None:
        return False
    cell, positions = (iter([" ".join(map(repr, map(float, row))) for row in rows]) for rows in geometry)
    text = (folder / INPUT_FILE).read_text()
    head, coordinates, tail = re.split(r"(&COORD\n.*?&END COORD)", text, maxsplit=1, flags=re.DOTALL)
    coordinates = re.sub(r"(?m)^(\s*[A-Z][a-z]?\w*) .*$", lambda row: f"{row[1]} {next(positions)}", coordinates)
    both = re.sub(r"(?m)^(\s*[ABC]) [-\d].*$", lambda row: f"{row[1]} {next(cell)}", head + coordinates + tail, count=3)
    write_atomically(folder / INPUT_FILE, both.encode())
    return True


def _set_walltime(folder: Path, stop_at_s: float | None) -> None:
    """Tell CP2K how many seconds it has."""
    text = re.sub(r"(?m)^\s*WALLTIME .*\n", "", (folder / INPUT_FILE).read_text())
    if stop_at_s is not None:
        left_s = max(int(stop_at_s - time.time()), 1)
        text = re.sub(r"(?m)^&GLOBAL\n", f"&GLOBAL\n\tWALLTIME {left_s}\n", text)
    write_atomically(folder / INPUT_FILE, text.encode())
