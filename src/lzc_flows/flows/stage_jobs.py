"""The job of each later stage, made of the stage's settings, the campaign's file and the result that it follows.

A Maker is imported where a job is made: all of them together take seconds, and most advances queue jobs of one stage,
or none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jobflow import Job, OutputReference

from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.flows.spec import (
    AimdStage,
    ArrheniusStage,
    BvseStage,
    CampaignSpec,
    CinebStage,
    ElectronicStage,
    RelaxStage,
    StabilityStage,
)


def _whole(uuid: str) -> Any:
    """Return a reference to a result, which stands for it until the job runs."""
    return OutputReference(uuid)


def _structure(uuid: str) -> Any:
    """Return a reference to the structure in a result."""
    return OutputReference(uuid, (("a", "structure"),))


def _relax(stage: RelaxStage, _: CampaignSpec, before: str) -> Job:
    from lzc_flows.jobs.relax import RelaxMaker

    return RelaxMaker(engine=stage.engine, protocol=stage.protocol).make(_structure(before))


def _bvse(stage: BvseStage, _: CampaignSpec, before: str) -> Job:
    from lzc_flows.jobs.bvse import BVSEMaker

    return BVSEMaker(protocol=stage.protocol).make(_structure(before))


def _stability(_: StabilityStage, spec: CampaignSpec, before: str) -> Job:
    from lzc_flows.jobs.stability import StabilityMaker

    relaxing = spec.stages.relax
    maker = StabilityMaker(engine=relaxing.engine, protocol=relaxing.protocol, host=spec.host)
    job = maker.make(_whole(before))
    job.update_config({"expose_store": True})  # reference phases are looked up there
    return job


def _aimd(stage: AimdStage, _: CampaignSpec, before: str) -> Job:
    from lzc_flows.jobs.aimd import AimdMaker

    return AimdMaker(engine=stage.engine, protocol=stage.protocol, seed=stage.seed).make(_structure(before))


def _arrhenius(stage: ArrheniusStage, _: CampaignSpec, before: str) -> Job:
    from lzc_flows.jobs.arrhenius import ArrheniusMaker

    maker = ArrheniusMaker(
        engine=stage.engine, protocol=stage.protocol, temperatures_k=stage.temperatures_k, seed=stage.seed
    )
    return maker.make(_structure(before))


def _cineb(stage: CinebStage, spec: CampaignSpec, before: str) -> Job:
    from lzc_flows.jobs.hop_network import HopNetworkMaker

    maker = HopNetworkMaker(
        engine=stage.engine, protocol=stage.protocol, hops=stage.hops, host=_host_of_sites(stage, spec)
    )
    return maker.make(_structure(before))


def _electronic(stage: ElectronicStage, spec: CampaignSpec, before: str) -> Job:
    from lzc_flows.jobs.electronic import ElectronicMaker

    hops = spec.stages.cineb
    host = None if hops is None else _host_of_sites(hops, spec)
    return ElectronicMaker(engine=stage.engine, protocol=stage.protocol, host=host).make(_whole(before))


def _host_of_sites(hops: CinebStage, spec: CampaignSpec) -> HostSpec | None:
    """Return the host whose sites are hopped between; None where the crystal's own are."""
    return spec.host if hops.sites == "host" else None


STAGE_JOBS: dict[str, Callable[[Any, CampaignSpec, str], Job]] = {
    "relax": _relax,
    "bvse": _bvse,
    "stability": _stability,
    "aimd": _aimd,
    "arrhenius": _arrhenius,
    "cineb": _cineb,
    "electronic": _electronic,
}
"""By stage, the function of its settings, the campaign's file and the UUID of the result before it."""
