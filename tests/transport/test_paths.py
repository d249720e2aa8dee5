from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzc_flows.crystal.host import ideal_host
from lzc_flows.transport.basins import basins
from lzc_flows.transport.bvse import MAX_ENERGY_EV, EnergyField, energy_field
from lzc_flows.transport.landscape import PATH_TARGETS, analyse
from lzc_flows.transport.paths import least_resistance
from lzc_flows.transport.percolation import percolation


def landscape(energies, lattice=None):
    lattice = np.diag(np.array(energies.shape, float)) if lattice is None else lattice
    return analyse(EnergyField(energies, lattice, "Li+", "toy", 1.0))


def check(found, target):
    """What holds of any path; returns it."""
    path, threshold = found.paths[target], found.percolation.thresholds[target]
    shape = np.array(found.field.energies_ev.shape)
    nodes = np.rint(path.fractional * shape).astype(int)
    assert np.abs(path.fractional * shape - nodes).max() < 1e-9
    assert np.abs(np.diff(nodes, axis=0)).max(axis=1).tolist() == [1] * (len(nodes) - 1)
    assert (nodes[-1] - nodes[0]).tolist() == (np.array(path.winding) * shape).tolist()
    np.testing.assert_array_equal(path.energies_ev, found.field.energies_ev[tuple((nodes % shape).T)])
    steps = np.diff(path.fractional, axis=0) @ found.field.lattice_angstrom
    assert path.distances_angstrom[0] == 0
    np.testing.assert_allclose(np.diff(path.distances_angstrom), np.linalg.norm(steps, axis=1), rtol=1e-9)
    assert path.energies_ev.max() == pytest.approx(threshold.level_ev, rel=0, abs=1e-3)
    assert path.energies_ev[0] == path.energies_ev.min()
    assert path.energies_ev[0] == pytest.approx(threshold.level_ev - threshold.barrier_ev, rel=0, abs=1e-9)
    assert path.sites[0] == 0
    assert path.sites[-1] == len(nodes) - 1
    assert len(path.saddles) == len(path.sites) - 1
    for first, saddle, last in zip(path.sites[:-1], path.saddles, path.sites[1:], strict=True):
        assert first <= saddle < last
        assert path.energies_ev[saddle] == path.energies_ev[first : last + 1].max()
    return path


