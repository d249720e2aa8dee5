"""Scores: weighted sums of normalised criteria, and the ranks that follow from them."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from lzc_flows.documents.model import FrozenModel
from lzc_flows.errors import InputError
from lzc_flows.ranking.criteria import COST, CRITERIA
from lzc_flows.ranking.normalise import NORMALISATIONS, NormalisationName

Score = Literal["performance", "performance_cost"]
SCORES: tuple[Score, ...] = ("performance", "performance_cost")

PRISTINE = "pristine"
"""The `cation` of the undoped reference."""

IDENTITY_COLUMNS = ("key", "cation", "column")

_Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_PERFORMANCE_CRITERIA = [name for name in CRITERIA if name != COST.name]


class RankingSpec(FrozenModel):
    """How candidates are ranked.

    performance = Σ wᵢ·nᵢ / Σ wᵢ over the normalised criteria nᵢ, and
    performance_cost = (1 − cost_weight)·performance + cost_weight·(normalised cost).
    """

    performance: dict[str, _Weight] = Field(
        default={"barrier_1d": 1.0, "barrier_3d": 1.0},
        min_length=1,
        description="Weight (> 0) of each criterion of the performance score; only their ratios matter.",
    )
    cost_weight: float = Field(
        default=0.5, ge=0, le=1, description="Share of the normalised cost in the performance–cost score."
    )
    normalisation: NormalisationName = Field(
        default="min-max", description="How each criterion is brought to [0, 1], 1 = best of the table."
    )

    @field_validator("performance")
    @classmethod
    def _known_criteria(cls, performance: dict[str, float]) -> dict[str, float]:
        if unknown := sorted(set(performance) - set(_PERFORMANCE_CRITERIA)):
            allowed = ", ".join(_PERFORMANCE_CRITERIA)
            raise InputError(f"unknown performance criterion {unknown[0]!r}: allowed are {allowed}")
        return performance

    @property
    def criteria(self) -> list[str]:
        """Names of the criteria that either score needs, the cost last."""
        return list(dict.fromkeys(name for score in SCORES for name in self.weights(score)))

    def weights(self, score: Score) -> dict[str, float]:
        """Weight of each normalised criterion in a score: they add up to 1, a weight of 0 is left out."""
        total = sum(self.performance.values())
        performance = {name: weight / total for name, weight in self.performance.items()}
        if score == "performance":
            return performance
        weighted = {name: (1 - self.cost_weight) * weight for name, weight in performance.items()}
        weighted[COST.name] = self.cost_weight
        return {name: weight for name, weight in weighted.items() if weight > 0}


def rank(table: pd.DataFrame, spec: RankingSpec) -> pd.DataFrame:
    """Score and rank candidates.

    Pure, and independent of the order of the rows.

    Parameters
    ----------
    table
        One row per candidate: `key` (unique), `cation` (such as `"Ti3+"`), `column` (the other axis of the
        heatmap) and the criteria that `spec` names, NaN where missing. An infinite barrier (no percolation)
        is a result, not missing.
    spec
        Weights and normalisation.

    Returns
    -------
    A new table with a fresh index, by falling performance_cost, then performance, then `key`; a candidate
    without a score comes after those with one. Its columns:

    - `key`, `cation`, `column`;
    - for each criterion c its raw value `c` and `c_normalised` in [0, 1], 1 = best;
    - `c_in_<score>`, what c adds to a score: its weight times its normalised value;
    - `performance` and `performance_cost` in [0, 1], the sums of those, NaN if a criterion is missing;
    - `rank_performance` and `rank_performance_cost`, Int64, 1 = best; equal scores share a rank, and it is
      missing where there is no score;
    - `missing`, the criteria that the candidate lacks, joined by semicolons.

    Raises
    ------
    InputError
        A column is missing or not numeric, a key occurs twice, or a value is infinite in the better
        direction.
    """
    ranking = _checked(table, spec)
    normalise = NORMALISATIONS[spec.normalisation]
    for name in spec.criteria:
        ranking[f"{name}_normalised"] = normalise(ranking[name].to_numpy(), CRITERIA[name].direction)
    for score in SCORES:
        contributions = {
            f"{name}_in_{score}": weight * ranking[f"{name}_normalised"] for name, weight in spec.weights(score).items()
        }
        # one after the other in the order of the weights: the same rounding whatever the order of the rows
        total = sum(contributions.values())
        ranking = ranking.assign(**contributions, **{score: total})
        ranking[f"rank_{score}"] = ranking[score].rank(ascending=False, method="min").astype("Int64")
    absent = ranking[spec.criteria].isna()
    ranking["missing"] = pd.Series([";".join(absent.columns[row]) for row in absent.to_numpy()], dtype=str)
    return ranking.sort_values(
        ["performance_cost", "performance", "key"], ascending=[False, False, True], na_position="last"
    ).reset_index(drop=True)


def describe(spec: RankingSpec) -> dict[str, str]:
    """Say in one line each what the two scores and the normalisation are, for captions and file headers."""
    lines: dict[str, str] = {}
    for score in SCORES:
        terms = (f"{weight:.3g} × {CRITERIA[name].label}" for name, weight in spec.weights(score).items())
        lines[score] = " + ".join(terms)
    lines["normalisation"] = f"{spec.normalisation} over the candidates of this table, 1 = best"
    return lines


def _checked(table: pd.DataFrame, spec: RankingSpec) -> pd.DataFrame:
    """Identity and criteria columns of `table` as a new frame, the criteria as float64."""
    for name in (*IDENTITY_COLUMNS, *spec.criteria):
        if name not in table.columns:
            raise InputError(f"the table of candidates has no column {name!r}")
    keys = table["key"]
    if keys.duplicated().any():
        raise InputError(f"candidate {keys[keys.duplicated()].iloc[0]!r} occurs twice in the table")
    checked = table[list(IDENTITY_COLUMNS)].reset_index(drop=True)
    for name in spec.criteria:
        try:
            checked[name] = pd.to_numeric(table[name]).to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError):
            raise InputError(f"column {name!r} of the table of candidates is not numeric") from None
    return checked
