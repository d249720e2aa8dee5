from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from lzc_flows.crystal.host import ideal_host, rietveld_host
from lzc_flows.errors import InputError
from lzc_flows.hopping.sites import IonSites, anions, element_of, mobile_atoms


def test_neighbours_see_one_another(sites_of: Callable[[int], IonSites]) -> None:
    sites = sites_of(1)
    for site, around in enumerate(sites.neighbours):
        for to, (x, y, z) in around:
            assert (site, (-x, -y, -z)) in sites.neighbours[to]
    assert sum(map(len, sites.neighbours)) == 2 * len(sites.pairs)


def test_occupied_sites_are_the_ions_and_the_framework_the_rest(sites_of: Callable[[int], IonSites]) -> None:
    sites = sites_of(1)
    assert [element_of(sites.structure, atom) for atom in sites.atoms] == ["Li"] * len(sites.occupied)
    assert sorted([*sites.atoms, *sites.framework]) == list(range(len(sites.structure)))
    assert [*sites.occupied, *sites.empty] == list(range(len(sites.labels)))


def test_a_bottleneck_is_one_place_from_both_sides(landscape: Callable[[int], IonSites]) -> None:
    sites = landscape(1)
    for (first, second), translation, place in zip(
        sites.pairs.tolist(), sites.translations.tolist(), sites.bottlenecks, strict=True
    ):
        x, y, z = translation
        assert sites.bottleneck(first, second, (x, y, z)) == pytest.approx(place, abs=1e-12)
        seen_back = sites.bottleneck(second, first, (-x, -y, -z))
        assert seen_back + translation == pytest.approx(place, abs=1e-12)
        # between the sites: nearer to the middle than the sites are
        middle = (sites.fractional[first] + sites.fractional[second] + translation) / 2
        off = np.linalg.norm((place - middle) @ sites.structure.lattice.matrix)
        assert off < np.linalg.norm(sites.vector_angstrom(first, second, (x, y, z))) / 2


def test_an_unknown_pass_is_in_the_middle(host_lattice: Callable[[int], IonSites]) -> None:
    sites = host_lattice(1)
    assert sites.bottleneck(0, 0, (2, 0, 0)) == pytest.approx(sites.fractional[0] + [1, 0, 0])


def test_anions_with_and_without_charges() -> None:
    charged = ideal_host().structure
    bare = charged.copy().remove_oxidation_states()
    assert anions(charged) == anions(bare) == tuple(i for i, s in enumerate(bare) if s.specie.symbol == "Cl")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {"labels": s.labels[:-1]}, "coordinates of shape"),
        (lambda s: {"pairs": s.pairs[:-1]}, "pairs need shapes"),
        (lambda s: {"pairs": s.pairs + len(s.labels)}, "may name sites 0 to"),
        (lambda s: {"atoms": s.atoms[::-1]}, "all Li atoms of the structure in their order"),
        (lambda s: {"fractional": s.fractional + 0.1}, "position of its ion"),
        (lambda s: {"pairs": s.pairs[[0] * len(s.pairs)], "translations": s.translations * 0}, "only once"),
    ],
)
def test_what_does_not_fit_is_refused(
    host_lattice: Callable[[int], IonSites], change: Callable[[IonSites], dict], message: str
) -> None:
    sites = host_lattice(1)
    with pytest.raises(ValueError, match=message):
        replace(sites, **change(sites))


@pytest.mark.parametrize(
    ("structure", "mobile", "message"),
    [
        (ideal_host().structure, "Na", r"^mobile ion Na: the crystal has none; its elements are Cl, Li, Zr$"),
        (ideal_host().structure, "Li+", r"^mobile ion 'Li\+': the symbol of an element is allowed, such as Li$"),
        (rietveld_host("lzc").structure, "Li", r"^site 0 \(.*\) is partially occupied: an ordered crystal is needed"),
        (Structure(Lattice.cubic(3.5), ["Li"], [[0, 0, 0]]), "Li", "no other atoms"),
    ],
)
def test_crystals_without_a_mobile_ion_are_refused(structure: Structure, mobile: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mobile_atoms(structure, mobile)
