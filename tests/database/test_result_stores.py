from __future__ import annotations

import pytest
from bson import ObjectId
from gridfs.synchronous import grid_file
from hypothesis import given, settings
from hypothesis import strategies as st

from lzc_flows.database.result_stores import LARGEST_BYTES, require_storable
from lzc_flows.database.stores import DATA, TASKS, Database
from lzc_flows.errors import CalculationError


def result(output: dict, completed_at: str = "2026") -> dict:
    return {"uuid": "u", "index": 1, "output": output, "completed_at": completed_at}


def test_what_is_too_large_is_refused_by_its_largest_fields_and_nothing_is_written(database: Database) -> None:
    with database.job_store() as store:
        large = result({"rows": "x" * LARGEST_BYTES, "small": 1, "field": [1, 2]})
        line = r"^a document of 8\.0 MiB is too large .*limit 8\.0 MiB.*: output\.rows 8\.0 MiB, output\."
        with pytest.raises(CalculationError, match=line):
            store.update(large, save={"data": "field"})
    assert database.collection(TASKS).count_documents({}) == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(LARGEST_BYTES - 2**16, LARGEST_BYTES + 2**16))
def test_whatever_passes_is_below_what_mongodb_takes(size: int) -> None:
    document = result({"text": "x" * size})
    try:
        require_storable(document)
    except CalculationError:
        assert size > LARGEST_BYTES - 200
    else:
        assert size < LARGEST_BYTES


def test_a_repeated_job_leaves_one_result_whose_data_are_the_later_ones(database: Database) -> None:
    database.ensure_indexes()
    with database.job_store() as first, database.job_store() as second:
        first.update(result({"field": [1, 1]}, "2026-01-01"), save={"data": "field"})
        second.update(result({"field": [2, 2]}, "2026-01-02"), save={"data": "field"})
        assert first.get_output("u", load=True) == {"field": [2, 2]}
    assert database.collection(TASKS).count_documents({}) == 1
    files = list(database.collection(f"{DATA}.files").find())
    assert [file["metadata"]["job_uuid"] for file in files] == ["u", "u"]


def test_data_are_written_where_the_server_kept_the_rest_of_a_cut_insertion(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.ensure_indexes()
    taken = ObjectId()
    with database.job_store() as store:
        store.update({**result({"field": [0]}), "uuid": "earlier"}, save={"data": "field"})  # makes GridFS's indexes
        database.collection(f"{DATA}.chunks").insert_one({"files_id": taken, "n": 0, "data": b""})
        names = iter([taken])
        monkeypatch.setattr(grid_file, "ObjectId", lambda *given: next(names, None) or ObjectId(*given))
        store.update(result({"field": [1, 2]}), save={"data": "field"})
        assert next(names, None) is None
        assert store.get_output("u", load=True) == {"field": [1, 2]}


def test_a_document_never_names_data_that_are_not_there(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with database.job_store() as store:

        def fail(*_: object, **__: object) -> None:
            assert database.collection(TASKS).count_documents({}) == 0
            raise OSError("full")

        monkeypatch.setattr(store.additional_stores["data"], "update", fail)
        with pytest.raises(OSError, match="full"):
            store.update(result({"field": [1, 2]}), save={"data": "field"})
    assert database.collection(TASKS).count_documents({}) == 0
