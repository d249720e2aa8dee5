from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from jobflow import JobStore
from jobflow.core.job import Job, Response
from maggma.stores import MemoryStore
from pymatgen.core import Structure

from lzc_flows.band.packing import unpack_path
from lzc_flows.crystal.host import WYCKOFF
from lzc_flows.documents.dft import LZC
from lzc_flows.documents.engine import EngineSpec
from lzc_flows.documents.neb import NebDoc
from lzc_flows.documents.protocols import NebProtocol
from lzc_flows.engines.base import Ions
from lzc_flows.engines.mlip import MLIP_CHARGE_NOTE, MLIPS
from lzc_flows.engines.neb_tasks import OUTCOME_FILE
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.hopping.ends import Ends
from lzc_flows.jobs.neb import CINEBMaker, charge_of_cell, find_path, path_folder
from lzc_flows.recovery import neb as recovery_neb
from lzc_flows.recovery.neb import NebSetting
from lzc_flows.settings import get_settings

NEP = EngineSpec(name="nep")

MAKER = CINEBMaker()
Run = Callable[[Job, Path], NebDoc]


pytestmark = pytest.mark.usefixtures("quick_polls")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("neb")


@pytest.fixture(scope="module")
def document(run: Run, folder: Path, hop_ends: Ends) -> NebDoc:
    return run(MAKER.make(hop_ends.initial, hop_ends.final), folder)


def launch_of(folder: Path) -> Path:
    """Where jobflow ran the job."""
    (request,) = folder.rglob("neb_request.json")
    return request.parent


def make_in(folder: Path, store: JobStore, job: Job) -> Response:
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(folder):
        return job.run(store)


# ---- the document ----


def test_the_path_is_in_the_document(document: NebDoc, hop_ends: Ends) -> None:
    assert document.converged
    assert document.barrier_forward_eV == max(document.energies_eV)
    assert document.barrier_reverse_eV == pytest.approx(max(document.energies_eV) - document.energies_eV[-1], rel=1e-9)
    assert document.barrier_forward_eV == pytest.approx(0.319, abs=0.002)  # NEP89, 6h to 6g
    images = len(document.energies_eV)
    assert images % 2 == 1
    assert [len(document.distances_A), len(document.slopes_eV_A)] == [images] * 2
    assert (document.energies_eV[0], document.distances_A[0]) == (0.0, 0.0)
    assert (
        document.fmax
        == max(leg.fmax_climbing for leg in document.legs)
        <= document.protocol.fmax_climbing_ev_per_angstrom
    )
    assert document.fmax_band <= document.protocol.fmax_band_ev_per_angstrom
    assert document.moved_atoms == list(hop_ends.moved)
    assert not document.reordered
    assert document.longest_way_A == pytest.approx(2.99, abs=0.05)
    assert document.evaluations > images
    assert 2 <= document.evaluations_ends < document.evaluations
    assert (document.attempts, document.corrections) == (1, [])
    assert 0 < document.wall_s < 60
    assert (document.engine, document.protocol) == (MLIPS["nep"].stamp(), NebProtocol())


def test_the_images_are_those_of_the_energies(document: NebDoc) -> None:
    assert document.path is not None
    images = unpack_path(document.path)
    lattice = document.initial.lattice.matrix
    force_field = MLIPS["nep"].force_field(Ions(tuple([site.specie.symbol for site in document.initial])))
    energies = [force_field.evaluate(image, lattice).energy_ev for image in images]
    assert np.array(energies) - document.initial_energy_eV == pytest.approx(np.array(document.energies_eV), abs=2e-5)
    assert images[0] == pytest.approx(document.initial.cart_coords, abs=1e-5)
    ways = np.sqrt((np.diff(images, axis=0) ** 2).sum(axis=(1, 2))).cumsum()
    assert document.distances_A[1:] == pytest.approx(ways.tolist(), abs=1e-4)


def test_the_initial_end_keeps_ions_and_labels(document: NebDoc, hop_ends: Ends) -> None:
    assert document.initial.species == hop_ends.initial.species
    assert WYCKOFF not in document.initial.site_properties  # these ends have none
    assert document.initial.lattice == hop_ends.initial.lattice


