"""The heatmap of a campaign as numbers: cations along x, the other grid axes along y, and what is still to come."""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from lzc_flows.errors import InputError
from lzc_flows.ranking.criteria import CRITERIA
from lzc_flows.ranking.spec import PRISTINE, SCORES
from lzc_flows.report.candidates import SCORE_LABELS, CampaignTable
from lzc_flows.report.heatmap import TOP, cation_order, natural_order

AWAITED, FAILED, UNBOUNDED = 0, 1, 2
"""Why a cell has no number: not known yet, a stage failed, or infinite (nothing percolates)."""


@dataclass(frozen=True)
class Heatmap:
    """A matrix of cells; rows are `y`, columns `x`; None where the grid has no candidate.

    Attributes
    ----------
    label, unit
        What `z` is.
    lower_is_better
        Whether the smallest is the best.
    z
        The numbers; None where there is none.
    state
        `AWAITED`, `FAILED` or `UNBOUNDED` where a candidate has no number.
    key
        The candidates.
    best
        Row and column of the best cells, the best first.
    known, total
        How many candidates have a number, and how many there are.
    """

    criterion: str
    label: str
    unit: str
    lower_is_better: bool
    x: list[str]
    y: list[str]
    z: list[list[float | None]]
    state: list[list[int | None]]
    key: list[list[str | None]]
    best: list[tuple[int, int]]
    known: int
    total: int

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


def criteria_of(table: CampaignTable) -> dict[str, str]:
    """Return what a heatmap of the table can show, with the words for it: scores first."""
    labels = {"performance_cost": "score: performance–cost", "performance": "score: performance"}
    return labels | {name: f"{CRITERIA[name].label} ({CRITERIA[name].unit})" for name in table.criteria}


def heatmap(table: CampaignTable, criterion: str, failed: Collection[str]) -> Heatmap:
    """Return the heatmap of a criterion or score.

    Of several candidates in one cell the best ranked is shown. The undoped host stands in all rows.

    Parameters
    ----------
    table
        The candidates.
    criterion
        One of `criteria_of`.
    failed
        Keys of the candidates of which a stage failed.

    Raises
    ------
    InputError
        No such criterion.
    """
    if criterion not in criteria_of(table):
        raise InputError(f"criterion {criterion!r}: allowed are {', '.join(criteria_of(table))}")
    rows = table.rows
    doped = rows[rows["cation"] != PRISTINE]
    x = sorted(set(rows["cation"]), key=_cation_order)
    y = sorted(set(doped["column"]), key=natural_order) or [""]
    column_of, row_of = ({name: number for number, name in enumerate(names)} for names in (x, y))
    z: list[list[float | None]] = [[None] * len(x) for _ in y]
    state: list[list[int | None]] = [[None] * len(x) for _ in y]
    key: list[list[str | None]] = [[None] * len(x) for _ in y]
    for name, cation, column, value in rows[["key", "cation", "column", criterion]].itertuples(index=False):
        place = column_of[cation]
        for line in range(len(y)) if cation == PRISTINE else (row_of[column],):
            if key[line][place] is None:  # the best ranked comes first
                key[line][place] = name
                z[line][place] = float(value) if math.isfinite(value) else None
                state[line][place] = None if math.isfinite(value) else _why(value, name in failed)
    known = int(rows[criterion].notna().sum())
    label, unit, lower = _words(criterion)
    by = rows[f"rank_{criterion}"] if criterion in SCORES else rows[criterion] * (1 if lower else -1)
    order = zip(rows["key"], pd.to_numeric(by, errors="coerce").to_numpy(float, na_value=math.nan), strict=True)
    best = _best(key, {name: float(place) for name, place in order if math.isfinite(place)})
    return Heatmap(criterion, label, unit, lower, x, y, z, state, key, best, known, len(rows))


def _best(key: list[list[str | None]], order: dict[str, float]) -> list[tuple[int, int]]:
    """Return the cells of the candidates that come first in an order; the host, in all rows, counts once."""
    cells: dict[str, tuple[float, int, int]] = {}
    for line, row in enumerate(key):
        for place, name in enumerate(row):
            if name is not None and name in order:
                cells.setdefault(name, (order[name], line, place))
    return [(line, place) for _, line, place in heapq.nsmallest(TOP, cells.values())]


def _why(value: float, has_failed: bool) -> int:
    if math.isinf(value):
        return UNBOUNDED
    return FAILED if has_failed else AWAITED


def _words(criterion: str) -> tuple[str, str, bool]:
    """Return label, unit (none for a score), and whether the smallest is the best."""
    if criterion in SCORES:
        return f"{SCORE_LABELS[criterion]} score", "", False
    found = CRITERIA[criterion]
    return found.label, found.unit, found.direction == "lower"


def _cation_order(cation: str) -> tuple[float, float, str]:
    """Return a key to sort by: charge, atomic number; what is no cation comes last."""
    try:
        return (*cation_order(cation), "")
    except InputError:
        return (math.inf, math.inf, cation)
