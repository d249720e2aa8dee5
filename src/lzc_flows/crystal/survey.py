"""The lowest electrostatic energies of an enumeration and the histogram of all, in one pass that holds neither."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lzc_flows.crystal.enumeration import Enumeration, Orbits
from lzc_flows.errors import InputError

TIE_EV = 1e-6
"""Energies that round to the same multiple of this tie, in eV. Rounding errors are below 1e-9 eV."""


@dataclass(frozen=True)
class Histogram:
    """How many arrangements have which energy: of all arrangements, or of those in a sample.

    Attributes
    ----------
    bin_ev
        Width of a bin in eV.
    bins
        Indices of the bins that hold something, ascending: bin i holds the energies nearest to i × `bin_ev`.
    weights
        Number of arrangements in each bin (not of orbits), of all or of the sampled ones; shape as `bins`.
    """

    bin_ev: float
    bins: NDArray[np.int64]
    weights: NDArray[np.int64]

    @property
    def centres_ev(self) -> NDArray[np.float64]:
        """Centres of the bins in eV."""
        return np.asarray(self.bins * self.bin_ev)


@dataclass(frozen=True)
class Survey:
    """What one pass over an enumeration leaves.

    Attributes
    ----------
    lowest
        The best orbits, the best first: lower energy, where that ties (`TIE_EV`) the larger stabiliser, where that
        ties too the lexicographically first, as `Enumeration` orders them.
    histogram
        Energies of all arrangements.
    orbits
        Number of orbits seen.
    """

    lowest: Orbits
    histogram: Histogram
    orbits: int


def survey(enumeration: Enumeration, size: int, bin_ev: float) -> Survey:
    """Return the `size` best orbits, fewer if there are fewer, and the histogram of all.

    Raises
    ------
    InputError
        `size` or `bin_ev` is not positive, or the enumeration has no electrostatics.
    CalculationError
        As iterating over the enumeration.
    """
    if size < 1:
        raise InputError(f"number of lowest orbits {size}: 1 and above is allowed")
    if not bin_ev > 0:
        raise InputError(f"histogram bins of {bin_ev:g} eV: above 0 is allowed")
    if enumeration.electrostatics is None:
        raise InputError("survey of energies: the enumeration has no electrostatics")
    kept: Orbits | None = None
    weights: Counter[int] = Counter()
    seen = 0
    for orbits in enumeration:
        kept = _best(kept, orbits, size)
        _add_weights(weights, orbits, bin_ev)
        seen += len(orbits)
    assert kept is not None  # there is an arrangement, or the enumeration would have refused
    bins = np.array(sorted(weights), dtype=np.int64)
    return Survey(kept, Histogram(bin_ev, bins, np.array([weights[i] for i in bins.tolist()], dtype=np.int64)), seen)


def _best(kept: Orbits | None, more: Orbits, size: int) -> Orbits:
    """Return the best of what was kept and of what comes after it in the enumeration."""
    if kept is not None:
        if len(kept) == size:
            more = more[_better(more, kept[-1:])]
            if not len(more):
                return kept
        more = _joined(kept, more)
    return best_first(more)[:size]


def best_first(orbits: Orbits) -> Orbits:
    """Return orbits by energy, ties (`TIE_EV`) by descending stabiliser, what ties altogether in the order it had."""
    return orbits[np.lexsort((orbits.multiplicities, _level(orbits)))]


def _better(orbits: Orbits, worst: Orbits) -> NDArray[np.bool_]:
    level, limit = _level(orbits), _level(worst)
    return (level < limit) | ((level == limit) & (orbits.multiplicities < worst.multiplicities))


def _level(orbits: Orbits) -> NDArray[np.float64]:
    return np.rint(orbits.energies_ev / TIE_EV)


def _joined(one: Orbits, other: Orbits) -> Orbits:
    return replace(
        one,
        states=np.concatenate([one.states, other.states]),
        multiplicities=np.concatenate([one.multiplicities, other.multiplicities]),
        energies_ev=np.concatenate([one.energies_ev, other.energies_ev]),
    )


def _add_weights(weights: Counter[int], orbits: Orbits, bin_ev: float) -> None:
    bins, row = np.unique(np.rint(orbits.energies_ev / bin_ev).astype(np.int64), return_inverse=True)
    # floats hold whole numbers up to 2^53 exactly: chunks of 2^16 orbits of 2^37 arrangements
    totals = np.bincount(row, weights=orbits.multiplicities)
    for index, total in zip(bins.tolist(), totals.tolist(), strict=True):
        weights[index] += int(total)
