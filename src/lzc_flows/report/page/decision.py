"""The head of the report: which candidates to make, in a sentence for each score."""

from __future__ import annotations

from typing import Any

from lzc_flows.ranking.spec import SCORES, Score
from lzc_flows.report.candidates import SCORE_LABELS, best_rows
from lzc_flows.report.heatmap import TOP
from lzc_flows.report.page.certainty import is_certain
from lzc_flows.report.page.content import ReportContent
from lzc_flows.report.words import joined, name_of


def decision(content: ReportContent) -> list[str]:
    """Return a sentence for each score, or one that says why there is none."""
    table = content.table
    if table.problem:
        return [f"There is no ranking: {table.problem}."]
    if not table.ranked:
        return ["No candidate has all numbers that the ranking needs, so that none is ranked yet."]
    return [_sentence(content, score) for score in SCORES] + _remarks(content)


def _sentence(content: ReportContent, score: Score) -> str:
    rows = content.table.rows
    best = best_rows(rows, score, TOP)
    describe = _by_score if is_certain(content, score) else _by_score_and_rank
    names = [describe({str(k): v for k, v in row.items()}, score) for row in best.to_dict(orient="records")]
    ranked = int(rows[score].notna().sum())
    number = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}.get(len(best), str(len(best)))
    count = f"the best {number} of {ranked:,} ranked candidates" if len(best) < ranked else "the ranked candidates"
    return f"By {SCORE_LABELS[score]}, {count} are {joined(names)}."


def _by_score(row: dict[str, Any], score: Score) -> str:
    return f"{name_of(row['cation'], row['column'])} (score {row[score]:.2f})"


def _by_score_and_rank(row: dict[str, Any], score: Score) -> str:
    low, high = row[f"rank_{score}_low68"], row[f"rank_{score}_high68"]
    ranks = f"rank {low}" if low == high else f"rank {low} to {high}"
    share = f"{100 * row[f'top_probability_{score}']:.0f} %"
    return f"{name_of(row['cation'], row['column'])} (score {row[score]:.2f}, {ranks}, {share})"


def _remarks(content: ReportContent) -> list[str]:
    """Return what to know before reading the sentences."""
    rows, remarks = content.table.rows, []
    if all(is_certain(content, score) for score in SCORES):
        remarks.append("No uncertainty of a criterion is known, so that ranks have no intervals.")
    else:
        top = content.spec["ranking"].get("top", TOP)
        remarks.append(
            "Ranks are 68 % intervals by Monte Carlo over the stated uncertainties of the criteria; the percentage is "
            f"that of samples in which a candidate is among the best {top}."
        )
    tiers = [tier for tier in rows["tier"].unique() if tier]
    if len(tiers) > 1:
        remarks.append(
            f"Candidates are compared with those that were looked at as deeply ({joined(tiers)}): the deepest come "
            "first, and scores of different tiers are not of one scale."
        )
    return remarks
