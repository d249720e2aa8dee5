"""Large data that no result names: what repeated or interrupted jobs have left in the `data` store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId

from lzc_flows.database.stores import DATA, TASKS, Database

MIN_AGE = timedelta(days=1)
"""Younger data may belong to a job that is about to store its result."""


@dataclass(frozen=True)
class Orphans:
    """Files that no result names, and files of which there are only pieces, by id."""

    files: list[ObjectId]
    pieces: list[ObjectId]


def find_orphans(database: Database, min_age: timedelta = MIN_AGE) -> Orphans:
    """Return what no result names and is older than `min_age`."""
    files = list(database.collection(f"{DATA}.files").find({}, {"uploadDate": True, "metadata.blob_uuid": True}))
    pieces = database.collection(f"{DATA}.chunks").find({"n": 0}, {"files_id": True})
    lost = {piece["files_id"] for piece in pieces} - {file["_id"] for file in files}
    # read after the files: a job stores its result after its data
    named = {blob for task in database.collection(TASKS).find({}, {"output": True}) for blob in _blobs(task)}
    before = datetime.now(UTC) - min_age
    old = [file for file in files if file["uploadDate"].replace(tzinfo=UTC) < before]
    return Orphans(
        [file["_id"] for file in old if file["metadata"]["blob_uuid"] not in named],
        [piece for piece in lost if piece.generation_time < before],
    )


def remove_orphans(database: Database, orphans: Orphans) -> None:
    """Remove them."""
    for number in (*orphans.files, *orphans.pieces):
        database.collection(f"{DATA}.files").delete_one({"_id": number})
        database.collection(f"{DATA}.chunks").delete_many({"files_id": number})


def _blobs(content: Any) -> Iterator[str]:
    """Yield the names of large data in a document."""
    if isinstance(content, dict):
        if "blob_uuid" in content:
            yield content["blob_uuid"]
        else:
            for value in content.values():
                yield from _blobs(value)
    elif isinstance(content, list):
        for value in content:
            if isinstance(value, dict | list):
                yield from _blobs(value)
