"""Charge density, its difference from superposed atoms, localisation and densities of states by VASP."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure
from pymatgen.io.vasp.outputs import Chgcar, Elfcar, Oszicar, Vasprun

from lzc_flows.documents.base import Correction
from lzc_flows.documents.dft import DftProtocol
from lzc_flows.engines.vasp_inputs import electronic_inputs, grouped, superposition_inputs
from lzc_flows.errors import CalculationError
from lzc_flows.recovery.vasp import ATOMS, STATIC
from lzc_flows.recovery.vasp_calculation import VaspCalculation, identity_of


@dataclass(frozen=True, eq=False)
class Electrons:
    """What VASP says of the electrons of a crystal.

    Attributes
    ----------
    energy_ev, gap_ev, fermi_ev
        Energy of the cell, band gap, Fermi energy, eV.
    electrons, moment_mu_b
        Valence electrons and magnetic moment of the cell.
    density, difference
        Charge density, and less that of superposed atoms, on VASP's grid, electrons/Å³.
    localisation
        Electron localisation function on a grid of its own, 0 to 1; the mean of both spins.
    energies_ev, dos
        Energies above the Fermi energy (n,), eV, and states per eV and cell: ``total`` and each element, (n,).
    wall_s, corrections, folder
        What it took, and where.
    """

    energy_ev: float
    gap_ev: float
    fermi_ev: float
    electrons: float
    moment_mu_b: float
    density: NDArray[np.float64]
    difference: NDArray[np.float64]
    localisation: NDArray[np.float64]
    energies_ev: NDArray[np.float64]
    dos: dict[str, NDArray[np.float64]]
    wall_s: float
    corrections: list[Correction]
    folder: Path


def electrons_with_vasp(
    structure: Structure, dft: DftProtocol, folder: Path, earlier: Sequence[Path] = ()
) -> Electrons | None:
    """Return what VASP says of the electrons of a crystal; None where the time was over before that.

    Two calculations: the self-consistent one, and that of superposed atoms.

    Raises
    ------
    InputError, CalculationError
        As `VaspCalculation.run`; an output that is not whole.
    """
    sites, _ = grouped(structure)
    checksum = identity_of(structure, dft)
    runs = []
    for name, kind, inputs in (("scf", STATIC, electronic_inputs), ("atoms", ATOMS, superposition_inputs)):
        places = [place / name for place in earlier]
        runs.append(VaspCalculation(kind, partial(inputs, dft, sites), folder / name, checksum, places))
        if not runs[-1].run():
            return None
    try:
        return _read(runs[0], runs[1])
    except CalculationError:
        for run in runs:
            run.forget()
        raise


def _read(scf: VaspCalculation, atoms: VaspCalculation) -> Electrons:
    """Return what both calculations wrote."""
    try:
        vasprun = Vasprun(scf.folder / "vasprun.xml", parse_potcar_file=False)
        charge, superposed = (Chgcar.from_file(os.fspath(run.folder / "CHGCAR")) for run in (scf, atoms))
        local = Elfcar.from_file(os.fspath(scf.folder / "ELFCAR"))
    except Exception as error:  # the parsers tell a file that is cut by whatever their parts raise
        raise CalculationError(f"{scf.folder}: output of VASP is not whole ({error})") from None
    volume = charge.structure.volume
    density, before = (each.data["total"] / volume for each in (charge, superposed))
    gap: Any = vasprun.eigenvalue_band_properties[0]
    whole: Any = vasprun.complete_dos
    curves = {str(element): dos.get_densities() for element, dos in whole.get_element_dos().items()}
    return Electrons(
        energy_ev=float(vasprun.ionic_steps[-1]["e_0_energy"]),
        gap_ev=float(gap),
        fermi_ev=float(whole.efermi),
        electrons=float(vasprun.parameters["NELECT"]),
        moment_mu_b=float(Oszicar(scf.folder / "OSZICAR").ionic_steps[-1].get("mag", 0.0)),
        density=density,
        difference=density - before,
        localisation=np.mean(list(local.data.values()), axis=0),
        energies_ev=whole.energies - whole.efermi,
        dos={"total": whole.get_densities(), **curves},
        wall_s=scf.history.wall_s + atoms.history.wall_s,
        corrections=[*scf.history.corrections, *atoms.history.corrections],
        folder=scf.folder,
    )
