"""Of which calculation input files are wanted: a stage with its engine and protocol, a campaign's or the sources'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lzc_flows.documents.aimd_protocol import AimdProtocol
from lzc_flows.documents.dft import LZC, LZC_AIMD, NAMED_DFT, DftProtocol
from lzc_flows.documents.engine import DFT_NAMES, ENGINE_NAMES, EngineSpec
from lzc_flows.documents.protocols import NebProtocol, OrderProtocol, RelaxProtocol
from lzc_flows.errors import InputError
from lzc_flows.flows.spec import STAGES, AimdStage, CampaignSpec, CinebStage, OrderStage, RelaxStage

INPUT_STAGES = ("order", "relax", "static", "aimd", "cineb", "electronic")
"""Calculations whose inputs can be looked at; static is a single point of the relaxed crystal."""

IMAGES = 5
"""Images of a band where nothing says how many; its job counts them by the length of the way."""

_DFT = {"aimd": LZC_AIMD}
_DEFAULTS: dict[str, Any] = {
    "order": OrderStage(),
    "relax": RelaxStage(),
    "aimd": AimdStage(top=1),
    "cineb": CinebStage(top=1),
}


@dataclass(frozen=True)
class Wishes:
    """What is asked for beside a campaign's own settings; None leaves them.

    Attributes
    ----------
    engine
        Name of an engine.
    dft
        Name of a protocol for its electrons.
    images
        Images of a band.
    """

    engine: str | None = None
    dft: str | None = None
    images: int | None = None


@dataclass(frozen=True)
class InputPlan:
    """A calculation.

    Attributes
    ----------
    stage
        One of `INPUT_STAGES`.
    engine
        VASP or CP2K.
    dft
        How it treats the electrons.
    protocol
        The stage's numbers; None for single points.
    images
        Images of a band.
    seed
        Seed of the velocities of molecular dynamics.
    """

    stage: str
    engine: str
    dft: DftProtocol
    protocol: OrderProtocol | RelaxProtocol | AimdProtocol | NebProtocol | None
    images: int = IMAGES
    seed: int = 1


def input_plan(stage: str, campaign: CampaignSpec | None, wishes: Wishes) -> InputPlan:
    """Return the plan of a stage of a campaign; without a campaign that of VASP with the numbers of the sources.

    Raises
    ------
    InputError
        An unknown stage, engine or protocol, a stage that the campaign lacks, an engine without input files.
    """
    if stage not in INPUT_STAGES:
        raise InputError(f"stage {stage!r}: allowed are {', '.join(INPUT_STAGES)}")
    settings: Any = _DEFAULTS.get(stage) if campaign is None else _settings(stage, campaign)
    engine = _engine(stage, settings if campaign is not None else None, wishes)
    protocol = settings.protocol if stage in _DEFAULTS else None
    images = wishes.images or getattr(protocol, "images", None) or IMAGES
    assert engine.dft is not None  # it has electrons
    return InputPlan(stage, engine.name, engine.dft, protocol, images, getattr(settings, "seed", 1))


def _settings(stage: str, campaign: CampaignSpec) -> Any:
    """Return a campaign's settings of a stage; single points are treated as its relaxations are."""
    settings = getattr(campaign.stages, stage if stage in STAGES else "relax")
    if settings is None:
        raise InputError(f"campaign {campaign.name!r}: no stage {stage!r}; it has {', '.join(campaign.stages.names)}")
    return settings


def _engine(stage: str, settings: Any, wishes: Wishes) -> EngineSpec:
    """Return the engine wished for, or the campaign's; where it treats electrons as the campaign says, if it does."""
    own: EngineSpec | None = settings.engine if settings is not None else None
    name = wishes.engine or (own.name if own else "vasp")
    if name not in ENGINE_NAMES:
        raise InputError(f"engine {name!r}: allowed are {', '.join(DFT_NAMES)}")
    if name not in DFT_NAMES:
        raise InputError(f"engine {name!r}: has no input files, its potential needs none; {' or '.join(DFT_NAMES)} has")
    engine = own if own is not None and own.name == name else EngineSpec.model_validate(name)
    if wishes.dft is not None and wishes.dft not in NAMED_DFT:
        raise InputError(f"dft {wishes.dft!r}: allowed are {', '.join(NAMED_DFT)}")
    if wishes.dft is not None:
        engine = engine.model_copy(update={"dft": NAMED_DFT[wishes.dft]})
    return engine.with_default(_DFT.get(stage, LZC))
