"""A campaign's candidates as one table: what is planned of them, what is known, scores and ranks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from pydantic import ValidationError

from lzc_flows.errors import InputError
from lzc_flows.ranking.assessment import Assessment, assess
from lzc_flows.ranking.criteria import CRITERIA
from lzc_flows.ranking.spec import SCORES, RankingSpec, Score, describe
from lzc_flows.ranking.tiers import rank_in_tiers

SCORE_LABELS = {"performance": "performance", "performance_cost": "performance–cost"}
"""The scores in words."""

IDENTITY = ("key", "cation", "column", "formula")
"""Columns that say which candidate a row is."""


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
        One row a candidate, best first: `key`, `cation`, `column`, `formula`, the names of the stages that are `done`,
        joined by semicolons, and their number (`stages_done`), every criterion, NaN where missing, and what
        `lzc_flows.ranking` adds.
    formulas
        The two scores in one line each.
    problem
        Why there are no scores, in one line; empty if there are.
    sensitivity
        For each tier what other weights would do, as `lzc_flows.ranking.assessment` says; empty where not asked for.
    """

    campaign: str
    description: str
    stages: tuple[str, ...]
    criteria: tuple[str, ...]
    rows: pd.DataFrame
    formulas: dict[str, str]
    problem: str
    sensitivity: list[dict[str, Any]] = field(default_factory=list)

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


def scored(campaign: str, spec: Mapping[str, Any], table: pd.DataFrame) -> CampaignTable:
    """Return the candidates with the scores and ranks of the campaign's own ranking.

    Parameters
    ----------
    campaign
        Name of the campaign.
    spec
        Its file, as it was submitted.
    table
        One row a candidate: the columns of `IDENTITY`, `stages_done`, and those that a ranking in tiers takes.
    """
    return _ranked(
        campaign, spec, table, lambda table, ranking: Assessment(rank_in_tiers(table, ranking).table, [], [])
    )


def assessed(campaign: str, spec: Mapping[str, Any], table: pd.DataFrame) -> CampaignTable:
    """Return the same with rank intervals, Pareto front and sensitivity to weights, which takes some seconds."""
    return _ranked(campaign, spec, table, assess)


def best_rows(rows: pd.DataFrame, score: Score, most: int) -> pd.DataFrame:
    """Return the best rows by a score, the best first, those without a score left out."""
    scored = rows[rows[score].notna()]
    return scored.sort_values(f"rank_{score}", kind="stable").head(most)  # equal ones stay in the table's order


def _ranked(
    campaign: str,
    spec: Mapping[str, Any],
    table: pd.DataFrame,
    assess_by: Callable[[pd.DataFrame, RankingSpec], Assessment],
) -> CampaignTable:
    stages = tuple(name for name, stage in (spec.get("stages") or {}).items() if stage is not None)
    problem, formulas, criteria = "", {}, []
    assessment = Assessment(table, [], [])
    try:
        ranking = RankingSpec(**spec["ranking"])
        criteria = ranking.criteria
        assessment = assess_by(table, ranking)
        formulas = describe(ranking)
        more = [name for name in table.columns if name == "key" or name not in assessment.table.columns]
        table = assessment.table.merge(table[more], on="key", how="left", sort=False)
    except (InputError, ValidationError, KeyError, TypeError) as error:
        problem = error.args[0] if isinstance(error, InputError) else "the campaign's ranking cannot be read"
        empty: dict[str, Any] = dict.fromkeys(SCORES, math.nan) | {f"rank_{score}": pd.NA for score in SCORES}
        table = table.assign(**empty).sort_values("key").reset_index(drop=True)
    others = [name for name in CRITERIA if name not in criteria and table[name].notna().any()]
    description = str(spec.get("description") or "")
    known = (*criteria, *others)
    return CampaignTable(campaign, description, stages, known, table, formulas, problem, assessment.sensitivity)
