"""What stands around a hop in a doped crystal, and the groups in which pristine and doped hops are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from lzc_flows.hopping.hops import Hop
from lzc_flows.hopping.orbits import HopOrbit
from lzc_flows.hopping.sites import IonSites, anions, element_of

HOST_ELEMENTS = ("Zr", "Cl")
"""Framework elements of the undoped host; others are dopants."""

NEAR_ANGSTROM = 4.5
"""A dopant cation is near within this distance of the bottleneck. Of LZC's hop along c this is the first shell of Zr
(3.9–4.1 Å, the next 5.8 Å); of the hops in the plane the shells are less apart (up to 4.4 Å, from 4.4 Å)."""

IN_BOTTLENECK = 3
"""Anions that form a bottleneck: the triangle that two polyhedra share."""

Shell = Literal["near", "far", "none"]


@dataclass(frozen=True)
class Surroundings:
    """What stands around the bottleneck of a hop, or around both of a hop of two ions.

    Attributes
    ----------
    dopant_distances_angstrom
        For each dopant element, the distance of its nearest atom from the bottleneck in Å.
    anions_in_bottleneck
        Elements of the three anions nearest to each bottleneck, with their numbers.
    dopant_anions
        How many of these are dopants, such as F on Cl sites.
    dopant_shell
        Whether the nearest dopant cation is within `NEAR_ANGSTROM`; ``"none"`` where the crystal has none.
    """

    dopant_distances_angstrom: dict[str, float]
    anions_in_bottleneck: dict[str, int]
    dopant_anions: int
    dopant_shell: Shell


@dataclass(frozen=True, order=True)
class HopGroup:
    """Hops that differ at most in more distant surroundings: the key by which pristine and doped ones are paired.

    Attributes
    ----------
    mechanism, labels, direction_word
        As in `lzc_flows.hopping.orbits.HopOrbit`; the labels in the order that comes first, forward or backward.
    dopant_anions, dopant_shell
        As in `Surroundings`.
    """

    mechanism: str
    labels: tuple[str, ...]
    direction_word: str
    dopant_anions: int
    dopant_shell: Shell

    @property
    def pristine(self) -> HopGroup:
        """The group of the same hops in the undoped crystal."""
        return replace(self, dopant_anions=0, dopant_shell="none")


def surroundings(sites: IonSites, hop: Hop, host_elements: Collection[str] = HOST_ELEMENTS) -> Surroundings:
    """Return what stands around a hop; framework elements that are not among `host_elements` are dopants."""
    crystal = sites.structure
    elements = np.array([element_of(crystal, number) for number in range(len(crystal))])
    places = [sites.bottleneck(move.site, move.to, move.translation) for move in hop.moves]
    distances = crystal.lattice.get_all_distances(places, crystal.frac_coords)
    anion = np.isin(np.arange(len(crystal)), anions(crystal))
    dopant = ~np.isin(elements, [*host_elements, sites.mobile])
    nearest = np.argsort(np.where(anion, distances, np.inf), axis=1, kind="stable")[:, :IN_BOTTLENECK]
    nearest = nearest[anion[nearest]]
    cations = distances[:, dopant & ~anion]
    return Surroundings(
        dopant_distances_angstrom={
            str(element): float(distances[:, elements == element].min()) for element in np.unique(elements[dopant])
        },
        anions_in_bottleneck=dict(sorted(Counter(elements[nearest].tolist()).items())),
        dopant_anions=int(dopant[nearest].sum()),
        dopant_shell="none" if not cations.size else "near" if cations.min() <= NEAR_ANGSTROM else "far",
    )


def hop_group(orbit: HopOrbit, around: Surroundings) -> HopGroup:
    """Return the group of an orbit's hops."""
    return HopGroup(
        mechanism=orbit.mechanism,
        labels=min(orbit.labels, orbit.labels[::-1]),
        direction_word=orbit.direction_word,
        dopant_anions=around.dopant_anions,
        dopant_shell=around.dopant_shell,
    )
