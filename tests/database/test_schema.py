from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from pymongo.errors import DuplicateKeyError

from lzc_flows.database.schema import migrate, steps_needed
from lzc_flows.database.stores import CAMPAIGNS, PLAN, TASKS, Database, connect
from lzc_flows.database.version import META
from lzc_flows.documents.base import SCHEMA
from lzc_flows.errors import InputError


@pytest.fixture
def old(database: Database) -> Database:
    """A database from before versions were noted; two jobs of which one has left three results."""
    database.collection(META).delete_many({})
    database.collection(PLAN).insert_one({"key": "a", "campaigns": ["c"]})
    database.collection(CAMPAIGNS).insert_one({"name": "c"})
    results = [("u", 1, "2026-01-01"), ("u", 1, "2026-01-03"), ("u", 1, "2026-01-02"), ("u", 2, "2026-01-01")]
    for uuid, index, completed_at in results:
        database.collection(TASKS).insert_one({"uuid": uuid, "index": index, "completed_at": completed_at})
    return database


def left(database: Database) -> list[tuple[str, int, str]]:
    return sorted((task["uuid"], task["index"], task["completed_at"]) for task in database.collection(TASKS).find())


def assert_migrated(database: Database) -> None:
    assert left(database) == [("u", 1, "2026-01-03"), ("u", 2, "2026-01-01")]
    with pytest.raises(DuplicateKeyError):
        database.collection(TASKS).insert_one({"uuid": "u", "index": 1})
    assert database.collection(PLAN).find_one()["schema_version"] == SCHEMA
    assert database.collection(META).find_one({"_id": "schema"})["version"] == SCHEMA
    connect()


def test_a_new_database_is_of_this_version(database: Database) -> None:
    assert database.collection(META).find_one() == {"_id": "schema", "version": SCHEMA}
    assert steps_needed(database) == []


def test_one_result_a_job_is_left_and_stays_the_only_one(old: Database) -> None:
    with pytest.raises(InputError, match=r"has schema 1, .* needs 2: run `lzc db migrate`$"):
        connect()
    assert len(steps_needed(old)) == 1
    migrate(old)
    assert_migrated(old)
    migrate(old)
    assert_migrated(old)


@pytest.mark.parametrize("number", range(2, 9))
def test_a_migration_that_was_killed_is_continued(
    old: Database, fork: Callable, number: int, die_at: Callable[..., None]
) -> None:
    fork(die_at, number, lambda: migrate(replace(old))).join()
    migrate(old)
    assert_migrated(old)
