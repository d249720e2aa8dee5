"""The best candidates, each with its numbers, crystals, curves and where all of it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymatgen.core import Structure

from lzc_flows.ranking.spec import SCORES
from lzc_flows.report.crystal import structure_json
from lzc_flows.report.numbers import Number, numbers_of
from lzc_flows.report.page.content import CandidateDetail, ReportContent
from lzc_flows.report.words import name_of


@dataclass(frozen=True, eq=False)
class CandidateSection:
    """A candidate as the page shows it.

    Attributes
    ----------
    title
        Its place on the heatmap, in words.
    ranks
        Its rank by each score that it has.
    crystals
        The words for its crystals.
    data
        What the page's script draws: crystals and curves as Plotly figures.
    problem
        Why its crystal cannot be drawn; empty if it can.
    """

    detail: CandidateDetail
    title: str
    ranks: Mapping[str, int]
    numbers: tuple[Number, ...]
    crystals: tuple[str, ...]
    data: dict[str, Any]
    problem: str


def candidate_sections(content: ReportContent) -> list[CandidateSection]:
    """Return a section for each detailed candidate, in the order of the content."""
    rows = {row["key"]: row for row in content.records}
    return [_section(detail, rows.get(detail.key, {})) for detail in content.details]


def _section(detail: CandidateDetail, row: Mapping[str, Any]) -> CandidateSection:
    summary = detail.summary
    figures, problem = _figures(detail.crystals)
    ranks: dict[str, int] = {
        str(score): int(row[f"rank_{score}"]) for score in SCORES if row and row[score] == row[score]
    }
    return CandidateSection(
        detail=detail,
        title=name_of(str(summary.get("cation_axis")), str(summary.get("column"))),
        ranks=ranks,
        numbers=tuple(number for number in numbers_of(summary) if number.value is not None),
        crystals=tuple(figures),
        data={"crystals": list(figures.values()), "curves": [curves.as_json() for curves in detail.curves]},
        problem=problem,
    )


def _figures(crystals: Mapping[str, Structure]) -> tuple[dict[str, Any], str]:
    """Return the crystals that can be drawn as Plotly figures, and why one cannot."""
    figures, problem = {}, ""
    for words, structure in crystals.items():
        try:
            figures[words] = json.loads(structure_json(structure))
        except (ValueError, KeyError) as error:
            problem = f"The crystal ({words}) cannot be drawn: {error}"
    return figures, problem
