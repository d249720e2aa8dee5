"""The heatmaps of a report: which candidate each cell shows, and for every score and criterion why cells are empty."""

from __future__ import annotations

from typing import Any

from lzc_flows.report.matrix import Heatmap, criteria_of, heatmap
from lzc_flows.report.page.content import ReportContent
from lzc_flows.report.page.missing import why_missing


def heatmaps(content: ReportContent) -> dict[str, Any]:
    """Return the axes, the row of the table that each cell shows, and a layer for each score and criterion.

    The numbers are those of the table. A layer's `missing` has line, place, state and the index of a reason in
    `reasons` for each cell of a candidate that has none.
    """
    table = content.table
    layers = {name: heatmap(table, name, content.failures) for name in criteria_of(table)}
    first = next(iter(layers.values()))
    row_of = {key: number for number, key in enumerate(table.rows["key"])}
    return {
        "x": first.x,
        "y": first.y,
        "row": [[None if key is None else row_of[key] for key in line] for line in first.key],
        "layers": {name: _layer(content, found, row_of) for name, found in layers.items()},
    }


def _layer(content: ReportContent, found: Heatmap, row_of: dict[str, int]) -> dict[str, Any]:
    reasons: dict[str, int] = {}
    missing = []
    for line, (keys, states) in enumerate(zip(found.key, found.state, strict=True)):
        for place, (key, state) in enumerate(zip(keys, states, strict=True)):
            if key is not None and state is not None:
                reason = why_missing(content, content.records[row_of[key]], found.criterion)
                missing.append((line, place, state, reasons.setdefault(reason, len(reasons))))
    return {
        "label": found.label,
        "unit": found.unit,
        "lower_is_better": found.lower_is_better,
        "best": found.best,
        "known": found.known,
        "total": found.total,
        "missing": missing,
        "reasons": list(reasons),
    }
