"""What each stage did, with the campaign's own numbers and the sources of the formulas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from pydantic import BaseModel

from lzc_flows.documents.aimd_protocol import AimdProtocol
from lzc_flows.documents.electronic import ElectronicProtocol
from lzc_flows.documents.protocols import BvseProtocol, HopProtocol, NebProtocol, OrderProtocol, RelaxProtocol
from lzc_flows.report.numbers import number_text
from lzc_flows.report.page.content import ReportContent


@dataclass(frozen=True)
class StageWords:
    """What a stage does, in words that hold for every campaign.

    Attributes
    ----------
    title
        Its name for readers.
    text
        What it does.
    formulas
        What its numbers follow from, a line each.
    sources
        Where method and formulas are from.
    """

    title: str
    text: str
    formulas: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setting:
    """A number of a protocol with what it means."""

    name: str
    value: str
    description: str


@dataclass(frozen=True)
class StageMethod:
    """A stage as this campaign ran it."""

    stage: str
    words: StageWords
    engine: str
    engines: tuple[str, ...]
    gate: str
    settings: tuple[Setting, ...]


_PROTOCOLS: dict[tuple[str, str], type[BaseModel]] = {
    ("order", "protocol"): OrderProtocol,
    ("relax", "protocol"): RelaxProtocol,
    ("bvse", "protocol"): BvseProtocol,
    ("aimd", "protocol"): AimdProtocol,
    ("arrhenius", "protocol"): AimdProtocol,
    ("cineb", "protocol"): NebProtocol,
    ("cineb", "hops"): HopProtocol,
    ("electronic", "protocol"): ElectronicProtocol,
}
"""What says what a protocol's numbers mean, by stage and key."""

_ELSEWHERE = ("engine", "top")


@cache
def stage_words() -> dict[str, StageWords]:
    """Return every stage in words; one that is not there stands with its name and its numbers."""
    content = yaml.safe_load((files("lzc_flows.data") / "stage_words.yaml").read_text(encoding="utf-8"))
    return {
        stage: StageWords(one["title"], one["text"], tuple(one.get("formulas", ())), tuple(one.get("sources", ())))
        for stage, one in content.items()
    }


def methods(content: ReportContent) -> list[StageMethod]:
    """Return the stages of the campaign, in their order."""
    return [_method(content, stage, content.spec["stages"][stage] or {}) for stage in content.table.stages]


def grid_settings(content: ReportContent) -> list[Setting]:
    """Return the host and the doping grid as they were asked for."""
    host = content.spec.get("host")
    name = host.get("name") if isinstance(host, Mapping) else host
    grid = [
        Setting(key, _text(value), "") for key, value in (content.spec.get("grid") or {}).items() if value is not None
    ]
    return [Setting("host", str(name), ""), *grid]


def _method(content: ReportContent, stage: str, spec: Mapping[str, Any]) -> StageMethod:
    words = stage_words().get(stage, StageWords(stage.capitalize(), ""))
    engine = spec.get("engine")
    name = engine.get("name", "") if isinstance(engine, Mapping) else engine
    gate = (
        f"Only the best {spec['top']} by performance, as far as it was known before, ran it." if spec.get("top") else ""
    )
    return StageMethod(
        stage, words, str(name or ""), content.engines.get(stage, ()), gate, tuple(_settings(stage, spec))
    )


def _settings(stage: str, spec: Mapping[str, Any]) -> Iterator[Setting]:
    for part, content in spec.items():
        if part in _ELSEWHERE or content is None:
            continue
        if not isinstance(content, Mapping):
            yield Setting(part, _text(content), "")
            continue
        model = _PROTOCOLS.get((stage, part))
        for name, value in content.items():
            info = model.model_fields.get(name) if model else None
            yield Setting(name, _text(value), (info.description or "") if info else "")


def _text(value: Any) -> str:
    """Return a setting as it is read; of segments and the like each entry in one line."""
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_text(entry)}" for name, entry in value.items() if entry is not None)
    if isinstance(value, list | tuple) and any(isinstance(entry, Mapping | list) for entry in value):
        return " | ".join(_text(entry) for entry in value)
    return number_text(value)
