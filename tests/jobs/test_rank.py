from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from lzc_flows.documents.ranking import RankingDoc
from lzc_flows.jobs.rank import _row, fingerprint, ranked_table
from lzc_flows.ranking.score import RankingSpec, rank

SPEC = RankingSpec(performance={"barrier_1d": 1.0, "barrier_3d": 2.0}, cost_weight=0.3)


def table() -> pd.DataFrame:
    """Five candidates: one never percolates, one lacks a barrier, one a cost."""
    return pd.DataFrame(
        {
            "key": list("abcde"),
            "cation": ["Ti3+", "Mg2+", "pristine", "Y3+", "Hf4+"],
            "column": "2d ×1",
            "barrier_1d": [0.3, 0.5, 0.4, math.inf, math.nan],
            "barrier_3d": [0.5, 0.6, 0.7, math.inf, 0.8],
            "cost_usd_per_kg": [8.0, 7.0, math.nan, 20.0, 9.0],
        }
    )


def document() -> RankingDoc:
    ranked = rank(table(), SPEC)
    return RankingDoc(
        campaign="tiny",
        ranking=SPEC.model_dump(mode="json"),
        fingerprint=fingerprint(table(), SPEC),
        rows=[_row(row) for row in ranked.to_dict(orient="records")],
    )


def test_a_stored_ranking_gives_the_ranked_table_back() -> None:
    stored = json.loads(json.dumps(document().model_dump()))
    found = ranked_table(RankingDoc.from_stored(stored))
    pd.testing.assert_frame_equal(found, rank(table(), SPEC))


def test_rows_are_plain_numbers_and_none() -> None:
    rows = document().rows
    kinds = {type(value) for row in rows for value in row.values()}
    assert kinds == {str, int, float, type(None)}
    assert not any(isinstance(value, float) and math.isnan(value) for row in rows for value in row.values())
    (endless,) = [row for row in rows if row["key"] == "d"]
    assert endless["barrier_3d"] == math.inf


def test_settings_in_the_document_are_the_settings() -> None:
    assert RankingSpec(**document().ranking) == SPEC


def test_the_fingerprint_is_of_the_numbers_not_of_their_order() -> None:
    shuffled = table().sample(frac=1, random_state=2)
    assert list(shuffled["key"]) != list(table()["key"])
    assert fingerprint(shuffled, SPEC) == fingerprint(table(), SPEC)


@pytest.mark.parametrize("column", ["barrier_1d", "barrier_3d", "cost_usd_per_kg"])
def test_the_fingerprint_sees_the_last_digit(column: str) -> None:
    changed = table()
    changed.loc[0, column] = np.nextafter(changed.loc[0, column], math.inf)
    assert fingerprint(changed, SPEC) != fingerprint(table(), SPEC)


def test_the_fingerprint_sees_the_settings_and_a_missing_candidate() -> None:
    fingerprints = {
        fingerprint(table(), SPEC),
        fingerprint(table(), SPEC.model_copy(update={"cost_weight": 0.31})),
        fingerprint(table().iloc[:4], SPEC),
    }
    assert len(fingerprints) == 3
