"""Scores: weighted sums of normalised criteria, and the ranks that follow from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lzc_flows.errors import InputError
from lzc_flows.ranking.criteria import CRITERIA
from lzc_flows.ranking.normalise import NORMALISATIONS, desirability
from lzc_flows.ranking.spec import IDENTITY_COLUMNS, SCORES, RankingSpec

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


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
    ranking = checked(table, spec)
    for name in spec.criteria:
        ranking[f"{name}_normalised"] = normalised(ranking[name].to_numpy(), name, spec)
    for score in SCORES:
        contributions = {
            f"{name}_in_{score}": weight * ranking[f"{name}_normalised"] for name, weight in spec.weights(score).items()
        }
        # one after the other in the order of the weights: the same rounding whatever the order of the rows
        total = sum(contributions.values())
        ranking = ranking.assign(**contributions, **{score: total})
        ranking[f"rank_{score}"] = ranking[score].rank(ascending=False, method="min").astype("Int64")
    ranking["missing"] = missing(ranking, spec.criteria)
    return ranking.sort_values(
        ["performance_cost", "performance", "key"], ascending=[False, False, True], na_position="last"
    ).reset_index(drop=True)


def normalised(values: ArrayLike, name: str, spec: RankingSpec) -> NDArray[np.float64]:
    """Return values of a criterion brought to [0, 1] as the spec says, 1 = best, NaN where missing."""
    direction = CRITERIA[name].direction
    if spec.normalisation == "desirability":
        return desirability(values, direction, spec.desirability[name].goal)
    return NORMALISATIONS[spec.normalisation](values, direction)


def missing(table: pd.DataFrame, criteria: list[str]) -> pd.Series:
    """Return for each row which of these criteria it lacks, joined by semicolons."""
    absent = table[criteria].isna().to_numpy()
    named = {
        row: ";".join(name for name, lacks in zip(criteria, row, strict=True) if lacks)
        for row in set(map(tuple, absent))
    }
    return pd.Series([named[tuple(row)] for row in absent], index=table.index, dtype=str)


def checked(table: pd.DataFrame, spec: RankingSpec) -> pd.DataFrame:
    """Return the identity and criteria columns of a table as a new frame, the criteria as float64.

    Raises
    ------
    InputError
        A column is missing or not numeric, or a key occurs twice.
    """
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
