from __future__ import annotations

import itertools
import math
import warnings
from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import generate_binary_structure, label

from lzc_flows.errors import InputError
from lzc_flows.transport.percolation import percolation_thresholds

STEPS = [step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)]

# integer energies: exact sums, and many ties
fields = hnp.arrays(
    np.float64,
    st.tuples(*[st.integers(1, 5)] * 3),
    elements=st.integers(-6, 6).map(float),
)


def levels(energies):
    return [threshold.level_ev for threshold in percolation_thresholds(energies).thresholds]


def barriers(energies):
    return [threshold.barrier_ev for threshold in percolation_thresholds(energies).thresholds]


def breadth_first(energies, level):
    """Rank and minimum of every component at or below a level, by walking it and collecting its loops."""
    shape = np.array(energies.shape)
    open_nodes = energies <= level
    cell = {}
    components = []
    for seed in map(tuple, np.argwhere(open_nodes)):
        if seed in cell:
            continue
        cell[seed] = np.zeros(3, int)
        queue, loops, lowest = deque([seed]), [np.zeros(3, int)], energies[seed]
        while queue:
            node = queue.popleft()
            lowest = min(lowest, energies[node])
            for step in STEPS:
                target = np.array(node) + step
                wrapped = tuple(target % shape)
                if not open_nodes[wrapped]:
                    continue
                there = cell[node] + target // shape
                if wrapped in cell:
                    loops.append(there - cell[wrapped])
                else:
                    cell[wrapped] = there
                    queue.append(wrapped)
        components.append((np.linalg.matrix_rank(np.unique(loops, axis=0)), lowest))
    return components


def tiled_dimension(energies, level):
    """Dimension by scipy labels of an open 3 × 3 × 3 tiling: copies of a node that share a label."""
    labels, _ = label(np.tile(energies, (3, 3, 3)) <= level, structure=generate_binary_structure(3, 3))
    nx, ny, nz = energies.shape
    cells = list(itertools.product(range(3), repeat=3))
    copies = np.array(
        [labels[i * nx : (i + 1) * nx, j * ny : (j + 1) * ny, k * nz : (k + 1) * nz].ravel() for i, j, k in cells]
    )
    best = 0
    for column in np.unique(copies.T, axis=0):
        for value in set(column) - {0}:
            same = np.array([c for c, v in zip(cells, column, strict=True) if v == value])
            best = max(best, np.linalg.matrix_rank(same - same[0]))
    return best


def test_channel_along_one_axis():
    energies = np.ones((6, 7, 8))
    energies[2, 3, :] = 0.0
    energies[2, 3, 4] = 0.3
    first, second, third = percolation_thresholds(energies).thresholds
    assert (first.level_ev, first.barrier_ev, first.barrier_from_cell_minimum_ev) == (0.3, 0.3, 0.3)
    assert first.windings in {((0, 0, 1),), ((0, 0, -1),)}
    assert second.level_ev == third.level_ev == 1.0


def test_plane():
    energies = np.full((6, 7, 8), 5.0)
    energies[:, 3, :] = 0.5
    first, second, third = percolation_thresholds(energies).thresholds
    assert [first.level_ev, second.level_ev, third.level_ev] == [0.5, 0.5, 5.0]
    assert len(second.windings) == 2
    assert all(winding[1] == 0 for winding in second.windings)


