from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from lzc_flows.transport import einstein
from lzc_flows.transport.einstein import Estimate, block_error, local_slopes, ratio, slope


@given(st.integers(5, 40), st.integers(1, 4), st.integers(0, 2**31), st.data())
def test_local_slopes_are_differences_of_squares(frames, ions, seed, data) -> None:
    """|A + B|² less the mean of |A|² and |B|², origin by origin."""
    moved = np.random.default_rng(seed).normal(size=(frames, ions, 3)).cumsum(axis=0)
    lag = data.draw(st.integers(1, (frames - 1) // 2))
    origins = frames - 2 * lag
    first, second = moved[lag:-lag] - moved[:origins], moved[2 * lag :] - moved[lag:-lag]
    expected = ((first + second) ** 2 - 0.5 * (first**2 + second**2)).sum(axis=2).mean(axis=1)
    assert np.trace(local_slopes(moved, lag), axis1=1, axis2=2) == pytest.approx(expected, abs=1e-9)


def test_origins_are_taken_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = np.random.default_rng(0).normal(size=(100, 3, 3)).cumsum(axis=0)
    whole = local_slopes(moved, 7)
    for origins in (8, 13, 50):
        monkeypatch.setattr(einstein, "_CHUNK_BYTES", 24 * 3 * origins)
        assert local_slopes(moved, 7) == pytest.approx(whole, abs=1e-12)


def test_vibrations_and_their_memory_drop_out() -> None:
    """Ions that only vibrate have no slope beyond the memory of their vibration, however large it is."""
    rng = np.random.default_rng(0)
    moved = lfilter([1], [1, -0.8], rng.normal(size=(20_000, 10, 3)), axis=0)
    estimate = slope(np.trace(local_slopes(moved, 60), axis1=1, axis2=2), 60, 3)
    assert abs(estimate.value) < 3 * estimate.standard_error
    assert estimate.value == pytest.approx(0, abs=2e-3 * moved.var() / 6)


def test_errors_are_the_scatter_over_walks() -> None:
    """Walks of independent Gaussian steps, of variance 2 along each axis: D = 1, and its error is its scatter."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(300):
        moved = rng.normal(0, math.sqrt(2), size=(400, 8, 3)).cumsum(axis=0)
        found.append(slope(np.trace(local_slopes(moved, 10), axis1=1, axis2=2), 10, 3))
    values = np.array([one.value for one in found])
    # the relative variance of the estimator for Brownian motion is (16/3) τ/T over the dimensions and ions
    theory = math.sqrt(16 / 3 * 10 / 390 / 24)
    assert values.mean() == pytest.approx(1, abs=3 * theory / math.sqrt(300))
    assert values.std() == pytest.approx(theory, rel=0.15)
    stated = math.sqrt(np.mean([one.standard_error**2 for one in found]))
    assert stated == pytest.approx(values.std(), rel=0.15)


def test_blocks_of_a_series_without_memory() -> None:
    """With blocks much longer than the lag the error is σ/√n; there are at most 40 of them."""
    series = np.random.default_rng(2).normal(0, 3, 40_000)
    error, freedom = block_error(series, 1)
    assert freedom == 39
    assert error == pytest.approx(3 / math.sqrt(40_000), rel=0.35)


def test_what_both_series_share_is_no_error_of_their_ratio() -> None:
    rng = np.random.default_rng(3)
    shared = 5 + rng.normal(size=1000)
    found = ratio(2 * shared, shared, 5)
    assert found.value == pytest.approx(2)
    assert found.standard_error == pytest.approx(0, abs=1e-12)


def test_intervals() -> None:
    small = Estimate(2.0, 0.02, 1000)
    assert small.interval == pytest.approx((1.98, 2.02), rel=2e-4)
    low, high = Estimate(2.0, 0.5, 9).interval
    # Student's t of 9 degrees of freedom leaves 15.9 % beyond 1.0585
    assert high / 2.0 == pytest.approx(math.exp(1.0585 * 0.25), rel=1e-3)
    assert low * high == pytest.approx(4.0)
    assert Estimate(1.0, 0.9, 9).interval == pytest.approx((1 - 1.0585 * 0.9, 1 + 1.0585 * 0.9), rel=1e-3, abs=2e-3)
    assert Estimate(-1.0, 2.0, 9).interval[0] == 0
    assert Estimate(-1.0, 2.0, 9).interval[1] == pytest.approx(-1 + 2 * 1.0585, rel=1e-3)
    assert Estimate(-1.0, 0.1, 9).interval == (0, 0)


def test_another_unit() -> None:
    assert Estimate(2.0, 0.5, 9).scaled(1e-4).interval == pytest.approx(
        [1e-4 * end for end in Estimate(2.0, 0.5, 9).interval], rel=1e-12, abs=0
    )
