"""Interpolation by pair distances: the image dependent pair potential (IDPP).

Smidstrup, Pedersen, Stokbro & Jónsson, J. Chem. Phys. 140, 214106 (2014). Here only pairs within a cutoff count, each
with the image of the atom that is near at the ends: far pairs weigh next to nothing (their distance to the power −4),
and no image changes on the way. ASE's, of all pairs, takes longer than the whole search with a fast engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lzc_flows.band.lbfgs import Lbfgs

if TYPE_CHECKING:
    from numpy.typing import NDArray

CUTOFF_ANGSTROM = 5.0
"""Of the pairs: beyond the second shell."""

STIFFNESS = 50.0
"""Factor of the potential: makes a bond about as stiff as in eV/Å², which the optimiser starts from."""

FMAX = 0.1
MOST_STEPS = 50


def idpp(path: NDArray[np.float64], cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a path whose images have pair distances as close as can be to those interpolated between the ends.

    Parameters
    ----------
    path
        The path to begin from, (images, atoms, 3), Å, unwrapped; its first and last image stay.
    cell
        Rows are the lattice vectors, (3, 3), Å.
    """
    pairs = _Pairs(path, cell)
    fractions = np.linspace(0.0, 1.0, len(path))[1:-1]
    inner = [pairs.relaxed(image, fraction) for image, fraction in zip(path[1:-1], fractions, strict=True)]
    return np.array([path[0], *inner, path[-1]])


class _Pairs:
    """Pairs of atoms that are near each other at an end or in the middle of a path."""

    def __init__(self, path: NDArray[np.float64], cell: NDArray[np.float64]) -> None:
        from ase.neighborlist import primitive_neighbor_list

        found = set()
        for positions in (path[0], path[len(path) // 2], path[-1]):
            first, second, shift = primitive_neighbor_list("ijS", (True, True, True), cell, positions, CUTOFF_ANGSTROM)
            found |= {
                (i, j, *s) for i, j, s in zip(first.tolist(), second.tolist(), shift.tolist(), strict=True) if i < j
            }
        table = np.array(sorted(found)).reshape(-1, 5)
        self._first, self._second, self._shifts = table[:, 0], table[:, 1], table[:, 2:] @ cell
        self._ends = tuple(np.linalg.norm(self._vectors(end), axis=1) for end in (path[0], path[-1]))

    def relaxed(self, image: NDArray[np.float64], fraction: float) -> NDArray[np.float64]:
        """Return an image relaxed to the distances at a fraction of the way."""
        target = (1 - fraction) * self._ends[0] + fraction * self._ends[1]
        optimiser, image = Lbfgs(), image.copy()
        for _ in range(MOST_STEPS):
            forces = self._forces(image, target)
            if np.linalg.norm(forces, axis=1).max() < FMAX:
                break
            image += optimiser.step(image, forces)
        return image

    def _vectors(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        return positions[self._second] + self._shifts - positions[self._first]

    def _forces(self, positions: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return minus the gradient of Σ (d − target)² / d⁴, times the stiffness."""
        vectors = self._vectors(positions)
        distances = np.linalg.norm(vectors, axis=1)
        misses = distances - target
        slope = 2 * misses * (distances - 2 * misses) / distances**5
        pulls = (STIFFNESS * slope / distances)[:, None] * vectors
        forces = np.zeros_like(positions)
        np.add.at(forces, self._first, pulls)
        np.add.at(forces, self._second, -pulls)
        return forces
