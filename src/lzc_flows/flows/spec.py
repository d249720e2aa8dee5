"""The campaign file: a host, a grid, stages with their engines and protocols, a ranking."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PositiveFloat, ValidationError, field_validator, model_validator

from lzc_flows.crystal.doping import GridSpec
from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.crystal.ions import parse_ion
from lzc_flows.documents.aimd_protocol import AimdProtocol, hottest_protocol, named_protocol
from lzc_flows.documents.dft import LZC, LZC_AIMD, DftProtocol
from lzc_flows.documents.electronic import ElectronicProtocol
from lzc_flows.documents.engine import EngineSpec
from lzc_flows.documents.model import FrozenModel
from lzc_flows.documents.protocols import BvseProtocol, HopProtocol, NebProtocol, OrderProtocol, RelaxProtocol
from lzc_flows.documents.strict_yaml import first_error, one_line, read_mapping
from lzc_flows.errors import InputError
from lzc_flows.ranking.criteria import CRITERIA
from lzc_flows.ranking.spec import RankingSpec
from lzc_flows.transport.arrhenius import LEAST_TEMPERATURES
from lzc_flows.transport.conventions import CONVENTIONS


def _treated_as(dft: DftProtocol) -> AfterValidator:
    """Return what completes an engine whose treatment of electrons is left to the stage."""
    return AfterValidator(lambda engine: engine.with_default(dft))


Engine = Annotated[EngineSpec, _treated_as(LZC)]
AimdEngine = Annotated[EngineSpec, _treated_as(LZC_AIMD)]


class OrderStage(FrozenModel):
    """The order stage: which engine relaxes the shortlist, and how."""

    engine: Engine = EngineSpec(name="nep")
    protocol: OrderProtocol = OrderProtocol()


class RelaxStage(FrozenModel):
    """The relax stage."""

    engine: Engine = EngineSpec(name="chgnet")
    protocol: RelaxProtocol = RelaxProtocol()


class BvseStage(FrozenModel):
    """The bvse stage; no engine."""

    protocol: BvseProtocol = BvseProtocol()

    @field_validator("protocol")
    @classmethod
    def _can_run(cls, protocol: BvseProtocol) -> BvseProtocol:
        # refused here because the job would refuse it only after the relaxations
        if protocol.convention not in CONVENTIONS:
            raise InputError(f"convention {protocol.convention!r}: allowed are {', '.join(CONVENTIONS)}")
        return protocol.model_copy(update={"mobile": parse_ion(protocol.mobile)})


class AimdStage(FrozenModel):
    """The aimd stage."""

    engine: AimdEngine = EngineSpec(name="nep")
    protocol: AimdProtocol = Field(default=named_protocol("lzc-short"), description="A name, or segments.")
    temperature_k: float | None = Field(default=None, description="Of a named protocol that has several, in K.")
    seed: int = Field(default=1, ge=0, description="Seed of the starting velocities.")
    top: int | None = Field(
        ge=1, description="Gate: how many of the best by performance, as far as it is known before, run; null for all."
    )

    @field_validator("protocol")
    @classmethod
    def _ends_held(cls, protocol: AimdProtocol) -> AimdProtocol:
        last = protocol.segments[-1]
        if last.start_k != last.end_k:
            raise InputError("its last segment, which is analysed, must be at one temperature")
        return protocol

    @model_validator(mode="before")
    @classmethod
    def _named(cls, content: Any) -> Any:
        if isinstance(content, dict) and isinstance(content.get("protocol", "lzc-short"), str):
            protocol = named_protocol(content.get("protocol", "lzc-short"), content.get("temperature_k"))
            return {**content, "protocol": protocol.model_dump()}
        return content


class StabilityStage(FrozenModel):
    """The stability stage: relaxed crystals against packaged halides, by the engine and protocol of the relax stage."""


class ArrheniusStage(FrozenModel):
    """The arrhenius stage: molecular dynamics at several temperatures, and the line through them."""

    engine: AimdEngine = EngineSpec(name="nep")
    protocol: AimdProtocol = Field(
        default=hottest_protocol("lzc-long"),
        description="A name, or segments; each temperature takes the place of that of the last segment.",
    )
    temperatures_k: tuple[PositiveFloat, ...] = Field(
        default=(1100.0, 1000.0, 900.0, 800.0), description="Temperatures in the order in which they run, in K."
    )
    seed: int = Field(default=1, ge=0, description="Seed of the starting velocities; the next one at each temperature.")
    top: int | None = Field(ge=1, description="Gate: how many of the best by performance run; null for all.")

    @field_validator("temperatures_k")
    @classmethod
    def _enough(cls, temperatures_k: tuple[float, ...]) -> tuple[float, ...]:
        if not len(set(temperatures_k)) == len(temperatures_k) >= LEAST_TEMPERATURES:
            raise InputError(f"at least {LEAST_TEMPERATURES} different temperatures are allowed")
        return temperatures_k

    @model_validator(mode="before")
    @classmethod
    def _named(cls, content: Any) -> Any:
        if isinstance(content, dict) and isinstance(content.get("protocol"), str):
            return {**content, "protocol": hottest_protocol(content["protocol"]).model_dump()}
        return content

    @model_validator(mode="after")
    def _ends_held(self) -> ArrheniusStage:
        last = self.protocol.segments[-1]
        if last.start_k != last.end_k:
            raise InputError("protocol: its last segment, which is analysed, must be at one temperature")
        return self


class CinebStage(FrozenModel):
    """The cineb stage: all hops of a candidate."""

    engine: Engine = EngineSpec(name="nep")
    protocol: NebProtocol = NebProtocol()
    hops: HopProtocol = HopProtocol()
    sites: Literal["host", "bvse"] = Field(
        default="host", description="Whose sites the ions take: the host's, or minima of the BVSE landscape."
    )
    top: int | None = Field(ge=1, description="Gate: how many of the best by performance run; null for all.")


class ElectronicStage(FrozenModel):
    """The electronic stage: electrons at the extreme points of the hop that limits a candidate."""

    engine: Engine = EngineSpec(name="vasp", dft=LZC)
    protocol: ElectronicProtocol = ElectronicProtocol()
    top: int | None = Field(ge=1, description="Gate: how many of the best by performance run; null for all.")

    @field_validator("engine")
    @classmethod
    def _has_densities(cls, engine: EngineSpec) -> EngineSpec:
        if engine.name != "vasp":
            raise InputError(f"{engine.name!r} gives no densities of electrons here; vasp is allowed")
        return engine


class Stages(FrozenModel):
    """What runs for every candidate; a stage starts where the one that it follows succeeded."""

    order: OrderStage = OrderStage()
    relax: RelaxStage = RelaxStage()
    bvse: BvseStage = BvseStage()
    stability: StabilityStage | None = None
    aimd: AimdStage | None = None
    arrhenius: ArrheniusStage | None = None
    cineb: CinebStage | None = None
    electronic: ElectronicStage | None = None

    @model_validator(mode="after")
    def _followed(self) -> Stages:
        if self.electronic is not None and self.cineb is None:
            raise InputError("electronic: follows cineb, which is not there")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The stages that are there, in their order."""
        return tuple(name for name in STAGES if getattr(self, name) is not None)


