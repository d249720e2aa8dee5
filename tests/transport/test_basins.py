from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lzc_flows.errors import InputError
from lzc_flows.transport.basins import basins

fields = hnp.arrays(
    np.float64, st.tuples(*[st.integers(1, 6)] * 3), elements=st.integers(-6, 6).map(float) | st.just(np.inf)
).filter(lambda energies: np.isfinite(energies).any())

STEPS = np.array([step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)])


def cosines(amplitudes, shape):
    axes = [a * (1 - np.cos(2 * np.pi * np.arange(n) / n)) / 2 for a, n in zip(amplitudes, shape, strict=True)]
    return axes[0][:, None, None] + axes[1][None, :, None] + axes[2][None, None, :]


def test_one_well_a_cell_and_its_passes():
    # E = Σ A(1 − cos 2πx)/2: one minimum at the origin, passes of the amplitudes over the faces of its cell; those
    # over edges and corners are lower than the sums, by the nodes beside the edge that one of the basins holds
    amplitudes = np.array([0.3, 0.5, 0.9])
    found = basins(cosines(amplitudes, (8, 10, 12)), np.diag([8.0, 10.0, 12.0]))
    assert found.minima.tolist() == [0]
    passes = {tuple(t): level for t, level in zip(found.graph.translations, found.graph.levels_ev, strict=True)}
    assert len(passes) == 13
    for translation, level in passes.items():
        highest, total = max(amplitudes * np.abs(translation)), amplitudes @ np.abs(translation)
        assert highest - 1e-12 <= level <= total + 1e-12
        if np.abs(translation).sum() == 1:
            assert level == pytest.approx(total, rel=1e-12)


def test_two_wells():
    # wells at x = 0 (0 eV) and x = 1/2 (0.1 eV), a wall of 2 eV between them at x = 1/4 and 3/4
    x = np.arange(16) / 16
    along = 1 - np.cos(4 * np.pi * x) + 0.1 * (1 - np.cos(2 * np.pi * x)) / 2
    energies = along[:, None, None] + cosines([0, 5.0, 5.0], (1, 8, 8))
    found = basins(energies, np.diag([4.0, 2.0, 2.0]))
    assert [np.unravel_index(node, energies.shape) for node in found.minima] == [(0, 0, 0), (8, 0, 0)]
    assert found.graph.energies_ev == pytest.approx([0.0, 0.1], abs=1e-12)
    between = {
        tuple(t): level
        for pair, t, level in zip(found.graph.sites, found.graph.translations, found.graph.levels_ev, strict=True)
        if tuple(pair) == (0, 1) and not t[1:].any()
    }
    assert between == pytest.approx({(0, 0, 0): along[4], (-1, 0, 0): along[4]}, rel=1e-12)


@settings(max_examples=80, deadline=None)
@given(fields)
def test_every_node_descends_to_a_minimum(energies):
    found = basins(energies, np.diag(energies.shape) * [1.0, 1.1, 1.3])
    flat = energies.ravel()
    for node in np.flatnonzero(np.isfinite(flat)).tolist():
        way = found.way_down(node)
        assert (np.abs(np.diff(way, axis=0)) <= 1).all()
        indices = np.ravel_multi_index(tuple((way % energies.shape).T), energies.shape)
        # down is lower in energy, or in index among equals: never back to a node
        keys = [(flat[index], index) for index in indices]
        assert keys == sorted(set(keys), reverse=True)
        assert indices[-1] in found.minima
    for node in found.minima.tolist():
        around = (np.array(np.unravel_index(node, energies.shape)) + STEPS) % energies.shape
        assert flat[node] <= energies[tuple(around.T)].min()
    assert (found.descent.ravel()[np.isposinf(flat)] == -1).all()


@settings(max_examples=80, deadline=None)
@given(fields)
def test_passes_are_the_lowest_pairs_of_neighbours_between_two_basins(energies):
    found = basins(energies, np.diag(energies.shape))
    shape, flat = np.array(energies.shape), energies.ravel()
    number = {node: index for index, node in enumerate(found.minima.tolist())}
    basin, cell = {}, {}
    for node in np.flatnonzero(np.isfinite(flat)).tolist():
        end = found.way_down(node)[-1]
        basin[node] = number[np.ravel_multi_index(end % shape, shape)]
        cell[node] = end // shape
    expected: dict[tuple, float] = {}
    for node in basin:
        for step in STEPS:
            target = np.array(np.unravel_index(node, shape)) + step
            other = np.ravel_multi_index(target % shape, shape)
            if other in basin:
                translation = target // shape + cell[other] - cell[node]
                key = (basin[node], basin[other], *translation.tolist())
                back = (basin[other], basin[node], *(-translation).tolist())
                if key != back:
                    level = max(flat[node], flat[other])
                    expected[max(key, back)] = min(level, expected.get(max(key, back), np.inf))
    ours = {}
    for edge, (pair, translation) in enumerate(zip(found.graph.sites, found.graph.translations, strict=True)):
        key = (*pair.tolist(), *translation.tolist())
        back = (*pair[::-1].tolist(), *(-translation).tolist())
        assert max(key, back) not in ours
        ours[max(key, back)] = found.graph.levels_ev[edge]
        assert [basin[node] for node in found.passes[edge].tolist()] == pair.tolist()
        assert flat[found.passes[edge]].max() == found.graph.levels_ev[edge]
    assert ours == expected


@pytest.mark.parametrize(
    "energies",
    [
        np.zeros((3, 3)),
        np.zeros((0, 3, 3)),
        np.full((2, 2, 2), np.nan),
        np.full((2, 2, 2), -np.inf),
        np.full((2, 2, 2), np.inf),
    ],
)
def test_bad_fields(energies):
    with pytest.raises(InputError, match="energy field"):
        basins(energies, np.eye(3))


def test_nodes_at_the_ceiling_are_walls():
    energies = cosines([0.3, 0.5, 0.9], (8, 10, 12))
    found = basins(energies, np.eye(3), ceiling_ev=0.5)
    below = np.where(energies < 0.5, energies, np.inf)
    expected = basins(below, np.eye(3))
    np.testing.assert_array_equal(found.descent, expected.descent)
    np.testing.assert_array_equal(found.graph.levels_ev, expected.graph.levels_ev)
    with pytest.raises(InputError, match=r"at least one energy below 0\.0 eV"):
        basins(energies, np.eye(3), ceiling_ev=0.0)