@pytest.mark.parametrize(
    ("turns", "shape"),
    [
        ((2, 1, 0), (8, 8, 5)),
        ((1, -2, 0), (8, 8, 5)),
        ((3, 1, 0), (12, 12, 4)),
        ((0, 3, 2), (4, 18, 18)),
        ((1, 1, 1), (9, 9, 9)),
        ((2, 0, 1), (8, 4, 12)),
        ((5, 2, 0), (20, 20, 4)),
    ],
)
def test_diagonal_channel_that_closes_after_several_cells(turns, shape):
    energies = np.full(shape, 2.0)
    length = 2 * max(abs(t) * n for t, n in zip(turns, shape, strict=True))
    for s in range(length):
        node = [math.floor(s * t * n / length) % n for t, n in zip(turns, shape, strict=True)]
        energies[tuple(node)] = -1.0
    first, second, _ = percolation_thresholds(energies).thresholds
    assert first.level_ev == -1.0
    assert first.windings in {(turns,), (tuple(-t for t in turns),)}
    assert second.level_ev == 2.0


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_separable_cosines(order):
    # E = Σ A(1 − cos 2πx)/2: the saddle towards the next cell along an axis is A of that axis
    amplitudes = np.array([0.3, 0.5, 0.9])[list(order)]
    axes = [a * (1 - np.cos(2 * np.pi * np.arange(n) / n)) / 2 for a, n in zip(amplitudes, (8, 10, 12), strict=True)]
    energies = axes[0][:, None, None] + axes[1][None, :, None] + axes[2][None, None, :] - 1.7
    found = percolation_thresholds(energies)
    assert found.minimum_ev == pytest.approx(-1.7, rel=1e-12)
    assert [t.barrier_ev for t in found.thresholds] == pytest.approx([0.3, 0.5, 0.9], rel=1e-12)
    assert [t.level_ev for t in found.thresholds] == pytest.approx([-1.4, -1.2, -0.8], rel=1e-12)


def test_barrier_from_the_components_own_minimum():
    energies = np.full((9, 9, 9), 4.0)
    energies[1, 1, :] = 0.2
    energies[1, 1, 5] = 0.7
    energies[6, 6, 6] = -3.0  # a well off the channel
    found = percolation_thresholds(energies)
    first = found.in_dimensions(1)
    assert found.minimum_ev == -3.0
    assert first.barrier_ev == pytest.approx(0.5, rel=1e-12)
    assert first.barrier_from_cell_minimum_ev == pytest.approx(3.7, rel=1e-12)
    # at 4.0 everything joins, the well included
    assert found.in_dimensions(3).barrier_ev == 7.0


@pytest.mark.parametrize("deeper", [0, 1])
def test_of_channels_at_one_level_the_deepest_counts(deeper):
    energies = np.full((10, 10, 6), 4.0)
    for index, position in enumerate((1, 6)):
        energies[position, position, :] = -2.0 if index == deeper else -1.0
        energies[position, position, 3] = 0.5
    assert percolation_thresholds(energies).in_dimensions(1).barrier_ev == 2.5


@pytest.mark.parametrize("shift", [(0, 0, 0), (3, 4, 1)])
def test_crossing_channels_percolate_in_a_plane_once_joined(shift):
    # shifted, the bridge lies far from where the sweep closed the channels' loops: their windings must stay
    energies = np.full((8, 8, 8), 9.0)
    energies[:, 0, 0] = 0.0
    energies[0, :, 4] = 0.0  # crosses the first at a distance
    assert levels(np.roll(energies, shift, axis=(0, 1, 2))) == [0.0, 9.0, 9.0]
    energies[0, 0, 1:4] = 1.0  # the bridge
    assert levels(np.roll(energies, shift, axis=(0, 1, 2))) == [0.0, 1.0, 9.0]


def test_a_field_that_never_percolates():
    energies = np.full((5, 5, 5), np.inf)
    energies[2, 2, 2] = -1.0
    found = percolation_thresholds(energies)
    assert found.minimum_ev == -1.0
    for threshold in found.thresholds:
        assert threshold.level_ev == threshold.barrier_ev == math.inf
        assert threshold.barrier_from_cell_minimum_ev == math.inf
        assert threshold.windings == ()
    energies[2, 2, :] = 0.0
    assert levels(energies) == [0.0, math.inf, math.inf]


def test_thin_grids():
    assert levels(np.full((1, 1, 1), 0.4)) == [0.4, 0.4, 0.4]
    # one node thick along z: every node meets its own image, along x and y the wall of 3 stands
    energies = np.zeros((5, 6, 1))
    energies[2, :, :] = 3.0
    assert levels(energies) == [0.0, 0.0, 3.0]
    energies[:, 4, :] = 5.0
    assert levels(energies) == [0.0, 3.0, 5.0]
    # two nodes thick: both neighbours along z are the other node, one of them in the next cell
    energies = np.full((5, 5, 2), 3.0)
    energies[1, 1, :] = (0.0, 1.0)
    assert levels(energies) == [1.0, 3.0, 3.0]
    energies = np.full((5, 5, 2), 3.0)
    energies[1, 1, 0] = 0.0
    assert levels(energies) == [3.0, 3.0, 3.0]


