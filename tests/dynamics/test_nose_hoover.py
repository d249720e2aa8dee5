from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms, units
from ase.md.nose_hoover_chain import NoseHooverChainNVT

from lzc_flows.dynamics.forces import ForceField, System
from lzc_flows.dynamics.nose_hoover import Bath, NoseHooverChain, Target, VelocityVerlet, propagate_chain
from lzc_flows.dynamics.state import Crystal, State, thermal_state
from lzc_flows.dynamics.units import AMU_EV, BOLTZMANN_EV

KT = 60 * BOLTZMANN_EV
ASE_FS = 1 / np.sqrt(AMU_EV)
"""One of our fs in ASE's unit of time, without the difference of their constants (1e-8)."""


def chain(force_field: ForceField, freedom: int) -> NoseHooverChain:
    return NoseHooverChain(force_field.evaluate, freedom, 200.0)


def verlet(force_field: ForceField, freedom: int) -> VelocityVerlet:
    return VelocityVerlet(force_field.evaluate)


INTEGRATORS = pytest.mark.parametrize("make", [verlet, chain], ids=["nve", "nvt"])


@INTEGRATORS
def test_the_conserved_quantity_wobbles_with_the_square_of_the_time_step(
    make: Callable, lennard_jones: ForceField, warm: Callable[..., State]
) -> None:
    spreads = []
    for time_step in (4.0, 8.0, 16.0):
        state = warm()
        integrator = make(lennard_jones, state.system.degrees_of_freedom)
        forces = integrator.evaluate(state.positions, state.cell)
        conserved = []
        for _ in range(round(8000 / time_step)):
            forces = integrator.step(state, forces, Target(KT), time_step)
            conserved.append(integrator.conserved_ev(state, forces))
        spreads.append(np.std(conserved))
        # no drift: the halves have one mean within the wobble, which is slow as the thermostat is
        halves = np.array_split(conserved, 2)
        assert abs(np.mean(halves[0]) - np.mean(halves[1])) < np.std(conserved)
    assert spreads[1] / spreads[0] == pytest.approx(4, rel=0.2)
    assert spreads[2] / spreads[1] == pytest.approx(4, rel=0.3)
    # of 32 atoms with 5 meV of kinetic energy each
    assert spreads[0] < 1e-4


@INTEGRATORS
def test_the_way_back_is_the_way_there(make: Callable, lennard_jones: ForceField, warm: Callable[..., State]) -> None:
    state = warm()
    start = copy.deepcopy(state)
    integrator = make(lennard_jones, state.system.degrees_of_freedom)
    forces = integrator.evaluate(state.positions, state.cell)
    for _ in range(300):
        forces = integrator.step(state, forces, Target(KT), 5.0)
    assert np.abs(state.positions - start.positions).max() > 0.1
    state.velocities *= -1
    state.extended.thermostat *= -1
    for _ in range(300):
        forces = integrator.step(state, forces, Target(KT), 5.0)
    np.testing.assert_allclose(state.positions, start.positions, atol=1e-9)
    np.testing.assert_allclose(state.velocities, -start.velocities, atol=1e-12)
    np.testing.assert_allclose(state.extended.thermostat, -start.extended.thermostat, atol=1e-12)
    assert state.extended.reservoir_ev == pytest.approx(0, abs=1e-10)


def test_step_by_step_as_ase_does_it(
    lennard_jones: ForceField, warm: Callable[..., State], ase_calculator: Callable
) -> None:
    """ASE counts 3 n degrees of freedom; the rest is an independent implementation of the same factorisation."""
    state = warm()
    state.extended.thermostat[:] = 0
    atoms = Atoms("Ar32", positions=state.positions, cell=state.cell, pbc=True, masses=state.system.masses_amu)
    atoms.set_momenta(state.system.masses_amu[:, None] * state.velocities / ASE_FS)
    atoms.calc = ase_calculator(lennard_jones)
    theirs = NoseHooverChainNVT(
        atoms, timestep=5 * ASE_FS, temperature_K=KT / units.kB, tdamp=100 * ASE_FS, tchain=3, tloop=1
    )
    ours = NoseHooverChain(lennard_jones.evaluate, 3 * len(atoms), 100.0)
    forces = ours.evaluate(state.positions, state.cell)
    start = theirs.get_conserved_energy(), ours.conserved_ev(state, forces)
    for _ in range(200):
        theirs.step()
        forces = ours.step(state, forces, Target(KT), 5.0)
        np.testing.assert_allclose(state.positions, atoms.positions, atol=1e-9)
    np.testing.assert_allclose(state.velocities / ASE_FS, atoms.get_velocities(), atol=1e-9)
    assert np.abs(state.extended.thermostat).min() > 0
    gained = theirs.get_conserved_energy() - start[0]
    assert ours.conserved_ev(state, forces) - start[1] == pytest.approx(gained, abs=1e-9)


