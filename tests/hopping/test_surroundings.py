from __future__ import annotations

import numpy as np
import pytest

from lzc_flows.crystal.host import aimd_host
from lzc_flows.hopping.hops import find_hops
from lzc_flows.hopping.host_sites import host_sites
from lzc_flows.hopping.orbits import hop_orbits, symmetry_of
from lzc_flows.hopping.sites import IonSites
from lzc_flows.hopping.surroundings import NEAR_ANGSTROM, HopGroup, hop_group, surroundings


@pytest.fixture(scope="module")
def doped() -> IonSites:
    """One Ti on a Zr site and one F on a Cl site."""
    host = aimd_host()
    structure = host.structure.copy()
    structure.replace(next(i for i, s in enumerate(structure) if s.specie.symbol == "Zr"), "Ti3+")
    structure.replace(next(i for i, s in enumerate(structure) if s.specie.symbol == "Cl"), "F-")
    return host_sites(structure, host)


def test_pristine_hops_have_chlorine_around_them() -> None:
    host = aimd_host()
    sites = host_sites(host.structure, host)
    for hop in find_hops(sites, "interstitialcy"):
        around = surroundings(sites, hop)
        assert around.anions_in_bottleneck == {"Cl": 6}
        assert (around.dopant_distances_angstrom, around.dopant_anions, around.dopant_shell) == ({}, 0, "none")


def test_distances_and_counts_against_a_search_over_images(doped: IonSites) -> None:
    shells = set()
    for hop in find_hops(doped, "frenkel"):
        around = surroundings(doped, hop)
        (move,) = hop.moves
        middle = doped.structure.lattice.get_cartesian_coords(doped.bottleneck(move.site, move.to, move.translation))
        within = sorted(doped.structure.get_sites_in_sphere(middle, 12), key=lambda found: found.nn_distance)
        for element in ("Ti", "F"):
            nearest = next(found.nn_distance for found in within if found.specie.symbol == element)
            assert around.dopant_distances_angstrom[element] == pytest.approx(nearest, rel=1e-9, abs=0)
        anions = [found.specie.symbol for found in within if found.specie.symbol in ("Cl", "F")]
        # 6h to 6g passes a triangle; of an edge the third anion is not told from others as near
        if doped.labels[move.to] == "6g":
            assert sum(around.anions_in_bottleneck.values()) == 3
            assert around.dopant_anions == anions[:3].count("F") == around.anions_in_bottleneck.get("F", 0)
        shells.add(around.dopant_shell)
        assert (around.dopant_shell == "near") == (around.dopant_distances_angstrom["Ti"] <= NEAR_ANGSTROM)
    assert shells == {"near", "far"}


def test_doped_hops_are_paired_with_the_pristine_ones(doped: IonSites) -> None:
    host = aimd_host()
    groups = []
    for sites in (host_sites(host.structure, host), doped):
        orbits = hop_orbits(sites, find_hops(sites, "interstitial"), symmetry_of(sites))
        groups.append({hop_group(orbit, surroundings(sites, orbit.representative)) for orbit in orbits})
    pristine, with_dopants = groups
    assert HopGroup("interstitial", ("2d'", "6g"), "ab", 0, "none") in pristine
    assert len(with_dopants) > len(pristine)
    assert {group.pristine for group in with_dopants} == pristine


def test_which_elements_are_dopants_is_ours_to_say(doped: IonSites) -> None:
    hop = find_hops(doped, "frenkel")[0]
    assert surroundings(doped, hop, ("Zr", "Cl", "Ti", "F")).dopant_distances_angstrom == {}
    assert set(surroundings(doped, hop, ("Zr", "Ti")).dopant_distances_angstrom) == {"Cl", "F"}


def test_the_same_without_charges(doped: IonSites) -> None:
    host = aimd_host()
    bare = host_sites(doped.structure.copy().remove_oxidation_states(), host)
    for hop in find_hops(doped, "frenkel")[:20]:
        assert np.all(surroundings(doped, hop) == surroundings(bare, hop))
