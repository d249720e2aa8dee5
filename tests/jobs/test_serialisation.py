from __future__ import annotations

from collections.abc import Callable

import pytest
from fireworks import Workflow
from jobflow import JobStore, Maker
from jobflow.core.job import Job
from jobflow.managers.fireworks import flow_to_workflow
from pydantic import BaseModel

from lzc_flows.crystal.doping import Combination, Substitution
from lzc_flows.crystal.host import ideal_host
from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.documents.bvse import BvseDoc
from lzc_flows.documents.protocols import BvseProtocol, HopProtocol, NebProtocol, OrderProtocol, RelaxProtocol
from lzc_flows.jobs.arrhenius import ArrheniusMaker
from lzc_flows.jobs.bvse import BVSEMaker, bvse_document, bvse_field
from lzc_flows.jobs.hop_network import HopNetworkMaker
from lzc_flows.jobs.neb import CINEBMaker
from lzc_flows.jobs.order import OrderMaker
from lzc_flows.jobs.rank import RankMaker
from lzc_flows.jobs.relax import RelaxMaker
from lzc_flows.jobs.stability import StabilityMaker
from lzc_flows.ranking.spec import RankingSpec
from lzc_flows.transport.landscape import analyse

TI_F = Combination(
    supercell=(2, 2, 1),
    cation=Substitution(ion="Ti3+", labels=("1a", "2d"), count=1),
    anion=Substitution(ion="F-", labels=("6i",), count=3),
)
OWN_HOST = HostSpec(
    name="own",
    cif="data_own\n_cell_length_a 5\n",
    labels={"Zr1": "2d'"},
    oxidation_states={"Zr": 4, "Cl": -1},
    vacant={"1b": (0.0, 0.0, 0.5)},
)
CALLS: list[tuple[Maker, tuple[object, ...]]] = [
    (OrderMaker(engine="chgnet", protocol=OrderProtocol(shortlist=3, fmax_ev_per_angstrom=0.3)), (OWN_HOST, TI_F)),
    (RelaxMaker(engine="chgnet", protocol=RelaxProtocol(optimizer="BFGS")), (ideal_host().structure,)),
    (ArrheniusMaker(engine="chgnet", temperatures_k=(900.0, 800.0, 700.0), seed=4), (ideal_host().structure,)),
    (StabilityMaker(engine="chgnet", protocol=RelaxProtocol(max_steps=9), host=OWN_HOST), (ideal_host().structure,)),
    (BVSEMaker(protocol=BvseProtocol(convention="bvlain", cutoff_angstrom=7.5)), (ideal_host().structure,)),
    (CINEBMaker(engine="chgnet", protocol=NebProtocol(images=7)), (ideal_host().structure, ideal_host().structure)),
    (HopNetworkMaker(hops=HopProtocol(supercell=(1, 1, 2)), host=OWN_HOST), (ideal_host().structure,)),
    (RankMaker(ranking=RankingSpec(performance={"barrier_2d": 0.7}, cost_weight=0.2)), ("tiny",)),
]


def through_fireworks(job: Job) -> Job:
    """The job as a worker finds it: the workflow written to JSON, as for the database, and read."""
    found = Workflow.from_format(flow_to_workflow(job).to_format("json"), "json")
    return found.fws[0].tasks[0]["job"]


@pytest.mark.parametrize(("maker", "arguments"), CALLS, ids=lambda value: getattr(value, "name", ""))
def test_a_job_comes_back_from_fireworks_as_it_went(maker: Maker, arguments: tuple[object, ...]) -> None:
    job = maker.make(*arguments)
    found = through_fireworks(job)
    assert found.uuid == job.uuid
    assert found.maker == maker
    assert tuple(found.function_args) == arguments
    for argument, expected in zip(found.function_args, arguments, strict=True):
        assert type(argument) is type(expected)
    protocol = getattr(maker, "protocol", None) or maker.ranking
    assert isinstance(protocol, BaseModel)
    assert found.output_schema is job.output_schema


def test_a_job_from_fireworks_runs_and_gives_the_same(stores: Callable[[], JobStore]) -> None:
    protocol = BvseProtocol(resolution_angstrom=0.8, cutoff_angstrom=6.0)
    job = BVSEMaker(protocol=protocol).make(ideal_host().structure)
    store = stores()
    through_fireworks(job).run(store)
    document = BvseDoc.from_stored(store.get_output(job.uuid, load=True))
    assert document == bvse_document(analyse(bvse_field(ideal_host().structure, protocol)), protocol)
