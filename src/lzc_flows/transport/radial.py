"""Radial functions as tables of cubic polynomials in the squared distance.

The intervals are those of the bits of a floating-point number: every octave of s = R² is cut into 2ᵐ equal
intervals, so the exponent and the first m bits of the fraction of s, read as an integer, count the intervals, and s
with the other bits cleared is an interval's left end. Looking an energy up takes neither root nor logarithm, and the
intervals are narrow where the functions are steep (the idea of Wolff & Rudd, Comput. Phys. Commun. 120, 20 (1999)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lzc_flows.transport.conventions import RadialFunction

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_SQUARED = 2.0**-60
"""Squared distances below this (1e-9 Å) count as this: 1/R stays finite."""

CORE_EV = 1000.0
"""Energies above this are tabulated as `CORE_VALUE_EV`; errors are measured wherever they are below."""

CORE_VALUE_EV = 1e4
"""A sum with one such term is far above every energy of interest, whatever its other terms."""

_CUTOFF_MARGIN_ANGSTROM = 1e-9  # an ion at the cutoff counts, however its distance is rounded
_FRACTION_BITS = 52  # of a 64-bit float
_DEGREE = 3
# interpolation at the Chebyshev nodes of [0, 1], and where the leading term of its error is largest
_NODES = 0.5 - 0.5 * np.cos(np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))
_PROBES = 0.5 - 0.5 * np.cos(np.pi * np.arange(_DEGREE + 2) / (_DEGREE + 1))


@dataclass(frozen=True, eq=False)
class RadialTables:
    """Tables of radial functions, one per kind of site.

    Attributes
    ----------
    coefficients
        Shape (kinds, intervals, 4): eV/Å^2n of the powers n = 0 to 3 of s minus the left end of the interval.
    shift
        Low bits of s that are cleared at the left end of its interval.
    cutoff_squared
        Largest squared distance that counts, Å².
    error_ev
        Largest error found by comparison with the functions in every interval, eV.
    """

    coefficients: NDArray[np.float64]
    shift: int
    cutoff_squared: float
    error_ev: float

    def energies_ev(self, kind: int, distances_angstrom: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the energies in eV of distances up to the cutoff in Å."""
        squared = np.maximum(np.square(np.asarray(distances_angstrom, dtype=np.float64)), MIN_SQUARED)
        index = interval(squared, self.shift)
        t = squared - left_end(index, self.shift)
        c = np.moveaxis(self.coefficients[kind, index], -1, 0)
        return c[0] + t * (c[1] + t * (c[2] + t * c[3]))


def interval(squared: NDArray[np.float64], shift: int) -> NDArray[np.int64]:
    """Return the indices of the intervals that hold squared distances of at least `MIN_SQUARED`."""
    return (np.asarray(squared, dtype=np.float64).view(np.int64) >> shift) - first_interval(shift)


def first_interval(shift: int) -> int:
    """Return the integer that the bits of `MIN_SQUARED` make."""
    return int(np.array(MIN_SQUARED).view(np.int64)) >> shift


def left_end(index: NDArray[np.int64], shift: int) -> NDArray[np.float64]:
    """Return the left ends of intervals in Å²."""
    return ((np.asarray(index, dtype=np.int64) + first_interval(shift)) << shift).view(np.float64)


def tabulate(functions: Sequence[RadialFunction], cutoff_angstrom: float, tolerance_ev: float) -> RadialTables:
    """Tabulate radial functions up to a cutoff, with as few intervals as the tolerance allows.

    Parameters
    ----------
    functions
        Energy in eV of distances in Å, one for each kind of site.
    cutoff_angstrom
        Largest distance, Å.
    tolerance_ev
        Largest error allowed, eV, wherever an energy is below `CORE_EV`.
    """
    cutoff_squared = max((cutoff_angstrom + _CUTOFF_MARGIN_ANGSTROM) ** 2, MIN_SQUARED)
    for bits in range(4, 15):
        shift = _FRACTION_BITS - bits
        built = [_interpolate(function, cutoff_squared, shift) for function in functions]
        error = max(error for _, error in built)
        if error <= tolerance_ev:
            return RadialTables(np.stack([coefficients for coefficients, _ in built]), shift, cutoff_squared, error)
    raise ValueError(f"radial functions cannot be tabulated to {tolerance_ev:.1e} eV: {error:.1e} eV reached")


def _interpolate(function: RadialFunction, cutoff_squared: float, shift: int) -> tuple[NDArray[np.float64], float]:
    """Return the coefficients (intervals, 4) of one function and their largest error in eV."""
    count = int(interval(np.array([cutoff_squared]), shift)[0]) + 1
    edges = left_end(np.arange(count + 1), shift)
    left, width = edges[:-1, None], np.diff(edges)[:, None]
    scaled = function(np.sqrt(left + width * _NODES)) @ np.linalg.inv(np.vander(_NODES, increasing=True)).T
    exact = function(np.sqrt(left + width * _PROBES))
    error = np.abs(scaled @ np.vander(_PROBES, _DEGREE + 1, increasing=True).T - exact)
    # an interval belongs to the core as a whole: energies below CORE_EV are never replaced
    core = exact.min(axis=1) >= CORE_EV
    coefficients = scaled / width ** np.arange(_DEGREE + 1)
    coefficients[core] = [CORE_VALUE_EV, 0.0, 0.0, 0.0]
    return coefficients, float(error[~core].max(where=exact[~core] < CORE_EV, initial=0.0))
