"""A ranking with all that is known of its certainty: tiers, rank intervals, Pareto front, sensitivity to weights."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lzc_flows.ranking.criteria import COST, TIERS
from lzc_flows.ranking.montecarlo import QUANTILES, RankCounter, Sampler
from lzc_flows.ranking.pareto import front_counts, pareto_front
from lzc_flows.ranking.sensitivity import simplex, weight_shares, winners_by_cost_weight
from lzc_flows.ranking.spec import SCORES
from lzc_flows.ranking.tiers import rank_in_tiers
from lzc_flows.ranking.uncertainty import uncertain_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lzc_flows.ranking.spec import RankingSpec, Score
    from lzc_flows.ranking.tiers import Tiered, TierRanking


@dataclass(frozen=True)
class Assessment:
    """A ranking.

    Attributes
    ----------
    table
        See `assess`.
    tiers
        For each tier, the shallowest first: its name, how many candidates reach it and for how many it is the deepest,
        and the weights of both scores.
    sensitivity
        For each tier: see `tier_sensitivity`.
    """

    table: pd.DataFrame
    tiers: list[dict[str, Any]]
    sensitivity: list[dict[str, Any]]


def assess(table: pd.DataFrame, spec: RankingSpec) -> Assessment:
    """Rank candidates in tiers and say how certain that is.

    Pure, deterministic, and independent of the order of the rows.

    Parameters
    ----------
    table
        As for `tiers.rank_in_tiers`, with the columns that uncertainties are read from.
    spec
        Weights, normalisation, uncertainties, samples.

    Returns
    -------
    Assessment
        Its table is that of `tiers.rank_in_tiers` and, each at the candidate's own tier,

        - `c_low`, `c_high`: ends of the 68 % interval of criterion c, the value itself where it is taken as exact;
        - `rank_<score>_low68`, `_high68`, `_low95`, `_high95`: intervals of the place in the final order, Int64;
        - `top_probability_<score>`: probability to be among the best `spec.top` of the final order;
        - `pareto` (boolean) and `pareto_probability`: whether no candidate that reaches the tier is at least as good in
          performance and in cost, and better in one.
    """
    tiered = rank_in_tiers(table, spec)
    found = tiered.table.reset_index(drop=True)
    in_its_order = table.set_index("key").loc[found["key"]].reset_index()
    columns: dict[str, Any] = {}
    for name in spec.criteria:
        columns[f"{name}_low"], columns[f"{name}_high"] = uncertain_values(in_its_order, name, spec).ends
    columns |= _certainty(tiered, spec, pd.Index(found["key"]))
    joined = pd.concat([found, pd.DataFrame(columns)], axis=1)
    words = ["missing", "why_missing"]
    ordered = joined[[name for name in joined.columns if name not in words] + words]
    return Assessment(ordered, _tiers(tiered), [tier_sensitivity(ranking) for ranking in tiered.tiers])


def _certainty(tiered: Tiered, spec: RankingSpec, keys: pd.Index) -> dict[str, Any]:
    """Return columns in the order of the keys."""
    n = len(keys)
    columns: dict[str, Any] = {}
    for score in SCORES:
        for end in ("low68", "high68", "low95", "high95"):
            columns[f"rank_{score}_{end}"] = pd.array(np.full(n, np.nan), dtype="Int64")
    for score in SCORES:
        columns[f"top_probability_{score}"] = np.full(n, np.nan)
    columns["pareto"] = pd.array([None] * n, dtype="boolean")
    columns["pareto_probability"] = np.full(n, np.nan)
    for ranking in tiered.tiers:
        _fill(columns, keys.get_indexer(ranking.members["key"]), ranking, tiered, spec)
    return columns


def _fill(
    columns: dict[str, Any], rows: NDArray[np.intp], ranking: TierRanking, tiered: Tiered, spec: RankingSpec
) -> None:
    """Fill in what is certain of the candidates whose own tier this is; `rows` are those of the tier's members."""
    own = [group.places for group in tiered.groups if group.ranking is ranking]
    if not own:
        return
    counters: list[tuple[Score, int, RankCounter]] = [
        (score, ahead, RankCounter(counted, spec.samples))
        for score in SCORES
        for group, counted, ahead in tiered.placed(score)
        if group.ranking is ranking and counted.size
    ]
    compared = np.flatnonzero(ranking.members[COST.name].notna())
    sampler = Sampler(ranking.members, ranking.spec, TIERS.index(ranking.tier))

    def take(piece: slice) -> NDArray[np.int64]:
        drawn = sampler.draw(piece)
        for score, _, counter in counters:
            counter.add(drawn.scores[score], piece)
        return front_counts(drawn.scores["performance"][:, compared], drawn.cost[..., compared])

    on_front = np.zeros(rows.size, dtype=np.int64)
    with ThreadPoolExecutor(cpu_count()) as pool:  # NumPy lets other threads work while it sorts and draws
        for counts in pool.map(take, sampler.pieces):
            on_front[compared] += counts
    for score, ahead, counter in counters:
        certainty = counter.certainty(spec.top, ahead)
        there = rows[counter.members]
        for end in QUANTILES:
            columns[f"rank_{score}_{end}"][there] = certainty.ends[end]
        columns[f"top_probability_{score}"][there] = certainty.top_probability
    mine = np.intersect1d(np.concatenate(own), compared)
    front = pareto_front(ranking.ranked["performance"], ranking.members[COST.name])
    columns["pareto"][rows[mine]] = front[mine]
    columns["pareto_probability"][rows[mine]] = on_front[mine] / spec.samples


def _tiers(tiered: Tiered) -> list[dict[str, Any]]:
    return [
        {
            "tier": ranking.tier,
            "candidates": len(ranking.members),
            "deepest_of": int(sum(group.places.size for group in tiered.groups if group.ranking is ranking)),
            "weights": {score: ranking.spec.weights(score) for score in SCORES},
        }
        for ranking in tiered.tiers
    ]


def tier_sensitivity(ranking: TierRanking) -> dict[str, Any]:
    """Return what other weights would do to the ranking of a tier, values taken as they are.

    Returns
    -------
    Plain values: `tier`; `criteria`, those that weights are spread over, the cost last; `first` and `top`, the share of
    all weights for which a candidate wins or is among the best `spec.top`, by key, the largest share first, candidates
    without any left out; `cost_weight`, who wins (`key`) from `low` to `high` of the cost weight, the other weights as
    the campaign has them.
    """
    spec = ranking.spec
    known = ranking.members[COST.name].notna().to_numpy()
    keys = ranking.members["key"].to_numpy(dtype=object)[known]
    criteria = list(dict.fromkeys([*spec.performance, *spec.criteria]))
    normalised = ranking.ranked[[f"{name}_normalised" for name in criteria]].to_numpy()[known]
    shares = weight_shares(normalised, simplex(len(criteria), spec.samples, spec.seed), spec.top)
    winners = []
    if COST.name in criteria:
        performance = ranking.ranked["performance"].to_numpy()[known]
        winners = winners_by_cost_weight(performance, normalised[:, criteria.index(COST.name)])
    return {
        "tier": ranking.tier,
        "criteria": criteria,
        "first": _largest(keys, shares.first),
        "top": _largest(keys, shares.top),
        "cost_weight": [{"key": str(keys[one.place]), "low": one.low, "high": one.high} for one in winners],
    }


def _largest(keys: NDArray[np.object_], shares: NDArray[np.float64]) -> dict[str, float]:
    some = np.flatnonzero(shares)
    return {key: -float(share) for share, key in sorted(zip(-shares[some], keys[some], strict=True))}
