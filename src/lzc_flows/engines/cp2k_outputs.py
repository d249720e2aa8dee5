"""What CP2K wrote: energies, forces and stress of its output, the last geometry of its restart file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lzc_flows.engines.cp2k_inputs import BOHR_ANGSTROM, EV_PER_ANGSTROM3_BAR, HARTREE_EV, PROJECT
from lzc_flows.errors import CalculationError

INPUT_FILE = "cp2k.inp"
OUTPUT_FILE = "cp2k.out"
RESTART_FILE = f"{PROJECT}-1.restart"
WAVEFUNCTION_FILES = (f"{PROJECT}-RESTART.wfn", f"{PROJECT}-RESTART.kp")
"""Orbitals, or with k-points the density matrix, from which CP2K goes on."""

HARTREE_PER_BOHR_EV_ANGSTROM = HARTREE_EV / BOHR_ANGSTROM
_GPA_EV_PER_ANGSTROM3 = 1e4 / EV_PER_ANGSTROM3_BAR

_ENERGY = re.compile(r"ENERGY\| Total FORCE_EVAL .*?:\s+(\S+)")
_FORCES = re.compile(r"ATOMIC FORCES in \[a\.u\.\]\n(.*?)\n SUM OF ATOMIC FORCES", re.DOTALL)
_STRESS = re.compile(r"STRESS\| Analytical stress tensor \[GPa\]\n.*\n((?: STRESS\| +[xyz] .*\n){3})")
_SCF = re.compile(r"SCF run (NOT )?converged")
_STEP = re.compile(r"OPTIMIZATION STEP:\s+(\d+)")
_OPTIMISED = re.compile(r"(?:GEOMETRY|CELL) OPTIMIZATION COMPLETED")
_TIME_OVER = re.compile(r"exceeded requested execution time")
_ENDED = re.compile(r"PROGRAM ENDED AT")
_ABORTED = re.compile(r"\[ABORT\].*?\n((?:.*\n){0,6})")


@dataclass(frozen=True)
class Cp2kOutput:
    """What an output holds, in the end or so far.

    Attributes
    ----------
    energies_ev
        Energy of each evaluation.
    forces
        Forces of the last evaluation that wrote them, (n, 3), eV/Å; None before.
    stress_ev_per_angstrom3
        Stress with it, (3, 3), eV/Å³, positive under tension; None before.
    steps
        Optimisation steps.
    scf_converged
        Whether each self-consistency so far converged.
    optimised
        Whether an optimisation came to its end.
    time_over
        Whether CP2K stopped because its time was over.
    ended
        Whether CP2K came to its own end.
    abort
        CP2K's own words where it aborted, in one line.
    """

    energies_ev: tuple[float, ...]
    forces: NDArray[np.float64] | None
    stress_ev_per_angstrom3: NDArray[np.float64] | None
    steps: int
    scf_converged: bool
    optimised: bool
    time_over: bool
    ended: bool
    abort: str | None

    @property
    def max_force_ev_per_angstrom(self) -> float:
        """Length of the longest force, in eV/Å; infinite before there are any."""
        return float("inf") if self.forces is None else float(np.linalg.norm(self.forces, axis=1).max())


def read_output(file: Path) -> Cp2kOutput:
    """Return what an output holds; one that is not there yet holds nothing."""
    text = file.read_text(errors="replace") if file.is_file() else ""
    forces, stress = _FORCES.findall(text), _STRESS.findall(text)
    aborted = _ABORTED.search(text)
    steps = _STEP.findall(text)
    return Cp2kOutput(
        energies_ev=tuple(float(energy) * HARTREE_EV for energy in _ENERGY.findall(text)),
        forces=_numbers(forces[-1].splitlines()[2:]) * HARTREE_PER_BOHR_EV_ANGSTROM if forces else None,
        # CP2K counts compression as positive
        stress_ev_per_angstrom3=-_numbers(stress[-1].splitlines()) * _GPA_EV_PER_ANGSTROM3 if stress else None,
        steps=int(steps[-1]) if steps else 0,
        scf_converged=not any(_SCF.findall(text)),
        optimised=bool(_OPTIMISED.search(text)),
        time_over=bool(_TIME_OVER.search(text)),
        ended=bool(_ENDED.search(text)),
        abort=_one_line(aborted[1]) if aborted else None,
    )


def last_geometry(folder: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return the cell (3, 3) and the positions (n, 3) of CP2K's restart file, in Å; None if there is none.

    Raises
    ------
    CalculationError
        The file is damaged.
    """
    file = folder / RESTART_FILE
    if not file.is_file():
        return None
    text = file.read_text()
    cell = re.search(r"&CELL\n((?:\s+[ABC] .*\n){3})", text)
    coordinates = re.search(r"&COORD\n(.*?)&END COORD", text, re.DOTALL)
    if cell is None or coordinates is None or not text.rstrip().endswith("&END FORCE_EVAL"):
        raise CalculationError(f"{file}: damaged")
    return _numbers(cell[1].splitlines()), _numbers(coordinates[1].strip().splitlines())


def _numbers(lines: list[str]) -> NDArray[np.float64]:
    """Return the last three numbers of each line."""
    return np.array([line.split()[-3:] for line in lines], dtype=float)


def _one_line(block: str) -> str:
    """Return the words in CP2K's box around an error."""
    words = [re.sub(r"^[ *|/\\_O]+|[ *]+$", "", line) for line in block.splitlines()]
    return " ".join(word for word in words if word)
