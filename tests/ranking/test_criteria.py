from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from lzc_flows.documents.candidate import STAGES
from lzc_flows.ranking.criteria import COST, CRITERIA, TIER_OF_STAGE, TIERS


def test_criteria_are_found_by_their_names() -> None:
    assert {name: criterion.name for name, criterion in CRITERIA.items()} == {name: name for name in CRITERIA}
    assert CRITERIA["cost_usd_per_kg"] is COST


def test_low_barriers_and_low_cost_are_better() -> None:
    for name in ("barrier_1d", "barrier_2d", "barrier_3d"):
        assert (CRITERIA[name].unit, CRITERIA[name].direction, CRITERIA[name].stage) == (
            "eV",
            "lower",
            "bvse",
        )
    assert (COST.unit, COST.direction) == ("$/kg", "lower")


def test_criterion_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        COST.unit = "€/kg"  # type: ignore[misc]


def test_every_criterion_has_a_tier_that_follows_from_its_stage() -> None:
    assert {CRITERIA[name].tier for name in ("cost_usd_per_kg", "barrier_ab")} == {"static"}
    assert (CRITERIA["sigma_mS_cm"].tier, CRITERIA["neb_barrier_c"].tier) == ("dynamics", "hops")
    assert {criterion.tier for criterion in CRITERIA.values()} <= set(TIERS)
    assert {criterion.stage for criterion in CRITERIA.values()} <= set(STAGES) & set(TIER_OF_STAGE)
