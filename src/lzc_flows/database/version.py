"""The version of a database's contents: where it is noted, and who is refused."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from pymongo.database import Database
from pymongo.errors import OperationFailure

from lzc_flows.documents.base import SCHEMA
from lzc_flows.errors import InputError

META = "meta"
"""Two documents at most: the version, and a restore that has not ended."""

_VERSION = {"_id": "schema"}
_RESTORE = {"_id": "restore"}


def version_of(database: Database, collections: Sequence[str]) -> int:
    """Return the version of a database; without a note it is this one if these collections are empty, else the first.

    Raises
    ------
    InputError
        The database is newer, or a restore into it has not ended.
    """
    meta = {entry["_id"]: entry for entry in database[META].find()}
    if "restore" in meta:
        raise InputError(
            f"database {database.name!r}: restoring {meta['restore']['file']} into it was interrupted: "
            "run the same `lzc db restore` again"
        )
    if "schema" in meta:
        version = meta["schema"]["version"]
    else:
        version = 1 if any(database[name].find_one({}, {"_id": True}) for name in collections) else SCHEMA
    if version > SCHEMA:
        raise InputError(
            f"database {database.name!r} has schema {version}, this version of lzc-flows knows {SCHEMA}: "
            "install a newer lzc-flows"
        )
    return version


def require_this_version(database: Database, collections: Sequence[str]) -> None:
    """Refuse a database of another version, and note the version of an empty one.

    Raises
    ------
    InputError
        The database is newer, or older, or half restored; nothing is changed.
    """
    version = version_of(database, collections)
    if version < SCHEMA:
        raise InputError(
            f"database {database.name!r} has schema {version}, this version of lzc-flows needs {SCHEMA}: "
            "run `lzc db migrate`"
        )
    with suppress(OperationFailure):  # a user who may only read
        database[META].update_one(_VERSION, {"$setOnInsert": {"version": SCHEMA}}, upsert=True)


def note_version(database: Database, version: int) -> None:
    """Note the version of a database's contents."""
    database[META].update_one(_VERSION, {"$set": {"version": version}}, upsert=True)


def begin_restore(database: Database, file: str) -> None:
    """Note that a restore has begun: until it ends, nothing else works on the database."""
    database[META].update_one(_RESTORE, {"$set": {"file": file}}, upsert=True)


def is_half_restored(database: Database) -> bool:
    """Return whether a restore has begun and not ended."""
    return database[META].find_one(_RESTORE) is not None


def end_restore(database: Database) -> None:
    """Note that the restore has ended."""
    database[META].delete_one(_RESTORE)
