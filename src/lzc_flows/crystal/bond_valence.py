"""Bond-valence mismatch of a cell whose anion sites are mixed.

Bond valence s = exp((R0 − R)/b) with the element parameters of O'Keeffe and Brese, J. Am. Chem. Soc. 113,
3226 (1991), as packaged in pymatgen, and their b = 0.37 Å. The global instability index (GII) is the root
mean square of (valence sum − formal charge) over the ions, Salinas-Sanchez et al., J. Solid State Chem. 100,
201 (1992). Its square is quadratic in what the anion sites hold, so that arrangements can be ranked by it while they
are enumerated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import exp, sqrt
from typing import Any

import numpy as np
from pymatgen.analysis.bond_valence import BV_PARAMS
from pymatgen.core import Element, Lattice

from lzc_flows.crystal.ions import charge_of, element_of
from lzc_flows.crystal.orbits import Placement
from lzc_flows.crystal.quadratic import QuadraticForm, quadratic_form
from lzc_flows.errors import InputError

SOFTNESS_ANGSTROM = 0.37
CUTOFF_ANGSTROM = 3.5
"""Beyond the first shell of every cation in the host, before the second."""


@dataclass(frozen=True)
class MixedAnions:
    """Fixed cations around anion sites that hold one of two anions.

    Attributes
    ----------
    excess
        Valence sum minus charge of each cation with the host's anion everywhere, shape (cations,).
    change
        What the substituted anion at a site adds to each cation's sum, shape (cations, anion sites).
    host_excess, guest_excess
        Valence sum minus charge of each anion site, holding the host's or the substituted anion.
    """

    excess: np.ndarray
    change: np.ndarray
    host_excess: np.ndarray
    guest_excess: np.ndarray

    @property
    def n_ions(self) -> int:
        """Number of cations and anion sites."""
        return len(self.excess) + len(self.host_excess)


@dataclass(frozen=True)
class Mismatch:
    """The sum of squares behind the GII, in valence units squared, as an energy of placed guest anions.

    Attributes
    ----------
    bonds
        Bond valences of the cell.
    anion_sites
        Site of each anion in `bonds`, shape (anion sites,).
    n_sites
        Number of sites, those of cations and empty ones as well.
    """

    bonds: MixedAnions
    anion_sites: np.ndarray
    n_sites: int

    def form(self, placements: list[Placement]) -> QuadraticForm:
        """Return what placing the guest costs, whatever the placements' ions are called."""
        bonds, sites = self.bonds, self.anion_sites
        change = np.zeros((len(placements), self.n_sites))
        change[:, sites] = 1
        potential = np.zeros(self.n_sites)
        potential[sites] = bonds.excess @ bonds.change + (bonds.guest_excess**2 - bonds.host_excess**2) / 2
        matrix = np.zeros((self.n_sites, self.n_sites))
        matrix[np.ix_(sites, sites)] = bonds.change.T @ bonds.change
        base = float((bonds.excess**2).sum() + (bonds.host_excess**2).sum())
        return quadratic_form(base, change, potential, matrix)

    def instability_vu(self, energies: np.ndarray) -> np.ndarray:
        """Return the GII in valence units from sums of squares."""
        return np.sqrt(energies / self.bonds.n_ions)


def mixed_anions(
    lattice: Lattice,
    cations: tuple[list[str], np.ndarray],
    anions: tuple[list[str], np.ndarray],
    guest: str,
) -> MixedAnions:
    """Return the bond valences of a cell; cations and anions as (ions, fractional coordinates)."""
    bonds: list[tuple[int, int, float]] = []
    for row, centre in enumerate(lattice.get_cartesian_coords(cations[1])):
        near: Any = lattice.get_points_in_sphere(anions[1], centre, CUTOFF_ANGSTROM, zip_results=False)
        _, distances, columns, _ = near
        bonds += [(row, int(column), float(d)) for column, d in zip(columns, distances, strict=True)]

    def valences(columns: list[str]) -> np.ndarray:
        table = np.zeros((len(cations[0]), len(columns)))
        # a small cell holds several images of one anion, hence the sum
        for row, column, distance in bonds:
            length = bond_length_angstrom(cations[0][row], columns[column])
            table[row, column] += exp((length - distance) / SOFTNESS_ANGSTROM)
        return table

    host, guests = valences(anions[0]), valences([guest] * len(anions[0]))
    charges = np.array([charge_of(ion) for ion in cations[0]])
    anion_charges = np.array([abs(charge_of(ion)) for ion in anions[0]])
    return MixedAnions(
        excess=host.sum(axis=1) - charges,
        change=guests - host,
        host_excess=host.sum(axis=0) - anion_charges,
        guest_excess=guests.sum(axis=0) - anion_charges,
    )


@cache
def bond_length_angstrom(cation: str, anion: str) -> float:
    """Return R0 in Å, the length of a bond of valence 1 (O'Keeffe and Brese, equation 3).

    Raises
    ------
    InputError
        The table has no entry for an element.
    """
    parameters = []
    for ion in (cation, anion):
        element = Element(element_of(ion))
        if element not in BV_PARAMS:
            raise InputError(f"{ion}: no bond-valence parameters for {element.symbol} (O'Keeffe and Brese)")
        parameters.append((BV_PARAMS[element]["r"], BV_PARAMS[element]["c"]))
    (r1, c1), (r2, c2) = parameters
    return r1 + r2 - r1 * r2 * (sqrt(c1) - sqrt(c2)) ** 2 / (c1 * r1 + c2 * r2)
