from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lzc_flows.ranking.sensitivity import simplex, weight_shares, weights_for, winners_by_cost_weight

unit = st.integers(0, 8).map(lambda eighths: eighths / 8)


def test_weights_are_uniform_on_the_simplex() -> None:
    weights = simplex(3, 20_000, seed=1)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    # mean 1/k and variance (k − 1)/(k²(k + 1)) of Dirichlet(1, 1, 1)
    np.testing.assert_allclose(weights.mean(axis=0), 1 / 3, atol=5 * math.sqrt(1 / 18 / 20_000))
    np.testing.assert_allclose(weights.var(axis=0), 1 / 18, rtol=0.05)
    np.testing.assert_array_equal(weights, simplex(3, 20_000, seed=1))
    assert (weights != simplex(3, 20_000, seed=2)).all()


def test_shares_of_two_criteria_in_closed_form() -> None:
    """Scores w, 1 − w and 0.7: the third wins for 0.3 < w < 0.7."""
    normalised = np.array([[1.0, 0.0], [0.0, 1.0], [0.7, 0.7], [0.1, 0.1]])
    shares = weight_shares(normalised, simplex(2, 20_000, seed=1), top=2)
    np.testing.assert_allclose(shares.first, [0.3, 0.3, 0.4, 0.0], atol=0.015)
    np.testing.assert_allclose(shares.top, [0.5, 0.5, 1.0, 0.0], atol=0.015)
    assert shares.first.sum() == pytest.approx(1)


def test_fewer_candidates_than_the_top_has() -> None:
    shares = weight_shares(np.array([[0.2], [0.2]]), simplex(1, 100, seed=1), top=5)
    assert (shares.first.tolist(), shares.top.tolist()) == ([1, 0], [1, 1])
    assert weight_shares(np.zeros((0, 2)), simplex(2, 100, seed=1), top=5).first.size == 0


def test_winners_by_hand() -> None:
    """Lines 0.9 − 0.9c, 0.6 and 0.2 + 0.8c cross at c = 1/3 and 1/2."""
    found = winners_by_cost_weight(np.array([0.2, 0.9, 0.6]), np.array([1.0, 0.0, 0.6]))
    assert [winner.place for winner in found] == [1, 2, 0]
    np.testing.assert_allclose([winner.high for winner in found], [1 / 3, 1 / 2, 1])
    assert [winner.low for winner in found] == [0.0, *(winner.high for winner in found[:-1])]
    assert winners_by_cost_weight(np.zeros(0), np.zeros(0)) == []


@given(arrays(float, st.tuples(st.integers(1, 12), st.just(2)), elements=unit))
def test_winners_are_the_best_everywhere(values: np.ndarray) -> None:
    performance, cost = values.T
    found = winners_by_cost_weight(performance, cost)
    assert (found[0].low, found[-1].high) == (0.0, 1.0)
    for winner, following in pairwise(found):
        assert winner.high == following.low
    for winner in found:
        for c in np.linspace(winner.low, winner.high, 5):
            scores = (1 - c) * performance + c * cost
            assert scores[winner.place] >= scores.max() - 1e-12


def test_weights_for_what_only_one_criterion_prefers() -> None:
    """Al and P lead where the second criterion has more than half of the weight."""
    normalised = np.array([[1.0, 0.0], [0.9, 0.1], [0.1, 0.9], [0.0, 1.0], [0.0, 0.3]])
    labels = ["Ti", "Sc", "Al", "P", "P"]
    found = weights_for(normalised, labels, {"P", "Al"}, simplex(2, 5000, seed=1))
    assert (found.overlap, sorted(found.labels)) == (2, ["Al", "P"])
    assert found.weights[1] > 0.5
    assert found.share == pytest.approx(0.5, abs=0.03)
    # Ti wins or comes third: never both of them
    assert weights_for(normalised, labels, {"Ti", "P"}, simplex(2, 5000, seed=1)).overlap == 1


def test_wanted_labels_that_are_not_there_are_never_found() -> None:
    found = weights_for(np.array([[1.0], [0.5]]), ["Ti", "Al"], {"V", "Al"}, simplex(1, 10, seed=1))
    assert (found.overlap, found.labels, found.share) == (1, ["Ti", "Al"], 1.0)
