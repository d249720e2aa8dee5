from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

from lzc_flows.ranking import montecarlo
from lzc_flows.ranking.montecarlo import Drawn, RankCounter, Sampler, ranks_of
from lzc_flows.ranking.normalise import NORMALISATIONS
from lzc_flows.ranking.spec import RankingSpec

# with these wishes the score is the barrier turned round, and nothing is cut off
LINEAR = {
    "performance": {"barrier_3d": 1.0},
    "normalisation": "desirability",
    "desirability": {
        "barrier_3d": {"worst": 10.0, "best": -10.0},
        "cost_usd_per_kg": {"worst": 100.0, "best": 0.0},
    },
}


def table_of(barriers: list[float], cost: float = 10.0) -> pd.DataFrame:
    keys = [f"c{number:03d}" for number in range(len(barriers))]
    return pd.DataFrame({"key": keys, "cation": "Ti3+", "column": "x", "barrier_3d": barriers, "cost_usd_per_kg": cost})


def draw(table: pd.DataFrame, spec: RankingSpec, salt: int = 0) -> list[Drawn]:
    sampler = Sampler(table, spec, salt)
    return [sampler.draw(piece) for piece in sampler.pieces]


def performance(table: pd.DataFrame, spec: RankingSpec) -> np.ndarray:
    return np.concatenate([drawn.scores["performance"] for drawn in draw(table, spec)])


@pytest.mark.parametrize("gap", [0.0, 0.02, 0.1])
def test_two_gaussians(gap: float) -> None:
    """P(a better than b) = Φ(Δ / √(σa² + σb²)), within four standard errors of as many samples."""
    spec = RankingSpec(**LINEAR, uncertainty={"barrier_3d": 0.05}, samples=20_000)
    scores = performance(table_of([0.4, 0.4 + gap]), spec)
    expected = norm.cdf(gap / math.hypot(0.05, 0.05))
    error = math.sqrt(expected * (1 - expected) / spec.samples)
    assert np.mean(scores[:, 0] > scores[:, 1]) == pytest.approx(expected, abs=4 * error)


def test_a_lognormal_value_has_its_interval() -> None:
    wishes = {"sigma_mS_cm": {"worst": 0.0, "best": 1e5}, "cost_usd_per_kg": {"worst": 100.0, "best": 0.0}}
    spec = RankingSpec(
        performance={"sigma_mS_cm": 1}, normalisation="desirability", desirability=wishes, samples=20_000
    )
    table = table_of([0.4]).assign(sigma_mS_cm=2000.0, sigma_low_mS_cm=1000.0, sigma_high_mS_cm=4000.0)
    found = 1e5 * performance(table, spec)[:, 0]
    one = norm.cdf(1)
    np.testing.assert_allclose(np.quantile(found, [1 - one, 0.5, one]), [1000, 2000, 4000], rtol=0.03)


def test_equal_candidates_have_equal_chances() -> None:
    spec = RankingSpec(performance={"barrier_3d": 1}, uncertainty={"barrier_3d": 0.05}, samples=4000)
    counter = RankCounter(np.arange(10), spec.samples)
    counter.add(performance(table_of([0.4] * 10), spec), slice(0, spec.samples))
    found = counter.certainty(top=5)
    np.testing.assert_allclose(found.top_probability, 0.5, atol=4 * math.sqrt(0.25 / spec.samples))
    assert (found.ends["low68"] == 2).all()
    assert set(found.ends["high68"]) <= {8, 9}
    assert found.top_probability.sum() == pytest.approx(5)


def test_criteria_with_one_error_err_together() -> None:
    """The mean of three barriers with one error is as uncertain as each of them; of two with their own it is less."""
    wish = {"worst": 10.0, "best": -10.0}
    names = ["barrier_ab", "barrier_2d", "barrier_3d", "barrier_c"]
    wishes = dict.fromkeys(names, wish) | {"cost_usd_per_kg": {"worst": 100.0, "best": 0.0}}
    table = table_of([0.4]).assign(**dict.fromkeys(names, 0.4))
    deviations = {}
    for chosen in (names[:3], names[2:]):
        spec = RankingSpec(
            performance=dict.fromkeys(chosen, 1.0),
            normalisation="desirability",
            desirability={name: wishes[name] for name in [*chosen, "cost_usd_per_kg"]},
            uncertainty=dict.fromkeys(chosen, 0.05),
            samples=20_000,
        )
        deviations[len(chosen)] = performance(table, spec).std() * 20
    assert deviations[3] == pytest.approx(0.05, rel=0.03)
    assert deviations[2] == pytest.approx(0.05 / math.sqrt(2), rel=0.03)


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_each_sample_is_normalised_as_a_table_is(normalisation: str) -> None:
    barriers = [0.4, math.inf, 0.5, 0.45, 0.41]
    spec = RankingSpec(
        performance={"barrier_3d": 1}, normalisation=normalisation, uncertainty={"barrier_3d": 0.05}, samples=100
    )
    for row in performance(table_of(barriers), spec):
        assert row[1] == 0
        assert row.max() == 1
    zero = spec.model_copy(update={"uncertainty": {"barrier_3d": 0.0}})
    expected = NORMALISATIONS[normalisation](barriers, "lower")  # type: ignore[index]
    np.testing.assert_allclose(performance(table_of(barriers), zero), np.tile(expected, (100, 1)), rtol=1e-6)


