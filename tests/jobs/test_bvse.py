from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from jobflow import JobStore
from jobflow.managers.local import run_locally
from pymatgen.core import Lattice, Structure

from lzc_flows.crystal.host import ideal_host
from lzc_flows.documents.bvse import BvseDoc
from lzc_flows.documents.protocols import BvseProtocol
from lzc_flows.errors import InputError
from lzc_flows.jobs.bvse import BVSEMaker, bvse_document, bvse_field
from lzc_flows.transport.bvse import EnergyField, energy_field
from lzc_flows.transport.conventions import CONVENTIONS
from lzc_flows.transport.landscape import Landscape, analyse
from lzc_flows.transport.packing import pack_network, unpack_field

PROTOCOL = BvseProtocol(resolution_angstrom=0.5, cutoff_angstrom=8.0, convention="bvlain")


@pytest.fixture(scope="module")
def landscape() -> Landscape:
    field = energy_field(
        ideal_host().structure,
        "Li+",
        resolution_angstrom=PROTOCOL.resolution_angstrom,
        cutoff_angstrom=PROTOCOL.cutoff_angstrom,
        convention=CONVENTIONS[PROTOCOL.convention],
    )
    return analyse(field)


@pytest.fixture(scope="module")
def finished(stores: Callable[[], JobStore], tmp_path_factory: pytest.TempPathFactory) -> tuple[JobStore, str]:
    """The job's store after it ran, and its UUID."""
    store = stores()
    job = BVSEMaker(protocol=PROTOCOL).make(ideal_host().structure)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("bvse"))
        run_locally(job, store=store, log=False, ensure_success=True)
    return store, job.uuid


def test_the_barriers_are_those_of_the_landscape(finished: tuple[JobStore, str], landscape: Landscape) -> None:
    store, uuid = finished
    document = BvseDoc.from_stored(store.get_output(uuid, load=True))
    for target, threshold in landscape.percolation.thresholds.items():
        assert getattr(document, f"barrier_{target}") == threshold.barrier_from_cell_minimum_ev
        assert getattr(document.from_component_minimum, f"barrier_{target}") == threshold.barrier_ev
    assert 0 < document.barrier_1d <= document.barrier_2d <= document.barrier_3d < math.inf
    assert document.barrier_1d <= min(document.barrier_a, document.barrier_b, document.barrier_c)
    assert document.minimum_ev == landscape.field.energies_ev.min()
    assert document.grid == landscape.field.energies_ev.shape == (22, 22, 12)
    assert document.sites == len(landscape.sites.minima)
    assert set(document.bottlenecks) == set(landscape.percolation.thresholds)
    assert document.protocol == PROTOCOL


def test_landscape_and_network_are_in_the_data_store_only(finished: tuple[JobStore, str], landscape: Landscape) -> None:
    store, uuid = finished
    stored: dict[str, Any] = store.query_one({"uuid": uuid})["output"]
    assert stored["field"]["store"] == stored["network"]["store"] == "data"
    assert len(str(stored)) < 4000
    blobs = {blob["blob_uuid"]: blob["data"] for blob in store.additional_stores["data"].query({"job_uuid": uuid})}
    assert len(blobs) == 2
    found = unpack_field(blobs[stored["field"]["blob_uuid"]])
    assert found.energies_ev.shape == landscape.field.energies_ev.shape
    assert analyse(found).percolation.thresholds["3d"].barrier_ev == pytest.approx(
        landscape.percolation.thresholds["3d"].barrier_ev, rel=0, abs=1e-4
    )
    np.testing.assert_allclose(found.lattice_angstrom, ideal_host().structure.lattice.matrix, rtol=1e-12)
    assert (found.mobile, found.convention, found.cutoff_angstrom) == ("Li+", "bvlain", 8.0)
    assert blobs[stored["network"]["blob_uuid"]] == pack_network(landscape)


def test_the_document_without_its_landscape_is_still_one(finished: tuple[JobStore, str]) -> None:
    store, uuid = finished
    document = BvseDoc.from_stored(store.get_output(uuid, load=False))
    assert document.field is not None
    assert "blob_uuid" in document.field


def test_where_the_ion_never_percolates_the_document_says_so() -> None:
    energies = np.full((6, 6, 6), np.inf)
    energies[0, 0, 0] = -1.0
    blocked = analyse(EnergyField(energies, np.eye(3) * 3, "Li+", "softbv", 8.0))
    document = bvse_document(blocked, PROTOCOL)
    assert document.barrier_1d == document.from_component_minimum.barrier_ab == math.inf
    assert document.bottlenecks == {}
    assert BvseDoc.from_stored(document.model_dump()) == document


def test_an_unknown_convention_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"^BVSE convention 'adams': allowed are bvlain, softbv, softbv-effective$"):
        bvse_field(ideal_host().structure, BvseProtocol(convention="adams"))


def test_a_structure_without_the_mobile_ion_is_refused() -> None:
    salt = Structure(Lattice.cubic(5.6), ["Na+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(InputError, match=r"mobile ion Li\+"):
        bvse_field(salt, PROTOCOL)
