"""Performance against cost: which candidates nothing beats in both, tier by tier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lzc_flows.ranking.criteria import COST, TIERS
from lzc_flows.ranking.pareto import pareto_front
from lzc_flows.report.page.content import ReportContent


@dataclass(frozen=True)
class Front:
    """The candidates that reach a tier, which have performances that can be compared.

    Attributes
    ----------
    tier
        Its name.
    rows
        Places in the table of those that have a cost too.
    performance
        Of these, among all that reach the tier, 0 to 1.
    front
        Places in the table of those on the Pareto front, by rising cost.
    """

    tier: str
    rows: list[int]
    performance: list[float]
    front: list[int]


def fronts_of(content: ReportContent) -> list[Front]:
    """Return the front of each tier that has candidates, the deepest tier last."""
    rows = content.table.rows
    names = {tier: f"performance_at_{tier}" for tier in TIERS}
    return [_front(content, tier, name) for tier, name in names.items() if name in rows and rows[name].notna().any()]


def _front(content: ReportContent, tier: str, name: str) -> Front:
    rows = content.table.rows
    gains, costs = rows[name].to_numpy(float), rows[COST.name].to_numpy(float)
    there = np.flatnonzero(np.isfinite(gains) & np.isfinite(costs))
    front = np.flatnonzero(pareto_front(gains, costs))
    by_cost = sorted(front.tolist(), key=lambda place: (costs[place], place))
    return Front(tier, there.tolist(), gains[there].tolist(), by_cost)
