from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobflow import JobStore
from jobflow.core.job import Job, Response
from maggma.stores import MemoryStore

from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.documents.dft import LZC, Kpoints
from lzc_flows.documents.electronic import ElectronicDoc, ElectronicProtocol
from lzc_flows.documents.engine import EngineSpec
from lzc_flows.documents.neb import HopNetworkDoc
from lzc_flows.engines.registry import engine_of
from lzc_flows.errors import InputError
from lzc_flows.jobs.electronic import ElectronicMaker
from lzc_flows.jobs.hop_choice import image_of, images_of, limiting_hop
from lzc_flows.transport.grid_packing import unpack_grids

VASP = EngineSpec(name="vasp", dft=LZC.model_copy(update={"cutoff_ev": 200.0, "kpoints": Kpoints(mesh=(1, 1, 1))}))
HOST = HostSpec(name="lzc")
MAKER = ElectronicMaker(engine=VASP, protocol=ElectronicProtocol(grid_angstrom=0.4), host=HOST)
ELECTRONS = 5 * 3 + 3 * 12 + 18 * 7 + 1
"""Of Li5Zr3Cl18 with charge -1."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("electronic")


@pytest.fixture(scope="module")
def document(
    run: Callable[[Job, Path], ElectronicDoc], vacancies: HopNetworkDoc, vasp_stands_in: Callable[[], Any], folder: Path
) -> ElectronicDoc:
    with vasp_stands_in():
        return run(MAKER.make(vacancies), folder)


def make_in(folder: Path, store: JobStore, job: Job) -> Response:
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(folder):
        return job.run(store)


def test_points_are_those_of_the_limiting_hop(document: ElectronicDoc, vacancies: HopNetworkDoc) -> None:
    hop = limiting_hop(vacancies, "ab")
    assert (document.hop, document.barrier_forward_eV) == (hop.id, hop.barrier_forward_eV)
    images = images_of(vacancies, hop, HOST)
    assert [(point.point, point.image) for point in document.points] == [
        ("initial", 0),
        ("saddle", image_of(hop, "saddle")),
    ]
    initial, saddle = document.points
    for point in document.points:
        assert point.structure.cart_coords == pytest.approx(images[point.image].cart_coords, abs=1e-6)
        assert point.structure.species == images[0].species
        assert point.electrons == ELECTRONS
        assert (point.moment_mu_b, point.gap_ev > 0) == (0, True)
        assert Path(point.directory).name == "scf"
        assert (Path(point.directory) / "CHGCAR").is_file()
    # the path is of the same forces
    assert saddle.energy_ev - initial.energy_ev == pytest.approx(hop.barrier_forward_eV, abs=1e-4)
    assert initial.energy_ev == pytest.approx(hop.initial_energy_eV, abs=1e-3)


def test_states_are_around_the_fermi_energy(document: ElectronicDoc) -> None:
    for point in document.points:
        dos = point.dos
        assert set(dos.by_element) == {"Li", "Zr", "Cl"}
        energies, total = np.array(dos.energies_eV), np.array(dos.total)
        assert (energies[0], energies[-1]) == pytest.approx((-10, 9.95))
        assert np.diff(energies) == pytest.approx(np.full(len(energies) - 1, 0.05), abs=1e-6)
        assert all(len(values) == len(energies) for values in dos.by_element.values())
        assert np.trapezoid(total[energies <= 0], energies[energies <= 0]) == pytest.approx(ELECTRONS, rel=0.05)


def test_densities_are_in_the_data_store_alone(
    document: ElectronicDoc, vacancies: HopNetworkDoc, folder: Path, vasp_stand_in: Any, tmp_path: Path
) -> None:
    """From what an earlier launch did: nothing is left to run."""
    vasp_stand_in.command("sh", "-c", "exit 1", "lzc_flows.rehearsal")
    documents, data = MemoryStore(), MemoryStore()
    store = JobStore(documents, additional_stores={"data": data})
    store.connect()
    (launch,) = {path.parents[1] for path in folder.rglob("scf")}
    job = MAKER.make(vacancies, prev_dir=str(launch))
    make_in(tmp_path / "new", store, job)
    (stored,) = documents.query({})
    assert "npz_base64" not in json.dumps(stored, default=str)
    assert len(list(data.query({}))) >= 1
    again = ElectronicDoc.from_stored(store.get_output(job.uuid, load=True))
    assert again.grids == document.grids
    assert again.grids is not None
    volume = document.points[0].structure.volume
    for point in document.points:
        grids = unpack_grids(again.grids[point.point])
        assert set(grids) == {"density", "difference", "localisation"}
        assert float(grids["density"].mean(dtype=float)) * volume == pytest.approx(ELECTRONS, rel=1e-5)
        assert float(grids["difference"].mean(dtype=float)) * volume == pytest.approx(0, abs=1e-3)
        lengths = point.structure.lattice.abc
        assert all(length / count <= 0.4 for count, length in zip(grids["density"].shape, lengths, strict=True))
        assert grids["localisation"].max() <= 1
        # coarser blocks cancel some of it
        coarse = float(np.abs(grids["difference"]).mean(dtype=float)) * volume / 2
        assert 0 < coarse <= point.displaced_electrons * (1 + 1e-5)


def test_numbers_and_engine_are_in_the_document(document: ElectronicDoc, vasp_stand_in: Any) -> None:
    assert document.engine == engine_of(VASP).stamp()
    assert document.engine.version.startswith("a stand-in for VASP, ")
    assert (document.dft, document.protocol) == (VASP.dft, MAKER.protocol)
    assert (document.corrections, document.wall_s > 0) == ([], True)


def test_a_job_whose_time_is_over_is_replaced_by_one_that_goes_on(
    vacancies: HopNetworkDoc, stores: Callable[[], JobStore], vasp_stand_in: Any, tmp_path: Path
) -> None:
    vasp_stand_in.set(LZC_WALLTIME_END_S=time.time() + 60)  # within the margin
    store, job = stores(), MAKER.make(vacancies)
    response = make_in(tmp_path / "first", store, job)
    (following,) = response.replace.jobs
    assert (following.uuid, following.index) == (job.uuid, 2)
    assert following.function_kwargs["prev_dir"] == str(tmp_path / "first")


@pytest.mark.parametrize("engine", ["nep", "cp2k"])
def test_engines_without_densities_are_refused(
    vacancies: HopNetworkDoc, stores: Callable[[], JobStore], tmp_path: Path, engine: str
) -> None:
    job = ElectronicMaker(engine=engine, host=HOST).make(vacancies)
    with pytest.raises(InputError, match=rf"^engine '{engine}': the electronic stage is VASP's; vasp is allowed$"):
        make_in(tmp_path / "new", stores(), job)
