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

from lzc_flows.crystal.host import ideal_host
from lzc_flows.transport.basins import basins
from lzc_flows.transport.bvse import energy_field
from lzc_flows.transport.percolation import TARGETS, Percolation, percolates, percolation
from lzc_flows.transport.sitegraph import SiteGraph

STEPS = [step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)]

# integer energies: exact sums, and many ties
fields = hnp.arrays(
    np.float64,
    st.tuples(*[st.integers(1, 5)] * 3),
    elements=st.integers(-6, 6).map(float),
)


def of_field(energies) -> Percolation:
    """Thresholds of a grid whose cell is a box of unit steps."""
    return percolation(basins(energies, np.diag(energies.shape)).graph)


def levels(energies, targets=("1d", "2d", "3d")):
    thresholds = of_field(energies).thresholds
    return [thresholds[target].level_ev for target in targets]


def barriers(energies):
    thresholds = of_field(energies).thresholds
    return [thresholds[target].barrier_ev for target in ("1d", "2d", "3d")]


def spans(loops, target):
    """Whether winding vectors percolate in the way of a target, by floating-point ranks."""
    rank = np.linalg.matrix_rank(loops)
    axes = {"a": [0], "b": [1], "c": [2], "ab": [0, 1]}
    if target in axes:
        return np.linalg.matrix_rank(np.vstack([loops, np.eye(3)[axes[target]]])) == rank
    return rank >= int(target[0])


def breadth_first(energies, level):
    """Loops and minimum of every component at or below a level, by walking it."""
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
        components.append((np.unique(loops, axis=0), lowest))
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
    first = of_field(energies).thresholds["1d"]
    assert (first.level_ev, first.barrier_ev, first.barrier_from_cell_minimum_ev) == (0.3, 0.3, 0.3)
    assert first.windings == ((0, 0, 1),)
    assert levels(energies, TARGETS) == [0.3, 1.0, 1.0, 1.0, 1.0, 0.3, 1.0]


def test_plane():
    energies = np.full((6, 7, 8), 5.0)
    energies[:, 3, :] = 0.5
    assert levels(energies, TARGETS) == [0.5, 0.5, 5.0, 0.5, 5.0, 0.5, 5.0]
    assert of_field(energies).thresholds["2d"].windings == ((1, 0, 0), (0, 0, 1))


def test_plane_of_a_and_b():
    energies = np.full((6, 7, 8), 5.0)
    energies[:, :, 3] = 0.5
    energies[2, :, 3] = 0.7  # a wall across the way along a
    assert levels(energies, TARGETS) == [0.5, 0.7, 5.0, 0.7, 0.5, 5.0, 0.7]


def test_tilted_plane_percolates_in_two_dimensions_but_not_within_a_and_b():
    energies = np.full((8, 8, 8), 5.0)
    i, j, k = np.indices(energies.shape)
    energies[(i + j + k) % 8 == 0] = 0.5  # holds (1, -1, 0) and (0, 1, -1), neither a, b nor c
    assert levels(energies, TARGETS) == [0.5, 0.5, 5.0, 5.0, 5.0, 5.0, 5.0]


