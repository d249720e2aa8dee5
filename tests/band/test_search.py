from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicHermiteSpline

from lzc_flows.band.path import linear
from lzc_flows.band.search import (
    MOST_LEGS,
    ManyLegsError,
    PathSearch,
    Potential,
    SearchState,
    UnconvergedError,
    new_leg,
)
from lzc_flows.band.settle import ExplodedError, SettleLimits, settle
from lzc_flows.documents.protocols import NebProtocol
from lzc_flows.dynamics.forces import Forces

CELL = 20.0 * np.eye(3)
PROTOCOL = NebProtocol(images=7)
MEV = 1e-3


def barriers(search: PathSearch) -> list[tuple[float, float]]:
    """Forward and reverse barrier of each leg, eV."""
    found = []
    for leg in search.state.legs:
        energies = leg.band.energies_ev
        found.append((energies.max() - energies[0], energies.max() - energies[-1]))
    return found


def same_state(one: SearchState, other: SearchState) -> bool:
    return one.spent == other.spent and all(
        (a.band.path == b.band.path).all()
        and (a.band.energies_ev == b.band.energies_ev).all()
        and (a.band.forces == b.band.forces).all()
        and (a.band.climbing, a.band.alone, a.band.steps, a.band.evaluations, a.dips, a.converged)
        == (b.band.climbing, b.band.alone, b.band.steps, b.band.evaluations, b.dips, b.converged)
        for a, b in zip(one.legs, other.legs, strict=True)
    )


def test_mueller_brown_splits_into_its_two_steps(analytic, mueller_brown, between, keeper) -> None:
    """From the first to the last minimum over the one between: all energies within 1 meV of the closed form."""
    (first, _), (second, at_second), (third, _) = map(mueller_brown.at, mueller_brown.minima)
    for point in (*mueller_brown.minima, *mueller_brown.saddles):
        assert np.abs(mueller_brown(mueller_brown.at(point)[0])[1]).max() < 1e-8
    field = analytic(mueller_brown)
    search = between(field, first, third, PROTOCOL)
    asked = field.evaluations
    bands = search.run(200, keeper())
    assert field.evaluations == search.state.evaluations + 2
    assert asked == 9
    assert all(band.converged for band in bands)
    assert len(bands) == 2
    ends = [(leg.band.path[0], leg.band.path[-1]) for leg in search.state.legs]
    np.testing.assert_array_equal(ends[0][0], first)
    np.testing.assert_array_equal(ends[0][1], ends[1][0])
    np.testing.assert_allclose(ends[0][1], second, atol=0.01)
    np.testing.assert_allclose(ends[1][1], third, atol=1e-12)
    assert search.state.legs[0].band.energies_ev[-1] == pytest.approx(at_second, abs=MEV)
    for leg, saddle in zip(search.state.legs, mueller_brown.saddles, strict=True):
        place, energy = mueller_brown.at(saddle)
        assert leg.band.energies_ev.max() == pytest.approx(energy, abs=MEV)
        assert np.linalg.norm(leg.band.path[1 + leg.band.climbing] - place) < 0.02


def test_the_way_back_swaps_forward_and_reverse(analytic, mueller_brown, between, keeper) -> None:
    (first, _), _, (third, _) = map(mueller_brown.at, mueller_brown.minima)
    there, back = (between(analytic(mueller_brown), *ends, PROTOCOL) for ends in ((first, third), (third, first)))
    there.run(200, keeper())
    back.run(200, keeper())
    np.testing.assert_allclose([b[::-1] for b in barriers(back)[::-1]], barriers(there), atol=MEV)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.03, 1.5), st.floats(1.0, 3.0), st.floats(-1.0, 1.0), st.floats(2.0, 30.0))
def test_any_double_well_has_its_height_as_barrier(
    analytic, double_well, between, keeper, height, half, bend, stiffness
) -> None:
    well = double_well(height, half, bend, stiffness)
    search = between(analytic(well), *well.ends, NebProtocol())
    search.run(200, keeper())
    assert len(search.state.legs) == 1
    np.testing.assert_allclose(barriers(search), [(height, height)], atol=MEV)


