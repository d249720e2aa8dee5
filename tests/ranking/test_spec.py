from __future__ import annotations

import math
from pathlib import Path

import pytest
from pydantic import ValidationError

from lzc_flows.flows.spec import load_campaign
from lzc_flows.ranking.spec import RankingSpec, describe

WISHES = {
    "barrier_1d": {"worst": 0.6, "best": 0.3},
    "sigma_mS_cm": {"worst": 100.0, "best": 3000.0, "shape": 0.5},
    "cost_usd_per_kg": {"worst": 50.0, "best": 5.0},
}
DESIRABLE = {
    "performance": {"barrier_1d": 1.0, "sigma_mS_cm": 2.0},
    "normalisation": "desirability",
    "desirability": WISHES,
}


@pytest.mark.parametrize("path", sorted(Path(__file__).parents[2].glob("flows/*.yaml")), ids=lambda path: path.stem)
def test_packaged_campaigns_load_and_rank_by_what_they_did(path: Path) -> None:
    spec = load_campaign(path).ranking
    assert (spec.desirability, spec.uncertainty, spec.samples, spec.seed, spec.top) == ({}, {}, 2000, 1, 5)


def test_desirability_goes_through_json_and_says_itself() -> None:
    spec = RankingSpec(**DESIRABLE)
    assert RankingSpec(**spec.model_dump(mode="json")) == spec
    assert RankingSpec.from_dict(spec.as_dict()) == spec
    line = describe(spec)["normalisation"]
    assert line.startswith("desirability, 0 to 1 from worst to best: barrier_1d 0.6 to 0.3, shape 1; ")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"normalisation": "rank"}, "desirability: goes with normalisation: desirability, which is rank"),
        ({"desirability": {}}, "worst and best of 'barrier_1d' are missing; it is weighed"),
        ({"desirability": WISHES | {"barrier_2d": WISHES["barrier_1d"]}}, "'barrier_2d' is not weighed; allowed are"),
        ({"desirability": WISHES | {"barrier_1d": {"worst": 0.3, "best": 0.6}}}, "best 0.6 must be lower than 0.3"),
        ({"desirability": WISHES | {"sigma_mS_cm": {"worst": 5, "best": 5}}}, "best 5 must be higher than 5"),
        ({"desirability": WISHES | {"barrier_1d": {"worst": 0.6, "best": 0.3, "shape": 0}}}, "greater than 0"),
        ({"desirability": WISHES | {"barrier_1d": {"worst": math.inf, "best": 0.3}}}, "finite"),
        (
            {"uncertainty": {"barrier_4d": 0.1}},
            "unknown criterion 'barrier_4d': allowed are cost_usd_per_kg, barrier_1d",
        ),
        ({"uncertainty": {"barrier_1d": -0.1}}, "greater than or equal to 0"),
        ({"samples": 10}, "greater than or equal to 100"),
        ({"top": 0}, "greater than or equal to 1"),
    ],
)
def test_bad_specs_are_refused(changes: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        RankingSpec(**(DESIRABLE | changes))


def test_without_weight_the_cost_needs_no_wish() -> None:
    wishes = {name: wish for name, wish in WISHES.items() if name != "cost_usd_per_kg"}
    assert RankingSpec(**(DESIRABLE | {"cost_weight": 0, "desirability": wishes})).cost_weight == 0
