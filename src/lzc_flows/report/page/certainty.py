"""How certain the ranking is: rank intervals, and what other weights would do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lzc_flows.ranking.criteria import CRITERIA
from lzc_flows.ranking.spec import SCORES, RankingSpec, Score
from lzc_flows.report.candidates import SCORE_LABELS, best_rows
from lzc_flows.report.curves import Curves
from lzc_flows.report.neb import COLORS
from lzc_flows.report.page.content import ReportContent
from lzc_flows.report.page.rows import bars_between, dots, row_figure
from lzc_flows.report.words import name_of, plain

SHOWN = 20
"""Candidates in a figure."""


@dataclass(frozen=True)
class Stated:
    """How far a criterion of the ranking may be off, and where that is from."""

    criterion: str
    label: str
    size: str
    reason: str


def is_certain(content: ReportContent, score: Score) -> bool:
    """Whether no rank can be another: there are no intervals, or no value has an uncertainty."""
    rows = content.table.rows
    name = f"rank_{score}_low95"
    return name not in rows or bool((rows[name] == rows[f"rank_{score}_high95"]).fillna(True).all())


def uncertainties(content: ReportContent) -> list[Stated]:
    """Return how far the criteria of the ranking may be off; empty where there is no ranking."""
    if content.table.problem:
        return []
    spec = RankingSpec(**content.spec["ranking"])
    found = []
    for name in spec.criteria:
        stated = spec.uncertainty_of(name)
        std = getattr(stated, "std", None)
        size = "the interval of each value" if std is None else f"{std:g} {CRITERIA[name].unit}" if std else "none"
        found.append(Stated(name, CRITERIA[name].label, size, stated.reason))
    return found


def certainty_figures(content: ReportContent) -> dict[str, Curves]:
    """Return the figures by names for files: rank intervals by either score; for each tier what weights would do."""
    found = {f"ranks-{score}": _intervals(content, score) for score in SCORES if not is_certain(content, score)}
    names = {row["key"]: name_of(row["cation"], row["column"]) for row in content.records}
    for tier in content.table.sensitivity:
        if tier["first"] or tier["top"]:
            found[f"weights-{tier['tier']}"] = _shares(tier, names)
        if tier["cost_weight"]:
            found[f"cost-weight-{tier['tier']}"] = _winners(tier, names)
    return found


def _intervals(content: ReportContent, score: Score) -> Curves:
    """Return a dot for the rank of each of the best, with its 68 % and 95 % intervals."""
    best = best_rows(content.table.rows, score, SHOWN)
    names = [name_of(cation, column) for cation, column in zip(best["cation"], best["column"], strict=True)]
    ranks = [int(rank) for rank in best[f"rank_{score}"]]
    ends = {end: [plain(one) for one in best[f"rank_{score}_{end}"]] for end in ("low68", "high68", "low95", "high95")}
    places = list(range(len(names)))
    chance = [
        f"{name}: among the best with {100 * one:.0f} %" for name, one in zip(names, _top(best, score), strict=True)
    ]
    wide = dots("95 % of the samples", ranks, places, COLORS[5]) | {
        "error_x": bars_between(ranks, ends["low95"], ends["high95"], 2)
    }
    narrow = dots("68 %, and the rank itself", ranks, places, COLORS[0]) | {
        "error_x": bars_between(ranks, ends["low68"], ends["high68"], 5)
    }
    for trace in (wide, narrow):
        trace |= {"text": chance, "hovertemplate": "%{text}<br>rank %{x}<extra></extra>"}
    title = f"by {SCORE_LABELS[score]}"
    return row_figure("Rank intervals", title, names, [wide, narrow], {"title": {"text": "Rank (1 is the best)"}})


def _top(best: Any, score: Score) -> list[float]:
    return [float(one) for one in best[f"top_probability_{score}"]]


def _shares(tier: Mapping[str, Any], names: Mapping[str, str]) -> Curves:
    """Return for each candidate the share of all weights for which it wins, and is among the best."""
    keys = sorted(tier["top"], key=lambda key: (-tier["first"].get(key, 0.0), -tier["top"][key]))[:SHOWN]
    shown = [names.get(key, key) for key in keys]
    places = range(len(keys))
    data = [
        dots("wins", [tier["first"].get(key, 0.0) for key in keys], places, COLORS[1], "diamond"),
        dots("is among the best", [tier["top"][key] for key in keys], places, COLORS[0]),
    ]
    for trace in data:
        trace |= {"text": shown, "hovertemplate": "%{text}<br>%{x:.3f}<extra></extra>"}
    title = f"share of all weights of {len(tier['criteria'])} criteria, tier {tier['tier']}"
    scale = {"title": {"text": "Share of all weights"}, "range": [-0.03, 1.03]}
    return row_figure("Sensitivity to weights", title, shown, data, scale)


def _winners(tier: Mapping[str, Any], names: Mapping[str, str]) -> Curves:
    """Return who wins as the weight of the cost goes from 0 to 1, a line from where to where for each."""
    winners = tier["cost_weight"]
    shown = [names.get(one["key"], one["key"]) for one in winners]
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"{name}: {one['low']:.2f}–{one['high']:.2f}",
            "x": [one["low"], one["high"]],
            "y": [place, place],
            "line": {"color": COLORS[place % len(COLORS)], "width": 9},
        }
        for place, (name, one) in enumerate(zip(shown, winners, strict=True))
    ]
    scale = {"title": {"text": "Weight of the cost"}, "range": [-0.03, 1.03]}
    return row_figure("Winner by cost weight", f"tier {tier['tier']}", shown, data, scale)
