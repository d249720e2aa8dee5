"""VASP under custodian: which handlers watch each kind of calculation, and the run of one in its folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atomate2 import SETTINGS
from atomate2.vasp.sets.base import VaspInputGenerator
from custodian import Custodian
from custodian.custodian import (
    CustodianError,
    ErrorHandler,
    Job,
    MaxCorrectionsError,
    MaxCorrectionsPerJobError,
    ValidationError,
    Validator,
)
from custodian.vasp.handlers import (
    FrozenJobErrorHandler,
    IncorrectSmearingHandler,
    LargeSigmaHandler,
    MeshSymmetryErrorHandler,
    NonConvergingErrorHandler,
    PositiveEnergyErrorHandler,
    PotimErrorHandler,
    StdErrHandler,
    VaspErrorHandler,
)
from custodian.vasp.jobs import VaspJob, VaspNEBJob
from custodian.vasp.validators import VaspFilesValidator, VasprunXMLValidator
from pymatgen.io.vasp.inputs import Incar

from lzc_flows.documents.base import Correction
from lzc_flows.engines.vasp_potcars import unknown_potcars_allowed
from lzc_flows.engines.vasp_program import ending_with_us, vasp_commands
from lzc_flows.errors import CalculationError
from lzc_flows.recovery.corrections import corrections_of
from lzc_flows.recovery.vasp_handlers import (
    STOPPED_FILE,
    CutShortHandler,
    ElectronicallyUnconvergedHandler,
    EndedValidator,
    IonicallyUnconvergedHandler,
    NoClimbingHandler,
    StopInTimeHandler,
)
from lzc_flows.settings import get_settings

STDOUT_FILE = "vasp.out"
STDERR_FILE = "std_err.txt"
POLL_S = 0.5
"""How often custodian looks whether VASP has ended, in s."""

POLLS_A_CHECK = 60
"""How many of these looks go by until the monitors look at its files."""

OF_THE_IONS = frozenset(
    ("IBRION", "ISIF", "MDALGO", "NBLOCK", "NSW", "POTIM", "SMASS", "TEBEG", "TEEND", "IOPT", "IMAGES", "SPRING")
)
"""Tags of how ions move, which the protocol alone decides."""


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


def _message_handlers() -> list[ErrorHandler]:
    return [VaspErrorHandler()]


def _neb_handlers() -> list[ErrorHandler]:
    return [VaspErrorHandler(), NoClimbingHandler(NEB_OUTCAR)]


NEB_OUTCAR = "01/OUTCAR"

STATIC = VaspKind("single point", _static_handlers)
RELAX = VaspKind("relaxation", _relax_handlers)
SHORT_RELAX = VaspKind("short relaxation", _short_relax_handlers)
# electrons do not converge where none are asked to
ATOMS = VaspKind("superposition of atoms", _message_handlers, validators=(EndedValidator(),))
MD = VaspKind("molecular dynamics", _md_handlers, validators=())
NEB = VaspKind("elastic band", _neb_handlers, validators=(), job=VaspNEBJob, outcar=NEB_OUTCAR)
"""The kinds of calculation; whoever runs the last two looks after what they wrote."""


@dataclass(frozen=True)
class VaspEnd:
    """How VASP ended: what was mended, and whether it was asked to stop before its end."""

    corrections: list[Correction]
    stopped: bool


def write_inputs(inputs: VaspInputGenerator, folder: Path) -> None:
    """Write INCAR, KPOINTS, POSCAR and POTCAR to a folder, which is made; stand-ins of POTCARs are none to warn of."""
    with unknown_potcars_allowed():
        inputs.write_input(os.fspath(folder))


def run_vasp(kind: VaspKind, folder: Path) -> VaspEnd:
    """Run VASP on the files in `folder`, again after each correction, until it ends well or the time is over.

    Raises
    ------
    InputError
        There is no VASP.
    CalculationError
        The handlers could not mend it; the line says what was wrong last.
    """
    custodian = _custodian(kind, folder, SETTINGS.VASP_CUSTODIAN_MAX_ERRORS)
    try:
        custodian.run()
    except CustodianError as error:
        raise _failure(kind, error, corrections_of(custodian)) from error
    return _end(custodian, folder)


def run_vasp_once(kind: VaspKind, folder: Path) -> VaspEnd:
    """Run VASP on the files in `folder` once; whoever runs it takes what it did before an error, and goes on.

    The error is corrected in the INCAR there (see `changed_tags`).

    Raises
    ------
    InputError
        There is no VASP.
    CalculationError
        An error that no handler can correct.
    """
    custodian = _custodian(kind, folder, most_errors=1)
    try:
        custodian.run()
    except (MaxCorrectionsError, MaxCorrectionsPerJobError):
        pass
    except CustodianError as error:
        raise _failure(kind, error, corrections_of(custodian)) from error
    return _end(custodian, folder)


def changed_tags(folder: Path) -> dict[str, Any]:
    """Return the tags of the electrons that handlers have changed in a folder's INCAR."""
    now, before = (Incar.from_file(folder / name) for name in ("INCAR", "INCAR.orig"))
    return {tag: value for tag, value in now.items() if before.get(tag) != value and tag not in OF_THE_IONS}


def change_tags(folder: Path, tags: Mapping[str, Any]) -> None:
    """Change tags of a folder's INCAR."""
    (Incar.from_file(folder / "INCAR") | dict(tags)).write_file(folder / "INCAR")


def _custodian(kind: VaspKind, folder: Path, most_errors: int) -> Custodian:
    for leftover in (STOPPED_FILE, "STOPCAR"):
        (folder / leftover).unlink(missing_ok=True)
    standard, gamma = (ending_with_us(command) for command in vasp_commands())
    settings = get_settings()
    monitors = [
        FrozenJobErrorHandler(output_filename=STDOUT_FILE, timeout=settings.dft_frozen_s),
        StdErrHandler(output_filename=STDERR_FILE),
        StopInTimeHandler(kind.outcar, settings.stop_at_s),
    ]
    return Custodian(
        [*kind.handlers(), *monitors],
        [kind.job(standard, output_file=STDOUT_FILE, stderr_file=STDERR_FILE, gamma_vasp_cmd=gamma, auto_npar=False)],
        validators=kind.validators,
        max_errors=most_errors,
        polling_time_step=POLL_S,
        monitor_freq=POLLS_A_CHECK,
        terminate_on_nonzero_returncode=False,
        directory=os.fspath(folder),
    )


def _end(custodian: Custodian, folder: Path) -> VaspEnd:
    mended = [correction for correction in corrections_of(custodian) if correction.actions]
    return VaspEnd(mended, (folder / STOPPED_FILE).exists())


def _failure(kind: VaspKind, error: CustodianError, corrections: list[Correction]) -> CalculationError:
    cause = _cause(error, corrections)
    return CalculationError(f"VASP's {kind.what} failed after {len(corrections)} corrections: {cause}")


def _cause(error: CustodianError, corrections: list[Correction]) -> str:
    if isinstance(error, ValidationError):
        return f"{error.message}, its output is not whole"
    return ", ".join(corrections[-1].errors) if corrections else error.message
