from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzc_flows.ranking.assessment import assess
from lzc_flows.ranking.explain import explain
from lzc_flows.ranking.spec import SCORES, RankingSpec

SPEC = RankingSpec(performance={"barrier_1d": 1, "barrier_3d": 1, "sigma_mS_cm": 2}, samples=400)
ENDS = ("low95", "low68", "high68", "high95")


def table(n: int = 12, seed: int = 1) -> pd.DataFrame:
    """The first half has molecular dynamics; the third of them melted, and one has no price."""
    rng = np.random.default_rng(seed)
    sigma = np.where(np.arange(n) < n // 2, rng.uniform(500, 3000, n), math.nan)
    sigma[2] = math.nan
    costs = rng.uniform(5, 50, n)
    costs[-1] = math.nan
    return pd.DataFrame(
        {
            "key": [f"c{number:02d}" for number in range(n)],
            "cation": "Ti3+",
            "column": "x",
            "barrier_1d": rng.uniform(0.35, 0.5, n),
            "barrier_3d": rng.uniform(0.4, 0.5, n),
            "sigma_mS_cm": sigma,
            "sigma_low_mS_cm": sigma / 1.2,
            "sigma_high_mS_cm": sigma * 1.2,
            "cost_usd_per_kg": costs,
            "stability": ["stable"] * 2 + ["melted"] + ["stable"] * (n // 2 - 3) + [None] * (n - n // 2),
            "done": ["order;relax;bvse;aimd"] * (n // 2) + ["order;relax;bvse"] * (n - n // 2),
        }
    )


def test_twice_the_same_and_in_any_order_of_the_rows() -> None:
    first, second = assess(table(), SPEC), assess(table().sample(frac=1, random_state=3), SPEC)
    pd.testing.assert_frame_equal(first.table, second.table, check_exact=True)
    assert (first.tiers, first.sensitivity) == (second.tiers, second.sensitivity)


def test_intervals_hold_each_other_and_stay_in_the_groups() -> None:
    found = assess(table(), SPEC).table
    for score in SCORES:
        ranked = found[found[f"rank_{score}"].notna()]
        ends = ranked[[f"rank_{score}_{end}" for end in ENDS]].to_numpy(dtype=int)
        assert (np.diff(ends, axis=1) >= 0).all()
        assert (ends[ranked["tier"] == "dynamics"] <= 5).all()
        assert (ends[ranked["tier"] == "static"] > 5).all()
        assert (ends[ranked["stability"] == "melted"] == len(ranked)).all()
        assert ranked[f"top_probability_{score}"].sum() == pytest.approx(SPEC.top)
        assert found.loc[found[f"rank_{score}"].isna(), f"rank_{score}_low68"].isna().all()
    assert found.loc[found["cost_usd_per_kg"].isna(), "pareto"].isna().all()


@given(st.integers(0, 50), st.sampled_from(["min-max", "rank"]))
@settings(max_examples=20, deadline=None)
def test_without_uncertainty_it_is_the_plain_ranking(seed: int, normalisation: str) -> None:
    exact = dict.fromkeys(SPEC.criteria, 0.0)
    spec = RankingSpec(performance=SPEC.performance, uncertainty=exact, samples=100, normalisation=normalisation, top=3)
    found = assess(table(9, seed), spec).table
    for score in SCORES:
        ranks = found[f"rank_{score}"]
        for end in ENDS:
            pd.testing.assert_series_equal(found[f"rank_{score}_{end}"], ranks, check_names=False)
        expected = (ranks <= 3).astype(float).where(ranks.notna())
        assert found[f"top_probability_{score}"].tolist() == pytest.approx(expected.astype(float).tolist(), nan_ok=True)
    known = found["pareto"].notna()
    assert (found.loc[known, "pareto"].astype(float) == found.loc[known, "pareto_probability"]).all()


def test_more_uncertainty_widens_the_intervals() -> None:
    widths = []
    for deviation in (0.0, 0.005, 0.05):
        spec = RankingSpec(performance={"barrier_3d": 1}, uncertainty={"barrier_3d": deviation}, samples=1000)
        found = assess(table(), spec).table
        widths.append((found["rank_performance_high68"] - found["rank_performance_low68"]).mean())
    assert widths[0] == 0 < widths[1] < widths[2]


def test_the_front_of_each_tier() -> None:
    found = assess(table(), SPEC).table.set_index("key")
    for tier in ("static", "dynamics"):
        reach = found[found[f"performance_at_{tier}"].notna() & found["cost_usd_per_kg"].notna()]
        for key, row in found[(found["tier"] == tier) & found["cost_usd_per_kg"].notna()].iterrows():
            better = (reach[f"performance_at_{tier}"] >= row["performance"]) & (
                reach["cost_usd_per_kg"] <= row["cost_usd_per_kg"]
            )
            assert row["pareto"] == (better.sum() == 1), key


def test_tiers_and_sensitivity_say_how() -> None:
    found = assess(table(), SPEC)
    assert [(one["tier"], one["candidates"], one["deepest_of"]) for one in found.tiers] == [
        ("static", 12, 7),
        ("dynamics", 5, 5),
    ]
    assert found.tiers[1]["weights"]["performance"] == {"barrier_1d": 0.25, "barrier_3d": 0.25, "sigma_mS_cm": 0.5}
    static, dynamics = found.sensitivity
    assert static["criteria"] == ["barrier_1d", "barrier_3d", "cost_usd_per_kg"]
    for one in (static, dynamics):
        assert sum(one["first"].values()) == pytest.approx(1)
        assert sum(one["top"].values()) == pytest.approx(5)
        shares = list(one["first"].values())
        assert shares == sorted(shares, reverse=True)
        assert (one["cost_weight"][0]["low"], one["cost_weight"][-1]["high"]) == (0.0, 1.0)
    at = found.table.set_index("key")
    winner = next(one["key"] for one in dynamics["cost_weight"] if one["low"] <= 0.5 < one["high"])
    assert at.loc[winner, "rank_performance_cost_at_dynamics"] == 1


def test_desirability_without_a_cost_weight_and_an_uncertain_cost() -> None:
    wishes = {"barrier_3d": {"worst": 0.6, "best": 0.3}}
    spec = RankingSpec(
        performance={"barrier_3d": 1},
        cost_weight=0,
        normalisation="desirability",
        desirability=wishes,
        uncertainty={"cost_usd_per_kg": 3.0},
        samples=200,
    )
    found = assess(table(), spec)
    assert found.sensitivity[0]["cost_weight"] == []
    assert found.table["pareto_probability"].dropna().between(0, 1).all()
    alone = assess(table().iloc[:3], spec).table.set_index("key")["performance"]
    assert alone.to_dict() == pytest.approx(found.table.set_index("key")["performance"][alone.index].to_dict())


def test_nobody_is_ranked() -> None:
    found = assess(table().assign(barrier_3d=math.nan), SPEC)
    assert found.table["rank_performance"].isna().all()
    assert found.table["why_missing"].str.contains("barrier_3d: bvse gave none").all()
    assert len(assess(table().iloc[:0], SPEC).table) == 0


def test_an_explanation_adds_up() -> None:
    found = assess(table(), SPEC).table
    documents = {"bvse": "uuid-of-bvse", "aimd": "uuid-of-aimd"}
    for row in found.to_dict(orient="records"):
        for score in SCORES:
            parts = explain(row, score, SPEC, documents)
            assert [part.criterion for part in parts] == list(SPEC.weights(score))
            known = [part.contribution for part in parts if part.contribution is not None]
            if not math.isnan(row[score]):
                assert sum(known) == pytest.approx(row[score])
                assert sum(part.weight for part in parts) == pytest.approx(1)
    (deep,) = [row for row in found.to_dict(orient="records") if row["key"] == "c00"]
    barrier, _, sigma, cost = explain(deep, "performance_cost", SPEC, documents)
    assert (barrier.tier, barrier.document, barrier.unit) == ("static", "uuid-of-bvse", "eV")
    assert (sigma.tier, sigma.document) == ("dynamics", "uuid-of-aimd")
    assert sigma.low == pytest.approx(sigma.value / 1.2)  # type: ignore[operator]
    assert cost.document is None
    (shallow,) = [row for row in found.to_dict(orient="records") if row["key"] == "c07"]
    (sigma,) = [part for part in explain(shallow, "performance", SPEC, documents) if part.criterion == "sigma_mS_cm"]
    assert (sigma.value, sigma.weight, sigma.contribution) == (None, 0.0, None)
