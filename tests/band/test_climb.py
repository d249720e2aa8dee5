from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from lzc_flows.band.climb import HIGHER_EV, ClimbingBand, started
from lzc_flows.band.lbfgs import Lbfgs
from lzc_flows.band.path import linear
from lzc_flows.band.settle import ExplodedError
from lzc_flows.documents.protocols import NebProtocol
from lzc_flows.dynamics.forces import Forces

CELL = 20.0 * np.eye(3)
TIGHT = NebProtocol(images=5, fmax_climbing_ev_per_angstrom=0.001)


def band_on(field: Any, path: np.ndarray, protocol: NebProtocol = TIGHT) -> ClimbingBand:
    energies = tuple(field.evaluate(each, CELL).energy_ev for each in path[[0, -1]])
    return ClimbingBand(started(path, energies, CELL, field), CELL, protocol, field)


def until_converged(band: ClimbingBand, most: int = 300) -> ClimbingBand:
    while not band.converged:
        band.advance()
        assert band.state.steps <= most
    return band


def steepest_descent(surface: Any, start: np.ndarray) -> np.ndarray:
    """Points (n, 3) along the gradient from beside a saddle down."""

    def downhill(_: float, place: np.ndarray) -> np.ndarray:
        gradient = surface(place.reshape(1, 3))[1].ravel()
        return -gradient / max(float(np.linalg.norm(gradient)), 1e-3)

    return solve_ivp(downhill, (0, 3), start.ravel(), max_step=0.01, method="LSODA").y.T


@pytest.mark.parametrize("images", [1, 3, 5, 7])
@pytest.mark.parametrize("height", [0.05, 0.4, 2.0])
def test_the_saddle_of_a_curved_double_well(analytic, double_well, images: int, height: float) -> None:
    well = double_well(height=height)
    band = until_converged(band_on(analytic(well), linear(*well.ends, images), TIGHT))
    state = band.state
    assert state.energies_ev[1:-1].max() == pytest.approx(height, abs=1e-5)
    assert state.climbing == images // 2
    np.testing.assert_allclose(state.path[1 + state.climbing], [[0, well.bend, 0]], atol=0.01)
    assert band.fmax_climbing <= 0.001
    assert band.fmax_band <= 0.05
    # the others lie on the way of steepest descent
    way = steepest_descent(well, np.array([[1e-3, well.bend, 0]]))
    for image in state.path[2 + state.climbing : -1]:
        assert np.linalg.norm(way - image[0], axis=1).min() < 0.05


def test_an_even_number_of_images_climbs_all_the_same(analytic, double_well) -> None:
    well = double_well()
    band = until_converged(band_on(analytic(well), linear(*well.ends, 4)))
    assert band.state.energies_ev.max() == pytest.approx(well.height, abs=1e-5)


def test_forces_and_energies_of_the_state_are_those_of_its_path(analytic, double_well) -> None:
    field = analytic(double_well())
    band = until_converged(band_on(field, linear(*double_well().ends, 5)))
    for image, (energy, forces) in enumerate(zip(band.state.energies_ev[1:-1], band.state.forces, strict=True), 1):
        there = field.evaluate(band.state.path[image], CELL)
        assert there.energy_ev == energy
        assert (there.forces == forces).all()


def test_evaluations_are_counted(analytic, double_well) -> None:
    field = analytic(double_well())
    band = band_on(field, linear(*double_well().ends, 5))
    assert band.state.evaluations == field.evaluations - 2 == 5
    band.advance()
    assert (band.state.steps, band.state.evaluations) == (1, 10)
    until_converged(band)
    assert band.state.alone
    assert band.state.evaluations == field.evaluations - 2 < 5 * (band.state.steps + 1)


def test_the_ends_stay_and_the_given_path_is_kept(analytic, double_well) -> None:
    path = linear(*double_well().ends, 5)
    kept = path.copy()
    band = until_converged(band_on(analytic(double_well()), path))
    assert (path == kept).all()
    assert (band.state.path[[0, -1]] == kept[[0, -1]]).all()


def test_no_image_climbs_before_the_band_is_near_its_path(analytic, double_well) -> None:
    well = double_well()
    path = linear(*well.ends, 5)
    path[1:-1, 0, 1] -= 1.0
    band = band_on(analytic(well), path)
    while band.state.climbing is None:
        assert not band.converged
        settled = band.settled
        band.advance()
        assert (band.state.climbing is not None) == settled
    until_converged(band)


