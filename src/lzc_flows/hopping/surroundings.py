"""What stands around a hop in a doped crystal, and the groups in which pristine and doped hops are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lzc_flows.hopping.hops import Hop
from lzc_flows.hopping.orbits import HopOrbit
from lzc_flows.hopping.sites import IonSites, anions, element_of

HOST_ELEMENTS = ("Zr", "Cl")
"""Framework elements of the undoped host; others are dopants."""

IN_BOTTLENECK = 3
"""Anions that form a bottleneck: the triangle that two polyhedra share; of a shared edge two."""

NEXT_TO = 1.4
"""Atoms up to this many times as far as the nearest one are beside it. In LZC the anions of a shared face are up to 1.1
times as far from the bottleneck as the nearest, those of an edge 1.15, the next ones beyond an edge 1.67 and more;
every Cl has one Zr at 2.5 Å, the next is 1.7 times as far."""

Shell = Literal["near", "far", "none"]


@dataclass(frozen=True)
class Surroundings:
    """What stands around the bottleneck of a hop, or around both of a hop of two ions.

    Attributes
    ----------
    dopant_distances_angstrom
        For each dopant element, the distance of its nearest atom from the bottleneck in Å.
    anions_in_bottleneck
        Elements of the anions of each bottleneck, with their numbers: the three nearest, fewer where the third is
        farther (`NEXT_TO`).
    dopant_anions
        How many of these are dopants, such as F on Cl sites.
    dopant_shell
        Whether one of these anions is bonded to a dopant cation, that is, whether the bottleneck shares an anion with
        the dopant's polyhedron; ``"none"`` where the crystal has no dopant cation. (A distance does not tell: from
        hops in the plane of LZC, bonded Zr are up to 4.6 Å away and others from 4.4 Å on.)
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
    dopant = ~np.isin(elements, [*host_elements, sites.mobile])
    anion = np.isin(np.arange(len(crystal)), anions(crystal))
    cation = ~anion & (elements != sites.mobile)
    window = _beside(np.where(anion, distances, np.inf), IN_BOTTLENECK)
    named = np.nonzero(window)[1]
    bonds = crystal.lattice.get_all_distances(crystal.frac_coords[named], crystal.frac_coords)
    near = (_beside(np.where(cation, bonds, np.inf), len(crystal)) & dopant).any()
    return Surroundings(
        dopant_distances_angstrom={
            str(element): float(distances[:, elements == element].min()) for element in np.unique(elements[dopant])
        },
        anions_in_bottleneck=dict(sorted(Counter(elements[named].tolist()).items())),
        dopant_anions=int((window & dopant).sum()),
        dopant_shell="none" if not (cation & dopant).any() else "near" if near else "far",
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


def _beside(distances: NDArray[np.float64], most: int) -> NDArray[np.bool_]:
    """Return which atoms are nearest in each row: at most so many, none beyond `NEXT_TO` times the first."""
    rank = distances.argsort(axis=1, kind="stable").argsort(axis=1)
    return np.isfinite(distances) & (rank < most) & (distances <= NEXT_TO * distances.min(axis=1, keepdims=True))
