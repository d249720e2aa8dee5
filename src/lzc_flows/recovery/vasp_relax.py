"""Relaxations and single points by VASP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from atomate2.vasp.sets.base import VaspInputGenerator
from pymatgen.core import Structure

from lzc_flows.documents.base import Correction
from lzc_flows.documents.dft import DftProtocol
from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.engines.relax_worker import Relaxed
from lzc_flows.engines.vasp_inputs import grouped, relax_inputs, static_inputs
from lzc_flows.errors import CalculationError
from lzc_flows.recovery.relax import RelaxRun
from lzc_flows.recovery.vasp import RELAX, SHORT_RELAX, STATIC, VaspKind
from lzc_flows.recovery.vasp_calculation import VaspCalculation, identity_of, ungrouped

FOLDER = "vasp"


@dataclass(frozen=True)
class VaspRelaxation:
    """A crystal that VASP relaxes, or of which it computes a single point.

    Attributes
    ----------
    structure
        Ordered, with oxidation states where they are known.
    dft
        How electrons are treated.
    protocol
        Force limit, steps, optimizer, cell; None for a single point.
    """

    structure: Structure
    dft: DftProtocol
    protocol: RelaxProtocol | None

    def calculation(self, kind: VaspKind, folder: Path, earlier: Sequence[Path] = ()) -> VaspCalculation:
        """Return its calculation in a folder, which goes on from what is there or in earlier ones."""
        return VaspCalculation(kind, self._inputs, folder, self._checksum, earlier)

    def result(self, calculation: VaspCalculation) -> Relaxed:
        """Return what a finished calculation gave.

        Raises
        ------
        CalculationError
            Its output is not whole.
        """
        vasprun = calculation.vasprun()
        _, order = grouped(self.structure)
        lattice, last = vasprun.final_structure.lattice, vasprun.ionic_steps[-1]
        # coordinates as near to the start as can be: VASP wraps them into the cell
        fractional = ungrouped(vasprun.final_structure.frac_coords, order)
        fractional -= np.rint(fractional - self.structure.frac_coords)
        return Relaxed(
            structure=Structure(lattice, self.structure.species, fractional),
            energy_ev=float(last["e_0_energy"]),
            max_force_ev_per_angstrom=float(np.linalg.norm(last["forces"], axis=1).max()),
            converged=bool(vasprun.converged),
            steps=len(vasprun.ionic_steps),
            wall_s=calculation.history.wall_s,
        )

    def _inputs(self) -> VaspInputGenerator:
        sites, _ = grouped(self.structure)
        if self.protocol is None:
            return static_inputs(self.dft, sites)
        return relax_inputs(self.dft, self.protocol, sites)

    @property
    def _checksum(self) -> str:
        return identity_of(self.structure, self.dft, self.protocol.model_dump_json() if self.protocol else "static")


def relax_with_vasp(relaxation: VaspRelaxation, folder: Path, earlier: Sequence[Path]) -> RelaxRun:
    """Relax one crystal in `folder` until it converges, or the time is over; earlier launches are gone on from.

    Raises
    ------
    InputError, CalculationError
        As `VaspCalculation.run`; a relaxation that ran out of steps.
    """
    calculation = relaxation.calculation(RELAX, folder / FOLDER, [place / FOLDER for place in earlier])
    if not calculation.run():
        return RelaxRun([], calculation.history.corrections, finished=False)
    relaxed = relaxation.result(calculation)
    if not relaxed.converged:
        raise CalculationError(
            f"VASP's relaxation is not converged after {relaxed.steps} steps: "
            f"{relaxed.max_force_ev_per_angstrom:.3f} eV/Å"
        )
    return RelaxRun([relaxed], calculation.history.corrections)


def relax_several_with_vasp(relaxations: Sequence[VaspRelaxation], folder: Path, earlier: Sequence[Path]) -> RelaxRun:
    """Relax crystals, or compute their single points, one after the other; converged or not.

    Raises
    ------
    InputError, CalculationError
        As `VaspCalculation.run`.
    """
    found: list[Relaxed] = []
    corrections: list[Correction] = []
    for number, relaxation in enumerate(relaxations):
        name = f"{FOLDER}-{number:02d}"
        kind = STATIC if relaxation.protocol is None else SHORT_RELAX
        calculation = relaxation.calculation(kind, folder / name, [place / name for place in earlier])
        if not calculation.run():
            return RelaxRun(found, corrections, finished=False)
        found.append(relaxation.result(calculation))
        corrections += calculation.history.corrections
    return RelaxRun(found, corrections)
