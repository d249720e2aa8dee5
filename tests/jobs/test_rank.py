from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from bson import encode

from lzc_flows.database.result_stores import LARGEST_BYTES
from lzc_flows.database.stores import CANDIDATES, DATA, TASKS, Database
from lzc_flows.documents.ranking import RankingDoc
from lzc_flows.errors import InputError
from lzc_flows.jobs.rank import RankMaker, explain_candidate, fingerprint, rank_campaign, ranked_table, ranking_document
from lzc_flows.ranking.assessment import assess
from lzc_flows.ranking.spec import RankingSpec

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
    return ranking_document("tiny", table(), SPEC)


def test_a_stored_ranking_gives_the_ranked_table_back() -> None:
    stored = json.loads(json.dumps(document().model_dump()))
    found = ranked_table(RankingDoc.from_stored(stored))
    pd.testing.assert_frame_equal(found, assess(table(), SPEC).table)


def test_the_same_numbers_give_the_same_document() -> None:
    shuffled = table().sample(frac=1, random_state=2)
    assert ranking_document("tiny", shuffled, SPEC) == document()


def test_an_explanation_leads_to_the_documents() -> None:
    record = {"uuid": "u-bvse", "index": 1, "completed_at": "2026"}
    parts = explain_candidate(document(), "performance_cost", {"key": "b", "stages": {"bvse": record}})
    assert [(part.criterion, part.document) for part in parts] == [
        ("barrier_1d", "u-bvse"),
        ("barrier_3d", "u-bvse"),
        ("cost_usd_per_kg", None),
    ]
    (row,) = [row for row in document().rows if row["key"] == "b"]
    assert sum(part.contribution or 0 for part in parts) == pytest.approx(row["performance_cost"])
    with pytest.raises(InputError, match="'z': not in campaign 'tiny'"):
        explain_candidate(document(), "performance", {"key": "z", "stages": {}})


def test_rows_are_plain_numbers_and_none() -> None:
    rows = document().rows
    kinds = {type(value) for row in rows for value in row.values()}
    assert kinds == {str, int, float, bool, type(None)}
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


@pytest.mark.slow
def test_a_ranking_of_ten_thousand_candidates_is_stored_and_read_back(database: Database) -> None:
    """Its rows alone are larger than any document may be."""
    criteria = ("barrier_1d", "barrier_2d", "barrier_3d", "cost_usd_per_kg")
    spec = RankingSpec(performance=dict.fromkeys(criteria[:3], 1.0), cost_weight=0.3)
    numbers = np.random.default_rng(1).uniform(0.1, 1.0, size=(10_000, len(criteria))).tolist()
    numbers[7][1] = math.inf
    database.ensure_indexes()  # on a filled collection they take the embedded server minutes
    database.collection(CANDIDATES).insert_many(
        {
            "key": f"{number}_{'of_a_long_name' * 5}",
            "cation_axis": "Ti3+",
            "column": "2d ×1",
            "campaigns": ["big"],
            **dict(zip(criteria, values, strict=True)),
        }
        for number, values in enumerate(numbers)
    )
    job = RankMaker(ranking=spec).make("big")
    with database.job_store() as store:
        job.run(store)
        found = RankingDoc.from_stored(store.get_output(job.uuid, load=True))
    assert found == rank_campaign(database, "big", spec)
    assert len(found.rows) == 10_000
    (task,) = database.collection(TASKS).find()
    assert task["output"]["fingerprint"] == found.fingerprint
    assert len(encode(task)) < 2000
    rows, sensitivity = sorted((file["length"] for file in database.collection(f"{DATA}.files").find()), reverse=True)
    assert rows > LARGEST_BYTES > sensitivity
