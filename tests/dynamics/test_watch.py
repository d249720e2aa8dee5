from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase.data import atomic_numbers, covalent_radii
from ase.geometry import get_distances

from lzc_flows.crystal.host import ideal_host
from lzc_flows.dynamics.forces import System
from lzc_flows.dynamics.state import Crystal, State, thermal_state
from lzc_flows.dynamics.watch import ExplosionError, Limits, Watch
from lzc_flows.errors import CalculationError


def host_state() -> State:
    structure = ideal_host().structure
    system = System.of([site.specie.symbol for site in structure])
    return thermal_state(Crystal(system, structure.cart_coords, structure.lattice.matrix), 300, 0)


def test_a_crystal_is_accepted_wrapped_or_not() -> None:
    state = host_state()
    watch = Watch(state.system)
    watch.check_distances(state)
    shifts = np.random.default_rng(0).integers(-9, 10, size=state.positions.shape)
    state.positions += shifts @ state.cell
    watch.check_distances(state)


def test_two_atoms_too_close_are_named_through_the_cell_face() -> None:
    """Just above and just below half the sum of the covalent radii, as images in an oblique cell."""
    state = host_state()
    watch = Watch(state.system)
    radii = covalent_radii[[atomic_numbers[symbol] for symbol in state.system.species]]
    smallest = 0.5 * (radii[0] + radii[20])
    far = state.positions[0] + state.cell[0] - 2 * state.cell[1] + 3 * state.cell[2]
    for factor, refused in ((1.001, False), (0.999, True)):
        state.positions[20] = far + factor * smallest * np.array([0.6, 0.0, 0.8])
        _, distances = get_distances(state.positions[20:21], state.positions, cell=state.cell, pbc=True)
        others = np.delete(distances[0], [0, 20]) / np.delete(0.5 * (radii + radii[20]), [0, 20])
        assert distances[0, 0] == pytest.approx(factor * smallest, rel=1e-9, abs=0)
        if others.min() < 1:
            pytest.skip("another atom is in the way")
        if refused:
            with pytest.raises(ExplosionError, match=r"atoms too close: \w+0 and \w+20 at 1.00 of") as error:
                watch.check_distances(state)
            assert error.value.reason == "atoms too close"
        else:
            watch.check_distances(state)


def test_positions_that_are_no_numbers_are_refused() -> None:
    state = host_state()
    state.positions[3, 1] = np.nan
    with pytest.raises(ExplosionError):
        Watch(state.system).check_distances(state)


@pytest.mark.parametrize(
    ("temperature", "line"),
    [
        (4300.0, None),
        (4301.0, "step 7: too hot: 4301 K, up to 4300 K is allowed"),
        (np.inf, "step 7: not finite: velocities are not numbers"),
        (np.nan, "step 7: not finite: velocities are not numbers"),
    ],
)
def test_temperatures(temperature: float, line: str | None) -> None:
    watch = Watch(host_state().system)
    if line is None:
        watch.check_temperature(7, temperature, 1100.0)
        return
    with pytest.raises(CalculationError) as error:
        watch.check_temperature(7, temperature, 1100.0)
    assert str(error.value) == line


def test_drift_is_of_an_atom_and_either_way() -> None:
    watch = Watch(host_state().system, Limits(drift_ev_per_atom=0.01))
    atoms = len(watch.system.species)
    watch.check_drift(1, -5.0 + 0.0099 * atoms, -5.0)
    for drift in (0.0101, -0.0101, np.nan):
        with pytest.raises(ExplosionError, match=r"energy drift: .* eV per atom, up to 0.01 is allowed") as error:
            watch.check_drift(3, -5.0 + drift * atoms, -5.0)
        assert (error.value.reason, error.value.step) == ("energy drift", 3)


def test_argon_at_its_distance_is_no_collision(warm: Callable[..., State]) -> None:
    Watch(warm().system).check_distances(warm())
