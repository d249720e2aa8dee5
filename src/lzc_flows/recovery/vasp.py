"""VASP under custodian: which handlers watch each kind of calculation, and the run of one in its folder."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atomate2 import SETTINGS
from custodian import Custodian
from custodian.custodian import CustodianError, ErrorHandler, Job, ValidationError, Validator
from custodian.vasp.handlers import (
    FrozenJobErrorHandler,
    IncorrectSmearingHandler,
    LargeSigmaHandler,
    MeshSymmetryErrorHandler,
    NonConvergingErrorHandler,
    PositiveEnergyErrorHandler,
    PotimErrorHandler,
    StdErrHandler,
    UnconvergedErrorHandler,
    VaspErrorHandler,
    WalltimeHandler,
)
from custodian.vasp.interpreter import VaspModder
from custodian.vasp.io import load_vasprun
from custodian.vasp.jobs import VaspJob, VaspNEBJob
from custodian.vasp.validators import VaspFilesValidator, VasprunXMLValidator
from pymatgen.io.vasp.inputs import Poscar

from lzc_flows.documents.base import Correction
from lzc_flows.engines.vasp_program import vasp_commands
from lzc_flows.errors import CalculationError
from lzc_flows.recovery.corrections import corrections_of
from lzc_flows.settings import get_settings

STDOUT_FILE = "vasp.out"
STDERR_FILE = "std_err.txt"
STOPPED_FILE = "lzc_stopped"
"""Says that VASP was asked to stop because the time was over."""

POLL_S = 0.5
"""How often custodian looks whether VASP has ended, in s."""

POLLS_A_CHECK = 60
"""How many of these looks go by until the monitors look at its files."""

TAIL_BYTES = 200_000
"""So much of the end of an OUTCAR holds the time of its last ionic step."""


class StopInTimeHandler(WalltimeHandler):
    """Ask VASP to stop after an ionic step while there is time for three more: what it wrote then goes on later.

    Custodian's own handler reads the whole OUTCAR at each look, and takes the length of a walltime, not its end.
    """

    def __init__(self, outcar: str, stop_at_s: float | None) -> None:
        self.outcar = outcar
        self.stop_at_s = stop_at_s

    def check(self, directory: str = "./") -> bool:
        """Return whether the time is nearly over."""
        if self.stop_at_s is None or (Path(directory) / STOPPED_FILE).exists():
            return False
        return time.time() + 3 * last_ionic_step_s(Path(directory) / self.outcar) > self.stop_at_s

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Write the STOPCAR."""
        (Path(directory) / "STOPCAR").write_text("LSTOP = .TRUE.\n")
        (Path(directory) / STOPPED_FILE).touch()
        return {"errors": ["the time of the batch job is nearly over"], "actions": None}


class IonicallyUnconvergedHandler(UnconvergedErrorHandler):
    """Custodian's handler of what did not converge, except where VASP was asked to stop."""

    def check(self, directory: str = "./") -> bool:
        """Return whether the calculation ended by itself without convergence."""
        return not (Path(directory) / STOPPED_FILE).exists() and super().check(directory)


class ElectronicallyUnconvergedHandler(IonicallyUnconvergedHandler):
    """Custodian's handler of electrons that did not converge; ions may be on their way."""

    def check(self, directory: str = "./") -> bool:
        """Return whether it is the electrons."""
        return (
            super().check(directory) and not load_vasprun(os.path.join(directory, "vasprun.xml")).converged_electronic
        )


