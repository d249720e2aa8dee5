"""The energy along a band: a cubic spline through the energies with the slopes that the forces give."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import CubicHermiteSpline

if TYPE_CHECKING:
    from numpy.typing import NDArray

_POINTS = 50
"""Points of the spline between two images."""


@dataclass(frozen=True, eq=False)
class Profile:
    """Energies and slopes along a path, as in Henkelman & Jónsson, J. Chem. Phys. 113, 9978 (2000), appendix.

    Attributes
    ----------
    distances_angstrom
        Of the images along the path, the ends included, shape (images,).
    energies_ev
        Of the images, shape (images,).
    slopes_ev_per_angstrom
        Minus the force along the tangent, shape (images,); zero at relaxed ends.
    """

    distances_angstrom: NDArray[np.float64]
    energies_ev: NDArray[np.float64]
    slopes_ev_per_angstrom: NDArray[np.float64]

    @cached_property
    def _spline(self) -> CubicHermiteSpline:
        return CubicHermiteSpline(self.distances_angstrom, self.energies_ev, self.slopes_ev_per_angstrom)

    @cached_property
    def curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The spline as distances (Å) and energies (eV), the images among its points."""
        parts = [
            np.linspace(start, end, _POINTS, endpoint=False)
            for start, end in zip(self.distances_angstrom[:-1], self.distances_angstrom[1:], strict=True)
        ]
        distances = np.concatenate([*parts, self.distances_angstrom[-1:]])
        return distances, self._spline(distances)

    def minima_between(self, depth_ev: float) -> list[int]:
        """Return the images nearest to minima between the ends that lie at least `depth_ev` below both sides.

        Sides are the highest energies on the way to the next such minimum or end; all energies are those of the spline.
        """
        distances, energies = self.curve
        last = len(energies) - 1
        stops = [0, last]
        for point in sorted(_minima(energies), key=energies.__getitem__):
            left, right = max(stop for stop in stops if stop < point), min(stop for stop in stops if stop > point)
            side = min(energies[left:point].max(), energies[point : right + 1].max())
            if side - energies[point] >= depth_ev:
                stops.append(point)
        found = sorted(stop for stop in stops if 0 < stop < last)
        nearest = [int(np.abs(self.distances_angstrom - distances[point]).argmin()) for point in found]
        return [image for image in dict.fromkeys(nearest) if 0 < image < len(self.energies_ev) - 1]


def _minima(energies: NDArray[np.float64]) -> list[int]:
    """Return the points that lie below the one before and not above the one after."""
    before, here, after = energies[:-2], energies[1:-1], energies[2:]
    return (np.flatnonzero((here < before) & (here <= after)) + 1).tolist()
