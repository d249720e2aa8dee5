"""Relaxations against ASE's, and what ISIF leaves free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from emmet.core.tasks import TaskDoc
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.vasp.inputs import Poscar
from pymatgen.io.vasp.outputs import Oszicar, Vasprun, Xdatcar

from lzc_flows.dynamics.forces import Forces
from lzc_flows.rehearsal.forces import force_field
from lzc_flows.rehearsal.inputs import read_inputs
from lzc_flows.rehearsal.poscar import read_poscar
from lzc_flows.rehearsal.relax import Deformed, Freedom


class Engine(Calculator):
    """The engine for ASE."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, species: tuple[str, ...]) -> None:
        super().__init__()
        self._engine = force_field(species)

    def calculate(self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        answer = self._engine.evaluate_with_virial(atoms.positions, atoms.cell.array)
        virial = 0.5 * (answer.virial_ev + answer.virial_ev.T)
        stress = -virial[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] / atoms.get_volume()
        self.results = {"energy": answer.energy_ev, "forces": answer.forces, "stress": stress}


def test_equals_the_relaxation_of_ase(rehearsed: Callable[..., Path], tags: dict[str, Any], salt: Structure) -> None:
    folder = rehearsed({**tags["relax"], "ISIF": 3, "EDIFFG": -0.002}, salt)
    vasprun = Vasprun(folder / "vasprun.xml", parse_potcar_file=False)
    atoms = AseAtomsAdaptor.get_atoms(salt)
    atoms.calc = Engine(tuple(atoms.get_chemical_symbols()))
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=0.002, steps=200)
    assert vasprun.converged
    assert vasprun.final_energy == pytest.approx(atoms.get_potential_energy(), abs=1e-4)
    assert vasprun.final_structure.volume == pytest.approx(atoms.get_volume(), rel=1e-3)
    last = vasprun.ionic_steps[-1]
    assert np.linalg.norm(last["forces"], axis=1).max() < 0.002
    assert "reached required accuracy" in (folder / "OUTCAR").read_text()
    # the cell changes: each configuration with its own
    assert len(Xdatcar(folder / "XDATCAR").structures) == len(vasprun.ionic_steps)
    assert TaskDoc.from_directory(folder).state.value == "successful"


@pytest.mark.parametrize("isif", [2, 3, 4, 5, 6, 7, 8])
def test_what_isif_leaves_free(
    isif: int, rehearsed: Callable[..., Path], tags: dict[str, Any], salt: Structure
) -> None:
    start = salt.copy()
    start.apply_strain([0.0, 0.02, -0.01])
    folder = rehearsed({**tags["relax"], "ISIF": isif, "EDIFFG": -0.01}, start)
    end = Poscar.from_file(folder / "CONTCAR").structure
    moved = end.frac_coords - start.frac_coords
    moved -= np.rint(moved)
    grown = end.volume / start.volume
    shape = np.array(end.lattice.abc) / np.cbrt(end.volume) - np.array(start.lattice.abc) / np.cbrt(start.volume)
    assert (np.abs(moved).max() > 1e-3) == (isif in (2, 3, 4, 8))
    assert (abs(grown - 1) > 1e-2) == (isif in (3, 6, 7, 8))
    assert (np.abs(shape).max() > 1e-3) == (isif in (3, 4, 5, 6))


def test_forces_of_the_vector_are_its_derivative(
    salt: Structure, tags: dict[str, Any], written: Callable[..., Path], tmp_path: Path
) -> None:
    inputs = read_inputs(written(tmp_path, {**tags["relax"], "ISIF": 3}, salt))
    engine, generator = force_field(inputs.arrangement.species), np.random.default_rng(1)

    def answer(crystal: Deformed) -> Forces:
        arrangement = crystal.arrangement(inputs.arrangement)
        return engine.evaluate_with_virial(arrangement.positions, arrangement.cell)

    crystal = Deformed.of(inputs.arrangement)
    crystal = replace(crystal, deformation=np.eye(3) + 0.02 * generator.standard_normal((3, 3)))
    step = 1e-4 * generator.standard_normal((11, 3))
    step[-3:] = step[-3:] @ np.eye(3)
    # symmetric strains alone: a turn of the cell costs nothing, and is left out
    strain = step[-3:] / crystal.length @ np.linalg.inv(crystal.deformation)
    step[-3:] = crystal.length * 0.5 * (strain + strain.T) @ crystal.deformation
    slope = (crystal.force(answer(crystal), Freedom.of(inputs)) * step).sum()
    difference = answer(crystal.moved(step)).energy_ev - answer(crystal.moved(-step)).energy_ev
    assert -difference / 2 == pytest.approx(slope, rel=1e-3)


def test_energies_may_decide(rehearsed: Callable[..., Path], tags: dict[str, Any], salt: Structure) -> None:
    folder = rehearsed({**tags["relax"], "EDIFFG": 1e-3}, salt)
    steps = Oszicar(folder / "OSZICAR").ionic_steps
    assert abs(steps[-1]["dE"]) < 1e-3 <= abs(steps[-2]["dE"])


def test_nsw_ends_and_contcar_goes_on(rehearsed: Callable[..., Path], tags: dict[str, Any], salt: Structure) -> None:
    folder = rehearsed({**tags["relax"], "NSW": 3, "EDIFFG": -1e-6}, salt)
    vasprun = Vasprun(folder / "vasprun.xml", parse_potcar_file=False)
    assert len(vasprun.ionic_steps) == 3
    assert not vasprun.converged_ionic
    assert vasprun.converged_electronic
    engine, contcar = force_field(tuple(vasprun.atomic_symbols)), read_poscar(folder / "CONTCAR")
    assert engine.evaluate(contcar.positions, contcar.cell).energy_ev < vasprun.final_energy


def test_potim_bounds_the_steps(rehearsed: Callable[..., Path], tags: dict[str, Any], salt: Structure) -> None:
    stretched = salt.copy()
    stretched.translate_sites([0], [0.08, 0, 0])
    for potim, name in ((0.5, "a"), (0.05, "b")):
        folder = rehearsed({**tags["relax"], "POTIM": potim, "NSW": 2}, stretched, name)
        first, second = Vasprun(folder / "vasprun.xml", parse_potcar_file=False).structures
        assert max(a.distance(b) for a, b in zip(first, second, strict=True)) <= 0.4 * potim + 1e-6


def test_selective_dynamics(rehearsed: Callable[..., Path], tags: dict[str, Any], salt: Structure) -> None:
    fixed = salt.copy()
    fixed.add_site_property("selective_dynamics", [[False] * 3, [True, True, False], *[[True] * 3] * 6])
    folder = rehearsed(tags["relax"], fixed)
    end = Poscar.from_file(folder / "CONTCAR")
    moved = end.structure.frac_coords - salt.frac_coords
    moved -= np.rint(moved)
    assert np.abs(moved[0]).max() < 1e-8
    assert abs(moved[1, 2]) < 1e-8 < abs(moved[1, 0])
    assert np.asarray(end.selective_dynamics)[:2].tolist() == [[False] * 3, [True, True, False]]
    assert Vasprun(folder / "vasprun.xml", parse_potcar_file=False).converged