@settings(max_examples=60, deadline=None)
@given(fields)
def test_equals_a_breadth_first_search_at_every_level(energies):
    found = percolation_thresholds(energies)
    expected: dict[int, tuple[float, float]] = {}
    for level in np.unique(energies):
        for rank, lowest in breadth_first(energies, level):
            for dimensions in range(1, rank + 1):
                known_level, known_lowest = expected.get(dimensions, (level, lowest))
                if known_level == level:
                    expected[dimensions] = (level, min(lowest, known_lowest))
    for dimensions in (1, 2, 3):
        level, lowest = expected[dimensions]
        threshold = found.in_dimensions(dimensions)
        assert threshold.level_ev == level
        assert threshold.barrier_ev == level - lowest
        assert np.linalg.matrix_rank(np.array(threshold.windings)) == len(threshold.windings) >= dimensions


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_equals_labels_of_a_tiling_just_below_and_above(seed):
    # smooth random fields, whose loops fit into three cells
    random = np.random.default_rng(seed)
    shape = (7, 8, 9)
    x = np.stack(np.meshgrid(*[np.arange(n) / n for n in shape], indexing="ij"))
    energies = np.zeros(shape)
    for wave in itertools.product((-1, 0, 1), repeat=3):
        phase = np.tensordot(np.array(wave), x, axes=1) + random.random()
        energies += random.normal() * np.cos(2 * np.pi * phase)
    for dimensions, level in enumerate(levels(energies), start=1):
        assert tiled_dimension(energies, level) >= dimensions
        assert tiled_dimension(energies, np.nextafter(level, -np.inf)) < dimensions


@settings(max_examples=60, deadline=None)
@given(fields, st.tuples(*[st.integers(-5, 5)] * 3), st.permutations(range(3)), st.integers(-20, 20))
def test_invariances(energies, shift, order, constant):
    reference, reference_barriers = levels(energies), barriers(energies)
    assert reference == sorted(reference)
    changed = np.roll(energies, shift, axis=(0, 1, 2)).transpose(order) + constant
    assert levels(changed) == [level + constant for level in reference]
    assert barriers(changed) == reference_barriers


@settings(max_examples=20, deadline=None)
@given(fields, st.tuples(*[st.integers(1, 3)] * 3))
def test_a_tiled_field_has_the_same_thresholds(energies, copies):
    assert levels(np.tile(energies, copies)) == levels(energies)


def test_agrees_with_bvlain_on_the_same_field():
    # bvlain bisects 0–10 eV to below 0.01 eV and reports the upper end of its last bracket
    random = np.random.default_rng(7)
    x = np.stack(np.meshgrid(*[np.arange(n) / n for n in (10, 9, 8)], indexing="ij"))
    energies = sum(
        random.random() * np.cos(2 * np.pi * (np.tensordot(np.array(wave), x, axes=1) + random.random()))
        for wave in itertools.product((-1, 0, 1), repeat=3)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from bvlain import Lain
    lain = Lain(verbose=False)
    lain.data = np.pad(energies, ((0, 1), (0, 1), (0, 1)), mode="wrap")  # bvlain repeats the end planes
    lain.size = lain.data.shape
    theirs = list(lain.percolation_barriers().values())
    ours = [t.barrier_from_cell_minimum_ev for t in percolation_thresholds(energies).thresholds]
    assert len(set(theirs)) == 3
    assert ours == pytest.approx(theirs, rel=0, abs=0.0101)


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
        percolation_thresholds(energies)


def test_bad_dimension():
    with pytest.raises(InputError, match="in 4 dimensions"):
        percolation_thresholds(np.zeros((2, 2, 2))).in_dimensions(4)
