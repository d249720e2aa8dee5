from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms

from lzc_flows.crystal.host import ideal_host
from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.dynamics.forces import ForceField, Forces
from lzc_flows.engines.base import Ions
from lzc_flows.engines.forcefield import ChgnetForceField
from lzc_flows.engines.mlip import MLIPS
from lzc_flows.errors import InputError

ROUNDING = {"nep": 1e-10, "chgnet": 2e-4}
"""Forces of the same atoms told in another way, eV/Å: double and single precision."""


@pytest.fixture(scope="module")
def host() -> Atoms:
    """The host, strained and rattled."""
    atoms = ideal_host().structure.copy().remove_oxidation_states().to_ase_atoms()
    atoms.set_cell(atoms.cell.array @ (np.diag([1.01, 1.0, 0.99]) + 0.01), scale_atoms=True)
    atoms.rattle(0.1, seed=7)
    return atoms


@pytest.fixture(scope="module", params=["nep", "chgnet"])
def engine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def force_field(engine: str, host: Atoms) -> ForceField:
    return MLIPS[engine].force_field(Ions(tuple(host.get_chemical_symbols())))


def same(one: Forces, other: Forces) -> bool:
    return one.energy_ev == other.energy_ev and (one.forces == other.forces).all()


def test_energies_forces_and_virials_are_those_of_the_engines_own_calculator(
    engine: str, host: Atoms, force_field: ForceField
) -> None:
    atoms = host.copy()
    atoms.calc = MLIPS[engine].relax_maker(RelaxProtocol()).calculator
    found = force_field.evaluate_with_virial(atoms.positions, atoms.cell.array)
    assert found.energy_ev == pytest.approx(atoms.get_potential_energy(), abs=10 * ROUNDING[engine])
    np.testing.assert_allclose(found.forces, atoms.get_forces(), atol=ROUNDING[engine])
    expected = -atoms.get_stress(voigt=False) * atoms.get_volume()
    assert (found.virial_ev.shape, found.forces.dtype) == ((3, 3), np.float64)
    symmetric = 0.5 * (found.virial_ev + found.virial_ev.T)
    np.testing.assert_allclose(symmetric, expected, atol=100 * ROUNDING[engine])
    np.testing.assert_allclose(found.virial_ev, symmetric, atol=100 * ROUNDING[engine])


def test_forces_depend_on_positions_and_cell_alone_to_the_last_bit(
    engine: str, host: Atoms, force_field: ForceField
) -> None:
    """Whatever was asked before, and of an engine that is started anew: what exact restarts rest on."""
    positions, cell = host.positions, host.cell.array
    generator = np.random.default_rng(0)
    first = force_field.evaluate(positions, cell)
    for scale in (1e-3, 0.3):
        force_field.evaluate(positions + generator.normal(scale=scale, size=positions.shape), cell)
    force_field.evaluate_with_virial(positions @ (1.03 * np.eye(3)), 1.03 * cell)
    assert same(force_field.evaluate(positions, cell), first)
    anew = MLIPS[engine].force_field(Ions(tuple(host.get_chemical_symbols())))
    assert same(anew.evaluate(positions, cell), first)


def test_an_engine_keeps_no_array_and_changes_none(host: Atoms, force_field: ForceField) -> None:
    positions, cell = host.positions.copy(), host.cell.array.copy()
    first = force_field.evaluate_with_virial(positions, cell)
    kept = copy.deepcopy(first)
    assert (positions == host.positions).all()
    assert (cell == host.cell.array).all()
    positions += 0.2
    cell *= 1.01
    # a cell changed in place is another cell
    second = force_field.evaluate_with_virial(positions, cell)
    assert second.energy_ev != first.energy_ev
    assert same(first, kept)
    assert (first.virial_ev == kept.virial_ev).all()


def test_positions_may_be_unwrapped(engine: str, host: Atoms, force_field: ForceField) -> None:
    """By as many cells as a hot run takes an ion."""
    found = force_field.evaluate(host.positions, host.cell.array)
    shifts = np.random.default_rng(1).integers(-40, 41, size=(len(host), 3))
    away = force_field.evaluate(host.positions + shifts @ host.cell.array, host.cell.array)
    assert away.energy_ev == pytest.approx(found.energy_ev, abs=10 * ROUNDING[engine])
    np.testing.assert_allclose(away.forces, found.forces, atol=ROUNDING[engine])


def test_many_arrangements_are_as_good_as_one_after_the_other(host: Atoms, force_field: ForceField) -> None:
    """On a CPU to the last bit."""
    cell = host.cell.array
    moves = np.random.default_rng(2).normal(scale=0.1, size=(3, *host.positions.shape))
    many = force_field.evaluate_many(host.positions + moves, cell)
    assert len(many) == 3
    for found, move in zip(many, moves, strict=True):
        assert same(found, force_field.evaluate(host.positions + move, cell))


def test_a_batch_gives_what_single_evaluations_give(host: Atoms) -> None:
    """CHGNet's batch, which a GPU runs, on whatever device is here; energies to single precision of the whole cell."""
    force_field = ChgnetForceField(host.get_chemical_symbols())
    cell = host.cell.array
    moves = np.random.default_rng(3).normal(scale=0.1, size=(4, *host.positions.shape))
    batch = force_field.evaluate_batch(host.positions + moves, cell)
    assert len(batch) == 4
    for found, move in zip(batch, moves, strict=True):
        single = force_field.evaluate(host.positions + move, cell)
        assert found.energy_ev == pytest.approx(single.energy_ev, abs=1e-5 * len(host))
        assert found.forces.dtype == np.float64
        np.testing.assert_allclose(found.forces, single.forces, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: MLIPS["nep"].force_field(Ions(("Li", "Xx"))), r"^engine 'nep': its model does not know Xx$"),
        (lambda: MLIPS["chgnet"].force_field(Ions(("Li", "Xx"))), r"^engine 'chgnet': .*Xx.*$"),
    ],
)
def test_an_unknown_element_is_named(make: Callable[[], ForceField], line: str) -> None:
    with pytest.raises(InputError, match=line):
        make()
