from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzc_flows.errors import InputError
from lzc_flows.hopping.hops import find_hops
from lzc_flows.hopping.jumps import Jumps, jumps
from lzc_flows.hopping.observed import observed_hop, observed_sites, sites_in_trajectory
from lzc_flows.hopping.orbits import hop_orbits, symmetry_of
from lzc_flows.hopping.sites import IonSites
from lzc_flows.transport.motion import Motion

STEP_PS = 0.02


def motion_of(sites: IonSites, places: dict[int, list[tuple[int, tuple[int, int, int]]]], frames: int) -> Motion:
    """The crystal, its framework trembling; each ion named is at these sites in cells one after the other, in turn."""
    crystal = sites.structure
    rng = np.random.default_rng(0)
    fractional = np.tile(crystal.frac_coords, (frames, 1, 1))
    for ion, way in places.items():
        for part, (site, cell) in zip(np.array_split(np.arange(frames), len(way)), way, strict=True):
            fractional[part, sites.atoms[ion]] = sites.fractional[site] + cell
    noise = rng.uniform(-0.2, 0.2, fractional.shape)
    species = tuple(site.specie.symbol for site in crystal)
    return Motion(fractional @ crystal.lattice.matrix + noise, STEP_PS, species, crystal.lattice.matrix)


def neighbour(sites: IonSites, site: int, label: str) -> tuple[int, tuple[int, int, int]]:
    return next(one for one in sorted(sites.neighbours[site]) if sites.labels[one[0]] == label)


def seen_in(sites: IonSites, motion: Motion) -> Jumps:
    return jumps(motion, sites_in_trajectory(sites, motion), "Li")


@pytest.fixture(scope="module")
def host(host_lattice: Callable[[int], IonSites]) -> IonSites:
    return host_lattice(2)


@pytest.fixture(scope="module")
def seen(host: IonSites) -> tuple[Motion, Jumps]:
    """Ion 0 goes to 6g and back, three jumps; ion 5 to 1b, one jump."""
    home = (0, (0, 0, 0))
    up = neighbour(host, 0, "6g")
    aside = neighbour(host, 5, "1b")
    motion = motion_of(host, {0: [home, up, home, up], 5: [(5, (0, 0, 0)), aside]}, 400)
    return motion, seen_in(host, motion)


def test_neighbours_are_the_sites_between_which_ions_jumped(host: IonSites, seen: tuple[Motion, Jumps]) -> None:
    found = seen[1]
    assert found.counts.sum() == 4
    often, all_of_them = (observed_sites(host, found, least) for least in (3, 1))
    up, aside = neighbour(host, 0, "6g"), neighbour(host, 5, "1b")
    assert often.neighbours[0] == {up}
    assert len(often.pairs) == 1
    assert len(all_of_them.pairs) == 2
    assert all_of_them.neighbours[5] == {aside}
    # both ways were counted together
    assert len(observed_sites(host, found, 4).pairs) == 0
    assert often.bottleneck(0, *up) == pytest.approx(host.bottleneck(0, *up))
    hops = find_hops(often, "frenkel")
    assert [(move.site, move.to, move.translation) for hop in hops for move in hop.moves] == [(0, *up)]
    with pytest.raises(InputError, match=r"^0 jumps: at least one is allowed$"):
        observed_sites(host, found, 0)


def test_counts_and_rates_of_an_orbit(host: IonSites, seen: tuple[Motion, Jumps]) -> None:
    found = seen[1]
    (along_c, aside) = hop_orbits(host, find_hops(observed_sites(host, found, 1), "frenkel"), symmetry_of(host))
    assert (along_c.labels, aside.labels) == (("6h", "6g"), ("6h", "1b"))
    one, other = observed_hop(along_c, found), observed_hop(aside, found)
    # 8 ps: ion 0 spends half of them in 6g, ion 5 half in 1b. Two ways up and down from each 6h, one to 1b.
    at_6h = 12 * 8 - 4 - 4
    assert (one.jumps, other.jumps) == (3, 1)
    assert one.rate_forward_per_ps == pytest.approx(2 / (2 * at_6h))
    assert one.rate_backward_per_ps == pytest.approx(1 / (2 * 4))
    assert other.rate_forward_per_ps == pytest.approx(1 / at_6h)
    assert other.rate_backward_per_ps == 0
    (between, *_) = (
        orbit for orbit in hop_orbits(host, find_hops(host, "interstitial"), symmetry_of(host)) if "2d'" in orbit.labels
    )
    never = observed_hop(between, found)
    rates = {"2d'": never.rate_forward_per_ps, "6g": never.rate_backward_per_ps}
    if between.labels[0] == "6g":
        rates = dict(zip(rates, reversed(rates.values()), strict=True))
    assert never.jumps == 0
    assert math.isnan(rates["2d'"])
    assert rates["6g"] == 0


def test_a_hop_that_is_its_own_reverse_has_one_rate(host: IonSites) -> None:
    ring = next(orbit for orbit in hop_orbits(host, find_hops(host, "vacancy"), symmetry_of(host)) if orbit.palindromic)
    (move,) = ring.representative.moves
    home, away = (move.site, (0, 0, 0)), (move.to, move.translation)
    # three jumps of one ion onto the site of another, which is away
    up, (to, (x, y, z)) = neighbour(host, move.to, "6g"), (move.to, move.translation)
    assert (to, (x, y, z)) == away
    found = seen_in(host, motion_of(host, {move.site: [home, away, home, away], move.to: [up]}, 400))
    one = observed_hop(ring, found)
    assert one.jumps == 3
    assert one.rate_forward_per_ps == one.rate_backward_per_ps == pytest.approx(3 / (2 * 11 * 8))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_jumps_are_found_whatever_the_order_of_atoms_and_the_drift(
    host: IonSites, seen: tuple[Motion, Jumps], seed: int
) -> None:
    motion, expected = seen
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(motion.species))
    moved = (motion.positions + rng.uniform(-0.4, 0.4, 3))[:, order]
    # every atom whole cells away, and the cell 4 % larger
    moved = (moved + rng.integers(-2, 3, (len(order), 3)) @ motion.cell) * 1.04
    other = Motion(moved, STEP_PS, tuple(motion.species[i] for i in order), motion.cell * 1.04)
    found = seen_in(host, other)
    assert found.pairs.tolist() == expected.pairs.tolist()
    assert found.translations.tolist() == expected.translations.tolist()
    assert found.counts.tolist() == expected.counts.tolist()


def test_other_crystals_are_refused(host: IonSites, seen: tuple[Motion, Jumps]) -> None:
    motion = seen[0]
    long = replace(motion, positions=motion.positions * [1, 1, 1.5], cell=motion.cell * [1, 1, 1.5])
    with pytest.raises(InputError, match=r"^cell of 10.97 × 10.97 × 17.79 Å: that of the crystal, 10.97 × 10.97 × 11"):
        sites_in_trajectory(host, long)
    titanium = replace(motion, species=tuple("Ti" if one == "Zr" else one for one in motion.species))
    with pytest.raises(InputError, match=r"^atoms Cl36 Li12 Ti6: those of the crystal, Cl36 Li12 Zr6, are allowed$"):
        sites_in_trajectory(host, titanium)
    scattered = replace(motion, positions=np.array(motion.positions))
    scattered.positions[:, motion.species.index("Zr")] += [2.5, 0, 0]
    with pytest.raises(InputError, match=r"^first frame: Zr lies 2\.\d\d Å from its place in the crystal; up to 1.8 Å"):
        sites_in_trajectory(host, scattered)
