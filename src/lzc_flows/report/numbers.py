"""The numbers of a candidate with what they mean, and numbers as they are read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lzc_flows.documents.candidate import CandidateDoc, PlannedCandidate

_ELSEWHERE = {"key", "stage_keys", "campaigns", "stages", "built_from", "corrections", "engines"}
"""Fields of a summary that pages show in places of their own, not among the numbers."""


@dataclass(frozen=True)
class Number:
    """A field of a summary, with what it means and its unit in words."""

    name: str
    value: Any
    description: str


def numbers_of(summary: Mapping[str, Any]) -> list[Number]:
    """Return the fields of a summary, results first, then what was planned; the value None where not known."""
    fields = sorted(CandidateDoc.model_fields.items(), key=lambda field: field[0] in PlannedCandidate.model_fields)
    return [Number(name, summary.get(name), info.description or "") for name, info in fields if name not in _ELSEWHERE]


def number_text(value: Any) -> str:
    """Return a value as it is read: numbers to four digits, none as a dash, lists by commas."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if math.isinf(value):
            return "∞"
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.4e}"
    if isinstance(value, list | tuple):
        return ", ".join(number_text(entry) for entry in value)
    return str(value)
