"""The orbits of lowest energy of an enumeration, in one pass that holds no others."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lzc_flows.crystal.enumeration import Enumeration, Orbits
from lzc_flows.crystal.histogram import Tally
from lzc_flows.errors import InputError

TIE = 1e-6
"""Energies (in eV or valence units squared) that round to the same multiple of this tie. Rounding errors are below
1e-9."""


@dataclass(frozen=True)
class Ground:
    """The lowest energy among orbits: how many have it, and how far the next one is.

    Attributes
    ----------
    energy
        The lowest energy.
    orbits
        How many orbits share it (`TIE`).
    gap
        The next energy minus the lowest; None where all tie.
    stabiliser
        Order of the largest stabiliser among those that share it.
    most_symmetric
        How many of them have this stabiliser.
    """

    energy: float
    orbits: int
    gap: float | None
    stabiliser: int
    most_symmetric: int

    def joined(self, other: Ground) -> Ground:
        """Return the ground of both sets of orbits."""
        low, high = (self, other) if self.energy <= other.energy else (other, self)
        if _level(low.energy) != _level(high.energy):
            return replace(low, gap=_least(low.gap, high.energy - low.energy))
        stabiliser = max(low.stabiliser, high.stabiliser)
        return Ground(
            energy=low.energy,
            orbits=low.orbits + high.orbits,
            gap=_least(low.gap, high.gap),
            stabiliser=stabiliser,
            most_symmetric=sum(part.most_symmetric for part in (low, high) if part.stabiliser == stabiliser),
        )


def ground_of(orbits: Orbits) -> Ground:
    """Return the ground of one orbit or more."""
    levels = _level(orbits.energies)
    tied = levels == levels.min()
    lowest = float(orbits.energies[tied].min())
    stabilisers = orbits[tied].stabilisers
    return Ground(
        energy=lowest,
        orbits=len(stabilisers),
        gap=None if tied.all() else float(orbits.energies[~tied].min()) - lowest,
        stabiliser=int(stabilisers.max()),
        most_symmetric=int((stabilisers == stabilisers.max()).sum()),
    )


@dataclass(frozen=True)
class Survey:
    """What one pass over an enumeration leaves.

    Attributes
    ----------
    lowest
        The best orbits, the best first: lower energy, where that ties (`TIE`) the larger stabiliser, where that
        ties too the lexicographically first, as `Enumeration` orders them.
    ground
        The lowest energy of all orbits.
    orbits
        Number of orbits seen.
    """

    lowest: Orbits
    ground: Ground
    orbits: int


def survey(enumeration: Enumeration, size: int, tally: Tally | None = None) -> Survey:
    """Return the `size` best orbits, fewer if there are fewer; the energies of all are added to the tally.

    Raises
    ------
    InputError
        `size` is not positive.
    CalculationError
        As iterating over the enumeration.
    """
    if size < 1:
        raise InputError(f"number of lowest orbits {size}: 1 and above is allowed")
    kept: Orbits | None = None
    ground: Ground | None = None
    seen = 0
    for orbits in enumeration:
        kept = _best(kept, orbits, size)
        here = ground_of(orbits)
        ground = here if ground is None else ground.joined(here)
        if tally is not None:
            tally.add(orbits.energies, orbits.multiplicities)
        seen += len(orbits)
    assert kept is not None  # there is an arrangement, or the enumeration would have refused
    assert ground is not None
    return Survey(kept, ground, seen)


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
    """Return orbits by energy, ties (`TIE`) by descending stabiliser, what ties altogether in the order it had."""
    return orbits[np.lexsort((orbits.multiplicities, _level(orbits.energies)))]


def _better(orbits: Orbits, worst: Orbits) -> NDArray[np.bool_]:
    level, limit = _level(orbits.energies), _level(worst.energies)
    return (level < limit) | ((level == limit) & (orbits.multiplicities < worst.multiplicities))


def _level(energies: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return np.rint(np.asarray(energies) / TIE)


def _joined(one: Orbits, other: Orbits) -> Orbits:
    return replace(
        one,
        states=np.concatenate([one.states, other.states]),
        multiplicities=np.concatenate([one.multiplicities, other.multiplicities]),
        energies=np.concatenate([one.energies, other.energies]),
    )


def _least(*gaps: float | None) -> float | None:
    return min((gap for gap in gaps if gap is not None), default=None)
