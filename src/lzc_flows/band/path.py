"""Paths between two arrangements of the same atoms: the start of a band.

A path is an array of positions (images, atoms, 3) in Å, the two ends included, unwrapped: from one image to the next
every atom moves as it really does.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import CubicSpline

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPACING_ANGSTROM = 0.7
"""Distance of images along the path that `images_for` aims at: a hop between octahedra sharing an edge, 3.7 Å with a
saddle or an intermediate site in its middle, gets 5."""

FEWEST_IMAGES = 3


def images_for(initial: NDArray[np.float64], final: NDArray[np.float64]) -> int:
    """Return an odd number of images between two ends, by how far the atom that moves most goes."""
    longest = float(np.linalg.norm(final - initial, axis=1).max())
    return max(FEWEST_IMAGES, 2 * math.ceil((longest / SPACING_ANGSTROM - 1) / 2) - 1)


def linear(initial: NDArray[np.float64], final: NDArray[np.float64], images: int) -> NDArray[np.float64]:
    """Return the straight path with so many images between its ends, shape (images + 2, atoms, 3)."""
    fractions = np.linspace(0.0, 1.0, images + 2)[:, None, None]
    return initial + fractions * (final - initial)


def resampled(path: NDArray[np.float64], images: int) -> NDArray[np.float64]:
    """Return a path through the same points with so many images between its ends, equally far apart."""
    along = distances_angstrom(path)
    return CubicSpline(along, path, axis=0)(np.linspace(0.0, along[-1], images + 2))


def distances_angstrom(path: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far each image is along a path from its start, as all coordinates move, shape (images,)."""
    steps = np.diff(path, axis=0)
    return np.concatenate([[0.0], np.cumsum(np.sqrt((steps * steps).sum(axis=(1, 2))))])
