"""The space group of a crystal acting on the sites of its mobile ion, whole cells included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import spglib
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from lzc_flows.crystal.sitelattice import site_permutations
from lzc_flows.errors import InputError
from lzc_flows.transport.components import Vector

SYMPREC_ANGSTROM = 0.01
"""Symmetry tolerance in Å: relaxed structures keep their symmetry to about this."""

NEAREST = 0.25
"""How far from a site an operation may move another, over the shortest distance of two sites: the nearest site is
then beyond doubt."""


@dataclass(frozen=True, eq=False)
class SiteSymmetry:
    """Operations of a space group, and where they move each site.

    Attributes
    ----------
    symbol
        The space group, such as ``"P-3m1"``.
    rotations, translations
        Shapes (g, 3, 3) and (g, 3), fractional.
    permutations
        Shape (g, s), the site to which each operation moves each site of the home cell.
    cells
        Shape (g, s, 3), the cell that it comes to lie in.
    """

    symbol: str
    rotations: NDArray[np.int64]
    translations: NDArray[np.float64]
    permutations: NDArray[np.int64]
    cells: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rotations)

    def image(self, operation: int, site: int, to: int, translation: Vector) -> tuple[int, int, Vector]:
        """Return the image of a pair of sites, moved by whole cells so that its first site lies in the home cell."""
        cells = self.cells[operation]
        x, y, z = (self.rotations[operation] @ translation + cells[to] - cells[site]).tolist()
        return int(self.permutations[operation, site]), int(self.permutations[operation, to]), (x, y, z)

    def moved(self, operation: int, fractional: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the images of positions, fractional, shape (..., 3)."""
        return fractional @ self.rotations[operation].T + self.translations[operation]

    def symmetrised(self, fractional: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sites moved to the mean of all images that fall on them, shape (s, 3), in their own cells."""
        total = np.zeros_like(fractional)
        for operation in range(len(self)):
            landed = self.moved(operation, fractional) - self.cells[operation]
            np.add.at(total, self.permutations[operation], landed)
        return total / len(self)


def site_symmetry(
    structure: Structure, fractional: NDArray[np.float64], symprec_angstrom: float = SYMPREC_ANGSTROM
) -> SiteSymmetry:
    """Return the space group of a crystal acting on some sites of it.

    Parameters
    ----------
    structure
        The crystal whose atoms the operations map on atoms of the same element.
    fractional
        Shape (s, 3), the sites.
    symprec_angstrom
        Symmetry tolerance in Å.

    Raises
    ------
    InputError
        The tolerance is not positive, or finds no space group.
    CalculationError
        An operation of the crystal does not map the sites on one another.
    """
    cell = (structure.lattice.matrix, structure.frac_coords, structure.atomic_numbers)
    found: Any = None
    if symprec_angstrom > 0:
        try:
            found = spglib.get_symmetry_dataset(cell, symprec=symprec_angstrom)  # type: ignore[arg-type]
        except spglib.error.SpglibError:  # newer versions raise instead of returning None
            found = None
    if found is None:
        raise InputError(f"symmetry tolerance {symprec_angstrom:g} Å: no space group found; such as 0.01 is allowed")
    operations = list(zip(found.rotations, found.translations, strict=True))
    match_angstrom = NEAREST * shortest_distance_angstrom(structure.lattice, fractional)
    permutations = site_permutations(structure.lattice, fractional, operations, match_angstrom).astype(np.int64)
    images = np.einsum("gij,sj->gsi", found.rotations, fractional) + found.translations[:, None]
    cells = np.rint(images - fractional[permutations]).astype(np.int64)
    return SiteSymmetry(found.international, np.asarray(found.rotations), found.translations, permutations, cells)


def shortest_distance_angstrom(lattice: Lattice, fractional: NDArray[np.float64]) -> float:
    """Return the shortest distance of two sites, or of a site and its own image, in Å."""
    distances = lattice.get_all_distances(fractional, fractional)
    np.fill_diagonal(distances, min(lattice.abc))
    return float(distances.min())
