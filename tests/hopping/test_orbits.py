from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from lzc_flows.hopping.hops import MECHANISMS, Hop, find_hops
from lzc_flows.hopping.orbits import HopOrbit, hop_orbits, site_orbits, symmetry_of
from lzc_flows.hopping.sites import IonSites


def distinct(sites: IonSites, mechanism: str) -> tuple[HopOrbit, ...]:
    return hop_orbits(sites, find_hops(sites, mechanism), symmetry_of(sites))


def summary(orbits: tuple[HopOrbit, ...], layers: int) -> Counter:
    return Counter(
        (
            min(orbit.labels, orbit.labels[::-1]),
            tuple(sorted(round(length, 2) for length in orbit.distances_angstrom)),
            orbit.direction_word,
            orbit.palindromic,
            orbit.multiplicity / layers,
        )
        for orbit in orbits
    )


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_tall_cell_has_the_same_distinct_hops_three_times(
    host_lattice: Callable[[int], IonSites], mechanism: str
) -> None:
    once, tall = (distinct(host_lattice(layers), mechanism) for layers in (1, 3))
    more = summary(tall, 3) - summary(once, 1)
    assert not summary(once, 1) - summary(tall, 3)
    # one cell high, the ion above is the hopping one's own image: it cannot be the vacancy
    along_c = {(("6g", "6h"), (2.97,), "c", False, 12.0): 1}
    assert more == (along_c if mechanism == "vacancy" else {})


@pytest.mark.parametrize("mechanism", ["interstitial", "interstitialcy", "frenkel"])
def test_so_does_the_landscape_of_a_tall_cell(landscape: Callable[[int], IonSites], mechanism: str) -> None:
    once, tall = (distinct(landscape(layers), mechanism) for layers in (1, 3))
    # the grids differ a little, and with them the directions
    assert Counter((o.labels, o.palindromic, 3 * o.multiplicity) for o in once) == Counter(
        (o.labels, o.palindromic, o.multiplicity) for o in tall
    )


def test_hops_of_the_host_by_hand(host_lattice: Callable[[int], IonSites]) -> None:
    sites = host_lattice(1)
    assert summary(distinct(sites, "frenkel"), 1) == {
        (("6g", "6h"), (2.97,), "c", False, 12): 1,
        (("1b", "6h"), (3.61,), "ab", False, 6): 1,
    }
    assert summary(distinct(sites, "interstitial"), 1) == {
        (("6g", "6g"), (3.51,), "ab", True, 6): 1,
        (("6g", "6g"), (3.95,), "ab", True, 3): 1,
        (("2d'", "6g"), (3.74,), "ab", False, 12): 1,
    }
    assert summary(distinct(sites, "interstitialcy"), 1) == {
        (("6g", "6h", "6g"), (2.97, 2.97), "c", True, 6): 1,
        (("1b", "6h", "6g"), (2.97, 3.61), "oblique", False, 12): 1,
    }
    # with a vacancy 60°, 120° or 180° around 1b, besides the two direct hops
    assert summary(distinct(sites, "vacancy"), 1) == {
        (("6h", "6h"), (3.61,), "ab", True, 6): 1,
        (("6h", "6h"), (3.76,), "ab", True, 3): 1,
        (("1b", "6h"), (3.61,), "ab", False, 12): 2,
        (("1b", "6h"), (3.61,), "ab", False, 6): 1,
    }


def test_sites_of_the_host(sites_of: Callable[[int], IonSites]) -> None:
    sites = sites_of(1)
    orbits = site_orbits(symmetry_of(sites))
    assert sorted(site for orbit in orbits for site in orbit) == list(range(len(sites.labels)))
    for orbit in orbits:
        (label,) = {sites.labels[site] for site in orbit}
        assert int(label[0]) == len(orbit)


