from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lzc_flows.crystal.host import aimd_host
from lzc_flows.hopping.hops import find_hops
from lzc_flows.hopping.host_sites import host_sites
from lzc_flows.hopping.orbits import hop_orbits, symmetry_of
from lzc_flows.hopping.sites import IonSites
from lzc_flows.hopping.surroundings import HopGroup, hop_group, surroundings


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
        # faces on the way along c, an edge on the way to 1b
        edge = "1b" in (sites.labels[hop.moves[0].site], sites.labels[hop.moves[1].to])
        assert around.anions_in_bottleneck == {"Cl": 5 if edge else 6}
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
        anions = [found for found in within if found.specie.symbol in ("Cl", "F")]
        # 6h to 6g passes a face, 6h to 1b an edge
        window = anions[: 3 if doped.labels[move.to] == "6g" else 2]
        symbols = [found.specie.symbol for found in window]
        assert around.anions_in_bottleneck == Counter(symbols)
        assert around.dopant_anions == symbols.count("F")
        # every anion has one cation of the framework at 2.5 Å, the next is beyond 4 Å
        bonded = [near for anion in window for near in doped.structure.get_sites_in_sphere(anion.coords, 3.2)]
        shells.add(around.dopant_shell)
        assert (around.dopant_shell == "near") == any(near.specie.symbol == "Ti" for near in bonded)
    assert shells == {"near", "far"}


def test_as_many_zirconium_atoms_are_near_every_image_of_a_hop(sites_of: Callable[[int], IonSites]) -> None:
    sites = sites_of(2)
    zirconium = [number for number, site in enumerate(sites.structure) if site.specie.symbol == "Zr"]
    for orbit in hop_orbits(sites, find_hops(sites, "frenkel"), symmetry_of(sites)):
        near = Counter(dict.fromkeys((member.hop for member in orbit.members), 0))
        for number in zirconium:
            crystal = sites.structure.copy()
            crystal.replace(number, "Ti4+")
            one = replace(sites, structure=crystal)
            near.update(hop for hop in near if surroundings(one, hop).dopant_shell == "near")
        # one for each anion of a face; the two of an edge are bonded to one each
        edge = sum(surroundings(sites, orbit.representative).anions_in_bottleneck.values()) == 2
        assert set(near.values()) == {2 if edge else 3}


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
