from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzc_flows.errors import InputError
from lzc_flows.ranking.criteria import TIERS
from lzc_flows.ranking.score import rank
from lzc_flows.ranking.spec import RankingSpec
from lzc_flows.ranking.tiers import rank_in_tiers, spec_at, weighed_tiers

SPEC = RankingSpec(performance={"barrier_3d": 1, "sigma_mS_cm": 1, "neb_barrier_c": 2}, cost_weight=0.5)


def table() -> pd.DataFrame:
    """Three tiers: a, b with hops; c, d with dynamics; e, f, g static, of which e melted; h has no barrier."""
    rows = [
        ("a", 0.50, 900.0, 0.40, 9.0, "stable", "bvse;aimd;cineb"),
        ("b", 0.40, 800.0, 0.50, 9.0, "stable", "bvse;aimd;cineb"),
        ("c", 0.30, 999.0, math.nan, 9.0, "stable", "bvse;aimd"),
        ("d", 0.31, 990.0, math.nan, 9.0, "framework hops", "bvse;aimd"),
        ("e", 0.20, math.nan, math.nan, 9.0, "melted", "bvse;aimd"),
        ("f", 0.60, math.nan, math.nan, 9.0, None, "bvse"),
        ("g", 0.45, math.nan, 0.10, math.nan, "stable", "bvse;aimd;cineb"),
        ("h", math.nan, 950.0, math.nan, 9.0, "stable", "aimd"),
    ]
    columns = ["key", "barrier_3d", "sigma_mS_cm", "neb_barrier_c", "cost_usd_per_kg", "stability", "done"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(cation="Ti3+", column="x")


def by_key(spec: RankingSpec = SPEC) -> pd.DataFrame:
    return rank_in_tiers(table(), spec).table.set_index("key")


def test_the_order_goes_by_tier_then_score() -> None:
    found = by_key()
    assert "".join(found.index) == "abcdfgeh"
    assert found["tier"].tolist() == ["hops"] * 2 + ["dynamics"] * 2 + ["static"] * 3 + [""]
    assert found["rank_performance"].tolist() == [1, 2, 3, 4, 6, 5, 7, pd.NA]
    assert found["rank_performance_cost"].tolist() == [1, 2, 3, 4, 5, pd.NA, 6, pd.NA]


def test_ranks_at_shallower_tiers_are_among_all_that_reach_them() -> None:
    found = by_key()
    at_static = found["rank_performance_at_static"]
    assert {key: rank for key, rank in at_static.items() if rank is not pd.NA} == dict(
        zip("ecdbgaf", range(1, 8), strict=True)
    )
    assert found.loc[list("abcd"), "rank_performance_at_dynamics"].tolist() == [3, 4, 1, 2]
    assert found.loc[list("efgh"), "rank_performance_at_dynamics"].isna().all()
    assert math.isnan(found.loc["h", "performance"])


def test_a_tier_is_normalised_among_its_own() -> None:
    found = by_key()
    assert found.loc[["a", "b"], "barrier_3d_normalised"].tolist() == [0, 1]
    assert found.loc[["a", "b"], "performance"].tolist() == [0.25 + 0.5, 0.25]
    dynamics = table()[table()["key"].isin(list("abcd"))]
    expected = rank(dynamics, spec_at(SPEC, "dynamics")).set_index("key")["performance"]
    assert found.loc["c", "performance"] == expected["c"]
    assert math.isnan(found.loc["c", "neb_barrier_c_normalised"])


def test_weights_keep_their_proportions() -> None:
    assert weighed_tiers(SPEC) == list(TIERS)
    assert spec_at(SPEC, "dynamics").weights("performance") == {"barrier_3d": 0.5, "sigma_mS_cm": 0.5}
    assert spec_at(SPEC, "static").weights("performance_cost") == {"barrier_3d": 0.5, "cost_usd_per_kg": 0.5}
    assert weighed_tiers(RankingSpec(performance={"sigma_mS_cm": 1})) == ["dynamics"]


def test_what_is_missing_has_its_reason() -> None:
    found = by_key()
    assert found.loc["a", "why_missing"] == ""
    assert found.loc["e", "missing"] == "sigma_mS_cm;neb_barrier_c"
    assert found.loc["e", "why_missing"] == "sigma_mS_cm: aimd gave none: melted; neb_barrier_c: no result of cineb"
    assert found.loc["f", "why_missing"] == "sigma_mS_cm: no result of aimd; neb_barrier_c: no result of cineb"
    assert (
        found.loc["g", "why_missing"] == "sigma_mS_cm: aimd gave none: stable; cost_usd_per_kg: an element has no price"
    )
    assert found["stability"].tolist() == [
        "stable",
        "stable",
        "stable",
        "framework hops",
        "",
        "stable",
        "melted",
        "stable",
    ]


def test_a_framework_that_fell_apart_counts_only_where_dynamics_are_weighed() -> None:
    found = by_key(RankingSpec(performance={"barrier_3d": 1}))
    assert found.index[0] == "e"
    assert found["tier"].unique().tolist() == ["static", ""]


def test_one_tier_is_the_plain_ranking() -> None:
    spec = RankingSpec(performance={"barrier_3d": 1}, cost_weight=0.3)
    complete = table()[table()["barrier_3d"].notna()]
    plain = rank(complete, spec)
    found = rank_in_tiers(complete, spec).table
    shared = [name for name in plain.columns if name in found]
    assert set(plain.columns) <= set(shared)
    pd.testing.assert_frame_equal(found[shared], plain[shared])


def test_without_labels_and_stages_nothing_is_said_of_them() -> None:
    found = rank_in_tiers(table().drop(columns=["stability", "done"]), SPEC).table.set_index("key")
    assert found.loc["e", "why_missing"].startswith("sigma_mS_cm: no result of aimd")
    assert (found["stability"] == "").all()


def test_nobody_at_all() -> None:
    found = rank_in_tiers(table().iloc[:0], SPEC)
    assert (len(found.table), found.groups) == (0, [])
    nothing = table().assign(barrier_3d=math.nan)
    assert rank_in_tiers(nothing, SPEC).table["key"].tolist() == list("abcdefgh")


def test_bad_tables_are_refused() -> None:
    with pytest.raises(InputError, match="'a' occurs twice"):
        rank_in_tiers(table().assign(key="a"), SPEC)
    with pytest.raises(InputError, match="no column 'sigma_mS_cm'"):
        rank_in_tiers(table().drop(columns="sigma_mS_cm"), SPEC)


maybe = st.one_of(st.just(math.nan), st.integers(1, 4).map(float))


@given(
    st.lists(st.tuples(maybe, maybe, maybe, maybe, st.sampled_from(["stable", "melted", None])), max_size=9),
    st.randoms(),
)
@settings(max_examples=25, deadline=None)
def test_deeper_comes_first_and_the_order_of_the_rows_does_not_matter(rows: list[tuple], random) -> None:
    columns = ["barrier_3d", "sigma_mS_cm", "neb_barrier_c", "cost_usd_per_kg", "stability"]
    frame = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[:4], float))
    frame = frame.assign(key=[f"k{number}" for number in range(len(rows))], cation="Ti3+", column="x")
    order = list(range(len(rows)))
    random.shuffle(order)
    found = rank_in_tiers(frame, SPEC).table
    pd.testing.assert_frame_equal(rank_in_tiers(frame.iloc[order], SPEC).table, found)
    depth = [TIERS.index(tier) if tier else -1 for tier in found["tier"]]
    assert depth == sorted(depth, reverse=True)
    for score in ("performance", "performance_cost"):
        ranked = found[found[f"rank_{score}"].notna()]
        for place in ranked.index:
            better = ranked[f"rank_{score}"] < ranked.loc[place, f"rank_{score}"]
            assert better.sum() == ranked.loc[place, f"rank_{score}"] - 1
    # whoever has dynamics beats nobody of its own tier at random: scores fall inside a tier, but for what fell apart
    intact = found[~found["stability"].eq("melted")]
    for _, some in intact.groupby("tier"):
        scores = some["performance_cost"].dropna().to_numpy()
        assert (np.diff(scores) <= 0).all()
