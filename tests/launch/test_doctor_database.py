from __future__ import annotations

import pytest
from fireworks import LaunchPad
from gridfs import GridFS

from lzc_flows.database.stores import Database
from lzc_flows.launch.doctor_database import INDEXED, SCRATCH, clock_finding, database_findings
from lzc_flows.launch.findings import Finding


def statuses() -> dict[str, str]:
    return {finding.name: finding.status for finding in database_findings()}


def test_a_server_that_works(database: Database) -> None:
    names = database.collection("x").database.list_collection_names()
    assert statuses() == {"database": "ok", "writing": "ok", "data store": "ok", "indexes": "ok", "clock": "ok"}
    assert database.collection("x").database.list_collection_names() == names


def test_documents_and_data_of_others_stay(database: Database) -> None:
    there = database.collection("tasks").database
    database.ensure_indexes()
    there.tasks.insert_one({"_id": 1})
    stored = GridFS(there, "tasks_data").put(b"x")
    assert set(statuses().values()) == {"ok"}
    assert there.tasks.find_one() == {"_id": 1}
    assert GridFS(there, "tasks_data").get(stored).read() == b"x"
    assert not [name for name in there.list_collection_names() if name.startswith(SCRATCH)]


def test_indexes_are_those_that_a_submission_makes(database: Database, launchpad: LaunchPad) -> None:
    def found() -> Finding:
        return next(finding for finding in database_findings() if finding.name == "indexes")

    database.ensure_indexes()
    assert found() == Finding("indexes", "ok", f"{', '.join(INDEXED)} have theirs")
    database.collection("tasks").drop_indexes()
    launchpad.fireworks.drop_indexes()
    assert (found().status, found().hint.partition(":")[0]) == ("missing", "tasks, fireworks have lost theirs")


@pytest.mark.parametrize(
    ("ahead_s", "status", "words"),
    [
        (0.0, "ok", "0.0 s off"),
        (-4.9, "ok", "4.9 s off"),
        (5.1, "warning", "5 s ahead"),
        (-59.0, "warning", "59 s behind"),
        (61.0, "missing", "61 s ahead"),
        (-3600.0, "missing", "3600 s behind"),
    ],
)
def test_clocks(ahead_s: float, status: str, words: str) -> None:
    finding = clock_finding(ahead_s)
    assert finding.status == status
    assert words in finding.found
    assert bool(finding.hint) == (status != "ok")
