from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Species, Structure

from lzc_flows.crystal.host import ideal_host
from lzc_flows.transport.bvse import framework_field
from lzc_flows.transport.conventions import CONVENTIONS, pair_energy
from lzc_flows.transport.framework import Framework, framework_of
from lzc_flows.transport.grid_symmetry import NO_OPERATIONS, grid_operations, representatives, spread

LI = Species("Li", 1)


def rocksalt() -> Structure:
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.1), ["Li+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def monoclinic() -> Structure:
    return Structure.from_spacegroup(
        "P2_1/c",
        Lattice.monoclinic(5.2, 6.1, 7.0, 104),
        ["Li+", "Zr4+", "Cl-"],
        [[0.11, 0.23, 0.31], [0, 0, 0], [0.31, 0.62, 0.19]],
    )


def triclinic() -> Structure:
    return Structure(
        Lattice.from_parameters(4.1, 5.3, 6.2, 78, 97, 111),
        ["Li+", "Zr4+", "Cl-"],
        [[0.02, 0.03, 0.04], [0.47, 0.53, 0.41], [0.13, 0.62, 0.78]],
    )


def fields(structure: Structure, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray, int]:
    """The field with and without symmetry, and the number of representatives."""
    framework = framework_of(structure, LI, "removed")
    functions = [pair_energy(LI, ion, CONVENTIONS["softbv"], {}) for ((ion, _),) in framework.ions]
    operations = grid_operations(framework, shape)
    assert_each_operation_keeps_the_sites(framework, operations, shape)
    with_symmetry, _ = framework_field(framework, functions, operations, shape, 6.0)
    without, _ = framework_field(framework, functions, NO_OPERATIONS, shape, 6.0)
    return with_symmetry, without, int(representatives(shape, operations).sum())


def assert_each_operation_keeps_the_sites(framework: Framework, operations, shape) -> None:
    nodes = np.array(shape)
    for matrix, translation in zip(operations.matrices, operations.translations, strict=True):
        mapped = framework.fractional @ (matrix * nodes / nodes[:, None]).T + translation / nodes
        for position, kind in zip(mapped, framework.kinds, strict=True):
            offsets = framework.fractional[framework.kinds == kind] - position
            distances = np.linalg.norm((offsets - np.rint(offsets)) @ framework.lattice_angstrom, axis=1)
            assert distances.min() < 2e-7


@pytest.mark.parametrize(
    ("structure", "shape", "order"),
    [
        (ideal_host().structure, (18, 18, 10), 12),
        (ideal_host().structure * (2, 2, 1), (36, 36, 10), 48),
        (rocksalt(), (12, 12, 12), 192),
        # centrings need even numbers of nodes
        (rocksalt(), (11, 11, 11), 48),
        # the fourfold axes of two directions need equal numbers of nodes
        (rocksalt(), (12, 12, 14), 64),
        (monoclinic(), (10, 12, 14), 4),
        # the glide and the screw need even numbers along b and c
        (monoclinic(), (10, 11, 14), 2),
        # without its lithium, this crystal has an inversion centre, off the nodes
        (triclinic(), (8, 9, 10), 1),
    ],
)
def test_symmetry_changes_the_cost_and_not_the_field(structure, shape, order):
    assert len(grid_operations(framework_of(structure, LI, "removed"), shape).matrices) == order - 1
    with_symmetry, without, count = fields(structure, shape)
    np.testing.assert_allclose(with_symmetry, without, rtol=0, atol=1e-7)
    assert count <= with_symmetry.size
    if order > 1:
        assert count < 0.6 * with_symmetry.size


@settings(max_examples=25, deadline=None)
@given(
    group=st.sampled_from(
        ["P-1", "P2/m", "C2/c", "Pnma", "Fdd2", "I4_1/a", "P-4m2", "R-3m", "P6_3mc", "P4_132", "Ia-3"]
    ),
    position=st.tuples(*[st.integers(1, 999)] * 3),
    nodes=st.tuples(*[st.integers(4, 12)] * 3),
)
def test_random_crystals(group, position, nodes):
    hexagonal, cubic = group in ("R-3m", "P6_3mc"), group in ("P4_132", "Ia-3")
    a, b, c = (9.0, 10.0, 11.0) if group in ("P-1", "P2/m", "C2/c", "Pnma", "Fdd2") else (10.0, 10.0, 12.0)
    lattice = Lattice.cubic(10) if cubic else Lattice.hexagonal(a, c) if hexagonal else Lattice.orthorhombic(a, b, c)
    general = Structure.from_spacegroup(group, lattice, ["Cl-"], [np.array(position) / 1000])
    general.merge_sites(tol=0.6, mode="delete")
    structure = Structure(lattice, ["Li+", *general.species], [[0.001, 0.002, 0.003], *general.frac_coords])
    structure.remove_sites([i for i in range(1, len(structure)) if structure.get_distance(0, i) < 0.6])
    if len(structure) == 1:
        return
    with_symmetry, without, _ = fields(structure, (nodes[0], nodes[0] if a == b else nodes[1], nodes[2]))
    np.testing.assert_allclose(with_symmetry, without, rtol=0, atol=1e-6)


def test_a_shifted_crystal_keeps_what_falls_on_the_nodes():
    host = ideal_host().structure
    shape = (18, 18, 10)
    # by whole nodes all, by half nodes the inversion and twofold axes, and threefold axes through other nodes
    for steps, order in (((3, 4, 5), 12), ((0, 0, 0.5), 12), ((0, 0, 0.25), 6)):
        moved = host.copy()
        moved.translate_sites(range(len(moved)), np.array(steps) / shape)
        assert len(grid_operations(framework_of(moved, LI, "removed"), shape).matrices) == order - 1
        with_symmetry, without, _ = fields(moved, shape)
        np.testing.assert_allclose(with_symmetry, without, rtol=0, atol=1e-7)


@pytest.mark.parametrize(("shift", "order"), [(1e-9, 12), (3e-7, 1)])
def test_symmetry_is_demanded_tightly(shift, order):
    structure = ideal_host().structure.copy()
    chloride = next(index for index, site in enumerate(structure) if site.species_string == "Cl-")
    structure.translate_sites([chloride], [shift, 0.7 * shift, 1.3 * shift], frac_coords=False)
    operations = grid_operations(framework_of(structure, LI, "removed"), (18, 18, 10))
    assert len(operations.matrices) == order - 1


def test_a_strained_lattice_loses_operations():
    structure = rocksalt()
    structure.lattice = Lattice.tetragonal(5.1, 5.1 * (1 + 1e-6))
    assert len(grid_operations(framework_of(structure, LI, "removed"), (12, 12, 12)).matrices) == 63


def test_sites_of_different_kinds_do_not_map_onto_each_other():
    structure = rocksalt()
    structure.replace(4, {"Cl-": 0.9})
    assert structure[4].species_string.startswith("Cl-")
    framework = framework_of(structure, LI, "removed")
    assert len(grid_operations(framework, (12, 12, 12)).matrices) == 47


def test_coincident_sites_of_one_kind_leave_no_symmetry_to_trust():
    framework = Framework(np.eye(3) * 5, np.array([[0.1, 0.2, 0.3]] * 2), np.array([0, 0]), (((LI, 0.5),),))
    assert len(grid_operations(framework, (6, 6, 6)).matrices) == 0


@pytest.mark.parametrize(
    ("structure", "shape"),
    [(ideal_host().structure, (28, 28, 15)), (rocksalt(), (8, 8, 8)), (monoclinic(), (5, 6, 8))],
)
def test_orbits(structure, shape):
    operations = grid_operations(framework_of(structure, LI, "removed"), shape)
    marks = representatives(shape, operations)
    # Burnside: the number of orbits is the mean number of nodes that an operation leaves in place
    nodes = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, 3)
    fixed = len(nodes)  # by the identity
    for matrix, translation in zip(operations.matrices, operations.translations, strict=True):
        fixed += np.count_nonzero(np.all((nodes @ matrix.T + translation) % shape == nodes, axis=1))
    order = len(operations.matrices) + 1
    assert marks.sum() * order == fixed
    labels = np.full(shape, -1.0)
    labels[marks == 1] = np.arange(marks.sum())
    spread(labels, marks, operations)
    assert labels.min() == 0
    sizes = np.unique(labels, return_counts=True)[1]
    assert set(order % sizes) == {0}
