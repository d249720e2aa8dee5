from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from jobflow import JobStore
from jobflow.core.job import Job
from pymatgen.core import Lattice, Structure

from lzc_flows.crystal.doping import Combination, Substitution
from lzc_flows.crystal.host import WYCKOFF, ideal_host
from lzc_flows.crystal.ordering import order
from lzc_flows.documents.protocols import OrderProtocol, RelaxProtocol
from lzc_flows.documents.relax import RelaxDoc
from lzc_flows.engines.mlip import MLIPS
from lzc_flows.engines.relax_worker import RESULT_FILE, RelaxResult
from lzc_flows.errors import InputError
from lzc_flows.jobs.relax import RelaxMaker, framework_displacement_angstrom, with_sites_of

PROTOCOL = RelaxProtocol(fmax_ev_per_angstrom=0.05, max_steps=400, optimizer="LBFGS")

Run = Callable[[Job, Path], RelaxDoc]


def doped() -> Structure:
    """Ti3+ on 2d and F- in one unit cell, with an extra Li+."""
    cation = Substitution(ion="Ti3+", labels=("2d",), count=1)
    anion = Substitution(ion="F-", labels=("6i",), count=1)
    combination = Combination(supercell=(1, 1, 1), cation=cation, anion=anion)
    return order(ideal_host(), combination, OrderProtocol(shortlist=1)).spread[0].structure


@pytest.fixture(scope="module")
def start() -> Structure:
    return doped()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("relax")


@pytest.fixture(scope="module")
def document(run: Run, folder: Path, start: Structure) -> RelaxDoc:
    return run(RelaxMaker(engine="nep", protocol=PROTOCOL).make(start), folder)


def test_ions_labels_and_their_order_are_kept(document: RelaxDoc, start: Structure) -> None:
    assert document.structure.species == start.species
    assert document.structure.site_properties[WYCKOFF] == start.site_properties[WYCKOFF]
    assert {str(species) for species in document.structure.species} == {"Li+", "Zr4+", "Ti3+", "Cl-", "F-"}
    # sites were not permuted among themselves either: each is near where it began
    moved = document.structure.frac_coords - start.frac_coords
    moved -= np.round(moved)
    assert np.linalg.norm(document.structure.lattice.get_cartesian_coords(moved), axis=1).max() < 1.5


def test_energy_and_force_are_those_of_the_structure(document: RelaxDoc) -> None:
    atoms = document.structure.copy().remove_oxidation_states().to_ase_atoms()
    atoms.calc = MLIPS["nep"].relax_maker(PROTOCOL).calculator
    force = float(np.linalg.norm(atoms.get_forces(), axis=1).max())
    assert document.energy_ev == pytest.approx(atoms.get_potential_energy(), rel=1e-9)
    assert document.energy_per_atom_ev == pytest.approx(document.energy_ev / 28, rel=1e-12)
    assert document.max_force_ev_per_angstrom == pytest.approx(force, rel=1e-3)
    assert force <= PROTOCOL.fmax_ev_per_angstrom
    # the cell is relaxed too; ASE's cell filter counts stress × volume / atoms as a force
    cell_force = np.abs(atoms.get_stress()).max() * atoms.get_volume() / len(atoms)
    assert cell_force <= 1.2 * PROTOCOL.fmax_ev_per_angstrom


def test_volume_and_displacement_are_those_of_the_structures(document: RelaxDoc, start: Structure) -> None:
    end = document.structure
    assert document.volume_change == pytest.approx(end.volume / start.volume - 1, rel=1e-9)
    assert -0.3 < document.volume_change < 0.3
    # site by site, as pymatgen finds the nearest images, the drift searched for instead of computed
    framework = [i for i, site in enumerate(start) if site.specie.symbol != "Li"]
    origin = [start.lattice.get_distance_and_image(start[i].frac_coords, end[i].frac_coords) for i in framework]
    steps = np.array(
        [end[i].frac_coords + image - start[i].frac_coords for i, (_, image) in zip(framework, origin, strict=True)]
    )
    vectors = end.lattice.get_cartesian_coords(steps)
    expected = max(np.linalg.norm(vector - vectors.sum(axis=0) / len(vectors)) for vector in vectors)
    assert document.max_displacement_angstrom == pytest.approx(expected, rel=1e-6)


def test_what_it_took_is_written_down(document: RelaxDoc, folder: Path) -> None:
    (result_file,) = folder.rglob(RESULT_FILE)
    attempts = RelaxResult.read(result_file.parent).relaxed
    assert document.steps == sum(attempt.steps for attempt in attempts) > 5
    assert document.wall_s == pytest.approx(sum(attempt.wall_s for attempt in attempts))
    assert len(document.corrections) == len(attempts) - 1
    assert document.engine == MLIPS["nep"].stamp()
    assert document.protocol == PROTOCOL


def test_an_unknown_engine_is_refused_before_anything_runs(
    stores: Callable[[], JobStore], tmp_path: Path, start: Structure
) -> None:
    with contextlib.chdir(tmp_path), pytest.raises(InputError, match="engine 'none'"):
        RelaxMaker(engine="none").make(start).run(stores())
    assert not list(tmp_path.iterdir())


# ---- displacement, by itself ----


def test_displacement_knows_no_drift_no_cell_change_and_no_boundary(start: Structure) -> None:
    end = start.copy()
    end.translate_sites(range(len(end)), [0.37, -0.21, 0.4], to_unit_cell=True)
    end.lattice = Lattice(end.lattice.matrix @ (np.eye(3) + 0.03 * np.diag([1, -1, 2])))
    assert framework_displacement_angstrom(start, end) == pytest.approx(0, abs=1e-9)


def test_displacement_of_one_ion_is_found_and_lithium_is_not_counted(start: Structure) -> None:
    framework = [i for i, site in enumerate(start) if site.specie.symbol != "Li"]
    lithium = [i for i, site in enumerate(start) if site.specie.symbol == "Li"]
    end = start.copy()
    end.translate_sites(lithium, [0.1, 0.2, 0.3])
    assert framework_displacement_angstrom(start, end) == pytest.approx(0, abs=1e-9)
    end.translate_sites([framework[3]], [0.3, 0.0, 0.4], frac_coords=False)
    # 0.5 Å less its share in the mean of n ions
    expected = 0.5 * (1 - 1 / len(framework))
    assert framework_displacement_angstrom(start, end) == pytest.approx(expected, rel=1e-9)


def test_sites_are_put_back_by_position_in_the_list(start: Structure) -> None:
    bare = start.copy().remove_oxidation_states()
    bare.remove_site_property(WYCKOFF)
    assert with_sites_of(start, bare) == start
    assert with_sites_of(start, bare).site_properties == start.site_properties
