"""Migration of older databases, in steps from one version to the next.

Summaries are rebuilt by their builder; a step is needed only where plans, campaigns, results or indexes change. A step
may be cut off anywhere and done again: the version is noted when it has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

from lzc_flows.database.stores import CAMPAIGNS, PLAN, TASKS, VERSIONED, Database
from lzc_flows.database.version import note_version, version_of
from lzc_flows.documents.base import SCHEMA


def steps_needed(database: Database) -> list[str]:
    """Return what `migrate` would do, one line a step.

    Raises
    ------
    InputError
        The database is newer, or half restored.
    """
    found = version_of(database.pymongo, VERSIONED)
    return [f"schema {version} to {version + 1}: {_words(_STEPS[version])}" for version in range(found, SCHEMA)]


def migrate(database: Database) -> None:
    """Bring the contents to this version, one step after another.

    Raises
    ------
    InputError
        The database is newer, or half restored; nothing is changed.
    """
    for version in range(version_of(database.pymongo, VERSIONED), SCHEMA):
        _STEPS[version](database)
        note_version(database.pymongo, version + 1)


def _one_result_a_job(database: Database) -> None:
    """One result a job: of several under one uuid and index the newest stays; plans and campaigns name their schema."""
    tasks = database.collection(TASKS)
    for same in _repeated_results(database):
        for older in sorted(same, key=lambda task: task["completed_at"])[:-1]:
            tasks.delete_one({"_id": older["_id"]})
    tasks.create_index([("uuid", 1), ("index", 1)], unique=True)
    for name in (PLAN, CAMPAIGNS):
        database.collection(name).update_many({}, {"$set": {"schema_version": 2}})


def _repeated_results(database: Database) -> Iterator[list[dict[str, Any]]]:
    def job(task: dict[str, Any]) -> tuple[str, int]:
        return task["uuid"], task["index"]

    fields = {"uuid": True, "index": True, "completed_at": True}
    for _, same in groupby(sorted(database.collection(TASKS).find({}, fields), key=job), key=job):
        results = list(same)
        if len(results) > 1:
            yield results


def _words(step: Callable[[Database], None]) -> str:
    return (step.__doc__ or "").strip().rstrip(".")


_STEPS: dict[int, Callable[[Database], None]] = {1: _one_result_a_job}
"""What leads from a version to the next one."""
