"""The sites of a host's supercell as arrays: symmetry permutations, Ewald matrix, charges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import spglib
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Lattice, Structure
from scipy.spatial import cKDTree

from lzc_flows.crystal.doping import Supercell
from lzc_flows.crystal.host import WYCKOFF, Host
from lzc_flows.crystal.ions import VACANT, charge_of
from lzc_flows.documents.protocols import SYMPREC_ANGSTROM
from lzc_flows.errors import CalculationError, InputError

MATCH = 10
"""How far from a site an operation may move another, over the symmetry tolerance: spglib averages sites that differ by
the tolerance, so more than that."""

Operation = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class SiteLattice:
    """All sites of a supercell, occupied ones first, then the vacant octahedra.

    Attributes
    ----------
    symprec_angstrom
        Symmetry tolerance in Å: sites that an operation would move by less are taken to be symmetric.
    """

    host: Host
    repeats: Supercell
    symprec_angstrom: float = SYMPREC_ANGSTROM

    @cached_property
    def cell(self) -> Host:
        """The host's supercell."""
        return self.host.supercell(self.repeats)

    @cached_property
    def structure(self) -> Structure:
        """The supercell with its vacant sites as if occupied."""
        return self.cell.with_vacant

    @property
    def n_occupied(self) -> int:
        """Number of sites occupied in the undoped supercell; they come first."""
        return len(self.cell.structure)

    @cached_property
    def labels(self) -> np.ndarray:
        """Wyckoff label of every site, shape (sites,)."""
        return np.array(self.structure.site_properties[WYCKOFF])

    @cached_property
    def ions(self) -> tuple[str, ...]:
        """Ion on every site of the undoped supercell, `VACANT` on the vacant ones."""
        occupied = [str(site.specie) for site in self.cell.structure]
        return tuple(occupied + [VACANT] * len(self.cell.vacant))

    @cached_property
    def charges(self) -> np.ndarray:
        """Charge of every site of the undoped supercell in e, shape (sites,)."""
        return np.array([charge_of(ion) for ion in self.ions], dtype=float)

    @cached_property
    def vacant(self) -> tuple[int, ...]:
        """Indices of the vacant sites."""
        return tuple(range(self.n_occupied, len(self.ions)))

    @cached_property
    def mobile(self) -> tuple[int, ...]:
        """Indices of the sites that hold the mobile ion."""
        return tuple(index for index, ion in enumerate(self.ions) if ion == self.host.mobile)

    def with_labels(self, labels: tuple[str, ...]) -> tuple[int, ...]:
        """Return the indices of the occupied sites with these labels."""
        return tuple(int(i) for i in np.flatnonzero(np.isin(self.labels[: self.n_occupied], labels)))

    @cached_property
    def permutations(self) -> np.ndarray:
        """The supercell's space group acting on the sites, shape (operations, sites), dtype int16.

        Raises
        ------
        InputError
            The symmetry tolerance merges sites: it is more than 1 / (2 `MATCH`) of their shortest distance.
        """
        fractional = self.structure.frac_coords
        largest = self._shortest_distance_angstrom / (2 * MATCH)
        if not 0 < self.symprec_angstrom <= largest:
            raise InputError(
                f"symmetry tolerance {self.symprec_angstrom:g} Å: above 0 and up to {largest:.3g} Å is allowed, "
                "or it merges sites of the host"
            )
        kinds = [f"{label} {ion}" for label, ion in zip(self.labels, self.ions, strict=True)]
        _, numbers = np.unique(kinds, return_inverse=True)
        cell = (self.structure.lattice.matrix, fractional, numbers + 1)
        symmetry: Any = spglib.get_symmetry(cell, symprec=self.symprec_angstrom)  # type: ignore[arg-type]
        operations = zip(symmetry["rotations"], symmetry["translations"], strict=True)
        match_angstrom = MATCH * self.symprec_angstrom
        return np.unique(site_permutations(self.structure.lattice, fractional, operations, match_angstrom), axis=0)

    @property
    def _shortest_distance_angstrom(self) -> float:
        distances = self.structure.distance_matrix
        return float(distances[~np.eye(len(distances), dtype=bool)].min())

    @cached_property
    def ewald_ev(self) -> np.ndarray:
        """Matrix M in eV: charges q (in e, summing to zero) have the energy qᵀMq; shape (sites, sites)."""
        return self._ewald.total_energy_matrix

    @cached_property
    def background_ev(self) -> float:
        """Energy in eV of the uniform background that neutralises a cell of 1 e, times the charge squared."""
        # pymatgen has it for the charge of its crystal, one positron a site
        with_background = self._ewald.total_energy
        return (with_background - float(self.ewald_ev.sum())) / len(self.structure) ** 2

    @cached_property
    def _ewald(self) -> EwaldSummation:
        unit = Structure(self.structure.lattice, ["H+"] * len(self.structure), self.structure.frac_coords)
        return EwaldSummation(unit)

    def electrostatic_ev(self, charges: np.ndarray) -> np.ndarray:
        """Return the point-charge energy in eV of each row of `charges`, shape (states, sites)."""
        return np.einsum("si,si->s", charges @ self.ewald_ev, charges)

    def decorated(self, ions: list[str]) -> Structure:
        """Return the structure with these ions on the sites, vacant ones left out, labels kept."""
        kept = [index for index, ion in enumerate(ions) if ion != VACANT]
        return Structure(
            self.structure.lattice,
            [ions[index] for index in kept],
            self.structure.frac_coords[kept],
            site_properties={WYCKOFF: [str(self.labels[index]) for index in kept]},
        )


def site_permutations(
    lattice: Lattice, fractional: np.ndarray, operations: Iterable[Operation], match_angstrom: float
) -> np.ndarray:
    """Return the site to which each operation moves each site, shape (operations, sites), dtype int16.

    Parameters
    ----------
    lattice
        The cell that repeats the sites.
    fractional
        Fractional coordinates of the sites, shape (sites, 3).
    operations
        Rotations, shape (3, 3), with their translations, shape (3,), both fractional.
    match_angstrom
        How far from a site, in Å, an operation may move another.

    Raises
    ------
    CalculationError
        An operation moves a site farther than `match_angstrom` from every site, or two sites onto one.
    """
    # the modulus of a tiny negative number is 1 by rounding, which the tree refuses
    tree = cKDTree(fractional % 1 % 1, boxsize=1)
    rows = []
    for number, (rotation, translation) in enumerate(operations):
        moved = fractional @ np.transpose(rotation) + translation
        row = tree.query(moved % 1 % 1)[1]
        apart = moved - fractional[row]
        misses = np.linalg.norm((apart - np.round(apart)) @ lattice.matrix, axis=1)
        worst = int(misses.argmax())
        if misses[worst] > match_angstrom:
            raise CalculationError(
                f"symmetry operation {number} moves site {worst} to {misses[worst]:.3g} Å from the nearest site; "
                f"up to {match_angstrom:g} Å is allowed"
            )
        rows.append(row)
    permutations = np.array(rows, dtype=np.int16)
    merging = np.flatnonzero((np.sort(permutations, axis=1) != np.arange(len(fractional))).any(axis=1))
    if len(merging):
        raise CalculationError(f"symmetry operation {merging[0]} moves two sites onto one")
    return permutations
