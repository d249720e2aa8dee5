"""The table of all candidates as data for the page's script, which sorts, filters and pages it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lzc_flows.ranking.criteria import CRITERIA
from lzc_flows.ranking.spec import SCORES
from lzc_flows.report.candidates import SCORE_LABELS
from lzc_flows.report.numbers import number_text
from lzc_flows.report.page.certainty import is_certain
from lzc_flows.report.page.content import ReportContent
from lzc_flows.report.page.missing import what_is_missing
from lzc_flows.report.words import plain

PAGE_ROWS = 50
"""Rows of a page of the table."""

NO_NUMBER = "–"

MISSING = "missing"
"""The column that says in words what the ranking of a candidate lacks, and why."""


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes
    ----------
    name
        Of the field, or of what `lzc_flows.ranking` adds.
    label
        Its words, with the unit.
    is_number
        Whether it is sorted and filtered as numbers.
    """

    name: str
    label: str
    is_number: bool = True


def columns_of(content: ReportContent) -> list[Column]:
    """Return the columns that the table has, those left out of which nothing is known."""
    there = content.table.rows.columns
    found = [
        Column("rank_performance_cost", "Rank"),
        Column("rank_performance", "Rank by performance"),
        Column("key", "Candidate", is_number=False),
        Column("cation", "Cation", is_number=False),
        Column("column", "Site and anion", is_number=False),
        Column("formula", "Formula", is_number=False),
        *([Column("tier", "Tier", is_number=False)] if _tiers(content) > 1 else []),
        *(Column(score, SCORE_LABELS[score].capitalize()) for score in SCORES),
        *_certainty(content),
        *(Column(name, f"{CRITERIA[name].label} ({CRITERIA[name].unit})") for name in content.table.criteria),
    ]
    lacks = any(what_is_missing(content, row) for row in content.records)
    missing = [Column(MISSING, "Missing", is_number=False)] if lacks else []
    return [column for column in found if column.name in there] + missing


def _tiers(content: ReportContent) -> int:
    rows = content.table.rows
    return rows["tier"].nunique() if "tier" in rows else 0


def _certainty(content: ReportContent) -> list[Column]:
    """Return what is known of the certainty of ranks."""
    if is_certain(content, "performance_cost"):
        return []
    return [
        Column("rank_performance_cost_low68", "Rank, 68 %: from"),
        Column("rank_performance_cost_high68", "Rank, 68 %: to"),
        Column("top_probability_performance_cost", "Probability of the top by performance–cost"),
        Column("top_probability_performance", "Probability of the top by performance"),
    ]


def table_data(content: ReportContent) -> dict[str, Any]:
    """Return columns and rows; an infinite number is the text "inf", a missing one null."""
    columns = columns_of(content)
    cells = [
        [
            what_is_missing(content, row) if column.name == MISSING else _cell(row[column.name])
            for row in content.records
        ]
        for column in columns
    ]
    return {
        "columns": [{"name": one.name, "label": one.label, "number": one.is_number} for one in columns],
        "rows": [list(row) for row in zip(*cells, strict=True)],
        "page_rows": PAGE_ROWS,
    }


def first_rows(content: ReportContent) -> list[list[str]]:
    """Return the first page of the table in words, for the page as it is before its script runs."""
    columns = columns_of(content)
    return [
        [what_is_missing(content, row) if column.name == MISSING else _text(row[column.name]) for column in columns]
        for row in content.records[:PAGE_ROWS]
    ]


def _cell(value: Any) -> Any:
    if pd.isna(value):
        return None
    value = plain(value)
    return "inf" if isinstance(value, float) and math.isinf(value) else value


def _text(value: Any) -> str:
    return NO_NUMBER if pd.isna(value) else number_text(plain(value))
