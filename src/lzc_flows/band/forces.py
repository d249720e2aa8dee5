"""Forces on the images of a nudged elastic band.

The tangent at an image is the improved one of Henkelman & Jónsson, J. Chem. Phys. 113, 9978 (2000); the climbing
image is that of Henkelman, Uberuaga & Jónsson, J. Chem. Phys. 113, 9901 (2000).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def tangents(positions: NDArray[np.float64], energies_ev: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the unit tangent at each image but the two ends, shape (images, atoms, 3).

    Parameters
    ----------
    positions
        Of all images, the ends included, shape (images + 2, atoms, 3), Å.
    energies_ev
        Of all images, shape (images + 2,).
    """
    steps, rises = np.diff(positions, axis=0), np.diff(energies_ev)
    before, after = rises[:-1], rises[1:]
    larger, smaller = np.maximum(np.abs(before), np.abs(after)), np.minimum(np.abs(before), np.abs(after))
    uphill = energies_ev[2:] > energies_ev[:-2]
    # at a maximum or minimum along the band both neighbours count, weighted by their energies
    ahead = np.where((before > 0) & (after > 0), 1.0, np.where(uphill, larger, smaller))
    behind = np.where((before < 0) & (after < 0), 1.0, np.where(uphill, smaller, larger))
    ahead = np.where((before < 0) & (after < 0), 0.0, ahead)
    behind = np.where((before > 0) & (after > 0), 0.0, behind)
    level = (ahead == 0) & (behind == 0)
    ahead, behind = np.where(level, 1.0, ahead), np.where(level, 1.0, behind)
    sums = ahead[:, None, None] * steps[1:] + behind[:, None, None] * steps[:-1]
    return sums / _norms(sums)[:, None, None]


def band_forces(
    positions: NDArray[np.float64],
    tangent: NDArray[np.float64],
    forces: NDArray[np.float64],
    spring_ev: float,
    climbing: int | None,
) -> NDArray[np.float64]:
    """Return the nudged forces on the images between the ends, shape (images, atoms, 3), eV/Å.

    Parameters
    ----------
    positions
        Of all images, the ends included, shape (images + 2, atoms, 3), Å.
    tangent
        Of the images between the ends, as `tangents` gives it.
    forces
        True forces on the images between the ends, eV/Å, shape (images, atoms, 3).
    spring_ev
        Spring constant in eV/Å².
    climbing
        Index of the image, among those between the ends, that climbs instead of feeling springs; None for none.
    """
    lengths = _norms(np.diff(positions, axis=0))
    along = (forces * tangent).sum(axis=(1, 2))
    spring = spring_ev * (lengths[1:] - lengths[:-1])
    replaced = spring - along
    if climbing is not None:
        replaced[climbing] = -2 * along[climbing]
    return forces + replaced[:, None, None] * tangent


def _norms(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt((vectors * vectors).sum(axis=(1, 2)))
