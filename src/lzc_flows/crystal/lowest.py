"""The orbits of lowest energy and the histogram of all energies, whatever their number: listed exactly, or sampled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lzc_flows.crystal.annealing import search
from lzc_flows.crystal.enumeration import Enumeration, Orbits
from lzc_flows.crystal.sampling import sample
from lzc_flows.crystal.survey import Histogram, survey

LISTED_UP_TO = 10_000_000
"""Most orbits that are listed. The enumeration gives 1.5 to 7 million orbits a second with their energies (one core),
so that listing them takes 7 seconds at most: about as long as sampling and searching take."""

SAMPLES = 100_000
"""Random arrangements of the histogram: a bin that holds 1 % of all arrangements is known to 3 % of itself."""


@dataclass(frozen=True)
class Sampling:
    """What stands behind a result that was not listed.

    Attributes
    ----------
    samples
        Uniformly random arrangements in the histogram.
    seed
        Seed of all random numbers.
    runs
        Independent annealing runs; 0 where all energies tie, so that the orbits given are random ones.
    runs_at_lowest
        How many of them found the lowest energy given: few say that a lower one may have been missed.
    """

    samples: int
    seed: int
    runs: int
    runs_at_lowest: int


@dataclass(frozen=True)
class Lowest:
    """The best orbits and the histogram.

    Attributes
    ----------
    lowest
        The best orbits of all if listed, of those met if sampled; in the order of `survey.Survey.lowest`.
    histogram
        Energies of all arrangements if listed, of `Sampling.samples` random ones if sampled.
    sampling
        None if all orbits were listed.
    """

    lowest: Orbits
    histogram: Histogram
    sampling: Sampling | None

    @property
    def method(self) -> Literal["enumerated", "sampled"]:
        """How it was found."""
        return "enumerated" if self.sampling is None else "sampled"


def lowest(enumeration: Enumeration, size: int, bin_ev: float, seed: int) -> Lowest:
    """Return the `size` best orbits and the histogram; sampled where there are more than `LISTED_UP_TO` orbits.

    Raises
    ------
    InputError
        `size` or `bin_ev` is not positive, the enumeration has no electrostatics, or a negative `seed` is to be used.
    CalculationError
        As iterating over the enumeration.
    """
    if enumeration.orbits <= LISTED_UP_TO:
        found = survey(enumeration, size, bin_ev)
        return Lowest(found.lowest, found.histogram, None)
    histogram = sample(enumeration, SAMPLES, seed).histogram(bin_ev)
    best = search(enumeration, size, seed)
    return Lowest(best.lowest, histogram, Sampling(SAMPLES, seed, best.runs, best.runs_at_lowest))
