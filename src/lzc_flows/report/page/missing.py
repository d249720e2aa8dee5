"""Why a candidate has no number, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lzc_flows.ranking.criteria import CRITERIA
from lzc_flows.ranking.spec import SCORES
from lzc_flows.report.page.content import ReportContent

NO_WAY = "nothing percolates: the barrier is infinite"


def why_missing(content: ReportContent, row: Mapping[str, Any], name: str) -> str:
    """Return why a row of the table has no finite number of a criterion or score; empty where it has one.

    Parameters
    ----------
    content
        The campaign.
    row
        A row of its table.
    name
        A criterion, or a score, which lacks what criteria lack.
    """
    value = row[name]
    if value is not None and math.isfinite(value):
        return ""
    if value is not None and math.isinf(value):
        return NO_WAY
    if name in SCORES:
        return _of_score(content, row)
    return _of_criterion(content, row, name)


def what_is_missing(content: ReportContent, row: Mapping[str, Any]) -> str:
    """Return which criteria of the ranking a row of the table lacks, each with the reason; empty for none."""
    lacking = [name for name in str(row.get("missing") or "").split(";") if name in CRITERIA]
    return "; ".join(f"{CRITERIA[name].label}: {_of_criterion(content, row, name)}" for name in lacking)


def _of_score(content: ReportContent, row: Mapping[str, Any]) -> str:
    if content.table.problem:
        return f"no scores: {content.table.problem}"
    lacking = what_is_missing(content, row)
    return f"lacks {lacking}" if lacking else "no score"


def _of_criterion(content: ReportContent, row: Mapping[str, Any], name: str) -> str:
    stage = CRITERIA[name].stage
    if stage in str(row["done"]).split(";"):
        return "an element has no price" if name == "cost_usd_per_kg" else f"{stage} ended without this number"
    failed = content.failures.get(row["key"], {})
    if failed:
        first, reason = next(iter(failed.items()))
        return f"{first} failed: {reason}" if reason else f"{first} failed"
    if stage not in content.table.stages:
        return f"the campaign has no stage {stage}"
    most = (content.spec["stages"][stage] or {}).get("top")
    return f"{stage} runs for the best {most} only" if most else f"{stage} has not run yet"
