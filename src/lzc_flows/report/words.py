"""Words for candidates and numbers, as people write them."""

from __future__ import annotations

import re
from typing import Any

from lzc_flows.ranking.spec import PRISTINE

_RAISED = str.maketrans("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")
_LOWERED = str.maketrans("0123456789.", "₀₁₂₃₄₅₆₇₈₉.")


def ion(text: str) -> str:
    """Return an ion with its charge raised, such as ``Ti³⁺``; another text as it is."""
    return re.sub(r"(?<=[A-Za-z])\d*[+-]$", lambda charge: charge[0].translate(_RAISED), text)


def chemical(formula: str) -> str:
    """Return a formula with its numbers lowered, such as ``Li₂ZrCl₆``; another text as it is."""
    if not re.fullmatch(r"([A-Z][a-z]?(\d+(\.\d+)?)?)+", formula):
        return formula
    return formula.translate(_LOWERED)


def name_of(cation: str, column: str) -> str:
    """Return a candidate by its place on the heatmap."""
    return "undoped host" if cation == PRISTINE else f"{ion(cation)} on {column}"


def joined(parts: list[str]) -> str:
    """Return a list as it is spoken: commas, and an "and" before the last."""
    return ", ".join(parts[:-1]) + f" and {parts[-1]}" if len(parts) > 1 else "".join(parts)


def plain(value: Any) -> Any:
    """Return Python's own number for one of numpy's or pandas'."""
    return value.item() if hasattr(value, "item") else value
