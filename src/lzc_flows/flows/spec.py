"""The campaign file: a host, a grid, stages with their engines and protocols, a ranking."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator

from lzc_flows.crystal.doping import GridSpec
from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.crystal.ions import parse_ion
from lzc_flows.documents.model import FrozenModel
from lzc_flows.documents.protocols import BvseProtocol, OrderProtocol, RelaxProtocol
from lzc_flows.errors import InputError
from lzc_flows.ranking.score import RankingSpec
from lzc_flows.transport.conventions import CONVENTIONS

EngineName = Literal["chgnet", "nep"]


class OrderStage(FrozenModel):
    """The order stage: which engine relaxes the shortlist, and how."""

    engine: EngineName = "nep"
    protocol: OrderProtocol = OrderProtocol()


class RelaxStage(FrozenModel):
    """The relax stage."""

    engine: EngineName = "chgnet"
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


class Stages(FrozenModel):
    """What runs for every candidate, in this order; the next stage starts where the one before succeeded."""

    order: OrderStage = OrderStage()
    relax: RelaxStage = RelaxStage()
    bvse: BvseStage = BvseStage()


STAGES = tuple(Stages.model_fields)
"""Names of the stages, in the order in which they run."""


class CampaignSpec(FrozenModel):
    """A whole campaign file."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Lower case, digits, - and _.")
    description: str = ""
    host: HostSpec
    grid: GridSpec
    stages: Stages = Stages()
    ranking: RankingSpec = RankingSpec()

    @property
    def engines(self) -> tuple[str, ...]:
        """Names of the engines that the campaign needs."""
        return tuple(dict.fromkeys((self.stages.order.engine, self.stages.relax.engine)))


class _StrictLoader(yaml.SafeLoader):
    """YAML whose keys stand once: of two, PyYAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for number, key in enumerate(keys):
            if any(key.value == other.value for other in keys[:number]):
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} stands twice", key.start_mark)
        return super().construct_mapping(node, deep)


def load_campaign(path: Path) -> CampaignSpec:
    """Read a campaign file.

    Raises
    ------
    InputError
        No such file, not YAML, a misspelt key, a value out of range: one line that names it.
    """
    if not path.is_file():
        raise InputError(f"campaign {path}: no such file")
    try:
        content = yaml.load(path.read_text(), _StrictLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"campaign {path}: not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise InputError(f"campaign {path}: a mapping with name, host and grid is allowed")
    return parse_campaign(content, where=str(path), folder=path.parent)


def parse_campaign(content: dict[str, Any], where: str, folder: Path) -> CampaignSpec:
    """Return the campaign that a mapping describes; a host's CIF is looked up from `folder`."""
    try:
        spec = CampaignSpec.model_validate(content)
        return spec.model_copy(update={"host": spec.host.with_cif_text(folder)})
    except ValidationError as error:
        raise InputError(f"campaign {where}: {_one_line(error)}") from None
    except InputError as error:
        raise InputError(f"campaign {where}: {error}") from None


def _one_line(error: ValidationError) -> str:
    """Return the first error as one line that names the key and what is allowed."""
    # a misspelt key that is required is also a missing one: its spelling is what helps
    unknown = [entry for entry in error.errors() if entry["type"] == "extra_forbidden"]
    first = (unknown or error.errors())[0]
    location = ".".join(str(part) for part in first["loc"])
    if first["type"] != "extra_forbidden":
        value = "" if first["type"] == "missing" else f" (given: {first['input']!r})"
        return f"{location}: {first['msg'].removeprefix('Value error, ')}{value}"
    allowed = _allowed_keys(first["loc"])
    given = str(first["loc"][-1])
    # a key without its unit is far from the whole one by its letters
    near = difflib.get_close_matches(given, allowed, n=1) or [key for key in allowed if key.startswith(given)]
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{location}: unknown key; {hint}allowed are {', '.join(allowed)}"


def _allowed_keys(location: tuple[int | str, ...]) -> list[str]:
    model: Any = CampaignSpec
    for part in location[:-1]:
        model = model.model_fields[str(part)].annotation
    return list(model.model_fields)
