"""The hops that a trajectory shows: neighbours are the sites between which ions jumped."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Lattice
from scipy.optimize import linear_sum_assignment

from lzc_flows.errors import InputError
from lzc_flows.hopping.hops import Move
from lzc_flows.hopping.jumps import Jumps
from lzc_flows.hopping.orbits import HopOrbit
from lzc_flows.hopping.sites import IonSites, element_of
from lzc_flows.transport.components import Vector
from lzc_flows.transport.motion import Motion

FARTHEST_ANGSTROM = 1.8
"""How far an atom of the framework may be from its place in the crystal: half the distance of chlorines that touch."""

_SHAPE = 0.1
"""How far edges and cosines of angles of the two cells may differ, relative: thermal expansion is some per cent."""


@dataclass(frozen=True)
class ObservedHop:
    """How often ions went the ways of a hop and of its images, whatever stood around them.

    A jump does not tell its mechanism: one into an empty site counts for every hop with this move, and of a hop of two
    ions, the jumps of each are counted, together or not.

    Attributes
    ----------
    jumps
        Jumps along any move of any of its images, forward or backward.
    rate_forward_per_ps
        Jumps along the moves over the time that ions spent where these start, 1/ps: how often an ion there takes one
        such way. It is to be compared with ν exp(−barrier/kT), where the target is seldom occupied. Not a number where
        no ion was.
    rate_backward_per_ps
        The same from the other ends.
    """

    jumps: int
    rate_forward_per_ps: float
    rate_backward_per_ps: float


def sites_in_trajectory(sites: IonSites, motion: Motion) -> NDArray[np.float64]:
    """Return the fractional coordinates of a crystal's sites in the cell of a trajectory of it, shape (s, 3).

    The atoms may stand in another order. Sites are moved by the mean displacement of the framework in the first frame,
    as `lzc_flows.hopping.jumps.jumps` needs them.

    Raises
    ------
    InputError
        Another cell or other atoms than the crystal's, or an atom of the framework far from all its places.
    """
    crystal = sites.structure
    cell = Lattice(motion.cell)
    strain = np.divide(cell.abc, crystal.lattice.abc) - 1
    shear = np.cos(np.radians(cell.angles)) - np.cos(np.radians(crystal.lattice.angles))
    if max(abs(strain).max(), abs(shear).max()) > _SHAPE:
        edges, own = (" × ".join(f"{length:.2f}" for length in one.abc) for one in (cell, crystal.lattice))
        raise InputError(
            f"cell of {edges} Å: that of the crystal, {own} Å, is allowed, edges within {_SHAPE:.0%} and angles kept"
        )
    symbols = np.array([element_of(crystal, number) for number in range(len(crystal))])
    if Counter(symbols.tolist()) != Counter(motion.species):
        found, expected = (
            " ".join(f"{symbol}{number}" for symbol, number in sorted(Counter(one).items()))
            for one in (motion.species, symbols.tolist())
        )
        raise InputError(f"atoms {found}: those of the crystal, {expected}, are allowed")
    return sites.fractional + _drift(sites, symbols, motion)


def observed_sites(sites: IonSites, found: Jumps, least_count: int) -> IonSites:
    """Return the sites with those as neighbours between which ions jumped.

    Parameters
    ----------
    sites
        All sites that ions can take; which of them are neighbours does not matter.
    found
        Jumps between these sites, in their order.
    least_count
        How many jumps between two sites, either way, make them neighbours.

    Raises
    ------
    InputError
        Fewer than one jump.
    """
    if least_count < 1:
        raise InputError(f"{least_count} jumps: at least one is allowed")
    pairs = sorted(pair for pair, count in _either_way(_counts(found)).items() if count >= least_count)
    return replace(
        sites,
        pairs=np.array([pair[:2] for pair in pairs], dtype=np.int64).reshape(-1, 2),
        translations=np.array([pair[2] for pair in pairs], dtype=np.int64).reshape(-1, 3),
        bottlenecks=np.array([sites.bottleneck(*pair) for pair in pairs]).reshape(-1, 3),
    )


def observed_hop(orbit: HopOrbit, found: Jumps) -> ObservedHop:
    """Return how often ions went the ways of an orbit's hops."""
    counts = _counts(found)
    hops = [member.hop.reversed() if member.backward else member.hop for member in orbit.members]
    forward = {move for hop in hops for move in hop.moves}
    backward = {move.reversed() for move in forward}
    if orbit.palindromic:
        forward = backward = forward | backward
    return ObservedHop(
        jumps=sum(counts.get((move.site, move.to, move.translation), 0) for move in forward | backward),
        rate_forward_per_ps=_rate(forward, counts, found),
        rate_backward_per_ps=_rate(backward, counts, found),
    )


def _counts(found: Jumps) -> dict[tuple[int, int, Vector], int]:
    kinds = zip(found.pairs.tolist(), found.translations.tolist(), found.counts.tolist(), strict=True)
    return {(first, second, (x, y, z)): count for (first, second), (x, y, z), count in kinds}


def _either_way(counts: dict[tuple[int, int, Vector], int]) -> Counter[tuple[int, int, Vector]]:
    total: Counter[tuple[int, int, Vector]] = Counter()
    for (first, second, (x, y, z)), count in counts.items():
        total[min((first, second, (x, y, z)), (second, first, (-x, -y, -z)))] += count
    return total


def _rate(moves: Iterable[Move], counts: dict[tuple[int, int, Vector], int], found: Jumps) -> float:
    ways = [(move.site, move.to, move.translation) for move in moves]
    time_ps = math.fsum(found.times_ps[way[0]] for way in ways)
    return sum(counts.get(way, 0) for way in ways) / time_ps if time_ps > 0 else math.nan


def _drift(sites: IonSites, symbols: NDArray[np.str_], motion: Motion) -> NDArray[np.float64]:
    """Return the mean displacement of the framework in the first frame, fractional, shape (3,)."""
    lattice, species = Lattice(motion.cell), np.array(motion.species)
    here = np.asarray(motion.positions[0:1], dtype=np.float64)[0] @ np.linalg.inv(motion.cell)
    drift = np.zeros(3)
    for _ in range(2):  # the second time with the nearest places of the atoms without their drift
        apart = []
        for symbol in sorted(set(symbols) - {sites.mobile}):
            places, atoms = sites.structure.frac_coords[symbols == symbol], here[species == symbol] - drift
            distances = lattice.get_all_distances(atoms, places)
            row, column = linear_sum_assignment(distances**2)
            if distances[row, column].max() > FARTHEST_ANGSTROM:
                raise InputError(
                    f"first frame: {symbol} lies {distances[row, column].max():.2f} Å from its place in the crystal; "
                    f"up to {FARTHEST_ANGSTROM} Å is allowed"
                )
            apart.append(atoms[row] - places[column])
        offsets = np.concatenate(apart)
        drift = drift + (offsets - np.rint(offsets)).mean(axis=0)
    return drift
