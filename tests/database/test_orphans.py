from __future__ import annotations

from datetime import timedelta

from lzc_flows.database.orphans import find_orphans, remove_orphans
from lzc_flows.database.stores import DATA, Database


def test_data_that_no_result_names_are_found_and_removed_when_they_are_old(database: Database) -> None:
    """A job that runs again leaves its first data, and one that was cut off leaves pieces."""
    with database.job_store() as store:
        for values in ([1, 1], [2, 2]):
            document = {"uuid": "u", "index": 1, "output": {"field": values}, "completed_at": "2026"}
            store.update(document, save={"data": "field"})
        kept = store.get_output("u", load=True)
    files, chunks = database.collection(f"{DATA}.files"), database.collection(f"{DATA}.chunks")
    piece = chunks.find_one({}, {"_id": False})
    cut_off = type(piece["files_id"])()
    chunks.insert_one(piece | {"files_id": cut_off})

    young = find_orphans(database)
    assert (young.files, young.pieces) == ([], [])
    orphans = find_orphans(database, timedelta(seconds=-5))
    assert (len(orphans.files), orphans.pieces) == (1, [cut_off])
    remove_orphans(database, orphans)
    assert (files.count_documents({}), chunks.count_documents({})) == (1, 1)
    with database.job_store() as store:
        assert store.get_output("u", load=True) == kept == {"field": [2, 2]}
