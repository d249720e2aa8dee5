from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from jobflow import JobStore
from jobflow.core.job import Job
from pymatgen.core import Composition, Lattice, Structure

from lzc_flows.crystal.host import ideal_host
from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.documents.base import EngineStamp
from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.documents.relax import RelaxDoc
from lzc_flows.documents.thermodynamics import PhaseDoc, ThermodynamicsDoc
from lzc_flows.engines.mlip import MLIPS
from lzc_flows.jobs.phases import FOLDERS, PHASE, Reference, References, Relaxing, phase_key
from lzc_flows.jobs.relax import RelaxMaker
from lzc_flows.jobs.stability import StabilityMaker, dopants_of, thermodynamics

pytestmark = pytest.mark.usefixtures("quick_polls")

HOST = HostSpec(name="lzc")
PROTOCOL = RelaxProtocol(fmax_ev_per_angstrom=0.05, max_steps=400)
STAMP = EngineStamp(name="made up", version="1")

ENERGIES_EV = {
    "LiCl": -7.0,
    "LiF": -9.5,
    "ZrCl4": -25.0,
    "ZrF4": -34.0,
    "Li2ZrCl6": -39.2,
    "TiCl3": -20.0,
    "TiF3": -27.5,
    "TiCl4": -23.0,
    "Cl2": -3.6,
}
"""Of a formula unit; by hand, near those of a potential."""


def phase(formula: str) -> PhaseDoc:
    atoms = Composition(formula).num_atoms
    return PhaseDoc(
        name=formula,
        formula=formula,
        knowledge="host" if formula == "Li2ZrCl6" else "known",
        source="by hand",
        structure=Structure(Lattice.cubic(5), ["Li"], [[0, 0, 0]]),
        energy_per_atom_ev=ENERGIES_EV[formula] / atoms,
        steps=1,
        engine=STAMP,
        protocol=PROTOCOL,
    )


def references(*without: str) -> References:
    return References({f"phase_{formula}": phase(formula) for formula in ENERGIES_EV if formula not in without})


def cell(ions: dict[str, int], energy_ev: float) -> RelaxDoc:
    species = [ion for ion, number in ions.items() for _ in range(number)]
    places = [[i / len(species), 0, 0] for i in range(len(species))]
    return RelaxDoc(
        structure=Structure(Lattice.cubic(30), species, places),
        energy_ev=energy_ev,
        energy_per_atom_ev=energy_ev / len(species),
        max_force_ev_per_angstrom=0,
        volume_change=0,
        max_displacement_angstrom=0,
        steps=1,
        wall_s=0,
        engine=STAMP,
        protocol=PROTOCOL,
    )


def energy_of(amounts: dict[str, float]) -> float:
    return sum(number * ENERGIES_EV[formula] for formula, number in amounts.items())


TI3 = {"Li+": 25, "Zr4+": 11, "Ti3+": 1, "Cl-": 69, "F-": 3}
"""The cell of section 1.10."""


# ---- the two energies ----


def test_a_cell_made_of_the_phases_themselves_has_neither_energy() -> None:
    """11 host, TiF3 and 3 LiCl is the balance of the cell; with the energies of its parts it gains nothing."""
    parts = {"Li2ZrCl6": 11.0, "TiF3": 1.0, "LiCl": 3.0}
    found = thermodynamics(cell(TI3, energy_of(parts)), HOST, references())
    assert found.doping is not None
    assert found.doping.amounts == pytest.approx({"Li2ZrCl6": 11, "TiCl3": 1, "LiF": 3}) or (
        found.doping.amounts == pytest.approx(parts)
    )
    lowest = min(energy_of(parts), energy_of({"Li2ZrCl6": 11, "TiCl3": 1, "LiF": 3}))
    assert found.doping_energy_ev == pytest.approx(energy_of(parts) - lowest, abs=1e-6)
    assert found.decomposition is not None
    assert found.decomposition_ev_per_atom == pytest.approx(found.decomposition.energy_ev / 109, rel=1e-9, abs=1e-12)


def test_reactions_conserve_every_atom() -> None:
    found = thermodynamics(cell(TI3, -500.0), HOST, references())
    for reaction in (found.doping, found.decomposition):
        assert reaction is not None
        atoms = sum((Composition(name) * number for name, number in reaction.amounts.items()), Composition())
        assert atoms.get_el_amt_dict() == pytest.approx({"Li": 25, "Zr": 11, "Ti": 1, "Cl": 69, "F": 3})
        assert reaction.energy_ev == pytest.approx(-500.0 - energy_of(reaction.amounts), abs=1e-6)


def test_the_doping_reaction_takes_no_halide_of_the_hosts_own_cation_nor_chlorine() -> None:
    """F with Zr, and Ti reduced or oxidised, are for the decomposition alone."""
    found = thermodynamics(cell(TI3, -500.0), HOST, references())
    assert found.doping is not None
    assert set(found.doping.amounts) <= {"Li2ZrCl6", "LiCl", "LiF", "TiCl3", "TiF3"}


