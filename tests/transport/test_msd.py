from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzc_flows.errors import InputError
from lzc_flows.transport import msd as msd_module
from lzc_flows.transport.msd import mean_squared_displacement, projected

HEXAGONAL = np.array([[11.2, 0, 0], [-5.6, 11.2 * np.sqrt(0.75), 0], [0, 0, 18.1]])


def by_loops(moved, origins):
    """The definition."""
    frames = len(moved)
    rows = []
    for lag in range(frames if origins is None else frames - origins + 1):
        count = frames - lag if origins is None else origins
        step = moved[lag : lag + count] - moved[:count]
        rows.append(np.einsum("tni,tnj->ij", step, step) / (count * moved.shape[1]))
    return np.array(rows)


@given(st.integers(2, 40), st.integers(1, 4), st.integers(0, 2**31), st.data())
def test_it_is_what_loops_give(frames, atoms, seed, data) -> None:
    moved = np.random.default_rng(seed).normal(size=(frames, atoms, 3)).cumsum(axis=0)
    origins = data.draw(st.none() | st.integers(1, frames))
    expected = by_loops(moved, origins)
    assert mean_squared_displacement(moved, origins) == pytest.approx(expected, rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("origins", [None, 60])
def test_atoms_are_taken_a_few_at_a_time(origins, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = np.random.default_rng(0).normal(size=(100, 7, 3)).cumsum(axis=0)
    whole = mean_squared_displacement(moved, origins)
    monkeypatch.setattr(msd_module, "_CHUNK_BYTES", 48 * 450)  # two atoms
    assert mean_squared_displacement(moved, origins) == pytest.approx(whole, rel=1e-12, abs=1e-12)


def test_small_steps_far_from_the_origin_keep_their_digits() -> None:
    """Steps of 0.001 Å, 10⁶ Å from the origin: squares 10¹⁸ times the answer, more than a double holds."""
    moved = np.random.default_rng(0).normal(0, 1e-3, size=(5000, 2, 3)).cumsum(axis=0)
    moved = np.round(moved, 6)
    near, far = mean_squared_displacement(moved), mean_squared_displacement(moved + 2.0**20)
    expected = by_loops(moved[:1000], None)[1]
    assert np.trace(mean_squared_displacement(moved[:1000])[1]) == pytest.approx(np.trace(expected), rel=1e-9, abs=0)
    assert np.trace(far[1]) == pytest.approx(np.trace(near[1]), rel=1e-6, abs=0)


def test_ballistic_motion() -> None:
    time, velocity = np.arange(200) * 0.01, np.array([3.0, -4.0, 12.0])
    tensors = mean_squared_displacement(np.multiply.outer(time, velocity)[:, None])
    assert np.trace(tensors, axis1=1, axis2=2) == pytest.approx((13 * time) ** 2, rel=1e-9, abs=1e-10)
    assert tensors[-1] == pytest.approx(np.outer(velocity, velocity) * time[-1] ** 2, rel=1e-9)
    assert (tensors[0] == 0).all()


def test_harmonic_plateau() -> None:
    """Whole periods of A cos ωt: 2A² sin²(ωτ/2) = A² (1 − cos ωτ), whose mean over a period is A²."""
    period, amplitude = 50, 0.3
    phase = 2 * np.pi * np.arange(period * 40) / period
    moved = np.zeros((len(phase), 1, 3))
    moved[:, 0, 2] = amplitude * np.cos(phase)
    tensors = mean_squared_displacement(moved, period * 20)
    assert tensors[: 2 * period, 2, 2] == pytest.approx(amplitude**2 * (1 - np.cos(phase[: 2 * period])), abs=1e-12)
    assert tensors[:period, 2, 2].mean() == pytest.approx(amplitude**2, rel=1e-9)


def test_directions_of_a_hexagonal_cell() -> None:
    """One step along a: the whole along a, cos² 120° = ¼ along b, nothing along c, all in the plane."""
    step = np.outer(HEXAGONAL[0], HEXAGONAL[0])[None]
    length = 11.2**2
    expected = {"total": length, "a": length, "b": length / 4, "c": 0.0, "ab": length}
    for direction, value in expected.items():
        assert projected(step, HEXAGONAL, direction)[0] == pytest.approx(value, abs=1e-12)


@given(st.integers(0, 2**31))
def test_the_plane_and_its_normal_make_the_whole(seed) -> None:
    rng = np.random.default_rng(seed)
    tensors = mean_squared_displacement(rng.normal(size=(20, 2, 3)).cumsum(axis=0))
    whole = projected(tensors, HEXAGONAL, "ab") + projected(tensors, HEXAGONAL, "c")
    assert whole == pytest.approx(projected(tensors, HEXAGONAL, "total"), abs=1e-9)
    # a and b of a hexagonal cell and the direction between them see the plane evenly: their mean is half of it
    between = HEXAGONAL.copy()
    between[0] += between[1]
    thirds = [projected(tensors, cell, direction) for cell, direction in ((HEXAGONAL, "a"), (HEXAGONAL, "b"))]
    thirds.append(projected(tensors, between, "a"))
    assert sum(thirds) / 3 == pytest.approx(projected(tensors, HEXAGONAL, "ab") / 2, abs=1e-9)


@pytest.mark.parametrize("origins", [0, 11])
def test_impossible_origins_are_refused(origins) -> None:
    with pytest.raises(InputError, match="1 to 10"):
        mean_squared_displacement(np.zeros((10, 1, 3)), origins)
