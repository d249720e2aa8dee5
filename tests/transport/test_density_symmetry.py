from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pymatgen.core import Structure

from lzc_flows.crystal.host import aimd_host, ideal_host
from lzc_flows.errors import InputError
from lzc_flows.transport.density import probability_density, symmetrised_density
from lzc_flows.transport.density_symmetry import ideal_framework, symmetric_shape, symmetrised
from lzc_flows.transport.grid_symmetry import grid_operations
from lzc_flows.transport.motion import Motion

IDEAL = ideal_host().structure
SPECIES = tuple(site.specie.symbol for site in IDEAL)
CELL = np.array(IDEAL.lattice.matrix)


def vibrating(frames: int = 300, seed: int = 0) -> NDArray[np.float64]:
    return IDEAL.cart_coords + np.random.default_rng(seed).normal(0, 0.2, (frames, len(IDEAL), 3))


def test_node_numbers_fit_the_symmetry_and_are_no_coarser() -> None:
    host = aimd_host().structure
    framework = ideal_framework(host, "Li")
    shape = symmetric_shape(framework, 0.2)
    assert shape == (60, 60, 96)
    # P-3m1 has 12 operations, and the cell is three long
    assert len(grid_operations(framework, shape).matrices) + 1 == 36


def test_symmetry_keeps_the_ions_and_makes_images_equal_to_the_last_bit() -> None:
    motion = Motion(vibrating(), 0.01, SPECIES, CELL)
    found = symmetrised_density(motion, "Li", IDEAL, 0.4)
    assert found.operations == 12
    operations = grid_operations(ideal_framework(IDEAL, "Li"), found.per_angstrom3.shape)
    nodes = np.indices(found.per_angstrom3.shape).reshape(3, -1).T
    for matrix, translation in zip(operations.matrices, operations.translations, strict=True):
        images = (nodes @ matrix.T + translation) % found.per_angstrom3.shape
        assert (found.per_angstrom3[tuple(images.T)] == found.per_angstrom3.ravel()).all()
    for one in (found.per_angstrom3, *found.halves):
        assert one.sum() * found.voxel_angstrom3 == pytest.approx(6, rel=1e-12)


def test_the_average_is_over_the_group() -> None:
    values = np.random.default_rng(0).random((24, 24, 12))
    operations = grid_operations(ideal_framework(IDEAL, "Li"), values.shape)
    nodes = np.indices(values.shape).reshape(3, -1).T
    expected = values.ravel().copy()
    for matrix, translation in zip(operations.matrices, operations.translations, strict=True):
        expected += values[tuple(((nodes @ matrix.T + translation) % values.shape).T)]
    np.testing.assert_allclose(symmetrised(values, operations).ravel(), expected / 12, rtol=1e-12)


def test_the_density_is_in_the_ideal_coordinates_whatever_the_trajectory_counts_from() -> None:
    positions = vibrating()
    found = symmetrised_density(Motion(positions, 0.01, SPECIES, CELL), "Li", IDEAL, 0.4)
    moved = positions + np.array([0.4, -0.3, 0.5])
    moved[:, 5] += CELL[0] - 2 * CELL[2]
    order = np.random.default_rng(1).permutation(len(SPECIES))
    other = Motion(moved[:, order], 0.01, tuple(SPECIES[i] for i in order), CELL)
    np.testing.assert_allclose(
        symmetrised_density(other, "Li", IDEAL, 0.4).per_angstrom3, found.per_angstrom3, atol=1e-9
    )
    # the ideal places of lithium are where it is densest
    lithium = np.array([site.frac_coords for site in IDEAL if site.specie.symbol == "Li"])
    nodes = np.rint(lithium * found.per_angstrom3.shape).astype(int) % found.per_angstrom3.shape
    assert (found.per_angstrom3[tuple(nodes.T)] > 0.5 * found.highest).all()


def test_a_turned_cell_and_dopants_on_host_sites_are_taken() -> None:
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    species = list(SPECIES)
    species[species.index("Zr")], species[species.index("Cl")] = "Ti", "F"
    turned = Motion(vibrating() @ turn, 0.01, tuple(species), CELL @ turn)
    plain = Motion(vibrating(), 0.01, SPECIES, CELL)
    np.testing.assert_allclose(
        symmetrised_density(turned, "Li", IDEAL, 0.4).per_angstrom3,
        symmetrised_density(plain, "Li", IDEAL, 0.4).per_angstrom3,
        atol=1e-9,
    )


def test_effective_samples_are_those_of_the_trajectory() -> None:
    motion = Motion(vibrating(), 0.01, SPECIES, CELL)
    found = symmetrised_density(motion, "Li", IDEAL, 0.4)
    plain = probability_density(motion, "Li", 0.4)
    # on a slightly finer grid
    assert found.effective_samples == pytest.approx(plain.effective_samples, rel=0.1)


@pytest.mark.parametrize(
    ("ideal", "line"),
    [
        (IDEAL.copy().scale_lattice(1.2 * IDEAL.volume), "not the cell of the trajectory"),
        (Structure.from_sites(IDEAL.sites[:-1]), "with 20 framework sites: the trajectory has 21"),
        (Structure(IDEAL.lattice, ["Li+"], [[0, 0, 0]]), "no site without Li"),
        (
            Structure(IDEAL.lattice, ["Cl-"] * 21, np.random.default_rng(0).random((21, 3)) * [1, 1, 0.3]),
            r"up to 1 Å is allowed",
        ),
    ],
    ids=["lattice", "number", "mobile", "places"],
)
def test_another_crystal_is_refused(ideal: Structure, line: str) -> None:
    with pytest.raises(InputError, match=line):
        symmetrised_density(Motion(vibrating(3), 0.01, SPECIES, CELL), "Li", ideal, 0.4)
