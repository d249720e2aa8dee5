"""Candidates are compared with those that were looked at as deeply as they.

A tier's ranking holds all candidates that have every weighed criterion up to this tier, normalised among themselves,
with the campaign's weights of these criteria alone. A candidate's own tier is the deepest that it reaches. The final
order goes by tier, the deepest first, then by score; ranks at the shallower tiers stand beside it. docs/ranking.md says
why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lzc_flows.ranking.criteria import COST, CRITERIA, TIERS, Tier
from lzc_flows.ranking.score import checked, missing, rank
from lzc_flows.ranking.spec import IDENTITY_COLUMNS, SCORES, RankingSpec, Score
from lzc_flows.transport.stability import INTACT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

STABILITY = "stability"
"""Column with what became of the framework in molecular dynamics."""

DONE = "done"
"""Column with the stages that have a result, joined by semicolons."""


@dataclass(frozen=True)
class TierRanking:
    """The ranking of one tier.

    Attributes
    ----------
    tier
        Its name.
    spec
        The campaign's, with the criteria up to this tier alone.
    members
        The rows of the candidates that have them all, by key.
    ranked
        What `score.rank` says of these, in the same order.
    """

    tier: Tier
    spec: RankingSpec
    members: pd.DataFrame
    ranked: pd.DataFrame


@dataclass(frozen=True)
class Group:
    """Candidates next to each other in the final order: one tier, and alike in what became of their framework.

    Attributes
    ----------
    ranking
        The tier's, of these and of all that were looked at more deeply.
    places
        Rows of `ranking.members` that are in the group.
    """

    ranking: TierRanking
    places: NDArray[np.intp]

    def counted(self, score: Score) -> NDArray[np.intp]:
        """Rows of `ranking.members` that are in the group and have this score."""
        return self.places[self.ranking.ranked[score].notna().to_numpy()[self.places]]


@dataclass(frozen=True)
class Tiered:
    """A ranking in tiers.

    Attributes
    ----------
    table
        See `rank_in_tiers`.
    tiers
        The rankings of the tiers, the shallowest first.
    groups
        What the final order is made of, the first first.
    """

    table: pd.DataFrame
    tiers: list[TierRanking]
    groups: list[Group]

    def placed(self, score: Score) -> Iterator[tuple[Group, NDArray[np.intp], int]]:
        """Yield each group, its `Group.counted` candidates, and how many with the score come before them all."""
        ahead = 0
        for group in self.groups:
            counted = group.counted(score)
            yield group, counted, ahead
            ahead += counted.size


def weighed_tiers(spec: RankingSpec) -> list[Tier]:
    """Return the tiers that a performance criterion belongs to, the shallowest first."""
    weighed = {CRITERIA[name].tier for name in spec.performance}
    return [tier for tier in TIERS if tier in weighed]


def spec_at(spec: RankingSpec, tier: Tier) -> RankingSpec:
    """Return the same ranking by the criteria up to a tier alone, in the same proportions."""
    upto = TIERS[: TIERS.index(tier) + 1]
    known = {name: weight for name, weight in spec.performance.items() if CRITERIA[name].tier in upto}
    return spec.model_copy(update={"performance": known})


def rank_in_tiers(table: pd.DataFrame, spec: RankingSpec) -> Tiered:
    """Rank candidates in tiers.

    Pure, and independent of the order of the rows.

    Parameters
    ----------
    table
        As for `score.rank`; also `cost_usd_per_kg`, and, where known, the columns `STABILITY` and `DONE`.
    spec
        Weights and normalisation.

    Returns
    -------
    Tiered
        Its table has one row a candidate, in the final order: by group (the deepest tier first; within one, those whose
        framework did not stay intact last), then falling performance_cost, then performance, then `key`. Columns:

        - `key`, `cation`, `column`, `tier` (empty where a candidate reaches none), `stability`;
        - the criteria, and what `score.rank` says at the candidate's own tier: `c_normalised`, `c_in_<score>`,
          `performance`, `performance_cost`, NaN in those that its tier does not weigh;
        - `rank_<score>`: place in the final order by this score, Int64, equal ones share it;
        - `<score>_at_<tier>` and `rank_<score>_at_<tier>` among all candidates that reach the tier;
        - `missing`, the weighed criteria that a candidate lacks, joined by semicolons, and `why_missing`.
    """
    checked(table, spec)
    ordered = table.sort_values("key").reset_index(drop=True)
    if COST.name not in ordered:
        ordered[COST.name] = np.nan
    tiers = [_tier_ranking(ordered, spec, tier) for tier in weighed_tiers(spec)]
    own = pd.Series("", index=ordered["key"], dtype=str)
    for ranking in tiers:
        own[ranking.members["key"]] = ranking.tier
    broken = _fell_apart(ordered, spec)
    groups = []
    for ranking in reversed(tiers):
        mine = own[ranking.members["key"]].to_numpy() == ranking.tier
        apart = broken[ranking.members["key"]].to_numpy()
        groups += [Group(ranking, np.flatnonzero(mine & chosen)) for chosen in (~apart, apart)]
    tiered = Tiered(pd.DataFrame(), tiers, [group for group in groups if group.places.size])
    return Tiered(_final_table(ordered, own, tiered, spec), tiers, tiered.groups)


def _tier_ranking(ordered: pd.DataFrame, spec: RankingSpec, tier: Tier) -> TierRanking:
    limited = spec_at(spec, tier)
    there = ordered[list(limited.performance)].notna().all(axis=1)
    members = ordered[there].reset_index(drop=True)
    ranked = rank(members, limited).set_index("key").loc[members["key"]].reset_index()
    return TierRanking(tier, limited, members, ranked)


def _fell_apart(ordered: pd.DataFrame, spec: RankingSpec) -> pd.Series:
    """Return, by key, whether a weighed criterion of moving ions is missing as the framework did not stay intact."""
    weighed = [name for name in spec.performance if CRITERIA[name].tier == "dynamics"]
    if not weighed or STABILITY not in ordered:
        return pd.Series(False, index=ordered["key"])
    labels = ordered[STABILITY]
    changed = labels.notna() & ~labels.isin(INTACT)
    return pd.Series((changed & ordered[weighed].isna().any(axis=1)).to_numpy(), index=ordered["key"])


def _final_table(ordered: pd.DataFrame, own: pd.Series, tiered: Tiered, spec: RankingSpec) -> pd.DataFrame:
    table = ordered[list(IDENTITY_COLUMNS)].set_index("key")
    table["tier"] = own
    labels = ordered[STABILITY] if STABILITY in ordered else pd.Series("", index=ordered.index)
    table["stability"] = labels.fillna("").astype(str).to_numpy()
    raw = list(dict.fromkeys([*spec.criteria, COST.name]))
    values = ordered.set_index("key")[raw].astype(float)
    names = [f"{name}_normalised" for name in spec.criteria]
    for score in SCORES:
        names += [f"{name}_in_{score}" for name in spec.weights(score)] + [score]
    scores = pd.DataFrame(np.nan, index=table.index, columns=names)
    at_tiers = {}
    for ranking in tiered.tiers:  # the deeper overwrites the shallower
        found = ranking.ranked.set_index("key")
        scores.loc[found.index, names] = found.reindex(columns=names)
        for score in SCORES:
            at_tiers[f"{score}_at_{ranking.tier}"] = found[score].reindex(table.index)
            at_tiers[f"rank_{score}_at_{ranking.tier}"] = found[f"rank_{score}"].reindex(table.index)
    final = {f"rank_{score}": _final_ranks(tiered, score, table.index) for score in SCORES}
    lacking = missing(ordered, spec.criteria).set_axis(table.index)
    reasons = {"missing": lacking, "why_missing": _why_missing(ordered, lacking)}
    joined = pd.concat(
        [table, values, scores, pd.DataFrame(final), pd.DataFrame(at_tiers), pd.DataFrame(reasons)], axis=1
    )
    group = pd.Series(len(tiered.groups), index=table.index)
    for place, one in enumerate(tiered.groups):
        group[one.ranking.members["key"].iloc[one.places]] = place
    by = ["group", "performance_cost", "performance", "key"]
    in_order = joined.assign(group=group).rename_axis("key").reset_index()
    in_order = in_order.sort_values(by, ascending=[True, False, False, True], na_position="last")
    return in_order.drop(columns="group").reset_index(drop=True)


def _final_ranks(tiered: Tiered, score: Score, keys: pd.Index) -> pd.Series:
    ranks = pd.Series(pd.NA, index=keys, dtype="Int64")
    for group, counted, ahead in tiered.placed(score):
        found = group.ranking.ranked.iloc[counted]
        within = found[score].rank(ascending=False, method="min").astype("Int64")
        ranks[found["key"]] = (within + ahead).array
    return ranks


def _why_missing(ordered: pd.DataFrame, lacking: pd.Series) -> list[str]:
    """Return for each candidate why it lacks what it lacks: not run, run without result, or no crystal any more."""
    none = [None] * len(ordered)
    done = ordered[DONE].tolist() if DONE in ordered else none
    labels = ordered[STABILITY].tolist() if STABILITY in ordered else none
    return [
        "; ".join(f"{name}: {_why(name, stages, label)}" for name in names.split(";")) if names else ""
        for names, stages, label in zip(lacking.tolist(), done, labels, strict=True)
    ]


def _why(name: str, done: str | float | None, label: str | float | None) -> str:
    """Return why a criterion is missing; pandas may have NaN for what is not known."""
    criterion = CRITERIA[name]
    if criterion is COST:
        return "an element has no price"
    if not isinstance(done, str) or criterion.stage not in done.split(";"):
        return f"no result of {criterion.stage}"
    if criterion.tier == "dynamics" and isinstance(label, str):
        return f"{criterion.stage} gave none: {label}"
    return f"{criterion.stage} gave none"
