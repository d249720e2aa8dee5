from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lzc_flows.errors import CalculationError, InputError
from lzc_flows.hopping.sites import IonSites
from lzc_flows.hopping.symmetry import site_symmetry


@pytest.mark.parametrize("layers", [1, 3])
def test_sites_land_where_permutations_and_cells_say(sites_of: Callable[[int], IonSites], layers: int) -> None:
    sites = sites_of(layers)
    symmetry = site_symmetry(sites.structure, sites.fractional)
    assert symmetry.symbol == "P-3m1"
    assert len(symmetry) == 12 * layers
    for operation in range(len(symmetry)):
        landed = symmetry.moved(operation, sites.fractional)
        expected = sites.fractional[symmetry.permutations[operation]] + symmetry.cells[operation]
        assert landed == pytest.approx(expected, abs=1e-6)


def test_a_pair_keeps_its_distance(sites_of: Callable[[int], IonSites]) -> None:
    sites = sites_of(1)
    symmetry = site_symmetry(sites.structure, sites.fractional)
    for (first, second), (x, y, z) in zip(sites.pairs.tolist(), sites.translations.tolist(), strict=True):
        length = np.linalg.norm(sites.vector_angstrom(first, second, (x, y, z)))
        for operation in range(len(symmetry)):
            image = symmetry.image(operation, first, second, (x, y, z))
            assert np.linalg.norm(sites.vector_angstrom(*image)) == pytest.approx(length, rel=1e-6, abs=0)


def test_symmetrised_sites_undo_noise(host_lattice: Callable[[int], IonSites]) -> None:
    sites = host_lattice(1)
    noise = np.random.default_rng(3).uniform(-0.01, 0.01, sites.fractional.shape)
    symmetry = site_symmetry(sites.structure, sites.fractional + noise)
    mended = symmetry.symmetrised(sites.fractional + noise)
    again = site_symmetry(sites.structure, mended)
    for operation in range(len(again)):
        landed = again.moved(operation, mended)
        expected = mended[again.permutations[operation]] + again.cells[operation]
        assert landed == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("symprec", [0.0, -1.0, float("nan"), 1e6])
def test_tolerances_that_find_nothing_are_refused(host_lattice: Callable[[int], IonSites], symprec: float) -> None:
    sites = host_lattice(1)
    with pytest.raises(InputError, match=r"^symmetry tolerance .* Å: no space group found"):
        site_symmetry(sites.structure, sites.fractional, symprec)


def test_sites_without_the_crystals_symmetry_are_refused(host_lattice: Callable[[int], IonSites]) -> None:
    sites = host_lattice(1)
    with pytest.raises(CalculationError, match="from the nearest site"):
        site_symmetry(sites.structure, np.append(sites.fractional[:6], [[0.2, 0.05, 0.1]], axis=0))