@pytest.mark.parametrize("hops", [2, 3, 4])
def test_a_long_way_over_equal_hills_is_split_at_each_minimum(analytic, waves, between, keeper, hops: int) -> None:
    """Two periods and more; the tilt makes forward and reverse differ by its part of a period."""
    surface = waves(height=0.3, period=2.0, tilt=0.02)
    ends = [np.array([[x + displaced(surface), 0.0, 0.0]]) for x in (0.0, 2.0 * hops)]
    protocol = NebProtocol(images=4 * hops - 1)
    search = between(analytic(surface), *ends, protocol)
    search.run(200, keeper())
    saddle = np.array([[1.0 - displaced(surface), 0, 0]])
    forward = surface(saddle)[0] - surface(ends[0])[0]
    np.testing.assert_allclose(barriers(search), [(forward, forward - 0.04)] * hops, atol=MEV)


def displaced(surface: Any) -> float:
    """Where the tilt moves the minima of waves, Å."""
    k = 2 * np.pi / surface.period
    return -float(np.arcsin(2 * surface.tilt / (surface.height * k)) / k)


def test_a_way_over_too_many_minima_is_no_hop(analytic, waves, between, keeper) -> None:
    hops = MOST_LEGS + 1
    ends = [np.array([[x, 0.0, 0.0]]) for x in (0.0, 2.0 * hops)]
    search = between(analytic(waves()), *ends, NebProtocol(images=4 * hops - 1))
    with pytest.raises(ManyLegsError, match=rf"^more than {MOST_LEGS} minima on the way: not an elementary hop$"):
        search.run(200, keeper())


def test_a_shallow_minimum_between_equal_humps_does_not_split(analytic, between, keeper) -> None:
    """Less deep than `split_ev`; one of the humps is climbed to its top."""

    def surface(positions: np.ndarray) -> tuple[float, np.ndarray]:
        x, y, z = positions[0]
        hill = np.polynomial.Polynomial.fromroots([-2, -2, 2, 2]) * (0.3 / 16)
        hole = 0.03 * np.exp(-((x / 0.3) ** 2))
        slope = hill.deriv()(x) + hole * 2 * x / 0.09
        return float(hill(x) - hole + 2 * (y * y + z * z)), np.array([[slope, 4 * y, 4 * z]])

    search = between(analytic(surface), np.array([[-2.0, 0, 0]]), np.array([[2.0, 0, 0]]), NebProtocol(images=9))
    search.run(200, keeper())
    highest = max(surface(np.array([[x, 0, 0]]))[0] for x in np.linspace(0, 2, 20001))
    assert 0.003 < highest - surface(np.zeros((1, 3)))[0] < 0.02
    np.testing.assert_allclose(barriers(search), [(highest, highest)], atol=MEV)


def test_a_dip_that_relaxes_into_an_end_is_none(analytic, between, keeper) -> None:
    """A minimum 0.28 Å from the initial end is that end, told another way."""
    along = CubicHermiteSpline([0, 0.14, 0.28, 1.6, 3.0], [0, 0.08, 0.0, 0.4, 0.1], np.zeros(5))

    def surface(positions: np.ndarray) -> tuple[float, np.ndarray]:
        x, y, z = positions[0]
        return float(along(x) + 2 * (y * y + z * z)), np.array([[along(x, 1), 4 * y, 4 * z]])

    search = between(analytic(surface), np.zeros((1, 3)), np.array([[3.0, 0, 0]]), NebProtocol(images=15))
    search.run(200, keeper())
    (leg,) = search.state.legs
    assert leg.dips
    assert search.state.spent > 0
    np.testing.assert_allclose(barriers(search), [(0.4, 0.3)], atol=MEV)


def test_an_image_caught_in_a_shallow_minimum_between_two_saddles_climbs_on(analytic, between, keeper) -> None:
    """By symmetry the middle image rests in a minimum 12 meV deep, the humps fall between images."""
    along = CubicHermiteSpline([-2, -0.45, 0, 0.45, 2], [0, 0.4, 0.388, 0.4, 0], np.zeros(5))

    def surface(positions: np.ndarray) -> tuple[float, np.ndarray]:
        x, y, z = positions[0]
        return float(along(x) + 2 * (y * y + z * z)), np.array([[along(x, 1), 4 * y, 4 * z]])

    search = between(analytic(surface), np.array([[-2.0, 0, 0]]), np.array([[2.0, 0, 0]]), NebProtocol(images=5))
    search.run(200, keeper())
    np.testing.assert_allclose(barriers(search), [(0.4, 0.4)], atol=MEV)


