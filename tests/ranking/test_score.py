from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lzc_flows.errors import InputError
from lzc_flows.ranking.score import rank
from lzc_flows.ranking.spec import RankingSpec, describe

CRITERIA_OF_TABLE = ["barrier_1d", "barrier_2d", "barrier_3d", "cost_usd_per_kg"]
barrier = st.floats(0.1, 3).map(lambda value: round(value, 3))
maybe_barrier = st.one_of(barrier, st.just(math.nan), st.just(math.inf))
specs = st.builds(
    RankingSpec,
    performance=st.dictionaries(st.sampled_from(CRITERIA_OF_TABLE[:3]), st.floats(0.1, 10), min_size=1, max_size=3),
    cost_weight=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    normalisation=st.sampled_from(["min-max", "rank"]),
)


def make_table(rows: list[tuple[float, ...]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=CRITERIA_OF_TABLE, dtype=float)
    table.insert(0, "key", [f"candidate-{index:02d}" for index in range(len(rows))])
    table.insert(1, "cation", "Ti3+")
    table.insert(2, "column", "1a")
    return table


tables = st.lists(st.tuples(maybe_barrier, maybe_barrier, maybe_barrier, maybe_barrier), max_size=10).map(make_table)
complete_tables = st.lists(st.tuples(barrier, barrier, barrier, barrier), min_size=2, max_size=8).map(make_table)


def test_four_candidates_by_hand() -> None:
    table = make_table(
        [
            (0.3, math.nan, 0.9, 8.0),  # b1: 1, b3: 0, cost: 1
            (0.4, math.nan, 0.5, 12.0),  # b1: 3/4, b3: 1, cost: 0
            (0.7, math.nan, 0.6, 9.0),  # b1: 0, b3: 3/4, cost: 3/4
            (math.inf, math.nan, 0.9, math.nan),  # b1: 0, b3: 0, cost missing
        ]
    )
    spec = RankingSpec(performance={"barrier_1d": 3, "barrier_3d": 1}, cost_weight=0.2)
    ranking = rank(table, spec).set_index("key").sort_index()
    performance = [0.75, 0.8125, 0.1875, 0]
    assert ranking["performance"].tolist() == pytest.approx(performance, rel=1e-12, abs=0)
    combined = [0.8 * 0.75 + 0.2, 0.8 * 0.8125, 0.8 * 0.1875 + 0.2 * 0.75]
    assert ranking["performance_cost"].tolist()[:3] == pytest.approx(combined, rel=1e-12, abs=0)
    assert math.isnan(ranking["performance_cost"].iloc[3])
    assert ranking["rank_performance"].tolist() == [2, 1, 3, 4]
    assert ranking["rank_performance_cost"].tolist() == [1, 2, 3, pd.NA]
    assert ranking["missing"].tolist() == ["", "", "", "cost_usd_per_kg"]
    assert ranking["barrier_1d_in_performance"].tolist() == pytest.approx([0.75, 0.5625, 0, 0], rel=1e-12, abs=0)
    assert ranking["cost_usd_per_kg_in_performance_cost"].tolist()[:3] == pytest.approx(
        [0.2, 0, 0.15], rel=1e-12, abs=0
    )


def test_missing_is_never_zero_and_comes_last() -> None:
    table = make_table(
        [(math.nan, 0, 0.4, 1.0), (math.inf, 0, math.inf, 9.0), (0.2, 0, 0.3, math.nan), (0.3, 0, 0.35, 2.0)]
    )
    ranking = rank(table, RankingSpec())
    assert ranking["key"].tolist() == ["candidate-03", "candidate-01", "candidate-02", "candidate-00"]
    assert ranking["performance"].isna().tolist() == [False, False, False, True]
    assert ranking["performance_cost"].isna().tolist() == [False, False, True, True]
    assert ranking["rank_performance"].tolist() == [2, 3, 1, pd.NA]
    assert ranking["rank_performance"].dtype == "Int64"
    assert ranking["missing"].tolist() == ["", "", "cost_usd_per_kg", "barrier_1d"]


def test_no_percolation_is_the_worst_not_missing() -> None:
    ranking = rank(make_table([(math.inf, 0, math.inf, 5.0), (0.3, 0, 0.3, 5.0)]), RankingSpec())
    assert ranking["performance"].tolist() == [1, 0]
    assert math.isinf(ranking["barrier_1d"].iloc[1])
    assert ranking["missing"].tolist() == ["", ""]


def test_equal_scores_share_a_rank_and_are_ordered_by_key() -> None:
    table = make_table([(0.3, 0, 0.3, 5.0)] * 3 + [(0.5, 0, 0.5, 5.0)])
    ranking = rank(table.iloc[::-1], RankingSpec())
    assert ranking["key"].tolist() == [f"candidate-{index:02d}" for index in range(4)]
    assert ranking["rank_performance_cost"].tolist() == [1, 1, 1, 4]


@pytest.mark.parametrize(("cost_weight", "absent"), [(0.0, "cost_usd_per_kg"), (1.0, "barrier_1d")])
def test_weight_of_zero_asks_for_nothing(cost_weight: float, absent: str) -> None:
    table = make_table([(0.3, 0, 0.4, 5.0), (0.4, 0, 0.5, 6.0)]).assign(**{absent: math.nan})
    assert rank(table, RankingSpec(cost_weight=cost_weight))["performance_cost"].tolist() == [1, 0]


@given(table=tables, spec=specs, random=st.randoms(use_true_random=False))
def test_order_of_the_rows_does_not_matter(table: pd.DataFrame, spec: RankingSpec, random) -> None:
    order = list(range(len(table)))
    random.shuffle(order)
    before = table.copy()
    pd.testing.assert_frame_equal(rank(table.iloc[order], spec), rank(table, spec), check_exact=True)
    pd.testing.assert_frame_equal(table, before)


@given(table=tables, spec=specs)
def test_components_add_up_and_scores_lie_in_0_to_1(table: pd.DataFrame, spec: RankingSpec) -> None:
    ranking = rank(table, spec)
    for score in ("performance", "performance_cost"):
        parts = ranking[[f"{name}_in_{score}" for name in spec.weights(score)]]
        np.testing.assert_allclose(ranking[score], parts.to_numpy().sum(axis=1), rtol=1e-12, atol=0)
        present = ranking[score].dropna()
        assert present.between(0, 1 + 1e-12).all()
        assert sum(spec.weights(score).values()) == pytest.approx(1, rel=1e-12, abs=0)
        ranks = ranking.loc[present.index, f"rank_{score}"]
        assert [int(r) for r in ranks] == [1 + int((present > value).sum()) for value in present]
        assert ranking[f"rank_{score}"].isna().equals(ranking[score].isna())
    if 0 < spec.cost_weight < 1:
        cost = ranking["cost_usd_per_kg_normalised"]
        combined = (1 - spec.cost_weight) * ranking["performance"] + spec.cost_weight * cost
        np.testing.assert_allclose(ranking["performance_cost"], combined, rtol=1e-12, atol=1e-15)


@given(table=complete_tables, spec=specs)
def test_a_candidate_that_is_nowhere_worse_scores_no_less(table: pd.DataFrame, spec: RankingSpec) -> None:
    ranking = rank(table, spec)
    values = ranking[spec.criteria].to_numpy()
    for score in ("performance", "performance_cost"):
        scores = ranking[score].to_numpy()
        for better, worse in np.argwhere((values[:, None, :] <= values[None, :, :]).all(axis=2)):
            assert scores[better] >= scores[worse]


@given(table=complete_tables, gain=barrier, spec=specs.filter(lambda spec: spec.normalisation == "min-max"))
def test_improving_a_candidate_never_lowers_it_nor_lifts_another(
    table: pd.DataFrame, gain: float, spec: RankingSpec
) -> None:
    name = next(iter(spec.performance))
    improved = table.copy()
    improved.loc[0, name] -= gain
    for score in ("performance", "performance_cost"):
        before = rank(table, spec).set_index("key")[score]
        change = rank(improved, spec).set_index("key")[score] - before
        assert change["candidate-00"] >= -1e-12
        others = change.drop("candidate-00")
        # a criterion that was constant has no scale: every candidate had 1 of it, and can only lose
        assert (others <= 1e-12).all()


@given(table=complete_tables, scale=st.floats(0.1, 10), shift=st.floats(-5, 5))
def test_min_max_scores_do_not_depend_on_units(table: pd.DataFrame, scale: float, shift: float) -> None:
    mapped = table.assign(barrier_1d=scale * table["barrier_1d"] + shift)
    expected = rank(table, RankingSpec()).set_index("key")["performance_cost"]
    found = rank(mapped, RankingSpec()).set_index("key")["performance_cost"]
    np.testing.assert_allclose(found.sort_index(), expected.sort_index(), rtol=0, atol=1e-9)


def test_empty_table_gives_an_empty_ranking() -> None:
    ranking = rank(make_table([]), RankingSpec())
    assert ranking.empty
    assert {"performance", "rank_performance_cost", "missing"} <= set(ranking.columns)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"performance": {"barrier_4d": 1}}, "allowed are barrier_1d, barrier_2d, barrier_3d"),
        ({"performance": {"cost_usd_per_kg": 1}}, "unknown performance criterion 'cost_usd_per_kg'"),
        ({"performance": {}}, "at least 1 item"),
        ({"performance": {"barrier_1d": 0}}, "greater than 0"),
        ({"performance": {"barrier_1d": math.inf}}, "finite"),
        ({"cost_weight": 1.5}, "less than or equal to 1"),
        ({"normalisation": "z-score"}, "min-max"),
        ({"weights": {}}, "Extra inputs"),
    ],
)
def test_bad_specs_are_refused(fields: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        RankingSpec(**fields)


def test_bad_tables_are_refused() -> None:
    table = make_table([(0.3, 0.3, 0.3, 5.0), (0.4, 0.4, 0.4, 6.0)])
    with pytest.raises(InputError, match="no column 'barrier_3d'"):
        rank(table.drop(columns="barrier_3d"), RankingSpec())
    with pytest.raises(InputError, match="'candidate-00' occurs twice"):
        rank(table.assign(key="candidate-00"), RankingSpec())
    with pytest.raises(InputError, match="'barrier_1d' of the table of candidates is not numeric"):
        rank(table.assign(barrier_1d="low"), RankingSpec())


def test_none_is_missing() -> None:
    table = make_table([(0.3, 0.3, 0.3, 5.0), (0.4, 0.4, 0.4, 6.0)]).astype({"barrier_1d": object})
    table.loc[0, "barrier_1d"] = None
    assert rank(table, RankingSpec())["missing"].tolist() == ["", "barrier_1d"]


def test_description_states_the_weights() -> None:
    lines = describe(RankingSpec(performance={"barrier_1d": 3, "barrier_3d": 1}, cost_weight=0.2))
    assert lines["performance"] == "0.75 × 1D BVSE barrier + 0.25 × 3D BVSE barrier"
    assert lines["performance_cost"].endswith(" + 0.2 × raw-material cost")
    assert "min-max" in lines["normalisation"]
