from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lzc_flows.ranking.pareto import front_counts, pareto_front

points = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=25)


def dominated(i: tuple[int, int], k: tuple[int, int]) -> bool:
    return k[0] >= i[0] and k[1] <= i[1] and k != i


def test_by_hand() -> None:
    performance = [0.9, 0.8, 0.8, 0.5, math.nan, 0.9]
    cost = [20.0, 10.0, 12.0, 10.0, 1.0, math.nan]
    assert pareto_front(performance, cost).tolist() == [True, True, False, False, False, False]
    assert pareto_front([0.3], [5.0]).tolist() == [True]
    assert pareto_front([], []).tolist() == []


@given(points)
def test_against_the_definition(some: list[tuple[int, int]]) -> None:
    performance, cost = np.array(some, dtype=float).T
    expected = [not any(dominated(i, k) for k in some) for i in some]
    assert pareto_front(performance, cost).tolist() == expected


@given(st.lists(st.lists(st.integers(0, 4), min_size=5, max_size=5), min_size=1, max_size=6), st.data())
def test_counts_are_sums_over_samples(rows: list[list[int]], data: st.DataObject) -> None:
    performance = np.array(rows, dtype=np.float32)
    cost = np.array(data.draw(st.lists(st.integers(0, 3), min_size=5, max_size=5)), dtype=float)
    expected = sum(pareto_front(row, cost).astype(int) for row in performance)
    np.testing.assert_array_equal(front_counts(performance, cost), expected)
    np.testing.assert_array_equal(front_counts(performance, np.tile(cost, (len(rows), 1))), expected)
