from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lzc_flows.dynamics.forces import System
from lzc_flows.dynamics.state import Crystal, State, thermal_state
from lzc_flows.dynamics.units import AMU_EV, BOLTZMANN_EV, GPA_EV
from lzc_flows.errors import InputError

SALT = System.of(["Li", "Cl"] * 4)
CRYSTAL = Crystal(SALT, np.random.default_rng(0).uniform(size=(8, 3)), 5 * np.eye(3))


def test_units_are_the_tabulated_ones() -> None:
    """CODATA: kB in eV/K; 1 amu Å²/fs² = 103.642696 eV; 1 eV/Å³ = 160.2176634 GPa."""
    assert pytest.approx(8.617333262e-5, rel=1e-9, abs=0) == BOLTZMANN_EV
    assert pytest.approx(103.642696, rel=1e-7, abs=0) == AMU_EV
    assert pytest.approx(160.2176634, rel=1e-9, abs=0) == 1 / GPA_EV


def test_velocities_are_those_of_maxwell_and_boltzmann() -> None:
    """χ² of 3 n − 3 degrees of freedom for the kinetic energy, equal energies for light and heavy atoms."""
    states = [thermal_state(CRYSTAL, 700.0, seed) for seed in range(1500)]
    temperatures = np.array([state.temperature_k for state in states]) / 700
    error = np.sqrt(2 / 21 / len(states))
    assert temperatures.mean() == pytest.approx(1, abs=3 * error)
    assert temperatures.var() == pytest.approx(2 / 21, abs=3 * 2 / 21 * np.sqrt((2 + 12 / 21) / len(states)))
    energies = np.mean([(SALT.inertia * state.velocities**2).mean(axis=1) for state in states], axis=0)
    # of each atom 1 - m/M degrees of freedom are left
    expected = 700 * BOLTZMANN_EV * (1 - SALT.masses_amu / SALT.masses_amu.sum())
    np.testing.assert_allclose(energies, expected, rtol=4 * np.sqrt(2 / 3 / len(states)))


def test_the_centre_of_mass_rests_and_a_seed_says_which_start() -> None:
    state, same, other = (thermal_state(CRYSTAL, 300.0, seed) for seed in (4, 4, 5))
    np.testing.assert_allclose((SALT.masses_amu[:, None] * state.velocities).sum(axis=0), 0, atol=1e-15)
    assert (state.velocities == same.velocities).all()
    assert (state.velocities != other.velocities).any()
    assert (state.seed, other.seed) == (4, 5)


def test_the_crystal_is_not_moved_by_its_run(warm: Callable[..., State]) -> None:
    state = thermal_state(CRYSTAL, 300.0, 0)
    state.positions += 1
    state.cell += 1
    assert CRYSTAL.positions.max() < 1
    assert CRYSTAL.cell[0, 1] == 0


def test_accelerations_leave_the_centre_of_mass_at_rest() -> None:
    forces = np.random.default_rng(1).normal(size=(8, 3))
    accelerations = SALT.accelerations(forces)
    np.testing.assert_allclose((SALT.inertia * accelerations).sum(axis=0), 0, atol=1e-14)
    # relative accelerations are those of Newton
    free = forces / SALT.inertia
    np.testing.assert_allclose(accelerations[1:] - accelerations[0], free[1:] - free[0], atol=1e-15)


def test_the_mean_cell_keeps_fractional_coordinates(warm: Callable[..., State]) -> None:
    state = warm()
    fractional = state.positions @ np.linalg.inv(state.cell)
    mean = np.diag([10.0, 11.0, 12.0]) + 0.1
    state.cell_sum, state.cell_count = 4 * mean, 4
    state.take_mean_cell()
    np.testing.assert_allclose(state.cell, mean, rtol=1e-14)
    np.testing.assert_allclose(state.positions @ np.linalg.inv(state.cell), fractional, atol=1e-13)
    assert (state.cell_count, state.cell_sum.any()) == (0, False)


def test_half_the_time_step_is_twice_the_steps(warm: Callable[..., State]) -> None:
    state = warm()
    state.step = 7
    halved = state.halved()
    assert (halved.step, halved.halvings, halved.protocol_step) == (14, 1, 7)
    assert (state.step, state.halvings) == (7, 0)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: System.of(["Li"]), "1 atoms: at least 2 are allowed, for the centre of mass is held"),
        (lambda: System.of(["Li", "Li+"]), "species 'Li+': symbols of elements are allowed"),
        (
            lambda: System(("A", "B"), np.array([1.0, 0.0])),
            "masses: one positive number for each atom is allowed, in amu",
        ),
        (
            lambda: Crystal(SALT, np.full((8, 3), np.nan), np.eye(3)),
            "positions: three finite numbers for each atom are allowed",
        ),
        (
            lambda: Crystal(SALT, np.zeros((8, 3)), np.ones((3, 3))),
            "cell: three lattice vectors that span a volume are allowed",
        ),
    ],
)
def test_what_cannot_move_is_refused(make: Callable, line: str) -> None:
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == line