def test_without_a_halide_of_the_dopants_charge_there_is_no_doping_energy() -> None:
    """Ti3+ cannot come from TiCl4 and nothing else; with Cl2 taken away the decomposition fails as well."""
    found = thermodynamics(cell(TI3, -500.0), HOST, references("TiCl3", "TiF3"))
    assert found.doping_energy_ev is None
    assert found.no_doping_because == "no halide of Ti in its oxidation state is packaged, or too few"
    assert found.decomposition_ev_per_atom is None
    assert str(found.no_decomposition_because).startswith("no combination of Cl2, Li2ZrCl6, LiCl")


def test_chlorine_may_leave_a_cell_that_is_too_rich_in_it() -> None:
    """Ti4+ without TiCl4: TiCl3 and Cl2."""
    ti4 = {"Li+": 24, "Zr4+": 11, "Ti4+": 1, "Cl-": 72}
    found = thermodynamics(cell(ti4, -500.0), HOST, references("TiCl4"))
    assert found.decomposition is not None
    assert found.decomposition.amounts["Cl2"] == pytest.approx(0.5)
    assert found.doping_energy_ev is None


def test_an_element_without_phases_is_named() -> None:
    found = thermodynamics(cell({"Li+": 4, "Zr4+": 1, "O2-": 4}, -50.0), HOST, references())
    assert found.decomposition_ev_per_atom is None
    assert found.no_decomposition_because == "no packaged phase holds O"


def test_anions_count_where_no_cation_is_doped() -> None:
    assert dopants_of({"Li": 24, "Zr": 11, "Ti": 1, "Cl": 69, "F": 3}, HOST) == {"Ti": 1}
    assert dopants_of({"Li": 24, "Zr": 12, "Cl": 69, "F": 3}, HOST) == {"F": 3}
    assert dopants_of({"Li": 24, "Zr": 12, "Cl": 72}, HOST) == {}


# ---- a real engine ----


@pytest.fixture(scope="module")
def host_cell(run: Callable[[Job, Path], RelaxDoc], tmp_path_factory: pytest.TempPathFactory) -> RelaxDoc:
    return run(RelaxMaker(protocol=PROTOCOL).make(ideal_host().structure), tmp_path_factory.mktemp("host"))


def test_phases_are_relaxed_once_and_the_host_is_what_it_is(
    host_cell: RelaxDoc, stores: Callable[[], JobStore], tmp_path: Path
) -> None:
    store, documents = stores(), []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        job = StabilityMaker(protocol=PROTOCOL, host=HOST).make(host_cell)
        job.update_config({"expose_store": True})
        with contextlib.chdir(folder):
            job.run(store)
        documents.append(ThermodynamicsDoc.from_stored(store.get_output(job.uuid, load=True)))
        assert all((folder / batch).exists() == (name == "first") for batch in FOLDERS.values())
    first, second = documents
    assert first == second
    phases = {entry["metadata"]["key"]: entry for entry in store.query({"metadata.stage": PHASE})}
    assert set(phases) == {compared.key for compared in first.phases}
    assert {compared.name for compared in first.phases} >= {"LiCl (rock salt)", "ZrCl4 (ZrCl4)", "Li2ZrCl6 (host)"}
    # the cell is the host, relaxed from the same start in the same way
    by_name = {compared.name: compared.energy_per_atom_ev for compared in first.phases}
    assert by_name["Li2ZrCl6 (host)"] == pytest.approx(host_cell.energy_per_atom_ev, abs=1e-6)
    assert first.decomposition_ev_per_atom is not None
    assert -1e-9 <= first.decomposition_ev_per_atom < 0.05
    assert (first.doping_energy_ev, first.no_doping_because) == (None, "nothing is doped")
    assert first.engine == MLIPS["nep"].stamp()


def test_lattices_of_the_salts_are_those_of_the_engine(host_cell: RelaxDoc, tmp_path: Path) -> None:
    """NEP89 has LiCl and LiF within 4 % of 5.14 Å and 4.03 Å, and the molecules' cell is held."""
    from lzc_flows.crystal.phases import packaged_phases
    from lzc_flows.documents.engine import EngineSpec
    from lzc_flows.jobs.phases import relax_references

    wanted = [Reference.of_phase(phase) for phase in packaged_phases() if phase.formula in ("LiCl", "LiF", "Cl2")]
    relaxing = Relaxing(EngineSpec(name="nep"), PROTOCOL, tmp_path)
    found = relax_references(wanted, relaxing)
    by_formula = {document.formula: document for document in found.phases.values()}
    for formula, lattice_angstrom in (("LiCl", 5.14), ("LiF", 4.03)):
        cubic = (4 * by_formula[formula].structure.volume / 1) ** (1 / 3)
        assert cubic == pytest.approx(lattice_angstrom, rel=0.04)
    chlorine = next(reference for reference in wanted if reference.formula == "Cl2")
    assert by_formula["Cl2"].structure.volume == pytest.approx(chlorine.structure.volume, rel=1e-9)
    assert set(found.phases) == {phase_key(reference, relaxing.small_cells) for reference in wanted}
