"""A calculation by CP2K in a folder: its input there, its result, and how a later launch goes on from its files."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pymatgen.core import Lattice, Structure

from lzc_flows.documents.dft import DftProtocol
from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.engines.base import Ions, ions_of
from lzc_flows.engines.cp2k_inputs import relax_input, static_input, upright
from lzc_flows.engines.cp2k_outputs import INPUT_FILE, OUTPUT_FILE, Cp2kOutput, last_geometry, read_output
from lzc_flows.engines.relax_worker import Relaxed
from lzc_flows.errors import CalculationError
from lzc_flows.files import write_atomically

CALCULATION_FILE = "cp2k_calculation.json"
"""What is calculated in the folder, and what its launches before the last one did."""

COORDINATES = re.compile(r"&COORD\n.*?&END COORD", re.DOTALL)
"""The block of an input that holds the atoms."""

_ATOM = re.compile(r"(?m)^(\s*[A-Z][a-z]?_\d+) .*$")
_VECTOR = re.compile(r"(?m)^(\s*[ABC]) [-\d].*$")


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
    text = COORDINATES.sub(lambda block: _ATOM.sub(lambda row: f"{row[1]} {next(positions)}", block[0]), text, count=1)
    # the first three are the cell's, those of the reference cell stay
    text = _VECTOR.sub(lambda row: f"{row[1]} {next(cell)}", text, count=3)
    write_atomically(folder / INPUT_FILE, text.encode())
    return True


def set_walltime(folder: Path, stop_at_s: float | None) -> None:
    """Tell CP2K how many seconds it has."""
    text = re.sub(r"(?m)^\s*WALLTIME .*\n", "", (folder / INPUT_FILE).read_text())
    if stop_at_s is not None:
        left_s = max(int(stop_at_s - time.time()), 1)
        text = re.sub(r"(?m)^&GLOBAL\n", f"&GLOBAL\n\tWALLTIME {left_s}\n", text)
    write_atomically(folder / INPUT_FILE, text.encode())