def test_straight_ways_through_separable_cosines():
    # E = Σ A(1 − cos 2πx)/2: from well to well straight along an axis, the profile is that of the axis alone
    shape, amplitudes, edges = (8, 10, 12), (0.3, 0.5, 0.9), np.array([4.0, 3.0, 6.0])
    axes = [a * (1 - np.cos(2 * np.pi * np.arange(n + 1) / n)) / 2 for a, n in zip(amplitudes, shape, strict=True)]
    energies = axes[0][:-1, None, None] + axes[1][None, :-1, None] + axes[2][None, None, :-1]
    found = landscape(energies, np.diag(edges))
    for axis, target in enumerate("abc"):
        path = check(found, target)
        assert np.abs(path.winding).tolist() == np.eye(3)[axis].tolist()
        assert path.distances_angstrom[-1] == pytest.approx(edges[axis], rel=1e-12)
        assert path.energies_ev == pytest.approx(axes[axis], abs=1e-12)
        assert path.sites.tolist() == [0, shape[axis]]
        assert path.saddles.tolist() == [shape[axis] // 2]
    np.testing.assert_array_equal(found.paths["1d"].energies_ev, found.paths["a"].energies_ev)


def test_a_channel_that_closes_after_two_cells():
    energies = np.full((8, 8, 5), 2.0)
    nodes = [(s % 8, s // 2 % 8, 0) for s in range(16)]
    for number, node in enumerate(nodes):
        energies[node] = -0.5 + 0.4 * math.sin(math.pi * number / 16)
    path = check(landscape(energies), "1d")
    assert np.abs(path.winding).tolist() == [2, 1, 0]
    assert {tuple(n) for n in (np.rint(path.fractional * 8).astype(int) % 8)[:, :2].tolist()} == {n[:2] for n in nodes}


def test_the_axis_of_a_zigzag_needs_two_cells():
    # diagonals of the a–b plane: along a the ion comes back to its line after two cells
    energies = np.full((8, 8, 4), 9.0)
    for s in range(8):
        energies[s, s, 0] = energies[s, -s, 0] = 0.1
    energies[0, 0, 0] = 0.0
    energies[4, 4, 0] = 9.0  # where the diagonals would cross a second time
    found = landscape(energies)
    assert found.percolation.thresholds["a"].level_ev == 9.0


def test_of_two_ways_the_one_with_fewer_high_saddles():
    # a short way along c with three saddles at 0.5, a detour with one at 0.5 and the others at 0.2
    energies = np.full((9, 9, 12), np.inf)
    straight = [0.0, 0.5, 0.1, 0.5, 0.1, 0.5, 0.1, 0.3, 0.1, 0.3, 0.1, 0.3]
    energies[2, 2] = straight
    energies[2, 2:5, 0] = [0.0, 0.1, 0.15]
    energies[2, 4, :7] = [0.15, 0.2, 0.1, 0.2, 0.1, 0.5, 0.1]
    energies[2, 2:5, 6] = [0.1, 0.2, 0.1]
    path = check(landscape(energies), "c")
    assert (path.fractional[:, 1].max() * 9).round() == 4


def test_shallow_minima_are_no_stops():
    energies = np.full((3, 3, 8), np.inf)
    energies[1, 1] = [0.0, 0.2, 0.4, 0.395, 0.4, 0.2, 0.1, 0.3]
    path = check(landscape(energies), "c")
    assert path.energies_ev[path.sites].tolist() in ([0.0, 0.1, 0.0], [0.0, 0.1, 0.0][::-1])
    assert sorted(path.energies_ev[path.saddles].tolist()) == [0.3, 0.4]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_paths_of_random_fields(seed):
    random = np.random.default_rng(seed)
    found = landscape(random.normal(size=tuple(random.integers(1, 7, size=3))), random.normal(size=(3, 3)) * 5)
    for target in PATH_TARGETS:
        check(found, target)


def test_no_path_where_nothing_percolates():
    # a field is clipped at 100 eV: a wall of clipped nodes is closed, not a barrier of 100 eV
    energies = np.full((4, 4, 4), MAX_ENERGY_EV)
    energies[0, 0] = [0.0, 0.1, 0.2, 0.1]
    found = landscape(energies)
    assert found.percolation.thresholds["a"].level_ev == math.inf
    assert sorted(found.paths) == ["1d", "c"]
    assert sorted(found.bottlenecks) == ["1d", "c"]
    assert found.bottlenecks["c"].tolist() == [0.0, 0.0, 0.5]


def test_a_translation_that_is_no_winding_vector_is_refused():
    energies = np.full((4, 4, 4), np.inf)
    energies[0, 0] = [0.0, 0.1, 0.2, 0.1]
    field = EnergyField(energies, np.eye(3), "Li+", "toy", 1.0)
    graph = basins(field.energies_ev, field.lattice_angstrom).graph
    threshold = percolation(graph).thresholds["c"]
    assert len(least_resistance(graph, threshold, (0, 0, 3))) == 3
    with pytest.raises(ValueError, match=r"\(1, 0, 0\) is no winding vector"):
        least_resistance(graph, threshold, (1, 0, 0))


def test_paths_through_the_host():
    # along c from 6g over 6h to the next 6g: two equal hops, half a cell each
    found = analyse(energy_field(ideal_host().structure, resolution_angstrom=0.2))
    for target in PATH_TARGETS:
        check(found, target)
    path = found.paths["c"]
    assert np.abs(path.winding).tolist() == [0, 0, 1]
    assert len(path.saddles) == 2
    assert path.energies_ev[path.saddles] == pytest.approx([path.energies_ev.max()] * 2, rel=0, abs=1e-6)
    assert np.abs(np.diff(path.fractional[path.sites], axis=0)[:, 2]) == pytest.approx([0.5, 0.5], abs=0.05)
    for target, position in found.bottlenecks.items():
        node = tuple(np.rint(position * found.field.energies_ev.shape).astype(int))
        assert found.field.energies_ev[node] == found.percolation.thresholds[target].level_ev