def test_blocked_channel():
    energies = np.full((6, 6, 6), np.inf)
    energies[2, 2, :] = 0.0
    energies[2, 2, 3] = np.inf
    assert levels(energies, TARGETS) == [math.inf] * 7
    energies[2, 2, 3] = 8.0
    assert levels(energies, TARGETS) == [8.0] + [math.inf] * 4 + [8.0, math.inf]


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
    found = of_field(energies).thresholds
    assert found["1d"].level_ev == -1.0
    assert found["1d"].windings in {(turns,), (tuple(-t for t in turns),)}
    assert [found[target].level_ev for target in TARGETS[1:]] == [2.0] * 6


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_separable_cosines(order):
    # E = Σ A(1 − cos 2πx)/2: the saddle towards the next cell along an axis is A of that axis
    amplitudes = np.array([0.3, 0.5, 0.9])[list(order)]
    axes = [a * (1 - np.cos(2 * np.pi * np.arange(n) / n)) / 2 for a, n in zip(amplitudes, (8, 10, 12), strict=True)]
    energies = axes[0][:, None, None] + axes[1][None, :, None] + axes[2][None, None, :] - 1.7
    found = of_field(energies)
    assert found.minimum_ev == pytest.approx(-1.7, rel=1e-12)
    expected = [0.3, 0.5, 0.9, *amplitudes, max(amplitudes[:2])]
    assert [found.thresholds[t].barrier_ev for t in TARGETS] == pytest.approx(expected, rel=1e-12)
    assert [found.thresholds[t].level_ev for t in TARGETS] == pytest.approx(np.array(expected) - 1.7, rel=1e-12)


def test_barrier_from_the_components_own_minimum():
    energies = np.full((9, 9, 9), 4.0)
    energies[1, 1, :] = 0.2
    energies[1, 1, 5] = 0.7
    energies[6, 6, 6] = -3.0  # a well off the channel
    found = of_field(energies)
    first = found.thresholds["1d"]
    assert found.minimum_ev == -3.0
    assert first.barrier_ev == pytest.approx(0.5, rel=1e-12)
    assert first.barrier_from_cell_minimum_ev == pytest.approx(3.7, rel=1e-12)
    # at 4.0 everything joins, the well included
    assert found.thresholds["3d"].barrier_ev == 7.0


@pytest.mark.parametrize("deeper", [0, 1])
def test_of_channels_at_one_level_the_deepest_counts(deeper):
    energies = np.full((10, 10, 6), 4.0)
    for index, position in enumerate((1, 6)):
        energies[position, position, :] = -2.0 if index == deeper else -1.0
        energies[position, position, 3] = 0.5
    assert of_field(energies).thresholds["1d"].barrier_ev == 2.5


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
    found = of_field(energies)
    assert found.minimum_ev == -1.0
    for threshold in found.thresholds.values():
        assert threshold.level_ev == threshold.barrier_ev == math.inf
        assert threshold.barrier_from_cell_minimum_ev == math.inf
        assert (threshold.windings, threshold.lowest_site, threshold.bottleneck) == ((), None, None)
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
    found = of_field(energies)
    expected: dict[str, tuple[float, float]] = {}
    for level in np.unique(energies):
        for loops, lowest in breadth_first(energies, level):
            for target in TARGETS:
                known_level, known_lowest = expected.get(target, (level, lowest))
                if known_level == level and spans(loops, target):
                    expected[target] = (level, min(lowest, known_lowest))
    for target in TARGETS:
        level, lowest = expected[target]
        threshold = found.thresholds[target]
        assert threshold.level_ev == level
        assert threshold.barrier_ev == level - lowest


def test_the_field_of_a_crystal_equals_a_breadth_first_search():
    # just below each threshold no component percolates so, at it one does: exact on the grid, to the last digit
    energies = energy_field(ideal_host().structure, resolution_angstrom=0.5).energies_ev
    for target, threshold in of_field(energies).thresholds.items():
        assert any(spans(loops, target) for loops, _ in breadth_first(energies, threshold.level_ev))
        below = np.nextafter(threshold.level_ev, -np.inf)
        assert not any(spans(loops, target) for loops, _ in breadth_first(energies, below))


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
    along = levels(energies, "abc")
    assert levels(changed, "abc") == [along[axis] + constant for axis in order]


@settings(max_examples=20, deadline=None)
@given(fields, st.tuples(*[st.integers(1, 3)] * 3))
def test_a_tiled_field_has_the_same_thresholds(energies, copies):
    assert levels(np.tile(energies, copies), TARGETS) == levels(energies, TARGETS)


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
    thresholds = of_field(energies).thresholds
    ours = [thresholds[target].barrier_from_cell_minimum_ev for target in ("1d", "2d", "3d")]
    assert len(set(theirs)) == 3
    assert ours == pytest.approx(theirs, rel=0, abs=0.0101)