def test_no_scale_and_missing_costs() -> None:
    table = table_of([0.4, 0.4]).assign(cost_usd_per_kg=[10.0, math.nan])
    spec = RankingSpec(performance={"barrier_3d": 1}, uncertainty={"barrier_3d": 0.0}, samples=100)
    (drawn,) = draw(table, spec)
    assert (drawn.scores["performance"] == 1).all()
    assert (drawn.scores["performance_cost"][:, 0] == 1).all()


def test_pieces_are_drawn_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(montecarlo, "_AT_A_TIME", 4 * 7)
    spec = RankingSpec(performance={"barrier_3d": 1}, samples=300, uncertainty={"cost_usd_per_kg": 2.0})
    table = table_of([0.4, 0.45, 0.5, math.inf])
    sampler = Sampler(table, spec)
    assert [piece.start for piece in sampler.pieces] == list(range(0, 300, 7))
    assert sampler.pieces[-1].stop == 300
    backwards = [sampler.draw(piece) for piece in reversed(sampler.pieces)][::-1]
    for drawn, again in zip(draw(table, spec), backwards, strict=True):
        np.testing.assert_array_equal(drawn.cost, again.cost)
        for score, scores in drawn.scores.items():
            np.testing.assert_array_equal(scores, again.scores[score])
    # no two pieces have the same random numbers
    assert len({drawn.cost.tobytes() for drawn in backwards}) == len(backwards)


def test_seed_and_salt_decide() -> None:
    table = table_of([0.4, 0.45, 0.5])
    spec = RankingSpec(performance={"barrier_3d": 1}, samples=100)
    (one,), (two,), (three,) = (
        draw(table, spec),
        draw(table, spec, salt=1),
        draw(table, RankingSpec(**{**spec.model_dump(), "seed": 2})),
    )
    assert (one.scores["performance"] != two.scores["performance"]).any()
    assert (one.scores["performance"] != three.scores["performance"]).any()


@given(
    arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 12)), elements=st.sampled_from([0, 0.25, 0.5, 1]))
)
def test_ranks_are_one_more_than_the_number_that_is_better(scores: np.ndarray) -> None:
    expected = 1 + (scores[:, None, :] > scores[:, :, None]).sum(axis=2)
    np.testing.assert_array_equal(ranks_of(scores), expected)
    np.testing.assert_array_equal(ranks_of(np.where(scores == 0, np.float32(-0.0), scores)), expected)


def test_intervals_are_quantiles_and_others_come_first() -> None:
    """A candidate that is first in 20 of 100 samples, second in 70 and third in 10."""
    counter = RankCounter(np.array([1, 2, 3]), 100)
    rows = [[9, 3, 2, 1]] * 20 + [[9, 2, 3, 1]] * 70 + [[9, 1, 3, 2]] * 10
    scores = np.array(rows, dtype=np.float32)
    counter.add(scores[40:], slice(40, 100))
    counter.add(scores[:40], slice(0, 40))
    alone = counter.certainty(top=1)
    assert {name: int(ends[0]) for name, ends in alone.ends.items()} == {
        "low95": 1,
        "low68": 1,
        "high68": 2,
        "high95": 3,
    }
    assert alone.top_probability.tolist() == [0.2, 0.8, 0.0]
    behind = counter.certainty(top=5, ahead=4)
    assert {name: int(ends[0]) for name, ends in behind.ends.items()} == {
        "low95": 5,
        "low68": 5,
        "high68": 6,
        "high95": 7,
    }
    assert behind.top_probability.tolist() == [0.2, 0.8, 0.0]
    assert counter.certainty(top=3, ahead=4).top_probability.tolist() == [0, 0, 0]
