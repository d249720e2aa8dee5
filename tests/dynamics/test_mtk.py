from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms, units
from ase.md.nose_hoover_chain import MTKNPT

from lzc_flows.dynamics.forces import ForceField
from lzc_flows.dynamics.mtk import STRAINS, MartynaTobiasKlein
from lzc_flows.dynamics.nose_hoover import Target
from lzc_flows.dynamics.state import Crystal, State, thermal_state
from lzc_flows.dynamics.units import AMU_EV, BOLTZMANN_EV, GPA_EV

KT = 60 * BOLTZMANN_EV
COLD_KT = 15 * BOLTZMANN_EV
PRESSURE_EV = 0.05 * GPA_EV
ASE_FS = 1 / np.sqrt(AMU_EV)
"""One of our fs in ASE's unit of time, without the difference of their constants (1e-8)."""


def barostat(force_field: ForceField, freedom: int, barostat_fs: float = 500.0) -> MartynaTobiasKlein:
    return MartynaTobiasKlein(force_field.evaluate_with_virial, freedom, 200.0, barostat_fs, PRESSURE_EV)


def test_the_virial_is_minus_the_strain_derivative_of_the_energy(
    lennard_jones: ForceField, warm: Callable[..., State]
) -> None:
    """Guards the test's own crystal."""
    state = warm()
    virial = lennard_jones.evaluate_with_virial(state.positions, state.cell).virial_ev
    for i, j in ((0, 0), (0, 1), (2, 1)):
        energies = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[i, j] += sign * 1e-5
            energies.append(lennard_jones.evaluate(state.positions @ strain, state.cell @ strain).energy_ev)
        assert (energies[1] - energies[0]) / 2e-5 == pytest.approx(virial[i, j], rel=1e-5, abs=0)


def test_the_conserved_quantity_wobbles_with_the_square_of_the_time_step(
    lennard_jones: ForceField, warm: Callable[..., State]
) -> None:
    spreads = []
    for time_step in (4.0, 8.0):
        state = warm()
        integrator = barostat(lennard_jones, state.system.degrees_of_freedom)
        forces = integrator.evaluate(state.positions, state.cell)
        conserved = []
        for _ in range(round(4000 / time_step)):
            forces = integrator.step(state, forces, Target(KT), time_step)
            conserved.append(integrator.conserved_ev(state, forces))
        spreads.append(np.std(conserved))
        assert np.linalg.det(state.cell) != pytest.approx(10.7**3, rel=1e-3, abs=0)
    assert spreads[1] / spreads[0] == pytest.approx(4, rel=0.2)
    assert spreads[0] < 1e-4


def test_the_way_back_is_the_way_there(lennard_jones: ForceField, warm: Callable[..., State]) -> None:
    state = warm()
    start = copy.deepcopy(state)
    integrator = barostat(lennard_jones, state.system.degrees_of_freedom)
    forces = integrator.evaluate(state.positions, state.cell)
    for back in (False, True):
        if back:
            assert np.abs(state.cell - start.cell).max() > 0.01
            state.velocities *= -1
            for rates in (state.extended.thermostat, state.extended.strain_rate, state.extended.barostat):
                rates *= -1
        for _ in range(200):
            forces = integrator.step(state, forces, Target(KT), 5.0)
    np.testing.assert_allclose(state.positions, start.positions, atol=1e-9)
    np.testing.assert_allclose(state.cell, start.cell, atol=1e-9)
    np.testing.assert_allclose(state.extended.strain_rate, -start.extended.strain_rate, atol=1e-13)
    assert state.extended.reservoir_ev == pytest.approx(0, abs=1e-10)


def test_step_by_step_as_ase_does_it(
    lennard_jones: ForceField, warm: Callable[..., State], ase_calculator: Callable
) -> None:
    """ASE counts 3 n degrees of freedom of the atoms, and 9 of a cell whose strain rate is symmetric."""
    state = warm()
    state.extended.thermostat[:] = state.extended.barostat[:] = 0
    state.extended.strain_rate[:] = 0
    atoms = Atoms("Ar32", positions=state.positions, cell=state.cell, pbc=True, masses=state.system.masses_amu)
    atoms.set_momenta(state.system.masses_amu[:, None] * state.velocities / ASE_FS)
    atoms.calc = ase_calculator(lennard_jones)
    theirs = MTKNPT(
        atoms,
        timestep=5 * ASE_FS,
        temperature_K=KT / units.kB,
        pressure_au=PRESSURE_EV,
        tdamp=200 * ASE_FS,
        pdamp=500 * ASE_FS,
    )
    theirs._barostat._cell_dof = STRAINS
    theirs._barostat._R[0] *= STRAINS / 9
    ours = barostat(lennard_jones, 3 * len(atoms))
    forces = ours.evaluate(state.positions, state.cell)
    start = theirs.get_conserved_energy(), ours.conserved_ev(state, forces)
    for _ in range(150):
        theirs.step()
        forces = ours.step(state, forces, Target(KT), 5.0)
        np.testing.assert_allclose(state.positions, atoms.positions, atol=1e-8)
        np.testing.assert_allclose(state.cell, atoms.cell.array, atol=1e-8)
    assert np.abs(state.extended.barostat).min() > 0
    gained = theirs.get_conserved_energy() - start[0]
    assert ours.conserved_ev(state, forces) - start[1] == pytest.approx(gained, abs=1e-8)


