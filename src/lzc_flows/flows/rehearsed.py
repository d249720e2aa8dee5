"""A campaign as it is rehearsed: its stages that compute energies done by another engine."""

from __future__ import annotations

from lzc_flows.documents.dft import LZC, LZC_AIMD
from lzc_flows.documents.engine import DftName, EngineSpec
from lzc_flows.flows.spec import CampaignSpec

REHEARSED = {"relax": LZC, "aimd": LZC_AIMD, "cineb": LZC}
"""Stages that a DFT engine takes over, and how it treats electrons there unless the campaign says so."""


def rehearsed(spec: CampaignSpec, engine: DftName) -> CampaignSpec:
    """Return the campaign with the stages relax, aimd and cineb by a DFT engine.

    Stages that name the engine already keep their numbers; the order stage stays as it is.
    """
    stages = spec.stages
    for name, dft in REHEARSED.items():
        stage = getattr(stages, name)
        if stage is not None and stage.engine.name != engine:
            changed = stage.model_copy(update={"engine": EngineSpec(name=engine, dft=dft)})
            stages = stages.model_copy(update={name: changed})
    return spec.model_copy(update={"stages": stages})


def of_first_cations(spec: CampaignSpec, count: int) -> CampaignSpec:
    """Return the campaign with the first cations of its grid only."""
    return spec.model_copy(update={"grid": spec.grid.model_copy(update={"cations": spec.grid.cations[:count]})})
