"""How many arrangements have which energy, counted as they pass."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lzc_flows.errors import InputError


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
        Number of arrangements in each bin (not of orbits), of all or of the sampled ones, exact integers; shape as
        `bins`.
    """

    bin_ev: float
    bins: NDArray[np.int64]
    weights: tuple[int, ...]

    @property
    def centres_ev(self) -> NDArray[np.float64]:
        """Centres of the bins in eV."""
        return np.asarray(self.bins * self.bin_ev)

    def times(self, factor: int) -> Histogram:
        """Return the histogram with every arrangement counted so many times."""
        return Histogram(self.bin_ev, self.bins, tuple(weight * factor for weight in self.weights))


@dataclass
class Tally:
    """A histogram that grows.

    Attributes
    ----------
    bin_ev
        Width of a bin in eV.

    Raises
    ------
    InputError
        `bin_ev` is not positive.
    """

    bin_ev: float
    weights: Counter[int] = field(default_factory=Counter, init=False)

    def __post_init__(self) -> None:
        if not self.bin_ev > 0:
            raise InputError(f"histogram bins of {self.bin_ev:g} eV: above 0 is allowed")

    def add(self, energies_ev: NDArray[np.float64], multiplicities: ArrayLike = 1) -> None:
        """Count arrangements, each energy as often as its multiplicity says."""
        bins, row = np.unique(np.rint(energies_ev / self.bin_ev).astype(np.int64), return_inverse=True)
        # floats hold whole numbers up to 2^53 exactly: chunks of 2^16 orbits of 2^37 arrangements
        totals = np.bincount(row, weights=np.broadcast_to(multiplicities, row.shape))
        for index, total in zip(bins.tolist(), totals.tolist(), strict=True):
            self.weights[index] += int(total)

    def histogram(self) -> Histogram:
        """Return what has been counted."""
        bins = sorted(self.weights)
        return Histogram(self.bin_ev, np.array(bins, dtype=np.int64), tuple(self.weights[i] for i in bins))
