"""Elementary hops of the mobile ion, and the states that they join."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np
from numpy.typing import NDArray

from lzc_flows.documents.protocols import MECHANISMS, Mechanism
from lzc_flows.errors import InputError
from lzc_flows.hopping.sites import IonSites
from lzc_flows.transport.components import Vector

State = tuple[int, ...]
"""The sites that hold an ion, sorted."""

_EXTRA_IONS: dict[Mechanism, int] = {"vacancy": -1, "interstitial": 1, "interstitialcy": 1, "frenkel": 0}


@dataclass(frozen=True, order=True)
class Move:
    """The ion at `site` of the home cell goes to the site `to`, `translation` cells away."""

    site: int
    to: int
    translation: Vector

    def reversed(self) -> Move:
        """Return the way back, moved by whole cells so that it starts in the home cell."""
        x, y, z = self.translation
        return Move(self.to, self.site, (-x, -y, -z))

    def displacement_angstrom(self, sites: IonSites) -> NDArray[np.float64]:
        """Return the Cartesian displacement (3,) of the ion in Å."""
        return sites.vector_angstrom(self.site, self.to, self.translation)


@dataclass(frozen=True, order=True)
class Hop:
    """One elementary hop.

    Attributes
    ----------
    mechanism
        One of `MECHANISMS`.
    moves
        The ions that move: one, or two for an interstitialcy, the extra ion first.
    vacancy
        The vacant site beside which an ion goes to an empty site: the first or last half of a hop into this vacancy by
        way of the empty site. None where the ion goes into the vacancy itself, and for other mechanisms.
    """

    mechanism: Mechanism
    moves: tuple[Move, ...]
    vacancy: int | None = None

    @property
    def extra_ions(self) -> int:
        """Ions more (+1) or less (−1) than in the crystal.

        Times the ion's charge, this is the charge of the cell in e if the crystal's ions keep theirs: a DFT engine
        has to balance it by a background.
        """
        return _EXTRA_IONS[self.mechanism]

    def initial(self, sites: IonSites) -> State:
        """Return the state before the hop."""
        starts = {move.site for move in self.moves}
        left_out = {move.to for move in self.moves} - starts | {self.vacancy}
        return tuple(sorted({*sites.occupied, *starts} - left_out))

    def final(self, sites: IonSites) -> State:
        """Return the state after the hop."""
        return self.reversed().initial(sites)

    def reversed(self) -> Hop:
        """Return the hop from the final state to the initial one."""
        # the ion that was knocked on becomes the one that knocks
        return Hop(self.mechanism, tuple(move.reversed() for move in reversed(self.moves)), self.vacancy)

    def canonical(self) -> Hop:
        """Return the same for a hop and its reverse: that of the lower first site.

        Occupied sites come first, so that an ion of the crystal leaves its own site.
        """
        return min(self, self.reversed())

    def displacements_angstrom(self, sites: IonSites) -> NDArray[np.float64]:
        """Return the Cartesian displacements of the moving ions in Å, shape (moves, 3)."""
        return np.array([move.displacement_angstrom(sites) for move in self.moves])


def find_hops(sites: IonSites, mechanism: str) -> tuple[Hop, ...]:
    """Return all hops of a mechanism between neighbouring sites, sorted.

    A hop and its reverse are one, and so are its images in other cells of the crystal.

    Parameters
    ----------
    sites
        The sites and which of them are neighbours.
    mechanism
        One of `MECHANISMS`.

    Raises
    ------
    InputError
        Another mechanism.
    """
    if mechanism == "vacancy":
        found = _into_vacancies(sites)
    elif mechanism == "interstitial":
        found = (Hop("interstitial", (move,)) for move in _moves(sites, sites.empty, sites.empty))
    elif mechanism == "interstitialcy":
        found = _knocks(sites)
    elif mechanism == "frenkel":
        found = (Hop("frenkel", (move,)) for move in _moves(sites, sites.occupied, sites.empty))
    else:
        raise InputError(f"mechanism {mechanism!r}: allowed are {', '.join(MECHANISMS)}")
    return tuple(sorted({hop.canonical() for hop in found}))


def _moves(sites: IonSites, starts: range, ends: range) -> Iterator[Move]:
    for site in starts:
        for to, translation in sorted(sites.neighbours[site]):
            if to in ends:
                yield Move(site, to, translation)


def _into_vacancies(sites: IonSites) -> Iterator[Hop]:
    """Hops into a neighbouring vacancy, and the halves of those by way of one empty site."""
    for move in _moves(sites, sites.occupied, sites.occupied):
        if move.site != move.to:  # in a small cell a vacancy's neighbour is its own image
            yield Hop("vacancy", (move,))
    for middle in sites.empty:
        arrivals = [move.reversed() for move in _moves(sites, range(middle, middle + 1), sites.occupied)]
        for arrival, departure in permutations(arrivals, 2):
            if arrival.site != departure.site:
                yield Hop("vacancy", (arrival,), departure.site)


def _knocks(sites: IonSites) -> Iterator[Hop]:
    for knocked in sites.occupied:
        for way_in, way_out in combinations(_moves(sites, range(knocked, knocked + 1), sites.empty), 2):
            yield Hop("interstitialcy", (way_in.reversed(), way_out))
