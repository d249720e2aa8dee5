"""The table of candidates as a page shows it: filtered, sorted, cut into pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lzc_flows.errors import InputError
from lzc_flows.report.candidates import IDENTITY, CampaignTable

SOURCES = {"rank": "rank_performance_cost", "done": "stages_done"}
"""Columns that go by another name in the candidates' table."""

PAGE_ROWS = 50
"""Rows of a page of the table."""


@dataclass(frozen=True)
class View:
    """Which rows of a table are looked at, and in which order.

    Attributes
    ----------
    text
        Words, all of which must occur in a row's key, formula, cation or column; capitals count in words that have
        them.
    sort
        Column to sort by; descending with a minus before it.
    page
        Number of the page, from 1.
    """

    text: str = ""
    sort: str = "rank"
    page: int = 1

    @property
    def column(self) -> str:
        """Column to sort by."""
        return self.sort.removeprefix("-")

    @property
    def descending(self) -> bool:
        """Whether the largest comes first."""
        return self.sort.startswith("-")

    def query(self, **changes: Any) -> dict[str, str]:
        """Return the view as words of an address, with some changes."""
        chosen = {"q": self.text, "sort": self.sort, "page": str(self.page)} | {k: str(v) for k, v in changes.items()}
        default = {"q": "", "sort": "rank", "page": "1"}
        return {name: value for name, value in chosen.items() if value != default[name]}


@dataclass(frozen=True)
class TablePage:
    """The rows of a view: those of its page, how many match and on how many pages."""

    rows: list[dict[str, Any]]
    matching: int
    pages: int
    view: View


def look(table: CampaignTable, view: View) -> TablePage:
    """Return the rows of a view of a table; a page beyond the last is the last.

    Raises
    ------
    InputError
        There is no such column.
    """
    if view.column not in table.columns:
        raise InputError(f"sort {view.sort!r}: allowed are {', '.join(table.columns)}, with a minus for descending")
    rows = table.rows
    if view.text.strip():
        texts = rows["key"].str.cat([rows[name] for name in IDENTITY[1:]], sep=" ")
        for word in view.text.split():
            # Ti is titanium, not a part of "pristine"
            rows = rows[texts[rows.index].str.contains(word, regex=False, case=word != word.lower())]
    if view.sort != "rank":  # the table's own order
        by = SOURCES.get(view.column, view.column)
        rows = rows.sort_values(by, ascending=not view.descending, na_position="last", kind="stable")
    pages = max(1, -(-len(rows) // PAGE_ROWS))
    page = min(max(view.page, 1), pages)
    shown = rows.iloc[(page - 1) * PAGE_ROWS : page * PAGE_ROWS].to_dict(orient="records")
    return TablePage([_cells(row, table) for row in shown], len(rows), pages, View(view.text, view.sort, page))


def _cells(row: Mapping[Any, Any], table: CampaignTable) -> dict[str, Any]:
    """Return a row of plain values, None where missing."""
    names = {name: name for name in table.columns} | SOURCES
    values = {name: row[source] for name, source in names.items()}
    return {name: None if pd.isna(value) else _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