def test_the_profile_passes_the_saddle_with_the_slopes_of_the_surface(analytic, double_well) -> None:
    well = double_well(bend=0.0)
    band = band_on(analytic(well), linear(*well.ends, 7))
    profile = band.profile
    x = band.state.path[:, 0, 0]
    np.testing.assert_allclose(profile.distances_angstrom, x + well.half, atol=1e-12)
    slopes = 4 * well.height * ((x / well.half) ** 2 - 1) * x / well.half**2
    np.testing.assert_allclose(profile.slopes_ev_per_angstrom, slopes, atol=1e-12)
    distances, curve = profile.curve
    exact = well.height * (((distances - well.half) / well.half) ** 2 - 1) ** 2
    np.testing.assert_allclose(curve, exact, atol=2e-3 * well.height)


def test_a_way_that_only_falls_has_nothing_to_climb(analytic, waves) -> None:
    """From the top of a hill, which rests for lack of any force, into the minimum."""
    field = analytic(waves(height=0.3, period=4.0))
    band = until_converged(band_on(field, linear(np.array([[2.0, 0, 0]]), np.array([[4.0, 0, 0]]), 5)))
    assert band.state.climbing is None
    assert not band.has_saddle
    assert band.fmax_climbing == 0
    assert band.fmax_band <= 0.05
    assert (np.diff(band.state.energies_ev) < 0).all()


def test_an_image_below_the_highest_never_counts_as_the_saddle(analytic, double_well, mueller_brown) -> None:
    """A band whose climbing image rests on the lower saddle of two, the rest good enough, goes on to the higher."""
    field = analytic(mueller_brown)
    (first, energy), (second, _) = mueller_brown.at(mueller_brown.minima[0]), mueller_brown.at(mueller_brown.minima[2])
    loose = NebProtocol(images=13, fmax_band_ev_per_angstrom=5.0, fmax_climbing_ev_per_angstrom=0.001)
    band = until_converged(band_on(field, linear(first, second, 13), loose))
    state = copy.deepcopy(band.state)
    lower, at_lower = mueller_brown.at(mueller_brown.saddles[1])
    image = 1 + int(np.linalg.norm(state.path[1:-1, 0] - lower[0], axis=1).argmin())
    state.path[image] = lower
    there = field.evaluate(lower, CELL)
    state.energies_ev[image], state.forces[image - 1] = there.energy_ev, there.forces
    state.climbing, state.alone, state.optimiser = image - 1, True, Lbfgs()
    again = ClimbingBand(state, CELL, loose, field)
    assert again.fmax_climbing < 0.001
    assert not again.converged
    until_converged(again)
    assert state.climbing == state.energies_ev[1:-1].argmax()
    assert state.energies_ev.max() == pytest.approx(mueller_brown.at(mueller_brown.saddles[0])[1], abs=1e-4)
    assert state.energies_ev.max() > at_lower + 0.3
    assert energy < at_lower


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([3, 5, 7]), st.floats(0.0, 0.25))
def test_whatever_converges_has_its_highest_image_on_the_saddle(analytic, double_well, seed, images, rattle) -> None:
    well = double_well()
    path = linear(*well.ends, images)
    path[1:-1] += rattle * np.random.default_rng(seed).uniform(-1, 1, size=path[1:-1].shape)
    state = until_converged(band_on(analytic(well), path)).state
    assert state.energies_ev[1:-1].max() <= state.energies_ev[1 + state.climbing] + HIGHER_EV
    assert state.energies_ev[1 + state.climbing] == pytest.approx(well.height, abs=1e-4)


class Breaks:
    """The forces of a surface until some evaluation; then no numbers."""

    def __init__(self, field: Any, good: int) -> None:
        self.field, self.left = field, good

    def evaluate(self, positions: np.ndarray, cell: np.ndarray) -> Forces:
        self.left -= 1
        found = self.field.evaluate(positions, cell)
        return found if self.left >= 0 else Forces(found.energy_ev, np.nan * found.forces)

    def evaluate_many(self, positions: np.ndarray, cell: np.ndarray) -> list[Forces]:
        return [self.evaluate(each, cell) for each in positions]


def test_an_engine_that_gives_no_numbers_is_named_with_step_and_image(analytic, double_well) -> None:
    path = linear(*double_well().ends, 3)
    with pytest.raises(ExplodedError, match=r"^step 0: image 1: energy or forces are not finite$"):
        band_on(Breaks(analytic(double_well()), 2), path)
    band = band_on(Breaks(analytic(double_well()), 2 + 3 + 3 + 1), path)
    band.advance()
    with pytest.raises(ExplodedError, match=r"^step 1: image 2: energy or forces are not finite$"):
        band.advance()
