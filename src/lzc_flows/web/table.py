"""A campaign's candidates as one table: what is planned of them, what is known, scores and ranks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pydantic import ValidationError

from lzc_flows.database.plans import campaign_document
from lzc_flows.database.stores import CANDIDATES, PLAN, Database
from lzc_flows.errors import InputError
from lzc_flows.ranking.criteria import CRITERIA
from lzc_flows.ranking.score import SCORES, RankingSpec, describe, rank

SCORE_LABELS = {"performance": "performance", "performance_cost": "performance–cost"}
"""The scores in words."""

PAGE_ROWS = 50
"""Rows of a page of the table."""

_IDENTITY = ("key", "cation", "column", "formula")


@dataclass(frozen=True, eq=False)
class CampaignTable:
    """The candidates of a campaign.

    Attributes
    ----------
    campaign
        Name of the campaign.
    description
        What its file says of it.
    stages
        Names of its stages, in their order.
    criteria
        Names of the criteria: the ranking's, then others of which something is known.
    rows
        One row a candidate, best first: `key`, `cation`, `column`, `formula`, `done` (stages), every criterion, NaN
        where missing, and what `lzc_flows.ranking.score.rank` adds.
    formulas
        The two scores in one line each.
    problem
        Why there are no scores, in one line; empty if there are.
    """

    campaign: str
    description: str
    stages: tuple[str, ...]
    criteria: tuple[str, ...]
    rows: pd.DataFrame
    formulas: dict[str, str]
    problem: str

    @property
    def ranked(self) -> int:
        """Number of candidates with a score."""
        return int(self.rows["performance_cost"].count())

    @property
    def columns(self) -> dict[str, str]:
        """Columns of the table that can be sorted by, with their words."""
        words = {
            "rank": "Rank",
            "key": "Candidate",
            "cation": "Cation",
            "column": "Site and anion",
            "formula": "Formula",
        }
        words |= {score: SCORE_LABELS[score].capitalize() for score in SCORES}
        words |= {name: f"{CRITERIA[name].label} ({CRITERIA[name].unit})" for name in self.criteria}
        return {**words, "done": "Stages done"}


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


def read_table(database: Database, campaign: str) -> CampaignTable:
    """Return a campaign's candidates as the database has them.

    Raises
    ------
    InputError
        No such campaign.
    """
    spec = campaign_document(database, campaign)["spec"]
    stages = tuple(name for name, stage in (spec.get("stages") or {}).items() if stage is not None)
    plan = database.collection(PLAN).find(
        {"campaigns": campaign}, {"_id": False, **dict.fromkeys(("key", "cation_axis", "column", "formula"), True)}
    )
    wanted = [*CRITERIA, *(f"stages.{stage}.index" for stage in stages)]
    known = {
        summary["key"]: summary
        for summary in database.collection(CANDIDATES).find(
            {"campaigns": campaign}, {"_id": False, "key": True, **dict.fromkeys(wanted, True)}
        )
    }
    table = pd.DataFrame([_row(entry, known.get(entry["key"], {})) for entry in plan])
    table = table.reindex(columns=[*_IDENTITY, "done", *CRITERIA])
    for name in CRITERIA:
        table[name] = pd.to_numeric(table[name], errors="coerce").astype(float)
    return _scored(campaign, spec, stages, table)


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
        texts = rows["key"].str.cat([rows[name] for name in _IDENTITY[1:]], sep=" ")
        for word in view.text.split():
            # Ti is titanium, not a part of "pristine"
            rows = rows[texts[rows.index].str.contains(word, regex=False, case=word != word.lower())]
    if view.sort != "rank":  # the table's own order
        by = "rank_performance_cost" if view.column == "rank" else view.column
        rows = rows.sort_values(by, ascending=not view.descending, na_position="last", kind="stable")
    pages = max(1, -(-len(rows) // PAGE_ROWS))
    page = min(max(view.page, 1), pages)
    shown = rows.iloc[(page - 1) * PAGE_ROWS : page * PAGE_ROWS].to_dict(orient="records")
    return TablePage([_cells(row, table) for row in shown], len(rows), pages, View(view.text, view.sort, page))


def _row(plan: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "key": plan["key"],
        "cation": str(plan.get("cation_axis")),
        "column": str(plan.get("column")),
        "formula": str(plan.get("formula")),
        "done": len(known.get("stages") or {}),
        **{name: known.get(name) for name in CRITERIA},
    }


def _scored(campaign: str, spec: Mapping[str, Any], stages: tuple[str, ...], table: pd.DataFrame) -> CampaignTable:
    problem, formulas, criteria = "", {}, []
    try:
        ranking = RankingSpec(**spec["ranking"])
        criteria = ranking.criteria
        ranked = rank(table, ranking)
        formulas = describe(ranking)
        table = ranked.merge(table.drop(columns=["cation", "column", *criteria]), on="key", how="left", sort=False)
    except (InputError, ValidationError, KeyError, TypeError) as error:
        problem = error.args[0] if isinstance(error, InputError) else "the campaign's ranking cannot be read"
        empty: dict[str, Any] = dict.fromkeys(SCORES, math.nan) | {f"rank_{score}": pd.NA for score in SCORES}
        table = table.assign(**empty).sort_values("key").reset_index(drop=True)
    others = [name for name in CRITERIA if name not in criteria and table[name].notna().any()]
    description = str(spec.get("description") or "")
    return CampaignTable(campaign, description, stages, (*criteria, *others), table, formulas, problem)


def _cells(row: Mapping[Any, Any], table: CampaignTable) -> dict[str, Any]:
    """Return a row of plain values, None where missing."""
    names = {name: name for name in table.columns} | {"rank": "rank_performance_cost"}
    values = {name: row[source] for name, source in names.items()}
    return {name: None if pd.isna(value) else _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
