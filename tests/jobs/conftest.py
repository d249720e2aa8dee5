from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jobflow import JobStore
from jobflow.core.job import Job
from jobflow.managers.local import run_locally
from maggma.stores import MemoryStore
from pydantic import BaseModel
from pymatgen.core import Structure

from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.documents.neb import HopNetworkDoc
from lzc_flows.documents.protocols import HopProtocol
from lzc_flows.jobs.hop_network import HopNetworkMaker
from lzc_flows.recovery import worker
from lzc_flows.settings import get_settings


@pytest.fixture
def quick_polls(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Custodian looks often whether a worker has ended, and there is no walltime of the caller's."""
    monkeypatch.setattr(worker, "POLL_S", 0.02)
    for name in ("LZC_WALLTIME_END_S", "SLURM_JOB_END_TIME"):
        monkeypatch.delenv(name, raising=False)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture(scope="session")
def stores() -> Callable[[], JobStore]:
    """Make a connected job store with the additional store `data`."""

    def make() -> JobStore:
        store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
        store.connect()
        return store

    return make


@pytest.fixture(scope="session")
def run(stores: Callable[[], JobStore]) -> Callable[[Job, Path], BaseModel]:
    """Run a job with jobflow in a directory and return its document as it comes back from the store."""

    def run_job(job: Job, folder: Path) -> BaseModel:
        store = stores()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            run_locally(job, store=store, log=False, ensure_success=True)
        schema = job.output_schema
        assert schema is not None
        return schema.from_stored(store.get_output(job.uuid, load=True))

    return run_job


@pytest.fixture(scope="session")
def vacancies(
    run: Callable[[Job, Path], HopNetworkDoc], settled_host: Structure, tmp_path_factory: pytest.TempPathFactory
) -> HopNetworkDoc:
    """All hops of a vacancy in one cell of the host, 26 ions, by NEP89, as they come from the stores."""
    maker = HopNetworkMaker(hops=HopProtocol(mechanisms=("vacancy",)), host=HostSpec(name="lzc"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "POLL_S", 0.02)
        return run(maker.make(settled_host), tmp_path_factory.mktemp("vacancies"))
