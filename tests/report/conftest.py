from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

# fmt: off
CATIONS = [
    "Mg2+", "Zn2+", "Al3+", "Sc3+", "Ti3+", "V3+", "Fe3+",
    "Ga3+", "Y3+", "In3+", "Ge4+", "Sn4+", "P5+", "Nb5+",
]
# fmt: on


@pytest.fixture
def make_candidates() -> Callable[[list[str], list[str]], pd.DataFrame]:
    """Make a table of every combination of cations and columns, with barriers and a cost drawn at random."""

    def make(cations: list[str], columns: list[str]) -> pd.DataFrame:
        generator = np.random.default_rng(0)
        names = [(cation, column) for cation in cations for column in columns]
        table = pd.DataFrame(names, columns=["cation", "column"])
        table.insert(0, "key", [f"{cation}-{column}" for cation, column in names])
        return table.assign(
            barrier_1d=generator.gamma(4, 0.1, len(table)),
            barrier_3d=generator.gamma(6, 0.1, len(table)),
            cost_usd_per_kg=6 + generator.gamma(2, 3, len(table)),
        )

    return make


@pytest.fixture
def candidates(make_candidates: Callable[[list[str], list[str]], pd.DataFrame]) -> pd.DataFrame:
    """14 cations × 2 columns and the host: two lack barriers, one lacks a cost, one does not percolate."""
    table = make_candidates(CATIONS, ["1a", "2d"])
    table.loc[[3, 10], ["barrier_1d", "barrier_3d"]] = math.nan
    table.loc[5, "cost_usd_per_kg"] = math.nan
    table.loc[7, ["barrier_1d", "barrier_3d"]] = math.inf
    host = {"key": "host", "cation": "pristine", "column": "", "barrier_1d": 0.4, "barrier_3d": 0.6}
    return pd.concat([table, pd.DataFrame([host | {"cost_usd_per_kg": 8.7}])], ignore_index=True)