def test_the_images_are_in_the_data_store_alone(folder: Path, document: NebDoc, hop_ends: Ends, tmp_path: Path) -> None:
    """From what an earlier launch did: nothing is left to run."""
    documents, data = MemoryStore(), MemoryStore()
    store = JobStore(documents, additional_stores={"data": data})
    store.connect()
    job = MAKER.make(hop_ends.initial, hop_ends.final, prev_dir=str(launch_of(folder)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recovery_neb, "run_worker", None)
        make_in(tmp_path, store, job)
    (stored,) = documents.query({})
    assert "zlib_b64" not in json.dumps(stored, default=str)
    (blob,) = data.query({})
    assert blob["data"] == document.path
    assert NebDoc.from_stored(store.get_output(job.uuid, load=True)) == document


# ---- charge ----


def test_a_neutral_cell_and_one_without_charges(document: NebDoc, hop_ends: Ends) -> None:
    assert document.charge_e == 0
    assert document.charge_note == MLIP_CHARGE_NOTE
    bare = hop_ends.initial.copy().remove_oxidation_states()
    assert charge_of_cell(bare) is None
    vacancy = hop_ends.initial.copy()
    vacancy.remove_sites([len(vacancy) - 1])
    assert charge_of_cell(vacancy) == -1
    half = bare.copy()
    half.replace(0, "Zr4+")
    assert charge_of_cell(half) is None


# ---- over as many launches as it takes ----


def test_a_job_whose_time_is_over_is_replaced_by_one_that_goes_on(
    stores: Callable[[], JobStore], document: NebDoc, hop_ends: Ends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, job = stores(), MAKER.make(hop_ends.initial, hop_ends.final)
    job.update_metadata({"key": "k"})
    first, second = tmp_path / "first" / "one", tmp_path / "second" / "two"
    monkeypatch.setenv("LZC_WALLTIME_END_S", str(time.time() + 60))  # within the margin
    get_settings.cache_clear()
    response = make_in(first, store, job)
    assert not list(first.rglob(OUTCOME_FILE))
    (following,) = response.replace.jobs
    assert (following.uuid, following.index, following.metadata["key"]) == (job.uuid, 2, "k")
    assert following.function_kwargs["prev_dir"] == str(first)
    monkeypatch.delenv("LZC_WALLTIME_END_S")
    get_settings.cache_clear()
    assert make_in(second, store, following).replace is None
    found = NebDoc.from_stored(store.get_output(job.uuid, load=True))
    assert found.model_dump(exclude={"wall_s"}) == document.model_dump(exclude={"wall_s"})


def test_a_fresh_directory_takes_over_what_an_earlier_try_left_beside_it(
    folder: Path, document: NebDoc, hop_ends: Ends, stores: Callable[[], JobStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = launch_of(folder).with_name("here")
    monkeypatch.setattr(recovery_neb, "run_worker", None)
    store, job = stores(), MAKER.make(hop_ends.initial, hop_ends.final)
    make_in(here, store, job)
    assert NebDoc.from_stored(store.get_output(job.uuid, load=True)) == document


# ---- what fails ----


def shifted(structure: Structure, atom: int, by_angstrom: list[float]) -> Structure:
    moved = structure.copy()
    moved.translate_sites([atom], by_angstrom, frac_coords=False)
    return moved


def test_ends_that_relax_into_each_other_are_no_hop(hop_ends: Ends, tmp_path: Path) -> None:
    """An ion 1 Å off its site goes back to it."""
    final = shifted(hop_ends.initial, hop_ends.moved[0], [0, 0, 1.0])
    with pytest.raises(CalculationError, match=r"^one end relaxed into the other: there is no hop between them$"):
        find_path(hop_ends.initial, final, NebSetting(NEP, NebProtocol(), tmp_path))


def test_an_end_that_relaxes_into_another_site_is_named(hop_ends: Ends, tmp_path: Path) -> None:
    """Beyond the saddle of a hop, or only its first third: the far end falls to the site behind it."""
    (atom,) = hop_ends.moved
    way = hop_ends.final.cart_coords[atom] - hop_ends.initial.cart_coords[atom]
    final = shifted(hop_ends.initial, atom, (0.62 * way).tolist())
    initial = shifted(hop_ends.initial, atom, (0.2 * way).tolist())
    with pytest.raises(
        CalculationError,
        match=rf"^final end relaxed into another site: Li number {atom + 1} moved \d\.\d\d Å, more than half of the "
        r"hop's \d\.\d\d Å$",
    ):
        find_path(initial, final, NebSetting(NEP, NebProtocol(), tmp_path))


@pytest.mark.slow
def test_a_path_that_does_not_converge_is_a_named_failure(hop_ends: Ends, tmp_path: Path) -> None:
    protocol = NebProtocol(max_steps=2, fmax_ends_ev_per_angstrom=2.0, split_ev=0.5)
    with pytest.raises(CalculationError, match=r"^path unconverged after 3 attempts: not converged after \d+ steps: "):
        find_path(hop_ends.initial, hop_ends.final, NebSetting(NEP, protocol, tmp_path))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("none", r"^identical ends: "),
        ("fewer", r"^different atoms: the final structure has 1 Li fewer"),
        ("cell", r"^cells differ: lattice vector "),
        ("engine", r"^engine 'vasp': no command 'vasp_std' here; "),
    ],
)
def test_bad_input_is_refused_before_anything_runs(hop_ends: Ends, tmp_path: Path, change: str, named: str) -> None:
    final = hop_ends.final.copy() if change == "engine" else hop_ends.initial.copy()
    if change == "fewer":
        final.remove_sites([len(final) - 1])
    if change == "cell":
        final.scale_lattice(final.volume * 1.01)
    engine = EngineSpec(name="vasp", dft=LZC) if change == "engine" else NEP
    with pytest.raises(InputError, match=named):
        find_path(hop_ends.initial, final, NebSetting(engine, NebProtocol(), tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_a_folders_name_follows_from_all_that_the_path_does(hop_ends: Ends) -> None:
    ends, protocol = (hop_ends.initial, hop_ends.final), NebProtocol()
    names = {
        path_folder(*ends, NEP, protocol),
        path_folder(*reversed(ends), NEP, protocol),
        path_folder(*ends, EngineSpec(name="chgnet"), protocol),
        path_folder(*ends, NEP, NebProtocol(images=7)),
        path_folder(hop_ends.initial, shifted(hop_ends.final, hop_ends.moved[0], [0, 0, 0.01]), NEP, protocol),
    }
    assert len(names) == 5
    assert path_folder(*ends, NEP, NebProtocol()) in names