class CutShortHandler(ErrorHandler):
    """VASP ended in the middle without a message, as when it is killed: go on from where the ions were."""

    max_num_corrections = 2
    raise_on_max = True

    def __init__(self, others: Sequence[ErrorHandler]) -> None:
        self.others = others

    def check(self, directory: str = "./") -> bool:
        """Return whether the output lacks its end and no other handler knows why."""
        vasprun = Path(directory) / "vasprun.xml"
        whole = vasprun.is_file() and b"</modeling>" in tail(vasprun)
        return not whole and not any(other.check(directory) for other in self.others)

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Start again, from the CONTCAR if that is whole."""
        actions = []
        if is_whole_poscar(Path(directory) / "CONTCAR"):
            actions = [{"file": "CONTCAR", "action": {"_file_copy": {"dest": "POSCAR"}}}]
            VaspModder(directory=directory).apply_actions(actions)
        return {"errors": ["VASP ended without a message and without its last output"], "actions": actions or ["rerun"]}


@dataclass(frozen=True)
class VaspKind:
    """A kind of calculation.

    Attributes
    ----------
    what
        What an error calls it.
    handlers
        Makes its error handlers, those of every kind left out.
    validators
        What must be there at its end.
    job
        Custodian's job.
    outcar
        Where it tells how long a step took.
    """

    what: str
    handlers: Callable[[], list[ErrorHandler]]
    validators: tuple[Validator, ...] = (VasprunXMLValidator(), VaspFilesValidator())
    job: Callable[..., Job] = VaspJob
    outcar: str = "OUTCAR"


def _handlers(unconverged: ErrorHandler) -> list[ErrorHandler]:
    messages = VaspErrorHandler()
    return [
        messages,
        MeshSymmetryErrorHandler(),
        unconverged,
        NonConvergingErrorHandler(),
        PositiveEnergyErrorHandler(),
        LargeSigmaHandler(),
        IncorrectSmearingHandler(),
        CutShortHandler([messages]),
    ]


def _short_relax_handlers() -> list[ErrorHandler]:
    return [PotimErrorHandler(), *_handlers(ElectronicallyUnconvergedHandler())]


def _relax_handlers() -> list[ErrorHandler]:
    return [PotimErrorHandler(), *_handlers(IonicallyUnconvergedHandler())]


def _static_handlers() -> list[ErrorHandler]:
    return _handlers(ElectronicallyUnconvergedHandler())


def _md_handlers() -> list[ErrorHandler]:
    # a part that ended early is continued by the run itself, with its velocities
    return [VaspErrorHandler(), NonConvergingErrorHandler(), PositiveEnergyErrorHandler(), LargeSigmaHandler()]


def _neb_handlers() -> list[ErrorHandler]:
    return [VaspErrorHandler()]


STATIC = VaspKind("single point", _static_handlers)
RELAX = VaspKind("relaxation", _relax_handlers)
SHORT_RELAX = VaspKind("short relaxation", _short_relax_handlers)
MD = VaspKind("molecular dynamics", _md_handlers, validators=())
NEB = VaspKind("elastic band", _neb_handlers, validators=(), job=VaspNEBJob, outcar="01/OUTCAR")
"""The kinds of calculation; whoever runs the last two looks after what they wrote."""


@dataclass(frozen=True)
class VaspEnd:
    """How VASP ended: what was mended, and whether it was asked to stop before its end."""

    corrections: list[Correction]
    stopped: bool


def run_vasp(kind: VaspKind, folder: Path) -> VaspEnd:
    """Run VASP on the files in `folder` until it ends well, or is asked to stop because the time is over.

    Raises
    ------
    InputError
        There is no VASP.
    CalculationError
        The handlers could not mend it; the line says what was wrong last.
    """
    (folder / STOPPED_FILE).unlink(missing_ok=True)
    (folder / "STOPCAR").unlink(missing_ok=True)
    standard, gamma = (_ending_with_us(command) for command in vasp_commands())
    settings = get_settings()
    monitors = [
        FrozenJobErrorHandler(output_filename=STDOUT_FILE, timeout=settings.dft_frozen_s),
        StdErrHandler(output_filename=STDERR_FILE),
        StopInTimeHandler(kind.outcar, settings.stop_at_s),
    ]
    custodian = Custodian(
        [*kind.handlers(), *monitors],
        [kind.job(standard, output_file=STDOUT_FILE, stderr_file=STDERR_FILE, gamma_vasp_cmd=gamma, auto_npar=False)],
        validators=kind.validators,
        max_errors=SETTINGS.VASP_CUSTODIAN_MAX_ERRORS,
        polling_time_step=POLL_S,
        monitor_freq=POLLS_A_CHECK,
        terminate_on_nonzero_returncode=False,
        directory=os.fspath(folder),
    )
    try:
        custodian.run()
    except CustodianError as error:
        corrections = corrections_of(custodian)
        raise CalculationError(
            f"VASP's {kind.what} failed after {len(corrections)} corrections: {_cause(error, corrections)}"
        ) from error
    stopped = (folder / STOPPED_FILE).exists()
    mended = [correction for correction in corrections_of(custodian) if correction.actions]
    return VaspEnd(mended, stopped)


def is_whole_poscar(path: Path) -> bool:
    """Return whether a file holds a whole POSCAR or CONTCAR."""
    try:
        return len(Poscar.from_file(path, check_for_potcar=False).structure) > 0
    except (OSError, ValueError, IndexError, TypeError):
        return False


def last_ionic_step_s(outcar: Path) -> float:
    """Return how long VASP's last ionic step took, in s; 0 before the first."""
    if not outcar.is_file():
        return 0.0
    found = re.findall(rb"LOOP\+:.+real time\s+([\d.]+)", tail(outcar))
    return float(found[-1]) if found else 0.0


def tail(path: Path) -> bytes:
    """Return the last `TAIL_BYTES` of a file."""
    with path.open("rb") as stream:
        stream.seek(max(path.stat().st_size - TAIL_BYTES, 0))
        return stream.read()


def _ending_with_us(command: list[str]) -> list[str]:
    """Return the command such that it does not outlive a worker that is killed."""
    return ["setpriv", "--pdeathsig", "KILL", *command] if shutil.which("setpriv") else command


def _cause(error: CustodianError, corrections: list[Correction]) -> str:
    if isinstance(error, ValidationError):
        return f"{error.message}, its output is not whole"
    if corrections:
        last = corrections[-1]
        return f"{', '.join(last.errors)} ({error.message.rstrip('.')})"
    return error.message
