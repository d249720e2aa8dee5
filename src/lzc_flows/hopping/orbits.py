"""Hops and sites that the crystal's space group makes equal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lzc_flows.documents.protocols import Mechanism
from lzc_flows.hopping.hops import Hop, Move, find_hops
from lzc_flows.hopping.sites import IonSites
from lzc_flows.hopping.symmetry import SYMPREC_ANGSTROM, SiteSymmetry, site_symmetry

WITHIN_DEGREES = 30.0
"""A hop within this angle of the c axis is along c, one within it of the a–b plane is along ab."""


@dataclass(frozen=True)
class Member:
    """One hop of an orbit: an image of the representative, or of the representative's reverse."""

    hop: Hop
    backward: bool


@dataclass(frozen=True, eq=False)
class HopOrbit:
    """Hops that symmetry makes equal: one barrier forward and one backward for all.

    Attributes
    ----------
    representative
        The hop that stands for all.
    members
        Each once, the representative among them. One that is `backward` has the forward barrier of the
        representative on its way back.
    palindromic
        Whether the representative is an image of its own reverse, so that both barriers are the same.
    labels
        Wyckoff labels of the sites that the ions pass from first to last, such as ``("6h", "6g")``.
    distances_angstrom
        How far each moving ion goes, in Å.
    direction
        Shape (3,), Cartesian unit vector along the sum of the ions' displacements; zero where they cancel.
    direction_word
        ``"c"`` within `WITHIN_DEGREES` of the c axis, ``"ab"`` within it of the a–b plane, else ``"oblique"``.
    """

    representative: Hop
    members: tuple[Member, ...]
    palindromic: bool
    labels: tuple[str, ...]
    distances_angstrom: tuple[float, ...]
    direction: NDArray[np.float64]
    direction_word: str

    @property
    def mechanism(self) -> Mechanism:
        """The mechanism of all its hops."""
        return self.representative.mechanism

    @property
    def multiplicity(self) -> int:
        """Number of its hops in the cell."""
        return len(self.members)


def symmetry_of(sites: IonSites, symprec_angstrom: float = SYMPREC_ANGSTROM) -> SiteSymmetry:
    """Return the space group of the crystal, ions in their places, acting on the sites.

    Raises
    ------
    InputError, CalculationError
        As `lzc_flows.hopping.symmetry.site_symmetry`.
    """
    return site_symmetry(sites.structure, sites.fractional, symprec_angstrom)


def hop_orbits(sites: IonSites, hops: Iterable[Hop], symmetry: SiteSymmetry) -> tuple[HopOrbit, ...]:
    """Return the distinct hops among `hops`, each with all its images, shortest first.

    An orbit is whole even where `hops` holds only some of its members, such as those that a trajectory shows.
    """
    seen: set[Hop] = set()
    found = []
    for hop in sorted({hop.canonical() for hop in hops}):
        if hop not in seen:
            orbit = _orbit(sites, hop, symmetry)
            seen.update(member.hop for member in orbit.members)
            found.append(orbit)
    return tuple(sorted(found, key=lambda orbit: (round(sum(orbit.distances_angstrom), 3), orbit.representative)))


def distinct_hops(sites: IonSites, mechanisms: Iterable[Mechanism], symmetry: SiteSymmetry) -> dict[str, HopOrbit]:
    """Return the distinct hops of some mechanisms by a name such as ``vacancy-1``, the shortest of each first."""
    return {
        f"{mechanism}-{number}": orbit
        for mechanism in mechanisms
        for number, orbit in enumerate(hop_orbits(sites, find_hops(sites, mechanism), symmetry), start=1)
    }


def site_orbits(symmetry: SiteSymmetry) -> tuple[tuple[int, ...], ...]:
    """Return the sites that symmetry makes equal, in the order of their first ones."""
    orbits = {tuple(sorted(set(images))) for images in symmetry.permutations.T.tolist()}
    return tuple(sorted(orbits))


def image(hop: Hop, operation: int, symmetry: SiteSymmetry) -> Hop:
    """Return the image of a hop, its moves starting in the home cell."""
    moves = tuple(Move(*symmetry.image(operation, move.site, move.to, move.translation)) for move in hop.moves)
    vacancy = None if hop.vacancy is None else int(symmetry.permutations[operation, hop.vacancy])
    return Hop(hop.mechanism, moves, vacancy)


def _orbit(sites: IonSites, hop: Hop, symmetry: SiteSymmetry) -> HopOrbit:
    images = {image(hop, operation, symmetry) for operation in range(len(symmetry))}
    # an image that is canonical runs forward; of a hop whose reverse is an image too, all do
    palindromic = hop.reversed() in images
    members = sorted({found.canonical() for found in images})
    displacements = hop.displacements_angstrom(sites)
    passed = [hop.moves[0].site, *(move.to for move in hop.moves)]
    direction = _unit(displacements.sum(axis=0))
    return HopOrbit(
        representative=hop,
        members=tuple(Member(member, backward=member not in images) for member in members),
        palindromic=palindromic,
        labels=tuple(sites.labels[site] for site in passed),
        distances_angstrom=tuple(np.linalg.norm(displacements, axis=1).tolist()),
        direction=direction,
        direction_word=_word(direction, sites.structure.lattice.matrix),
    )


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.linalg.norm(vector)
    return vector / length if length > 1e-6 else np.zeros(3)


def _word(direction: NDArray[np.float64], lattice_angstrom: NDArray[np.float64]) -> str:
    a, b, c = lattice_angstrom
    # rounding must not decide for a hop at just the limit
    if abs(direction @ _unit(c)) >= np.cos(np.radians(WITHIN_DEGREES)) - 1e-9:
        return "c"
    if direction.any() and abs(direction @ _unit(np.cross(a, b))) <= np.sin(np.radians(WITHIN_DEGREES)) + 1e-9:
        return "ab"
    return "oblique"
