from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzc_flows.errors import InputError
from lzc_flows.hopping.jumps import jumps
from lzc_flows.transport import frames
from lzc_flows.transport.motion import Motion

HEXAGONAL = np.array([[6.0, 0, 0], [-3.0, 3 * np.sqrt(3), 0], [0, 0, 5.0]])
STEP_PS = 0.02
# three sites a cell; the second is written in another cell on purpose
SITES = np.array([[0.0, 0.0, 0.0], [1.5, 0.5, -0.5], [0.0, 0.5, 0.5]])


def motion_of(places, cell=HEXAGONAL, drift=0.0) -> Motion:
    """Mobile ions at these places (frames, ions, 3) beside two framework atoms, all of which drift."""
    framework = np.broadcast_to(np.array([[1.0, 1.0, 1.0], [2.0, 3.0, 4.0]]), (len(places), 2, 3))
    positions = np.concatenate([framework, places], axis=1)
    positions = positions + np.linspace(0, drift, len(places))[:, None, None]
    return Motion(positions, STEP_PS, ("Zr", "Cl", *["Li"] * places.shape[1]), cell)


def wander(rng, ions: int, steps: int, vibration: float):
    """Ions that jump between lattice sites; the truth as rows of frame, ion, from, to, translation."""
    places, truth = [], []
    homes = [(int(rng.integers(3)), rng.integers(-2, 3, 3)) for _ in range(ions)]
    for frame in range(steps):
        row = []
        for ion, (site, cell) in enumerate(homes):
            if frame and rng.random() < 0.1:
                target, shift = int(rng.integers(3)), rng.integers(-1, 2, 3)
                if target != site or shift.any():
                    truth.append((frame, ion, site, target, *shift.tolist()))
                    site, cell = homes[ion] = target, cell + shift
            row.append((SITES[site] + cell) @ HEXAGONAL)
        places.append(row)
    places = np.array(places)
    noise = rng.normal(scale=vibration, size=places.shape)
    return places + np.clip(noise, -2 * vibration, 2 * vibration), truth


def rows(found):
    kinds = np.column_stack([found.pairs, found.translations])
    return np.column_stack([found.frames, found.ions, kinds[found.kinds]])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_every_jump_of_wandering_ions_is_found(seed, ions):
    # sites are 2.6 Å or more apart: cores of 0.78 Å, vibrations of at most 0.42 Å
    places, truth = wander(np.random.default_rng(seed), ions, 120, 0.12)
    found = jumps(motion_of(places, drift=7.0), SITES, "Li")
    assert rows(found).tolist() == [list(row) for row in sorted(truth)]
    assert found.counts.sum() == len(truth) == found.departures.sum()
    assert found.times_ps.sum() == pytest.approx(ions * 120 * STEP_PS)
    assert found.unassigned_ps == 0
    assert found.occupations.sum() == pytest.approx(ions)


def test_times_and_rates():
    # ten frames on site 0, five on site 2 of the next cell along −b, ten on site 0 again
    there = (SITES[2] + [0, -1, 0]) @ HEXAGONAL
    path = np.array([[0.0, 0, 0]] * 10 + [there] * 5 + [[0.0, 0, 0]] * 10)[:, None]
    found = jumps(motion_of(path), SITES, "Li")
    assert found.pairs.tolist() == [[0, 2], [2, 0]]
    assert found.translations.tolist() == [[0, -1, 0], [0, 1, 0]]
    assert found.times_ps == pytest.approx([20 * STEP_PS, 0, 5 * STEP_PS])
    assert found.residence_ps == pytest.approx([20 * STEP_PS, np.inf, 5 * STEP_PS])
    assert found.rates_per_ps == pytest.approx([1 / (20 * STEP_PS), 1 / (5 * STEP_PS)])
    assert found.occupations == pytest.approx([0.8, 0, 0.2])