def random_sites(seed: int, group: str) -> IonSites:
    """A small random crystal of some space group with random sites; all pairs closer than a reach are neighbours."""
    rng = np.random.default_rng(seed)
    a, b, c = rng.uniform(4, 6, 3)
    lattice = {
        "P4/mmm": Lattice.tetragonal(a, c),
        "P-3m1": Lattice.hexagonal(a, c),
        "P2_1/c": Lattice.monoclinic(a, b, c, 100),
        "R3": Lattice.hexagonal(a, c),
        "Pnma": Lattice.orthorhombic(a, b, c),
    }[group]
    framework, lithium, vacant = rng.random((3, 3))
    crystal = Structure.from_spacegroup(group, lattice, ["Li", "Cl"], [lithium, framework])
    ions = tuple(i for i, site in enumerate(crystal) if site.specie.symbol == "Li")
    operations = SpacegroupAnalyzer(crystal, symprec=1e-4).get_symmetry_operations()
    images: list[np.ndarray] = []
    for operation in operations:
        image = operation.operate(vacant) % 1
        if all(np.linalg.norm((d := image - known) - np.rint(d)) > 1e-6 for known in images):
            images.append(image)
    fractional = np.concatenate([crystal.frac_coords[list(ions)], images])
    # a reach between two lengths, so that rounding decides for no pair
    found = []
    for i, j in product(range(len(fractional)), repeat=2):
        for t in product((-1, 0, 1), repeat=3):
            length = float(np.linalg.norm((fractional[j] + t - fractional[i]) @ lattice.matrix))
            if (i, *t) < (j, *(-x for x in t)):
                found.append((length, i, j, t))
    lengths = np.sort([row[0] for row in found])[:40]
    gap = int(np.diff(lengths)[4:].argmax()) + 4
    near = [row for row in found if row[0] < lengths[gap : gap + 2].mean()]
    pairs, translations = np.array([row[1:3] for row in near]), np.array([row[3] for row in near])
    middles = (fractional[pairs[:, 0]] + fractional[pairs[:, 1]] + translations) / 2
    labels = ("x",) * len(fractional)
    return IonSites(crystal, "Li", ions, fractional, labels, pairs, translations, middles)


def track(sites: IonSites, hop: Hop) -> list[np.ndarray]:
    """Positions of the vacancy, and where each ion starts and stops, in cells that follow one another."""
    places = [] if hop.vacancy is None else [sites.fractional[hop.vacancy]]
    for move in hop.moves:
        places += [sites.fractional[move.site], sites.fractional[move.to] + move.translation]
    return places


def same(first: list[np.ndarray], second: list[np.ndarray], pairs: int) -> bool:
    """Whether two tracks are one: each move, and each further place, up to a translation of its own."""
    if len(first) != len(second):  # only one has a vacancy beside it
        return False
    moves = len(first) - 2 * pairs
    blocks = [slice(0, moves)] * bool(moves) + [slice(moves + 2 * i, moves + 2 * i + 2) for i in range(pairs)]
    for block in blocks:
        apart = np.array(first[block]) - np.array(second[block])
        shift = np.rint(apart[0])
        if np.abs(apart - shift).max() > 1e-4:
            return False
    return True


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    group=st.sampled_from(["P4/mmm", "P-3m1", "P2_1/c", "R3", "Pnma"]),
    mechanism=st.sampled_from(MECHANISMS),
)
def test_orbits_by_brute_force(seed: int, group: str, mechanism: str) -> None:
    sites = random_sites(seed, group)
    hops = find_hops(sites, mechanism)[:60]
    orbits = hop_orbits(sites, hops, symmetry_of(sites, 1e-4))
    operations = SpacegroupAnalyzer(sites.structure, symprec=1e-4).get_symmetry_operations()
    belongs = {member.hop: (orbit, member) for orbit in orbits for member in orbit.members}
    assert set(hops) <= set(belongs)
    assert sum(orbit.multiplicity for orbit in orbits) == len(belongs)
    for hop in hops[:12]:
        orbit, member = belongs[hop]
        rep = orbit.representative
        forward = images_of(sites, rep, operations)
        backward = images_of(sites, rep.reversed(), operations)
        own = track(sites, hop)
        is_forward = any(same(image, own, len(hop.moves)) for image in forward)
        is_backward = any(same(image, own, len(hop.moves)) for image in backward)
        assert is_forward or is_backward
        assert member.backward == (not is_forward)
        assert orbit.palindromic == (is_forward and is_backward)
        # and to no other orbit
        for other in orbits:
            if other is not orbit:
                images = images_of(sites, other.representative, operations)
                assert not any(same(image, own, len(hop.moves)) for image in images)


def images_of(sites: IonSites, hop: Hop, operations: list) -> list[list[np.ndarray]]:
    return [[operation.operate(place) for place in track(sites, hop)] for operation in operations]


def test_directions() -> None:
    sites = random_sites(1, "P-3m1")
    for mechanism in MECHANISMS:
        for orbit in distinct(sites, mechanism):
            total = orbit.representative.displacements_angstrom(sites).sum(axis=0)
            angle = np.degrees(np.arccos(abs(total[2]) / np.linalg.norm(total)))
            expected = "c" if angle <= 30 else "ab" if angle >= 60 else "oblique"
            assert orbit.direction_word == expected
            assert np.linalg.norm(orbit.direction) == pytest.approx(1)


def test_an_orbit_is_whole_where_only_one_of_its_hops_was_seen(host_lattice: Callable[[int], IonSites]) -> None:
    sites = host_lattice(1)
    hops = find_hops(sites, "frenkel")
    (orbit,) = hop_orbits(sites, [hops[3].reversed()], symmetry_of(sites))
    (expected,) = (o for o in distinct(sites, "frenkel") if hops[3] in {member.hop for member in o.members})
    assert orbit.members == expected.members
