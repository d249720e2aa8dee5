from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lzc_flows.crystal.host import ideal_host
from lzc_flows.documents.protocols import BvseProtocol
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.hopping.landscape_sites import landscape_sites
from lzc_flows.hopping.sites import IonSites
from lzc_flows.jobs.bvse import bvse_field
from lzc_flows.transport.bvse import EnergyField


@pytest.fixture(scope="module")
def field() -> EnergyField:
    return bvse_field(ideal_host().structure, BvseProtocol(resolution_angstrom=0.2))


def test_octahedra_and_tetrahedra_of_the_host(landscape: Callable[[int], IonSites]) -> None:
    sites = landscape(1)
    assert Counter(sites.labels) == {"6h": 6, "6g": 6, "1b": 1, "2d'": 2, "6i": 6, "6i'": 6, "6i''": 6}
    cl = [site for site in sites.structure if site.specie.symbol == "Cl"]
    distances = sites.structure.lattice.get_all_distances(sites.fractional, [site.frac_coords for site in cl])
    coordination = Counter(
        (label[:2], int((row < 3.0).sum())) for label, row in zip(sites.labels, distances, strict=True)
    )
    assert coordination == {("6h", 6): 6, ("6g", 6): 6, ("1b", 6): 1, ("2d", 6): 2, ("6i", 4): 18}


def test_hops_go_through_shared_faces(landscape: Callable[[int], IonSites]) -> None:
    sites = landscape(1)
    pairs = Counter(tuple(sorted(sites.labels[site][:2] for site in pair)) for pair in sites.pairs.tolist())
    # each tetrahedron shares faces with the octahedra around it that no Zr holds; along c octahedra share faces
    assert pairs == {("6g", "6i"): 24, ("6h", "6i"): 12, ("2d", "6i"): 12, ("1b", "6i"): 6, ("6g", "6h"): 12}


def test_empty_sites_have_the_crystals_symmetry(landscape: Callable[[int], IonSites]) -> None:
    sites = landscape(1)
    for label, expected in (("2d'", [1 / 3, 2 / 3]), ("1b", [0, 0])):
        place = sites.fractional[sites.labels.index(label)]
        # the grid of 55 nodes has none at a third
        assert place[:2] == pytest.approx(expected, abs=1e-9)


def test_ions_keep_their_places(landscape: Callable[[int], IonSites]) -> None:
    sites = landscape(1)
    assert np.array_equal(sites.fractional[:6], sites.structure.frac_coords[list(sites.atoms)])


def test_a_field_of_another_cell_is_refused(field: EnergyField) -> None:
    other = replace(field, lattice_angstrom=field.lattice_angstrom * 1.01)
    with pytest.raises(InputError, match="different cells"):
        landscape_sites(ideal_host().structure, other, "Li")


def test_an_ion_off_all_minima_and_two_at_one_are_refused(field: EnergyField) -> None:
    off = ideal_host().structure.copy()
    off[0] = "Li+", [0.02, 0.0, 0.05]  # at the Zr of 1a
    with pytest.raises(CalculationError, match=r"^Li\+ \(atom 0\) lies .* Å from the nearest minimum of its BVSE"):
        landscape_sites(off, field, "Li")
    shared = ideal_host().structure.copy()
    shared.append("Li+", np.add(shared[2].frac_coords, [0, 0, 0.08]))
    with pytest.raises(CalculationError, match=r"^atoms 2 and 27 share one minimum of their BVSE landscape$"):
        landscape_sites(shared, field, "Li")