def test_recrossings_are_no_jumps():
    # along the line between two sites 3 Å apart: often across the middle, never into the other core (2.1 Å on)
    cell, sites = np.diag([6.0, 6.0, 6.0]), np.array([[0.0, 0, 0], [0.5, 0, 0]])
    along = np.concatenate([[0.0], np.tile([1.4, 1.7, 2.05, 1.3], 20), [0.2]])
    path = np.zeros((len(along), 1, 3))
    path[:, 0, 0] = along
    assert jumps(motion_of(path, cell), sites, "Li").counts.sum() == 0
    # with cores that touch in the middle each crossing counts
    assert jumps(motion_of(path, cell), sites, "Li", core=1.0).counts.sum() == 40
    path[-1, 0, 0] = 2.2
    found = jumps(motion_of(path, cell), sites, "Li")
    assert (found.counts.tolist(), found.frames.tolist()) == ([1], [len(path) - 1])
    # the way there counts for the site left
    assert found.times_ps == pytest.approx([(len(path) - 1) * STEP_PS, STEP_PS])


def test_an_ion_that_keeps_on_through_the_cell_border():
    # one site: from image to image along +a, five cells far
    path = np.zeros((101, 1, 3))
    path[:, 0, 0] = np.linspace(0, 15, 101)
    found = jumps(motion_of(path, np.diag([3.0, 4.0, 5.0])), np.zeros((1, 3)), "Li")
    assert found.pairs.tolist() == [[0, 0]]
    assert found.translations.tolist() == [[1, 0, 0]]
    assert found.counts.tolist() == [5]


def test_time_before_the_first_core_is_of_no_site():
    path = np.zeros((10, 1, 3))
    path[:4, 0, 0] = 1.5
    found = jumps(motion_of(path, np.diag([3.0, 4.0, 5.0])), np.zeros((1, 3)), "Li")
    assert found.unassigned_ps == pytest.approx(4 * STEP_PS)
    assert found.times_ps == pytest.approx([6 * STEP_PS])
    assert len(found.counts) == 0


def test_pieces_of_the_trajectory_change_nothing(monkeypatch):
    places, truth = wander(np.random.default_rng(1), 3, 90, 0.1)
    whole = jumps(motion_of(places, drift=2.0), SITES, "Li")
    monkeypatch.setattr(frames, "_PIECE_BYTES", 5 * 24 * 7)  # seven frames
    parts = jumps(motion_of(places, drift=2.0), SITES, "Li")
    assert len(truth) > 5
    assert np.array_equal(rows(parts), rows(whole))
    assert np.array_equal(parts.times_ps, whole.times_ps)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_nearest_site_in_skewed_cells(seed, n):
    rng = np.random.default_rng(seed)
    cell = np.diag([4.0, 5.0, 6.0]) + np.tril(rng.uniform(-6, 6, (3, 3)), -1)
    fractional = rng.random((n, 3)) * 3 - 1
    places = (rng.random((2, 30, 3)) * 4 - 2) @ cell
    reached = range(-9, 10)
    images = np.concatenate([(fractional + shift) @ cell for shift in product(reached, repeat=3)])
    own = (fractional[:, None] @ cell - images).reshape(n, -1, 3)
    distances = np.linalg.norm(own, axis=2)
    radii = np.sort(distances, axis=1)[:, 1] / 2
    expected = 0
    for place in places[0]:
        away = np.linalg.norm(images - place, axis=1)
        nearest = int(np.argmin(away))
        expected += away[nearest] < radii[nearest % n]
    places[1] = places[0]
    found = jumps(motion_of(places, cell), fractional, "Li", core=1.0)
    assert found.times_ps.sum() / STEP_PS / 2 == pytest.approx(expected)
    assert found.counts.sum() == 0


def test_bad_input():
    motion = motion_of(np.zeros((3, 1, 3)))
    with pytest.raises(InputError, match=r"sites of shape \(0, 3\)"):
        jumps(motion, np.empty((0, 3)), "Li")
    with pytest.raises(InputError, match=r"core 1\.5"):
        jumps(motion, SITES, "Li", core=1.5)
    with pytest.raises(InputError, match="same place"):
        jumps(motion, np.array([[0.0, 0, 0], [1.0, 0, 0]]), "Li")
    with pytest.raises(InputError, match="species Na"):
        jumps(motion, SITES, "Na")