STAGES = tuple(Stages.model_fields)
"""Names of all stages, in the order in which they can run."""

FOLLOWS = {
    "order": None,
    "relax": "order",
    "bvse": "relax",
    "stability": "relax",
    "aimd": "relax",
    "arrhenius": "relax",
    "cineb": "relax",
    "electronic": "cineb",
}
"""The stage whose result each stage takes."""

LARGEST_INTEGER = 2**31 - 1
"""Of seeds, steps and counts: what every engine and the database take."""


class CampaignSpec(FrozenModel):
    """A whole campaign file."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=100, description="Lower case, digits, - and _; names a folder."
    )
    description: str = Field(default="", max_length=10_000)
    host: HostSpec
    grid: GridSpec
    stages: Stages = Stages()
    ranking: RankingSpec = RankingSpec()

    @model_validator(mode="after")
    def _criteria_have_stages(self) -> CampaignSpec:
        for name in self.ranking.criteria:
            stage = CRITERIA[name].stage
            if stage not in self.stages.names:
                raise InputError(f"ranking: criterion {name!r} is of stage {stage!r}, which stages lack")
        return self

    @model_validator(mode="after")
    def _storable(self) -> CampaignSpec:
        # numbers in quotes have any size, and the free part of an INCAR anything in it
        for place, value in _values(self.model_dump(mode="json")):
            if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
                raise InputError(f"{place}: integers up to {LARGEST_INTEGER:,} are allowed")
        return self


def _values(content: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value that holds no other, with its dotted place."""
    if isinstance(content, dict | list):
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from _values(value, f"{place}.{key}" if place else str(key))
    else:
        yield place, content


def load_campaign(path: Path) -> CampaignSpec:
    """Read a campaign file.

    Raises
    ------
    InputError
        No such file, not YAML, a misspelt key, a value out of range: one line that names it.
    """
    content = read_mapping(path, "campaign", "name, host and grid")
    return parse_campaign(content, where=str(path), folder=path.parent)


def parse_campaign(content: dict[str, Any], where: str, folder: Path) -> CampaignSpec:
    """Return the campaign that a mapping describes; a host's CIF is looked up from `folder`."""
    try:
        spec = CampaignSpec.model_validate(content)
        spec = spec.model_copy(update={"host": spec.host.with_cif_text(folder)})
        spec.host.read().check_supercell(spec.grid.supercell)
        return spec
    except ValidationError as error:
        raise InputError(f"campaign {where}: {first_error(error, CampaignSpec)}") from None
    except InputError as error:
        raise InputError(f"campaign {where}: {one_line(str(error))}") from None
