"""Which anions each cation of a framework is bonded to, from frame to frame.

Distances are counted in sums of covalent radii (Cordero et al., Dalton Trans. 2008, 2832), so that F and Cl around one
cation have one cutoff. It lies at the first minimum: where bonded and next anions are fewest, between the nearest
distance and 1.7 times it (the next anions of an octahedron are at √3 = 1.73).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_numbers, covalent_radii

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

_NEXT_SHELL = 1.7  # of the nearest distance: how far the first minimum is looked for
_BIN = 0.01  # of the histogram, in sums of radii
_SMOOTHED = 9  # bins that are averaged
_LONGEST = 2.0  # bonds and the gaps after them end before this, in sums of radii
_ROUNDING = 1e-9

IMAGES = np.array(list(itertools.product((-1, 0, 1), repeat=3)), dtype=np.float64)
"""The cells around a cell and itself, in lattice vectors, shape (27, 3)."""


@dataclass(frozen=True, eq=False)
class Ions:
    """Positions over time, Å, shape (frames, ions, 3), and the element of each ion."""

    positions: NDArray[np.float64]
    elements: Sequence[str]


@dataclass(frozen=True, eq=False)
class Shells:
    """Bonds over time.

    Attributes
    ----------
    bonds
        Number of bonds (images of the anion within the cutoff) between each cation and each anion, shape (frames,
        cations, anions), int8.
    cutoff_angstrom
        For each pair of elements (cation, anion), Å.
    """

    bonds: NDArray[np.int8]
    cutoff_angstrom: dict[tuple[str, str], float]


def shells(cations: Ions, anions: Ions, cell: NDArray[np.float64]) -> Shells:
    """Return the bonds between cations and anions in some frames of a periodic cell.

    Parameters
    ----------
    cations, anions
        At least one of each, in the same frames. The cutoff of each cation's element is from all of them.
    cell
        Rows are the lattice vectors, Å, shape (3, 3).
    """
    sums = np.add.outer(_radii(cations.elements), _radii(anions.elements))
    images = _images_within(_LONGEST * float(sums.max()), cell)
    bonds = np.zeros((len(cations.positions), *sums.shape), dtype=np.int8)
    cutoffs: dict[tuple[str, str], float] = {}
    for element in sorted(set(cations.elements)):
        rows = np.flatnonzero(np.array(cations.elements) == element)

        def distances(frame: int, rows: NDArray[np.int64] = rows) -> NDArray[np.float64]:
            apart = anions.positions[frame, None] - cations.positions[frame, rows, None]
            return distances_to_images(apart, cell, images) / sums[rows, :, None]

        limit = _first_minimum(distances(frame) for frame in range(len(bonds)))
        for frame in range(len(bonds)):
            bonds[frame, rows] = (distances(frame) < limit).sum(axis=2)
        cutoffs |= {(element, anion): limit * float(_radii([element, anion]).sum()) for anion in set(anions.elements)}
    return Shells(bonds, cutoffs)


def distances_to_images(
    apart: NDArray[np.float64], cell: NDArray[np.float64], images: NDArray[np.float64] = IMAGES
) -> NDArray[np.float64]:
    """Return the lengths of vectors (n, m, 3) and of their images, Å, shape (n, m, images)."""
    fractional = apart @ np.linalg.inv(cell)
    vectors = ((fractional - np.rint(fractional)) @ cell)[:, :, None] + images @ cell
    return np.sqrt(np.einsum("caid,caid->cai", vectors, vectors))


def _images_within(distance_angstrom: float, cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the images that can be so close: one, where every height of the cell is twice the distance."""
    heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    # a shorter vector has fractional coordinates between −½ and ½
    return np.zeros((1, 3)) if heights.min() >= 2 * distance_angstrom else IMAGES


def _radii(elements: Sequence[str]) -> NDArray[np.float64]:
    return np.array([covalent_radii[atomic_numbers[element]] for element in elements])


def _first_minimum(frames: Iterable[NDArray[np.float64]]) -> float:
    """Return the cutoff in sums of radii, from the distances (cations, anions, images) in each frame."""
    edges = np.arange(0, _LONGEST + _BIN, _BIN)
    counts = np.zeros(len(edges) - 1)
    shortest = []
    for distances in frames:
        counts += np.histogram(distances, edges)[0]
        shortest.append(distances.min(axis=(1, 2)))
    nearest = float(np.median(shortest))
    middles = edges[:-1] + _BIN / 2
    inside = (middles >= nearest) & (middles < _NEXT_SHELL * nearest)
    smooth = np.convolve(counts / middles**2, np.ones(_SMOOTHED) / _SMOOTHED, mode="same")[inside]
    # the middle, where there is a gap
    lowest = np.flatnonzero(smooth <= smooth.min() + _ROUNDING)
    return float(middles[inside][lowest[len(lowest) // 2]])
