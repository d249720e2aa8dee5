from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzc_flows.band.path import FEWEST_IMAGES, SPACING_ANGSTROM, distances_angstrom, images_for, linear, resampled


@given(st.floats(0, 40), st.integers(0, 1000))
def test_images_are_odd_at_least_three_and_as_close_as_asked(longest: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    initial = generator.normal(size=(4, 3))
    ways = generator.normal(size=(4, 3))
    ways *= (longest * np.array([0.1, 1.0, 0.5, 0.0]) / np.linalg.norm(ways, axis=1))[:, None]
    images = images_for(initial, initial + ways)
    assert images % 2 == 1
    assert images >= FEWEST_IMAGES
    # an odd number cannot come closer to the spacing: one image more or less would be even
    assert longest <= SPACING_ANGSTROM * (images + 2) * (1 + 1e-12)
    assert images == FEWEST_IMAGES or longest > SPACING_ANGSTROM * images * (1 - 1e-12)


@pytest.mark.parametrize(("distance", "images"), [(2.97, 3), (3.61, 5), (3.97, 5), (6.07, 7), (0.5, 3)])
def test_images_of_hops_of_the_host(distance: float, images: int) -> None:
    assert images_for(np.zeros((1, 3)), np.array([[0, distance, 0]])) == images


def test_the_straight_path_is_straight_and_evenly_spaced() -> None:
    initial, final = np.random.default_rng(0).normal(size=(2, 5, 3))
    path = linear(initial, final, 3)
    assert path.shape == (5, 5, 3)
    np.testing.assert_array_equal(path[0], initial)
    np.testing.assert_allclose(path[-1], final, rtol=1e-14)
    np.testing.assert_allclose(path[2], (initial + final) / 2, rtol=1e-13)
    np.testing.assert_allclose(np.diff(path, axis=0), np.broadcast_to((final - initial) / 4, (4, 5, 3)), atol=1e-13)
    along = distances_angstrom(path)
    np.testing.assert_allclose(along, np.linspace(0, np.linalg.norm(final - initial), 5), rtol=1e-12)


def test_distances_count_all_coordinates() -> None:
    path = np.zeros((3, 2, 3))
    path[1, 0, 0], path[2, 0, 0], path[2, 1, 2] = 3.0, 3.0, 4.0
    assert distances_angstrom(path).tolist() == [0.0, 3.0, 7.0]


def test_a_resampled_arc_has_equal_spacing_and_stays_an_arc() -> None:
    """From points at uneven angles; chords of equal lengths on a quarter of a circle."""
    angles = np.array([0.0, 0.1, 0.35, 0.5, 0.9, 1.1, 1.35, np.pi / 2])
    path = 3.0 * np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)[:, None, :]
    found = resampled(path, 7)
    assert found.shape == (9, 1, 3)
    np.testing.assert_allclose(found[[0, -1]], path[[0, -1]], atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 3.0, rtol=5e-3)
    spacing = np.diff(distances_angstrom(found))
    np.testing.assert_allclose(spacing, spacing.mean(), rtol=0.02)


@pytest.mark.parametrize("points", [2, 3])
def test_few_points_can_be_resampled(points: int) -> None:
    path = linear(np.zeros((2, 3)), np.ones((2, 3)), points - 2)
    np.testing.assert_allclose(resampled(path, 5), linear(path[0], path[-1], 5), atol=1e-14)