@pytest.mark.parametrize("back", [False, True])
def test_a_saddle_between_the_last_image_and_an_end_is_found(analytic, between, keeper, back: bool) -> None:
    """The higher end is a minimum 15 meV deep, and all images lie below it."""
    along = CubicHermiteSpline([0, 3.3, 3.8], [0, 0.315, 0.3], np.zeros(3))

    def surface(positions: np.ndarray) -> tuple[float, np.ndarray]:
        x, y, z = positions[0]
        return float(along(x) + 2 * (y * y + z * z)), np.array([[along(x, 1), 4 * y, 4 * z]])

    ends = [np.zeros((1, 3)), np.array([[3.8, 0, 0]])]
    search = between(analytic(surface), *(ends[::-1] if back else ends), NebProtocol(images=3))
    search.run(200, keeper())
    np.testing.assert_allclose(barriers(search), [(0.015, 0.315) if back else (0.315, 0.015)], atol=MEV)


def test_a_barrierless_way_converges_without_a_saddle(analytic, waves, between, keeper) -> None:
    """The initial end rests on a hilltop."""
    search = between(analytic(waves(period=4.0)), np.array([[2.0, 0, 0]]), np.array([[4.0, 0, 0]]), PROTOCOL)
    (band,) = search.run(200, keeper())
    assert band.state.climbing is None
    np.testing.assert_allclose(barriers(search), [(0.0, 0.3)], atol=1e-12)


def test_steps_that_run_out_are_an_error_that_says_how_far_it_got(analytic, mueller_brown, between, keeper) -> None:
    """And the state goes on from there to the end of a search that had the steps at once."""
    (first, _), _, (third, _) = map(mueller_brown.at, mueller_brown.minima)
    search = between(analytic(mueller_brown), first, third, PROTOCOL)
    line = r"^not converged after 8 steps: \d+\.\d{3} eV/Å on the climbing image, (\d+\.\d{3}) eV/Å on the others$"
    with pytest.raises(UnconvergedError, match=line):
        search.run(8, keeper())
    leg = next(leg for leg in search.state.legs if not leg.converged)
    assert leg.band.steps == 8
    search.run(200, keeper())
    uncut = between(analytic(mueller_brown), first, third, PROTOCOL)
    uncut.run(200, keeper())
    assert same_state(search.state, uncut.state)


def test_a_minimum_that_does_not_relax_is_an_error_and_no_dip(analytic, mueller_brown, between, keeper) -> None:
    (first, _), _, (third, _) = map(mueller_brown.at, mueller_brown.minima)
    protocol = NebProtocol(images=7, fmax_ends_ev_per_angstrom=1e-17)
    search = between(analytic(mueller_brown), first, third, protocol)
    with pytest.raises(UnconvergedError, match=r"^a minimum on the way is not relaxed after 40 steps: 0.000 eV/Å$"):
        search.run(40, keeper())
    assert [leg.dips for leg in search.state.legs] == [[]]


def copies() -> list[Callable[[SearchState], SearchState]]:
    return [copy.deepcopy, lambda state: pickle.loads(pickle.dumps(state))]


@pytest.mark.parametrize("duplicate", copies(), ids=["deepcopy", "pickle"])
def test_cut_after_any_step_it_goes_on_as_if_uncut(analytic, mueller_brown, between, keeper, duplicate) -> None:
    (first, _), _, (third, _) = map(mueller_brown.at, mueller_brown.minima)
    uncut = between(analytic(mueller_brown), first, third, PROTOCOL)
    observer = keeper()
    uncut.run(200, observer)
    assert len(observer.states) > 20
    for state in observer.states:
        potential = Potential(analytic(mueller_brown), CELL)
        again = PathSearch(duplicate(state), potential, PROTOCOL)
        bands = again.run(200, keeper())
        assert same_state(again.state, uncut.state)
        assert all(band.converged for band in bands)


def test_a_finished_search_costs_nothing_more(analytic, double_well, between, keeper) -> None:
    field = analytic(double_well())
    search = between(field, *double_well().ends, PROTOCOL)
    search.run(200, keeper())
    before, observer = field.evaluations, keeper()
    search.run(200, observer)
    assert field.evaluations == before
    assert observer.states == []


class Breaks:
    """The forces of a surface until some evaluation; then no numbers."""

    def __init__(self, field: Any, good: int) -> None:
        self.field, self.left = field, good

    def evaluate(self, positions: np.ndarray, cell: np.ndarray) -> Forces:
        self.left -= 1
        found = self.field.evaluate(positions, cell)
        return found if self.left >= 0 else Forces(np.nan, found.forces)

    def evaluate_many(self, positions: np.ndarray, cell: np.ndarray) -> list[Forces]:
        return [self.evaluate(each, cell) for each in positions]