def test_the_centre_of_mass_rests_and_nothing_turns_the_cell(
    lennard_jones: ForceField, warm: Callable[..., State]
) -> None:
    state = warm()
    integrator = barostat(lennard_jones, state.system.degrees_of_freedom)
    forces = integrator.evaluate(state.positions, state.cell)
    for _ in range(300):
        forces = integrator.step(state, forces, Target(KT), 5.0)
        rate = state.extended.strain_rate
        np.testing.assert_allclose(rate, rate.T, atol=1e-16)
    momentum = (state.system.masses_amu[:, None] * state.velocities).sum(axis=0)
    np.testing.assert_allclose(momentum, 0, atol=1e-12)


def blocked(values: np.ndarray, blocks: int = 25) -> tuple[float, float]:
    """Mean of a correlated series and its error, from means of blocks."""
    means = values[: len(values) // blocks * blocks].reshape(blocks, -1).mean(axis=1)
    return float(means.mean()), float(means.std(ddof=1) / np.sqrt(blocks))


@pytest.mark.slow
def test_pressure_volume_and_strains_are_distributed_as_they_must_be(
    argon: Callable[..., Crystal], lennard_jones: ForceField, ase_calculator: Callable
) -> None:
    """Exact relations of the isobaric ensemble (Martyna et al. 1994, section II D), and ASE's integrator.

    ⟨P⟩ is the target and ⟨(P − P₀) V⟩ = −kT with the internal pressure P; the six strain rates hold ½ kT each. ASE,
    which counts 3 n degrees of freedom, is given the temperature that makes the kinetic energies equal. Cold enough to
    stay a crystal: a liquid in a flexible cell shears without end.
    """
    steps, skipped, time_step = 25_000, 2_500, 10.0
    state = thermal_state(argon(), 15.0, seed=1)
    integrator = MartynaTobiasKlein(lennard_jones.evaluate_with_virial, 93, 200.0, 500.0, PRESSURE_EV)
    forces = integrator.evaluate(state.positions, state.cell)
    rows = []
    for _ in range(steps):
        forces = integrator.step(state, forces, Target(COLD_KT), time_step)
        volume = state.volume_angstrom3
        pressure = (2 * state.kinetic_ev + np.trace(forces.virial_ev)) / (3 * volume)
        moving = (93 + 3) / 3 * COLD_KT * 500.0**2 * (state.extended.strain_rate**2).sum()
        rows.append((pressure - PRESSURE_EV, (pressure - PRESSURE_EV) * volume, moving, volume))
    rows = np.array(rows)[skipped:]
    for values, expected in ((rows[:, 0], 0.0), (rows[:, 1], -COLD_KT), (rows[:, 2], STRAINS * COLD_KT)):
        mean, error = blocked(values)
        assert mean == pytest.approx(expected, abs=3 * error)

    atoms = Atoms("Ar32", positions=argon().positions, cell=argon().cell, pbc=True)
    atoms.set_momenta(state.system.masses_amu[:, None] * thermal_state(argon(), 15.0, seed=2).velocities / ASE_FS)
    atoms.calc = ase_calculator(lennard_jones)
    theirs = MTKNPT(
        atoms,
        timestep=time_step * ASE_FS,
        temperature_K=COLD_KT * 93 / 96 / units.kB,
        pressure_au=PRESSURE_EV,
        tdamp=200 * ASE_FS,
        pdamp=500 * ASE_FS,
    )
    # ASE counts nine strains, three of which a symmetric strain rate has not
    theirs._barostat._cell_dof = STRAINS
    theirs._barostat._R[0] *= STRAINS / 9
    volumes = []
    for _ in range(steps):
        theirs.step()
        volumes.append(atoms.get_volume())
    own, theirs_too = rows[:, 3], np.array(volumes[skipped:])
    (mean, error), (other, other_error) = blocked(own), blocked(theirs_too)
    assert mean == pytest.approx(other, abs=3 * np.hypot(error, other_error))
    (mean, error), (other, other_error) = (blocked((v - v.mean()) ** 2) for v in (own, theirs_too))
    assert mean == pytest.approx(other, abs=3 * np.hypot(error, other_error))
