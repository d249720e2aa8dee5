from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzc_flows.errors import InputError
from lzc_flows.ranking.criteria import CRITERIA
from lzc_flows.ranking.spec import RankingSpec
from lzc_flows.ranking.uncertainty import uncertain_values


def sigma_table(values: list[float], low: list[float], high: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"sigma_mS_cm": values, "sigma_low_mS_cm": low, "sigma_high_mS_cm": high}, dtype=float)


def test_a_stated_deviation_is_of_every_finite_value() -> None:
    table = pd.DataFrame({"barrier_3d": [0.4, math.inf, math.nan]})
    found = uncertain_values(table, "barrier_3d", RankingSpec())
    stated = CRITERIA["barrier_3d"].uncertainty.std  # type: ignore[union-attr]
    assert stated > 0
    np.testing.assert_allclose(found.std, [stated, 0, 0], rtol=1e-15)
    low, high = found.ends
    np.testing.assert_allclose(low, [0.4 - stated, math.inf, math.nan], rtol=1e-12)
    np.testing.assert_allclose(high, [0.4 + stated, math.inf, math.nan], rtol=1e-12)


def test_the_campaign_goes_before_the_criterion() -> None:
    table = sigma_table([100.0], [50.0], [200.0]).assign(barrier_3d=0.4)
    spec = RankingSpec(uncertainty={"barrier_3d": 0.05, "sigma_mS_cm": 7.0})
    assert uncertain_values(table, "barrier_3d", spec).std.tolist() == [0.05]
    sigma = uncertain_values(table, "sigma_mS_cm", spec)
    assert (sigma.lognormal, sigma.std.tolist()) == (False, [7.0])
    assert uncertain_values(table, "barrier_3d", RankingSpec(uncertainty={"barrier_3d": 0.0})).is_exact


@given(value=st.floats(1e-3, 1e4), s=st.floats(0.01, 2))
def test_an_interval_gives_its_own_ends_back(value: float, s: float) -> None:
    table = sigma_table([value], [value * math.exp(-s)], [value * math.exp(s)])
    found = uncertain_values(table, "sigma_mS_cm", RankingSpec())
    assert found.lognormal
    np.testing.assert_allclose(found.std, [s], rtol=1e-9)
    np.testing.assert_allclose(found.ends, table[["sigma_low_mS_cm", "sigma_high_mS_cm"]].to_numpy().T, rtol=1e-9)


def test_one_end_is_enough_and_none_is_none() -> None:
    table = sigma_table([10.0, 10.0, 10.0, math.nan], [0.0, 5.0, math.nan, 1.0], [20.0, math.nan, math.nan, 2.0])
    found = uncertain_values(table, "sigma_mS_cm", RankingSpec())
    np.testing.assert_allclose(found.std, [math.log(2), math.log(2), 0, 0], rtol=1e-12)


def test_a_table_without_the_interval_is_refused() -> None:
    with pytest.raises(InputError, match="no column 'sigma_low_mS_cm'"):
        uncertain_values(pd.DataFrame({"sigma_mS_cm": [1.0]}), "sigma_mS_cm", RankingSpec())


def test_every_uncertainty_says_where_it_is_from() -> None:
    for criterion in CRITERIA.values():
        assert len(criterion.uncertainty.reason) > 10