@pytest.mark.parametrize("good", [12, 50, 100, 150])
def test_an_engine_that_gives_no_numbers_never_gives_a_barrier(analytic, mueller_brown, between, keeper, good) -> None:
    """And the last state that was told is good: with a sane engine it goes on to the end."""
    (first, _), _, (third, _) = map(mueller_brown.at, mueller_brown.minima)
    search = between(Breaks(analytic(mueller_brown), good), first, third, PROTOCOL)
    observer = keeper()
    with pytest.raises(ExplodedError):
        search.run(200, observer)
    if observer.states:
        again = PathSearch(observer.states[-1], Potential(analytic(mueller_brown), CELL), PROTOCOL)
        again.run(200, keeper())
        uncut = between(analytic(mueller_brown), first, third, PROTOCOL)
        uncut.run(200, keeper())
        assert same_state(again.state, uncut.state)


class Crystal:
    """An ion in a wave between atoms on springs, which repel it: several atoms in a periodic cell."""

    edge = 6.0
    places = np.array([[1.5, 2.2, 0.3], [4.5, -2.0, 0.2], [3.0, 0.4, 2.1]])

    def __init__(self, order: list[int], shift: np.ndarray) -> None:
        self.order, self.shift = np.array(order), shift
        self.cell = self.edge * np.eye(3)

    def positions(self, x: float) -> np.ndarray:
        return np.vstack([[[x, 0.0, 0.0]], self.places])[self.order] + self.shift

    def evaluate(self, positions: np.ndarray, cell: np.ndarray) -> Forces:
        told = np.empty_like(positions)
        told[self.order] = positions - self.shift
        ion, others = told[0], told[1:]
        k = 2 * np.pi / self.edge
        gradient = np.zeros_like(told)
        energy = 0.2 * (1 - np.cos(2 * k * ion[0])) + 1.5 * (ion[1] ** 2 + ion[2] ** 2)
        gradient[0] = [0.4 * k * np.sin(2 * k * ion[0]), 3 * ion[1], 3 * ion[2]]
        off = others - self.places
        energy += 2.0 * (off**2).sum()
        gradient[1:] += 4.0 * off
        apart = ion - others
        apart -= self.edge * np.round(apart / self.edge)
        push = 0.6 * np.exp(-(apart**2).sum(axis=1) / 2.0)
        energy += push.sum()
        gradient[0] -= (push[:, None] * apart).sum(axis=0)
        gradient[1:] += push[:, None] * apart
        return Forces(float(energy), -gradient[self.order])

    def evaluate_many(self, positions: np.ndarray, cell: np.ndarray) -> list[Forces]:
        return [self.evaluate(each, cell) for each in positions]


class Nobody:
    def step(self, state: SearchState) -> None:
        pass


def crystal_barriers(order: list[int], shift: np.ndarray, backwards: bool = False) -> list[tuple[float, float]]:
    crystal = Crystal(order, shift)
    limits = SettleLimits(1e-3, 200)
    ends = [settle(crystal.positions(x), crystal.cell, crystal, limits) for x in (0.0, 3.0)]
    assert all(end.converged for end in ends)
    first, last = ends[::-1] if backwards else ends
    potential = Potential(crystal, crystal.cell)
    path = linear(first.positions, last.positions, 5)
    search = PathSearch(SearchState([new_leg(path, (first.energy_ev, last.energy_ev), potential)]), potential, TIGHT)
    search.run(200, Nobody())
    return barriers(search)


TIGHT = NebProtocol(images=5, fmax_climbing_ev_per_angstrom=1e-3, fmax_band_ev_per_angstrom=0.02)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(4)), st.tuples(*[st.floats(-9, 9)] * 3))
def test_order_of_atoms_and_origin_of_the_cell_do_not_matter(order: list[int], shift: tuple[float, ...]) -> None:
    expected = crystal_barriers([0, 1, 2, 3], np.zeros(3))
    np.testing.assert_allclose(crystal_barriers(order, np.array(shift)), expected, atol=1e-5)
    backwards = [pair[::-1] for pair in crystal_barriers(order, np.array(shift), backwards=True)[::-1]]
    np.testing.assert_allclose(backwards, expected, atol=1e-4)
    assert abs(expected[0][0] - expected[0][1]) > 0.01
