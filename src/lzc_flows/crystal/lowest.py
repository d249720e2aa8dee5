"""The orbits of lowest energy and the histogram of all energies, whatever their number: listed exactly, or sampled."""

from __future__ import annotations

from dataclasses import dataclass

from lzc_flows.crystal.annealing import search
from lzc_flows.crystal.enumeration import Enumeration, Orbits
from lzc_flows.crystal.histogram import Tally
from lzc_flows.crystal.sampling import sample
from lzc_flows.crystal.survey import Ground, ground_of, survey

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
        Uniformly random arrangements in a histogram.
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
    """The best orbits.

    Attributes
    ----------
    lowest
        The best orbits of all if listed, of those met if sampled; in the order of `survey.Survey.lowest`.
    ground
        The lowest energy of all orbits if listed, of `lowest` if sampled.
    sampling
        None if all orbits were listed.
    """

    lowest: Orbits
    ground: Ground
    sampling: Sampling | None


def lowest(enumeration: Enumeration, size: int, seed: int, tally: Tally | None = None) -> Lowest:
    """Return the `size` best orbits; sampled where there are more than `LISTED_UP_TO` orbits.

    The energies of all arrangements are added to the tally, or of `SAMPLES` random ones if sampled.

    Raises
    ------
    InputError
        `size` is not positive, or a negative `seed` is to be used.
    CalculationError
        As iterating over the enumeration.
    """
    if enumeration.orbits <= LISTED_UP_TO:
        found = survey(enumeration, size, tally)
        return Lowest(found.lowest, found.ground, None)
    if tally is not None:
        tally.add(sample(enumeration, SAMPLES, seed).energies)
    best = search(enumeration, size, seed)
    sampling = Sampling(SAMPLES, seed, best.runs, best.runs_at_lowest)
    return Lowest(best.lowest, ground_of(best.lowest), sampling)
