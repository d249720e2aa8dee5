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
from lzc_flows.jobs.bvse import BVSEMaker, bvse_document
from lzc_flows.transport.bvse import CONVENTIONS, EnergyField, energy_field
from lzc_flows.transport.packing import unpack
from lzc_flows.transport.percolation import percolation_thresholds

PROTOCOL = BvseProtocol(resolution_angstrom=0.5, cutoff_angstrom=8.0, convention="bvlain")


@pytest.fixture(scope="module")
def landscape() -> EnergyField:
    return energy_field(
        ideal_host().structure,
        "Li+",
        resolution_angstrom=PROTOCOL.resolution_angstrom,
        cutoff_angstrom=PROTOCOL.cutoff_angstrom,
        convention=CONVENTIONS[PROTOCOL.convention],
    )


@pytest.fixture(scope="module")
def finished(stores: Callable[[], JobStore], tmp_path_factory: pytest.TempPathFactory) -> tuple[JobStore, str]:
    """The job's store after it ran, and its UUID."""
    store = stores()
    job = BVSEMaker(protocol=PROTOCOL).make(ideal_host().structure)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("bvse"))
        run_locally(job, store=store, log=False, ensure_success=True)
    return store, job.uuid


def test_the_barriers_are_those_of_the_landscape(finished: tuple[JobStore, str], landscape: EnergyField) -> None:
    store, uuid = finished
    document = BvseDoc.from_stored(store.get_output(uuid, load=True))
    percolation = percolation_thresholds(landscape.energies_ev)
    for number, threshold in enumerate(percolation.thresholds, start=1):
        assert getattr(document, f"barrier_{number}d") == threshold.barrier_from_cell_minimum_ev
        assert getattr(document, f"component_barrier_{number}d") == threshold.barrier_ev
    assert 0 < document.barrier_1d <= document.barrier_2d <= document.barrier_3d < math.inf
    assert document.minimum_ev == landscape.energies_ev.min()
    assert document.grid_shape == landscape.energies_ev.shape == (22, 22, 12)
    assert document.protocol == PROTOCOL


def test_the_landscape_is_in_the_data_store_only(finished: tuple[JobStore, str], landscape: EnergyField) -> None:
    store, uuid = finished
    stored: dict[str, Any] = store.query_one({"uuid": uuid})["output"]
    assert stored["field"]["store"] == "data"
    assert len(str(stored)) < 2000
    (blob,) = store.additional_stores["data"].query({"job_uuid": uuid})
    assert blob["blob_uuid"] == stored["field"]["blob_uuid"]
    found = unpack(blob["data"])
    np.testing.assert_allclose(found.energies_ev, landscape.energies_ev, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.lattice_angstrom, ideal_host().structure.lattice.matrix, rtol=1e-12)
    assert (found.mobile, found.convention, found.cutoff_angstrom) == ("Li+", "bvlain", 8.0)


def test_the_document_without_its_landscape_is_still_one(finished: tuple[JobStore, str]) -> None:
    store, uuid = finished
    document = BvseDoc.from_stored(store.get_output(uuid, load=False))
    assert document.field is not None
    assert "blob_uuid" in document.field


def test_an_unknown_convention_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"^BVSE convention 'adams': allowed are bvlain, softbv$"):
        bvse_document(ideal_host().structure, BvseProtocol(convention="adams"))


def test_a_structure_without_the_mobile_ion_is_refused() -> None:
    salt = Structure(Lattice.cubic(5.6), ["Na+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(InputError, match=r"mobile ion Li\+"):
        bvse_document(salt, PROTOCOL)
