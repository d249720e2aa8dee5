"""Backups: a database as one file, and back again, byte for byte.

A backup is a zip archive of BSON, one member a collection, with a manifest of counts, checksums and indexes. Workers
may run meanwhile: what refers to other documents is read before these, so that whatever a document of a backup names
is in it too. What jobs did while it was made may be in it or not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

from bson import CodecOptions, decode_file_iter, json_util
from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure

from lzc_flows.database.stores import DATA, LOCKS, TASKS, VERSIONED, WORKERS, Database
from lzc_flows.database.version import META, begin_restore, end_restore, is_half_restored, note_version, version_of
from lzc_flows.documents.base import SCHEMA
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.files import written_whole

_MANIFEST = "manifest.json"
_FORMAT = 1
_RAW: CodecOptions = CodecOptions(document_class=RawBSONDocument)

_OF_PROCESSES = (LOCKS, WORKERS, META)
"""What belongs to living processes, or is written anew."""

_LAST = ("fireworks", "workflows", "launches", TASKS, f"{DATA}.files", f"{DATA}.chunks", "fw_id_assigner")
"""In this order, after all others: what refers comes before what it refers to, and the counter of ids at the end."""

_BATCH, _BATCH_BYTES = 500, 8 * 2**20

Progress = Callable[[str, int], None]
"""Told the collection and how many of its documents are done."""


@dataclass(frozen=True)
class Summary:
    """What a backup holds: its schema, and the number of documents by collection."""

    path: Path
    schema: int
    documents: dict[str, int]


def write_backup(database: Database, path: Path, progress: Progress) -> Summary:
    """Write all of a database into `path`, or into a file with a name of its own if that is a folder.

    Raises
    ------
    InputError
        The database is newer or half restored.
    """
    version = version_of(database.pymongo, VERSIONED)
    made_at = datetime.now(UTC)
    if path.is_dir():
        path /= f"{database.name}-{made_at:%Y%m%d-%H%M%S}.zip"
    members = {}
    with written_whole(path) as partial, ZipFile(partial, "w", ZIP_DEFLATED) as archive:
        for name in _names(database):
            with archive.open(_member(name), "w", force_zip64=True) as stream:
                members[name] = _write(database, name, stream, progress)
        manifest = {
            "format": _FORMAT,
            "schema": version,
            "database": database.name,
            "made_at": made_at.isoformat(),
            "collections": members,
        }
        archive.writestr(_MANIFEST, json_util.dumps(manifest, indent=1))
    return Summary(path, version, {name: member["documents"] for name, member in members.items()})


def restore_backup(database: Database, path: Path, progress: Progress) -> Summary:
    """Fill an empty database from a backup; what a restore that was cut off has left there is replaced.

    Raises
    ------
    InputError
        `path` is no whole backup or of a newer schema, or the database is not empty; nothing is changed.
    CalculationError
        The database did not take all; it is left marked, and the next restore starts again.
    """
    with _opened(path) as archive:
        manifest = verified(archive, path)
        if not is_half_restored(database.pymongo) and not is_empty(database):
            raise InputError(
                f"database {database.name!r} is not empty: give another name with --into, or --replace to lose what "
                "it holds"
            )
        return _fill(database, archive, manifest, path, progress)


def replace_by_backup(database: Database, path: Path, progress: Progress) -> Summary:
    """Fill a database from a backup; all that it held is lost. Raises as `restore_backup`."""
    with _opened(path) as archive:
        return _fill(database, archive, verified(archive, path), path, progress)


def is_empty(database: Database) -> bool:
    """Return whether a database holds no documents but its version."""
    names = database.pymongo.list_collection_names(filter={"type": "collection"})
    return not any(database.collection(name).find_one({}, {"_id": True}) for name in names if name != META)


def verified(archive: ZipFile, path: Path) -> dict[str, Any]:
    """Return the manifest of a backup after all of it has been read and compared with its checksums.

    Raises
    ------
    InputError
        It is no backup, damaged, or of a newer schema.
    """
    try:
        manifest = json_util.loads(archive.read(_MANIFEST))
        known = manifest["format"] == _FORMAT
        schema, members = manifest["schema"], manifest["collections"]
    except (KeyError, TypeError, json.JSONDecodeError):
        raise InputError(f"{path}: not a backup of `lzc db backup`") from None
    if not known or schema > SCHEMA:
        raise InputError(
            f"{path}: a backup of schema {schema}, this version of lzc-flows knows {SCHEMA}: install a newer lzc-flows"
        )
    for name, member in members.items():
        try:
            with archive.open(_member(name)) as stream:
                found = _checksum(stream)
        except (KeyError, BadZipFile, OSError, EOFError):
            found = ""
        if found != member["sha256"]:
            raise InputError(f"{path}: damaged: collection {name!r} does not match its checksum")
    return manifest


def _fill(database: Database, archive: ZipFile, manifest: dict[str, Any], path: Path, progress: Progress) -> Summary:
    target = database.pymongo
    begin_restore(target, str(path))
    for name in target.list_collection_names(filter={"type": "collection"}):
        if name != META:
            # not dropped: that takes the embedded server half a minute a collection
            target[name].delete_many({})
    for name, member in manifest["collections"].items():
        # first: on a filled collection an index takes the embedded server half a minute
        _make_indexes(database, name, member["indexes"])
        with archive.open(_member(name)) as stream:
            _read(database, name, stream, progress)
        found = target[name].count_documents({})
        if found != member["documents"]:
            raise CalculationError(f"collection {name!r}: {found} of {member['documents']} documents restored")
    note_version(target, manifest["schema"])
    end_restore(target)
    return Summary(path, manifest["schema"], {n: member["documents"] for n, member in manifest["collections"].items()})


@contextmanager
def _opened(path: Path) -> Iterator[ZipFile]:
    try:
        archive = ZipFile(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except BadZipFile:
        raise InputError(f"{path}: not a backup of `lzc db backup`, or cut off") from None
    with archive:
        yield archive


def _checksum(stream: IO[bytes]) -> str:
    checksum = hashlib.sha256()
    while block := stream.read(2**20):
        checksum.update(block)
    return checksum.hexdigest()


def _names(database: Database) -> list[str]:
    found = database.pymongo.list_collection_names(filter={"type": "collection"})
    others = {name for name in found if not name.startswith("system.")}.difference(_OF_PROCESSES, _LAST)
    # the last ones also if they are not there yet: a job may make them meanwhile
    return [*sorted(others), *_LAST]


def _member(collection: str) -> str:
    return f"{collection}.bson"


def _write(database: Database, name: str, stream: IO[bytes], progress: Progress) -> dict[str, Any]:
    """Write a collection; return its entry in the manifest."""
    checksum, documents = hashlib.sha256(), 0
    for document in database.collection(name).with_options(codec_options=_RAW).find():
        stream.write(document.raw)
        checksum.update(document.raw)
        documents += 1
        progress(name, documents)
    indexes = [
        {field: value for field, value in index.items() if field not in ("v", "ns")}
        for index in database.collection(name).list_indexes()
        if index["name"] != "_id_"
    ]
    return {"documents": documents, "sha256": checksum.hexdigest(), "indexes": indexes}


def _read(database: Database, name: str, stream: IO[bytes], progress: Progress) -> None:
    done = 0
    collection = database.collection(name).with_options(codec_options=_RAW)
    for batch in _batches(decode_file_iter(stream, codec_options=_RAW)):
        collection.insert_many(batch)
        done += len(batch)
        progress(name, done)


def _batches(documents: Iterator[RawBSONDocument]) -> Iterator[list[RawBSONDocument]]:
    batch: list[RawBSONDocument] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.raw)
        if len(batch) == _BATCH or size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _make_indexes(database: Database, name: str, indexes: list[dict[str, Any]]) -> None:
    for index in indexes:
        options = {field: value for field, value in index.items() if field != "key"}
        try:
            database.collection(name).create_index(list(index["key"].items()), **options)
        except OperationFailure as error:
            raise CalculationError(f"collection {name!r}: index {index['name']!r} is refused: {error.code}") from None
