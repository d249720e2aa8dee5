from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzc_flows.errors import InputError
from lzc_flows.ranking.normalise import NORMALISATIONS, Goal, desirability, min_max, rank_fraction

finite = st.floats(-1e3, 1e3).map(lambda value: round(value, 6))
columns = st.lists(st.one_of(finite, st.just(math.nan), st.just(math.inf)), max_size=12)


def test_min_max_by_hand() -> None:
    barriers = [0.3, 0.4, 0.7, math.nan, math.inf]
    np.testing.assert_allclose(min_max(barriers, "lower"), [1, 0.75, 0, math.nan, 0], rtol=1e-12, atol=0)
    np.testing.assert_allclose(min_max([0.3, 0.4, 0.7], "higher"), [0, 0.25, 1], rtol=1e-12, atol=0)


def test_rank_fraction_by_hand() -> None:
    barriers = [0.3, 0.4, 0.4, 0.7, math.nan, math.inf]
    expected = [1, 2 / 3, 2 / 3, 1 / 3, math.nan, 0]
    np.testing.assert_allclose(rank_fraction(barriers, "lower"), expected, rtol=1e-12, atol=0)
    np.testing.assert_allclose(rank_fraction([5.0, 7.0, 9.0], "higher"), [0, 0.5, 1], rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_special_columns(name: str) -> None:
    normalise = NORMALISATIONS[name]  # type: ignore[index]
    np.testing.assert_array_equal(normalise([0.4, math.nan, 0.4], "lower"), [1, math.nan, 1])
    np.testing.assert_array_equal(normalise([0.4, math.inf], "lower"), [1, 0])
    np.testing.assert_array_equal(normalise([math.inf, math.inf], "lower"), [0, 0])
    np.testing.assert_array_equal(normalise([math.nan], "lower"), [math.nan])
    assert normalise([], "lower").shape == (0,)


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_infinitely_good_is_refused(name: str) -> None:
    normalise = NORMALISATIONS[name]  # type: ignore[index]
    with pytest.raises(InputError, match="better direction"):
        normalise([0.1, -math.inf], "lower")
    with pytest.raises(InputError, match="better direction"):
        normalise([0.1, math.inf], "higher")


@pytest.mark.parametrize("name", NORMALISATIONS)
@given(values=columns)
def test_between_0_and_1_ordered_and_missing_stays_missing(name: str, values: list[float]) -> None:
    normalised = NORMALISATIONS[name](values, "lower")  # type: ignore[index]
    raw = np.asarray(values, dtype=float)
    np.testing.assert_array_equal(np.isnan(normalised), np.isnan(raw))
    present = ~np.isnan(raw)
    assert ((normalised[present] >= 0) & (normalised[present] <= 1)).all()
    assert (np.diff(normalised[present][np.argsort(raw[present], kind="stable")]) <= 0).all()
    if np.isfinite(raw).any():
        assert normalised[np.nanargmin(raw)] == 1


@pytest.mark.parametrize("name", NORMALISATIONS)
@given(values=columns)
def test_higher_is_lower_of_the_negative(name: str, values: list[float]) -> None:
    normalise = NORMALISATIONS[name]  # type: ignore[index]
    np.testing.assert_array_equal(normalise(values, "lower"), normalise(-np.asarray(values), "higher"))


@given(values=columns, scale=st.floats(0.01, 100), shift=st.floats(-100, 100))
def test_min_max_is_affine_invariant(values: list[float], scale: float, shift: float) -> None:
    mapped = scale * np.asarray(values) + shift
    # differences of 1e-6 on numbers of 1e5 keep about five digits
    np.testing.assert_allclose(min_max(mapped, "lower"), min_max(values, "lower"), rtol=0, atol=1e-3)


@given(values=st.lists(st.integers(-50, 50), min_size=1, max_size=12))
def test_rank_fraction_ignores_any_increasing_map(values: list[int]) -> None:
    mapped = np.exp(np.asarray(values) / 10)
    np.testing.assert_array_equal(rank_fraction(mapped, "lower"), rank_fraction(values, "lower"))


def test_desirability_by_hand() -> None:
    barriers = [0.2, 0.3, 0.375, 0.6, 0.7, math.inf, math.nan]
    expected = [1, 1, 0.75, 0, 0, 0, math.nan]
    np.testing.assert_allclose(desirability(barriers, "lower", Goal(0.6, 0.3)), expected, rtol=1e-12)
    squared = [1, 1, 0.75**2, 0, 0, 0, math.nan]
    np.testing.assert_allclose(desirability(barriers, "lower", Goal(0.6, 0.3, 2)), squared, rtol=1e-12)
    conductivities = [10.0, 100.0, 1000.0, -math.inf]
    np.testing.assert_allclose(
        desirability(conductivities, "higher", Goal(0, 400, 0.5)), [math.sqrt(10 / 400), 0.5, 1, 0], rtol=1e-12
    )
    with pytest.raises(InputError, match="better direction"):
        desirability([-math.inf], "lower", Goal(0.6, 0.3))


@given(values=st.lists(finite, min_size=2, max_size=8), shape=st.floats(0.2, 5))
def test_desirability_is_absolute_and_keeps_the_order(values: list[float], shape: float) -> None:
    goal = Goal(800.0, -500.0, shape)
    found = desirability(values, "lower", goal)
    np.testing.assert_array_equal(found[:1], desirability(values[:1], "lower", goal))
    assert (np.diff(found[np.argsort(values)]) <= 0).all()
    assert ((found >= 0) & (found <= 1)).all()
