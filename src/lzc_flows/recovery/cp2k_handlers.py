"""CP2K as custodian's job, and what is done about its errors.

The state is CP2K's input in the folder: handlers change it by custodian's actions, so that each correction says which
keyword got which value. Of custodian's own handlers for CP2K only that of the walltime is used; the tests show why not
the others: `UnconvergedScfErrorHandler` adds smearing of 300 K, which is another calculation, and sees the last
geometry only; `UnconvergedRelaxationErrorHandler` knows no CELL_OPT; `FrozenJobErrorHandler` and `StdErrHandler`
correct nothing, which ends the run; and `Cp2kJob` ends a job by ``killall`` of all CP2K processes on the node.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from custodian.cp2k.handlers import WalltimeHandler
from custodian.cp2k.interpreter import Cp2kModder
from custodian.cp2k.jobs import Cp2kJob
from custodian.custodian import ErrorHandler

from lzc_flows.engines.cp2k_outputs import INPUT_FILE, OUTPUT_FILE, RESTART_FILE, WAVEFUNCTION_FILES, read_output
from lzc_flows.engines.cp2k_program import cp2k_environment
from lzc_flows.files import write_atomically
from lzc_flows.processes import end_with_parent
from lzc_flows.recovery.cp2k_calculation import (
    COORDINATES,
    Cp2kCalculation,
    Launches,
    set_walltime,
    take_last_geometry,
)
from lzc_flows.recovery.relax import is_sound
from lzc_flows.recovery.worker import WorkerHandler
from lzc_flows.settings import get_settings

STDERR_FILE = "cp2k.err"

SLOWER_MIXING = ({"ALPHA": 0.1, "NBUFFER": 20}, {"ALPHA": 0.05, "NBUFFER": 20})
"""How the density is mixed after one failure of the self-consistency, and after two."""

SLOWER_SCF_STEPS = 200
"""Most steps of a self-consistency that mixes so."""

OTHER_OPTIMIZER = {"BFGS": "CG", "LBFGS": "BFGS", "CG": "BFGS"}

SHORT_LINE_SEARCH = {"CG": {"LINE_SEARCH": {"TYPE": "2PNT"}}}
"""Conjugate gradients with two energies a step; CP2K's own golden section takes several times as many."""


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
        set_walltime(folder, get_settings().stop_at_s)
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
        _apply_in_order(actions, folder)
        took = take_last_geometry(folder)
        return {"errors": [error], "actions": actions + ([f"geometry of {RESTART_FILE}"] if took else []) or ["rerun"]}

    def updates(self, folder: Path) -> dict[str, Any]:
        """Return the keywords to change, in their sections."""
        return {}


def _apply_in_order(actions: list[dict[str, Any]], folder: Path) -> None:
    """Work around custodian's modder, whose input comes back from pymatgen with its atoms in another order."""
    file = folder / INPUT_FILE
    block = COORDINATES.search(file.read_text())
    assert block is not None  # every input has coordinates
    Cp2kModder(filename=INPUT_FILE, directory=os.fspath(folder)).apply_actions(actions)
    write_atomically(file, COORDINATES.sub(lambda _: block[0], file.read_text(), count=1).encode())


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
        return {"FORCE_EVAL": {"DFT": {"SCF": {"MAX_SCF": SLOWER_SCF_STEPS, "MIXING": dict(slower)}}}}


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
        if changes["OPTIMIZER"] == "CG":
            changes |= SHORT_LINE_SEARCH
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
        return {"MOTION": {kind: {"OPTIMIZER": "CG", **SHORT_LINE_SEARCH}}}


def static_handlers(job: OwnCp2kJob) -> list[ErrorHandler]:
    """Return the handlers of a single point."""
    known = [UnconvergedScfHandler(), IllConditionedHandler(), WalltimeHandler(OUTPUT_FILE, enable_checkpointing=False)]
    return [*known, CutShortHandler(job, known), FrozenCp2kHandler(job, get_settings().dft_frozen_s)]


def relax_handlers(job: OwnCp2kJob, calculation: Cp2kCalculation) -> list[ErrorHandler]:
    """Return the handlers of a relaxation."""
    return [*static_handlers(job), ExplodedHandler(calculation), UnrelaxedHandler(calculation)]
