from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.optimize import BFGS

from lzc_flows.band.settle import ExplodedError, SettleLimits, settle
from lzc_flows.dynamics.forces import Forces
from lzc_flows.errors import CalculationError

CELL = 20.0 * np.eye(3)


def test_the_minimum_of_a_double_well_is_found_from_beside_it(analytic, double_well) -> None:
    well = double_well()
    start = np.array([[-1.4, 0.3, -0.2]])
    kept = start.copy()
    field = analytic(well)
    found = settle(start, CELL, field, SettleLimits(1e-6, 100))
    assert found.converged
    np.testing.assert_allclose(found.positions, well.ends[0], atol=1e-6)
    assert found.energy_ev == pytest.approx(0, abs=1e-12)
    assert found.fmax <= 1e-6
    assert found.evaluations == field.evaluations < 25
    assert (start == kept).all()


def test_a_relaxed_start_costs_one_evaluation(analytic, double_well) -> None:
    found = settle(double_well().ends[1], CELL, analytic(double_well()), SettleLimits(0.01, 100))
    assert (found.converged, found.evaluations) == (True, 1)


def test_steps_that_run_out_are_told_with_energy_and_force_of_the_last_positions(analytic, double_well) -> None:
    field = analytic(double_well())
    found = settle(np.array([[-1.0, 0.5, 0.5]]), CELL, field, SettleLimits(1e-6, 3))
    assert (found.converged, found.evaluations) == (False, 4)
    there = field.evaluate(found.positions, CELL)
    assert found.energy_ev == there.energy_ev
    assert found.fmax == np.linalg.norm(there.forces, axis=1).max() > 1e-6


def test_the_longest_step_is_kept(analytic, waves) -> None:
    start = np.array([[0.9, 0.3, 0.0]])
    short = settle(start, CELL, analytic(waves(height=5.0)), SettleLimits(1e-9, 1, longest_step_angstrom=0.01))
    assert np.linalg.norm(short.positions - start) == pytest.approx(0.01, rel=1e-9)


class Broken:
    """An engine that gives no numbers from some evaluation on."""

    def __init__(self, good: int, energy: float) -> None:
        self.left, self.energy = good, energy

    def evaluate(self, positions: np.ndarray, cell: np.ndarray) -> Forces:
        self.left -= 1
        return Forces(0.0, 1 - positions) if self.left >= 0 else Forces(self.energy, positions / self.energy)


@pytest.mark.parametrize("energy", [np.nan, np.inf])
def test_an_engine_that_gives_no_numbers_is_named_with_its_step(energy: float) -> None:
    with pytest.raises(ExplodedError, match=r"^relaxation, step 2: energy or forces are not finite$") as error:
        settle(np.zeros((2, 3)), CELL, Broken(2, energy), SettleLimits(1e-6, 100))
    assert isinstance(error.value, CalculationError)


def test_a_vacancy_in_copper_relaxes_as_with_ase(of_ase) -> None:
    atoms = bulk("Cu", "fcc", a=3.61, cubic=True).repeat(2)
    del atoms[0]
    atoms.rattle(0.05, seed=1)
    field = of_ase(atoms, EMT())
    found = settle(atoms.positions, atoms.cell.array, field, SettleLimits(1e-4, 200))
    peer = Atoms(atoms, calculator=EMT())
    BFGS(peer, logfile=None).run(fmax=1e-4, steps=500)
    assert found.converged
    assert found.energy_ev == pytest.approx(peer.get_potential_energy(), abs=1e-6)
