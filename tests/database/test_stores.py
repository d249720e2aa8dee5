from __future__ import annotations

from collections.abc import Callable

import pytest
from jobflow import JobStore
from pydantic import SecretStr

from lzc_flows.database.stores import CANDIDATES, DATA, PLAN, TASKS, Database, connect
from lzc_flows.errors import InputError
from lzc_flows.settings import get_settings

SECRET = Database(SecretStr("mongodb://curie:Sesame@127.0.0.1:1/?appName=Sesame"), "screening")


def test_names_of_stores_which_go_into_logs_hold_no_credentials() -> None:
    store = SECRET.job_store()
    names = [store.docs_store.name, store.additional_stores["data"].name]
    assert names == [f"mongodb://127.0.0.1:1/screening/{name}" for name in (TASKS, DATA)]
    for shown in (*names, repr(SECRET), str(SECRET)):
        assert "Sesame" not in shown
        assert "curie" not in shown


def test_large_data_go_to_the_data_store_and_come_back(database: Database) -> None:
    job_store: JobStore = database.job_store()
    grid = [0.5 * number for number in range(20000)]
    with job_store:
        document = {"uuid": "u", "index": 1, "output": {"barrier": float("inf"), "field": grid}}
        job_store.update(document, save={"data": "field"})
        assert job_store.get_output("u", load=True) == {"barrier": float("inf"), "field": grid}
    document = database.collection(TASKS).find_one({"uuid": "u"})
    assert document["output"]["barrier"] == float("inf")
    assert set(document["output"]["field"]) == {"@class", "@module", "blob_uuid", "store"}
    assert database.collection(f"{DATA}.files").count_documents({}) == 1


def test_indexes_are_made_once_and_keys_are_unique(database: Database) -> None:
    database.ensure_indexes()
    database.ensure_indexes()
    for name in (PLAN, CANDIDATES):
        information = database.collection(name).index_information()
        assert [entry["key"] for entry in information.values() if entry.get("unique")] == [[("key", 1)]]
        assert [("campaigns", 1)] in [entry["key"] for entry in information.values()]


def test_a_server_that_is_not_there_is_one_line(set_lzc: Callable) -> None:
    with set_lzc(LZC_MONGO_URI="mongodb://curie:Sesame@127.0.0.1:1", LZC_MONGO_TIMEOUT_S="0.2"):
        with pytest.raises(InputError, match=r"^no MongoDB server answers at mongodb://127\.0\.0\.1:1: "):
            connect()
        assert get_settings().mongo_database == "lzc_flows"