def graph(energies, *edges):
    """A graph from its site energies and edges (first, second, translation, level)."""
    return SiteGraph(
        np.array(energies, float),
        np.array([edge[:2] for edge in edges], int).reshape(-1, 2),
        np.array([edge[2] for edge in edges], int).reshape(-1, 3),
        np.array([edge[3] for edge in edges], float),
    )


def test_a_chain_of_hops_with_its_barriers():
    # 0 and 1 alternate along c; a third site bridges two chains along a at a higher saddle
    chain = graph([0.0, 0.1, 0.2], (0, 1, (0, 0, 0), 0.4), (1, 0, (0, 0, 1), 0.5), (0, 2, (0, 0, 0), 0.6))
    found = percolation(chain).thresholds
    assert (found["1d"].level_ev, found["c"].level_ev, found["c"].bottleneck) == (0.5, 0.5, 1)
    assert found["c"].windings == ((0, 0, 1),)
    assert found["2d"].level_ev == found["a"].level_ev == math.inf
    bridged = graph(
        [0.0, 0.1, 0.2],
        (0, 1, (0, 0, 0), 0.4),
        (1, 0, (0, 0, 1), 0.5),
        (0, 2, (0, 0, 0), 0.6),
        (2, 1, (1, 0, 0), 0.7),
    )
    found = percolation(bridged).thresholds
    assert (found["2d"].level_ev, found["a"].level_ev, found["a"].bottleneck) == (0.7, 0.7, 3)
    assert found["2d"].windings == ((1, 0, 0), (0, 0, 1))


def test_windings_are_all_translations_not_only_independent_ones():
    # loops of two and of three cells: together they close after one
    found = percolation(graph([0.0], (0, 0, (2, 0, 0), 0.2), (0, 0, (3, 0, 0), 0.2))).thresholds
    assert found["a"].windings == ((1, 0, 0),)
    # a zigzag: (1, 1, 0) and (1, -1, 0) reach every second cell along a
    found = percolation(graph([0.0], (0, 0, (1, 1, 0), 0.2), (0, 0, (1, -1, 0), 0.3))).thresholds
    assert found["1d"].windings == ((1, 1, 0),)
    assert (found["1d"].level_ev, found["a"].level_ev, found["ab"].level_ev) == (0.2, 0.3, 0.3)
    assert found["ab"].windings == ((1, 1, 0), (0, 2, 0))


def test_a_single_site_never_percolates():
    assert all(t.level_ev == math.inf for t in percolation(graph([0.3])).thresholds.values())


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_renaming_sites_and_moving_them_to_other_cells_changes_nothing(data):
    n = data.draw(st.integers(1, 5))
    site, energy, cell = st.integers(0, n - 1), st.integers(0, 4), st.tuples(*[st.integers(-2, 2)] * 3)
    energies = data.draw(st.lists(energy, min_size=n, max_size=n))
    drawn = data.draw(st.lists(st.tuples(site, site, cell, energy), max_size=9))
    edges = [(a, b, t, max(level, energies[a], energies[b])) for a, b, t, level in drawn]
    order = data.draw(st.permutations(range(n)))
    moved = data.draw(st.lists(cell, min_size=n, max_size=n))
    other = [
        (order[b], order[a], tuple(-np.array(t) - moved[b] + moved[a]), level)
        for a, b, t, level in data.draw(st.permutations(edges))
    ]
    renamed = [energy for _, energy in sorted(zip(order, energies, strict=True))]
    one, two = percolation(graph(energies, *edges)), percolation(graph(renamed, *other))
    for target in TARGETS:
        first, second = one.thresholds[target], two.thresholds[target]
        assert (first.level_ev, first.barrier_ev) == (second.level_ev, second.barrier_ev)
        assert percolates(first.windings, target) == (first.level_ev < math.inf)
