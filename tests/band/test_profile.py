from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lzc_flows.band.profile import Profile


def sampled(energy: Callable, slope: Callable, end: float, points: int) -> Profile:
    along = np.linspace(0, end, points)
    return Profile(along, energy(along), slope(along))


def waves(end: float, points: int, depth: float = 0.2) -> Profile:
    """(depth/2)·(1 − cos 2πx): minima at whole numbers."""
    return sampled(
        lambda x: 0.5 * depth * (1 - np.cos(2 * np.pi * x)),
        lambda x: np.pi * depth * np.sin(2 * np.pi * x),
        end,
        points,
    )


@given(st.integers(0, 10_000), st.integers(3, 9))
def test_the_curve_passes_all_energies_with_their_slopes(seed: int, images: int) -> None:
    generator = np.random.default_rng(seed)
    along = np.concatenate([[0], np.cumsum(generator.uniform(0.3, 1.0, images - 1))])
    energies, slopes = generator.normal(size=(2, images))
    profile = Profile(along, energies, slopes)
    distances, curve = profile.curve
    assert (np.diff(distances) > 0).all()
    places = np.searchsorted(distances, along)
    np.testing.assert_array_equal(distances[places], along)
    np.testing.assert_allclose(curve[places], energies, atol=1e-12)
    # the slope of the first points after each image, by three of them
    for at, slope in zip(places[:-1], slopes[:-1], strict=True):
        h = distances[at + 1] - distances[at]
        ahead = (-1.5 * curve[at] + 2 * curve[at + 1] - 0.5 * curve[at + 2]) / h
        third = abs(np.diff(curve[at : at + 4], n=3)[0]) / h
        assert ahead == pytest.approx(slope, abs=1e-9 + third)


def test_a_cubic_is_its_own_spline() -> None:
    profile = sampled(lambda x: x**3 - 2 * x**2, lambda x: 3 * x**2 - 4 * x, 2.0, 4)
    distances, curve = profile.curve
    np.testing.assert_allclose(curve, distances**3 - 2 * distances**2, atol=1e-14)


@pytest.mark.parametrize(
    ("end", "points", "minima"),
    [
        (1.0, 7, []),  # one saddle
        (2.0, 9, [4]),
        (3.0, 13, [4, 8]),
        (3.0, 7, [2, 4]),  # images at the minima and the saddles only
    ],
)
def test_minima_of_a_wave(end: float, points: int, minima: list[int]) -> None:
    assert waves(end, points).minima_between(0.02) == minima


def test_a_minimum_between_two_images_is_that_of_the_nearer_one() -> None:
    along = np.array([0.0, 0.3, 0.6, 0.9, 1.2, 1.5, 1.8, 2.0])
    profile = Profile(along, 0.1 * (1 - np.cos(2 * np.pi * along)), 0.1 * np.pi * np.sin(2 * np.pi * along))
    assert profile.minima_between(0.02) == [3]


@pytest.mark.parametrize(("depth", "found"), [(0.019, []), (0.021, [4])])
def test_a_minimum_counts_from_a_depth_on(depth: float, found: list[int]) -> None:
    assert waves(2.0, 9, depth).minima_between(0.02) == found


def test_the_depth_is_that_below_the_lower_of_both_sides() -> None:
    """A shoulder 0.01 eV deep on the way from a deep minimum."""
    profile = Profile(np.arange(5.0), np.array([0.0, 0.31, 0.30, 0.9, 0.0]), np.zeros(5))
    assert profile.minima_between(0.02) == []
    assert profile.minima_between(0.005) == [2]


def test_a_shallow_minimum_beside_a_deep_one_is_measured_from_the_pass_between() -> None:
    profile = Profile(np.arange(7.0), np.array([0.0, 0.5, 0.1, 0.15, 0.14, 0.5, 0.0]), np.zeros(7))
    assert profile.minima_between(0.02) == [2]
    assert profile.minima_between(0.005) == [2, 4]


def test_ends_may_lie_higher_than_a_minimum_between() -> None:
    """A band that only falls and rises passes a minimum all the same."""
    profile = sampled(lambda x: (x - 2) ** 2, lambda x: 2 * (x - 2), 4.0, 5)
    assert profile.minima_between(0.02) == [2]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_slope_has_no_minimum(sign: int) -> None:
    profile = sampled(lambda x: sign * 0.3 * x, lambda x: sign * 0.3 + 0 * x, 4.0, 6)
    assert profile.minima_between(0.001) == []


def test_a_minimum_nearest_to_an_end_is_no_image_between() -> None:
    profile = Profile(np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.5, 0.0]), np.array([-1.0, 0.0, 0.0]))
    assert profile.curve[1].min() < -0.05
    assert profile.minima_between(0.02) == []


@given(st.integers(0, 10_000))
def test_minima_are_the_same_backwards(seed: int) -> None:
    generator = np.random.default_rng(seed)
    energies, slopes, spacing = generator.normal(size=(3, 9))
    along = np.cumsum(1 + 0.3 * np.tanh(spacing))
    forward = Profile(along, energies, slopes)
    distances, curve = forward.curve
    lowest = distances[1:-1][(curve[1:-1] < curve[:-2]) & (curve[1:-1] < curve[2:])]
    middles = (along[1:] + along[:-1]) / 2
    assume((np.abs(lowest[:, None] - middles) > 1e-6).all())  # as near to two images
    back = Profile(along[-1] - along[::-1], energies[::-1], -slopes[::-1])
    assert sorted(8 - image for image in back.minima_between(0.1)) == forward.minima_between(0.1)
