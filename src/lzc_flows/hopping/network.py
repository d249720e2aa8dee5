"""What hops with known barriers add up to: networks of states, one for each kind of carrier.

The nodes are states, sets of occupied sites, and not sites: half of a vacancy's hop by way of an empty site joins a
state with one empty site more. A loop of states brings every ion to a site of the same kind, some whole cells away; the
sum of these cells is the loop's winding, the net displacement of the ions. A vacancy is displaced the other way, an
ion that is knocked on counts as much as the one that knocks: what diffuses is the carrier's charge.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lzc_flows.errors import InputError
from lzc_flows.hopping.hops import Hop, State
from lzc_flows.hopping.orbits import HopOrbit
from lzc_flows.hopping.random_walk import Network
from lzc_flows.hopping.sites import IonSites
from lzc_flows.transport.sitegraph import SiteGraph

Carrier = Literal["vacancy", "interstitial", "frenkel"]

CARRIERS: dict[int, Carrier] = {-1: "vacancy", 1: "interstitial", 0: "frenkel"}
"""By ions more or less than in the crystal. Interstitials hop directly or knock on: both join the same states."""

_ROUNDING_EV = 1e-6


@dataclass(frozen=True, eq=False)
class HopEnergies:
    """The converged energies of a hop, the same for all hops of its orbit.

    Attributes
    ----------
    orbit
        The hop and its images.
    initial_ev, final_ev
        Energies of the representative's relaxed ends in eV, absolute: those of cells with as many ions.
    saddle_ev
        The highest energy between them, on the same scale; that of the higher end where there is no barrier.

    Raises
    ------
    InputError
        A number that is not finite, or a saddle below an end.
    """

    orbit: HopOrbit
    initial_ev: float
    final_ev: float
    saddle_ev: float

    def __post_init__(self) -> None:
        energies = (self.initial_ev, self.final_ev, self.saddle_ev)
        if not (np.isfinite(energies).all() and self.saddle_ev >= max(energies[:2]) - _ROUNDING_EV):
            raise InputError(
                f"{self.orbit.mechanism} hop {' → '.join(self.orbit.labels)}: ends at {energies[0]:g} and "
                f"{energies[1]:g} eV, saddle at {energies[2]:g} eV; a saddle at or above both ends is allowed"
            )


@dataclass(frozen=True, eq=False)
class CarrierNetwork:
    """The states of one kind of carrier, and the hops between them.

    Attributes
    ----------
    carrier
        ``"vacancy"`` (one ion too few), ``"interstitial"`` (one too many) or ``"frenkel"`` (none).
    states
        Occupied sites of each node.
    graph
        Energies of states and saddles. Translations are the sums of the moves' own.
    fractional
        Shape (states, 3), sum of the fractional coordinates of a state's ions, not wrapped: a hop's net displacement
        is the difference of its ends plus its translation.
    cell
        Rows are the lattice vectors, Å, shape (3, 3).
    spread_ev
        Largest difference of the energies that hops give for one state, eV; the graph has their mean. Beyond some
        meV, hops relaxed the same state into different minima.
    """

    carrier: Carrier
    states: tuple[State, ...]
    graph: SiteGraph
    fractional: NDArray[np.float64]
    cell: NDArray[np.float64]
    spread_ev: float

    def walking(self, attempt_hz: float) -> Network:
        """Return what `lzc_flows.hopping.random_walk.random_walk` takes, all hops tried at one frequency in Hz."""
        return Network(self.graph, self.fractional, self.cell, attempt_hz)


def carrier_networks(sites: IonSites, hops: Sequence[HopEnergies]) -> tuple[CarrierNetwork, ...]:
    """Return the network of each carrier that some hop moves.

    Hops that are left out, such as those whose path did not converge, are no edges: what cannot be reached without
    them has an infinite barrier.

    Parameters
    ----------
    sites
        The sites on which the hops were found.
    hops
        Each orbit once.

    Raises
    ------
    ValueError
        A hop that stands in two orbits.
    """
    of_carrier: dict[Carrier, list[HopEnergies]] = {carrier: [] for carrier in CARRIERS.values()}
    for one in hops:
        of_carrier[CARRIERS[one.orbit.representative.extra_ions]].append(one)
    return tuple(_network(sites, carrier, some) for carrier, some in of_carrier.items() if some)


def _network(sites: IonSites, carrier: Carrier, hops: list[HopEnergies]) -> CarrierNetwork:
    edges: list[tuple[Hop, State, State, float]] = []
    # energies of a state by orbit and end: however many members of an orbit meet in it, they count once
    energies: dict[State, dict[tuple[int, int], float]] = defaultdict(dict)
    for number, one in enumerate(hops):
        both = one.initial_ev, one.final_ev
        for member in one.orbit.members:
            ends = member.hop.initial(sites), member.hop.final(sites)
            edges.append((member.hop, *ends, one.saddle_ev))
            for end, state in enumerate(ends):
                # where symmetry makes a hop its own reverse, either end is as good as the other
                alike = (0, 1) if one.orbit.palindromic else (end ^ member.backward,)
                energies[state] |= {(number, which): both[which] for which in alike}
    if len({hop for hop, *_ in edges}) < len(edges):
        raise ValueError("every hop may stand in one orbit only")
    states = tuple(sorted(energies))
    place = {state: index for index, state in enumerate(states)}
    means = np.array([np.mean(list(energies[state].values())) for state in states])
    ends_of = np.array([(place[initial], place[final]) for _, initial, final, _ in edges])
    graph = SiteGraph(
        energies_ev=means,
        sites=ends_of,
        translations=np.array([np.sum([move.translation for move in hop.moves], axis=0) for hop, *_ in edges]),
        levels_ev=np.maximum([saddle for *_, saddle in edges], means[ends_of].max(axis=1)),
    )
    return CarrierNetwork(
        carrier=carrier,
        states=states,
        graph=graph,
        fractional=np.array([sites.fractional[list(state)].sum(axis=0) for state in states]),
        cell=np.asarray(sites.structure.lattice.matrix),
        spread_ev=max(float(np.ptp(list(found.values()))) for found in energies.values()),
    )
