"""One result a job, however often and wherever it runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lzc_flows.database.stores import TASKS, Database, connect
from lzc_flows.errors import InputError


def store_often(worker: int) -> None:
    with connect().job_store() as store:
        for number in range(20):
            output = {"worker": worker}
            store.update({"uuid": f"job-{number}", "index": 1, "output": output, "completed_at": "2026-01-01T00:00:00"})


def test_runs_of_one_job_at_the_same_time_leave_one_result(database: Database, fork: Callable) -> None:
    database.ensure_indexes()
    children = [fork(store_often, worker) for worker in range(3)]
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    found = list(database.collection(TASKS).find())
    assert sorted(task["uuid"] for task in found) == sorted(f"job-{number}" for number in range(20))


def test_two_results_of_one_job_from_before_are_named(database: Database) -> None:
    others = [{"uuid": "other", "index": number} for number in (1, 2)]
    database.collection(TASKS).insert_many([*others, *({"uuid": "twice", "index": 1} for _ in range(2))])
    with pytest.raises(InputError) as caught:
        database.ensure_indexes()
    assert str(caught.value) == (
        f"database {database.name!r}: collection 'tasks' holds two results of one job (uuid 'twice', index 1): "
        "leave only one of them, then run the same command again"
    )
    assert database.collection(TASKS).count_documents({}) == 4