def test_a_canonical_sample_of_springs_stays_one(springs: Callable) -> None:
    """The canonical distribution is stationary: mean and variance 2/(3 n - 3) of the kinetic energy and the mean of
    the potential energy stay, for samples of all variables that are followed for ten time constants.
    """
    generator = np.random.default_rng(5)
    atoms, samples, tau = 6, 300, 15.0
    system = System(("X",) * atoms, np.full(atoms, 20.0))
    freedom, kt = system.degrees_of_freedom, 300 * BOLTZMANN_EV
    # one stiffness for each axis, for the centre of mass to be a normal mode
    stiffness = np.array([3.0, 7.0, 12.0])
    well = springs(np.zeros((atoms, 3)), stiffness)
    integrator = NoseHooverChain(well.evaluate, freedom, tau)
    kinetic, potential = [], []
    for seed in range(samples):
        places = np.sqrt(kt / stiffness) * generator.standard_normal((atoms, 3))
        state = thermal_state(Crystal(system, places - places.mean(axis=0), np.eye(3)), 300.0, seed)
        state.extended.thermostat[:] = generator.standard_normal(3) / tau / np.sqrt([freedom, 1, 1])
        forces = integrator.evaluate(state.positions, state.cell)
        for _ in range(150):
            forces = integrator.step(state, forces, Target(kt), 1.0)
        kinetic.append(state.kinetic_ev / (0.5 * freedom * kt))
        potential.append(forces.energy_ev / (0.5 * freedom * kt))
    variance = 2 / freedom
    for energies in (kinetic, potential):
        assert np.mean(energies) == pytest.approx(1, abs=3 * np.sqrt(variance / samples))
        # the error of a variance has the excess kurtosis of a χ² distribution in it
        error = variance * np.sqrt((2 + 12 / freedom) / samples)
        assert np.var(energies) == pytest.approx(variance, abs=3 * error)


@pytest.mark.slow
def test_temperature_of_argon_is_distributed_canonically(
    argon: Callable[..., Crystal], lennard_jones: ForceField
) -> None:
    """One long run, from a start at another temperature: mean 1 and variance 2/(3 n - 3) of kinetic energies."""
    state = thermal_state(argon(), 20.0, seed=2)
    freedom = state.system.degrees_of_freedom
    integrator = NoseHooverChain(lennard_jones.evaluate, freedom, 200.0)
    forces = integrator.evaluate(state.positions, state.cell)
    kinetic = []
    for _ in range(100_000):
        forces = integrator.step(state, forces, Target(KT), 8.0)
        kinetic.append(state.kinetic_ev / (0.5 * freedom * KT))
    blocks = np.array(kinetic[10_000:]).reshape(30, -1)
    for values, expected in ((blocks.mean(axis=1), 1.0), (((blocks - 1) ** 2).mean(axis=1), 2 / freedom)):
        assert values.mean() == pytest.approx(expected, abs=3 * values.std(ddof=1) / np.sqrt(30))


def test_a_chain_heats_what_is_cold_and_cools_what_is_hot() -> None:
    bath = Bath(degrees_of_freedom=30, kt_ev=0.05, time_constant_fs=50.0)
    for twice_kinetic, heated in ((0.75, True), (3.0, False)):
        rates = np.zeros(3)
        scale, heat = propagate_chain(rates, bath, twice_kinetic, 5.0)
        assert (scale > 1) == heated
        assert (heat < 0) == heated
        # what the velocities gain, the chain and its reservoir lose
        gained = 0.5 * twice_kinetic * (scale**2 - 1)
        assert gained + heat + bath.kinetic_ev(rates) == pytest.approx(0, abs=1e-2 * abs(gained))


def test_a_chain_of_one_is_nose_hoover() -> None:
    """Without a second link the first one is not damped: dξ̇/dt = (2 K / g kT − 1) / τ²."""
    bath = Bath(degrees_of_freedom=9, kt_ev=0.02, time_constant_fs=40.0)
    rates = np.zeros(1)
    propagate_chain(rates, bath, 2 * 9 * 0.02, 1e-3)
    assert rates[0] == pytest.approx(1e-3 / 40.0**2, rel=1e-6, abs=0)
