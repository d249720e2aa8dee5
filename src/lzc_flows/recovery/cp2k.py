"""CP2K under custodian: single points and relaxations by CP2K itself, in folders from which later launches go on."""

from __future__ import annotations

from pathlib import Path

from pymatgen.core import Structure

from lzc_flows.documents.base import Correction
from lzc_flows.documents.dft import DftProtocol
from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.engines.cp2k import Cp2kEngine
from lzc_flows.engines.cp2k_outputs import INPUT_FILE, OUTPUT_FILE, read_output
from lzc_flows.engines.cp2k_program import cp2k_command
from lzc_flows.engines.relax_worker import Relaxed
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.files import write_atomically
from lzc_flows.recovery.cp2k_calculation import CALCULATION_FILE, Cp2kCalculation, Launches, take_last_geometry
from lzc_flows.recovery.cp2k_handlers import OwnCp2kJob, relax_handlers, static_handlers
from lzc_flows.recovery.folder import alone_in
from lzc_flows.recovery.relax import RelaxRun
from lzc_flows.recovery.worker import run_job
from lzc_flows.settings import get_settings

LOCK_FILE = "cp2k.lock"


class TimeOverError(CalculationError):
    """CP2K stopped because the time of the batch job was over; a later launch in the same folder goes on."""


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


def _run(calculation: Cp2kCalculation, folder: Path) -> RelaxRun:
    Cp2kEngine(calculation.dft).require(calculation.ions)
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
    return run_job(job, handlers, calculation.what, folder)
