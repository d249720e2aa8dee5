from __future__ import annotations

import datetime
import os
import signal
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bson import Binary, CodecOptions, Decimal128, Int64, ObjectId, Regex, Timestamp
from bson.raw_bson import RawBSONDocument

from lzc_flows.database.backup import replace_by_backup, restore_backup, write_backup
from lzc_flows.database.stores import DATA, LOCKS, PLAN, TASKS, Database, connect
from lzc_flows.database.version import META, is_half_restored
from lzc_flows.documents.base import SCHEMA
from lzc_flows.errors import InputError

RAW = CodecOptions(document_class=RawBSONDocument)


def silent(name: str, done: int) -> None: ...


@pytest.fixture
def filled(database: Database) -> Database:
    """All kinds of values, large data, indexes."""
    database.ensure_indexes()
    kinds = {
        "_id": ObjectId(),
        "when": datetime.datetime(2026, 1, 2, 3, 4, 5, 678000),
        "many": Int64(2**40),
        "few": 7,
        "real": 0.1,
        "inf": float("inf"),
        "bytes": b"\x00\xff",
        "sub": Binary(b"abc", 5),
        "decimal": Decimal128("1.10"),
        "regex": Regex("a+", "i"),
        "stamp": Timestamp(5, 6),
        "nested": [{"z": None, "a": True}],
        "key": "é",
    }
    database.collection(PLAN).insert_one(kinds)
    database.collection("fireworks").create_index("fw_id", unique=True)
    database.collection("fireworks").insert_many([{"fw_id": n} for n in range(1201)])
    database.collection(LOCKS).insert_one({"_id": "submit"})
    with database.job_store() as store:
        output = {"uuid": "u", "index": 1, "output": {"field": list(range(100_000))}, "completed_at": "2026"}
        store.update(output, save={"data": "field"})
    return database


def contents(database: Database) -> dict[str, list[bytes]]:
    names = database.pymongo.list_collection_names(filter={"type": "collection"})
    return {
        name: sorted(document.raw for document in database.collection(name).with_options(codec_options=RAW).find())
        for name in sorted(names)
        if name not in (META, LOCKS) and database.collection(name).find_one()
    }


def indexes(database: Database) -> dict[str, Any]:
    return {name: database.collection(name).index_information() for name in (PLAN, TASKS, "fireworks")}


def test_what_comes_back_is_the_same_to_the_byte(filled: Database, tmp_path: Path) -> None:
    told: dict[str, int] = {}
    summary = write_backup(filled, tmp_path, told.__setitem__)
    assert summary.path.parent == tmp_path
    assert summary.documents["fireworks"] == told["fireworks"] == 1201
    other = replace(filled, name=f"{filled.name}_b")
    told.clear()
    assert restore_backup(other, summary.path, told.__setitem__) == summary
    assert told["fireworks"] == 1201
    assert contents(other) == contents(filled)
    assert indexes(other) == indexes(filled)
    with other.job_store() as store:
        assert store.get_output("u", load=True)["field"] == list(range(100_000))
    # locks belong to processes, which did not come along
    assert other.collection(LOCKS).count_documents({}) == 0
    assert other.collection(META).find_one()["version"] == SCHEMA


def test_a_database_that_holds_something_is_only_replaced_when_that_is_asked_for(
    filled: Database, tmp_path: Path
) -> None:
    path = write_backup(filled, tmp_path / "a.zip", silent).path
    before = contents(filled)
    filled.collection(PLAN).insert_one({"key": "new"})
    with pytest.raises(InputError, match="is not empty"):
        restore_backup(filled, path, silent)
    assert filled.collection(PLAN).count_documents({}) == 2
    replace_by_backup(filled, path, silent)
    assert contents(filled) == before


def damaged(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def of_another_program(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("letter.txt", "Dear")


def newer(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", f'{{"format": 1, "schema": {SCHEMA + 1}, "collections": {{}}}}')


@pytest.mark.parametrize("spoil", [damaged, cut_off, of_another_program, newer, Path.unlink])
def test_what_is_no_whole_backup_changes_nothing(
    filled: Database, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    path = write_backup(filled, tmp_path / "a.zip", silent).path
    spoil(path)
    before = contents(filled)
    for restore in (restore_backup, replace_by_backup):
        with pytest.raises(InputError, match=str(path)):
            restore(filled, path, silent)
    assert contents(filled) == before
    connect()


def test_a_restore_that_was_killed_is_marked_and_the_next_one_starts_again(
    filled: Database, tmp_path: Path, fork: Callable, set_lzc: Callable
) -> None:
    path = write_backup(filled, tmp_path / "a.zip", silent).path
    other = replace(filled, name=f"{filled.name}_b")

    def restore_and_die() -> None:
        def die(name: str, done: int) -> None:
            if name == "fireworks" and done >= 1000:
                os.kill(os.getpid(), signal.SIGKILL)

        restore_backup(replace(other), path, die)

    process = fork(restore_and_die)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert is_half_restored(other.pymongo)
    with set_lzc(LZC_MONGO_URI=filled.uri.get_secret_value(), LZC_MONGO_DATABASE=other.name):
        with pytest.raises(InputError, match="was interrupted: run the same `lzc db restore` again"):
            connect()
        restore_backup(other, path, silent)
        connect()
    assert contents(other) == contents(filled)


def test_a_backup_that_is_killed_leaves_no_file_of_its_name(filled: Database, tmp_path: Path, fork: Callable) -> None:
    path = tmp_path / "a.zip"

    def back_up_and_die() -> None:
        write_backup(replace(filled), path, lambda *_: os.kill(os.getpid(), signal.SIGKILL))

    fork(back_up_and_die).join()
    assert not path.exists()
    write_backup(filled, path, silent)
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["a.zip"]


def test_what_documents_name_is_in_the_backup_while_jobs_end(filled: Database, tmp_path: Path) -> None:
    """Ids are counted, launches made, and results stored after what names them has been read."""

    def work_on(name: str, done: int) -> None:
        if name == "fireworks" and done == 1201:
            filled.collection("launches").insert_one({"launch_id": 1})
            filled.collection("fw_id_assigner").insert_one({"next_fw_id": 9999})
            filled.collection(PLAN).insert_one({"key": "late"})

    summary = write_backup(filled, tmp_path / "a.zip", work_on)
    assert (summary.documents["launches"], summary.documents["fw_id_assigner"]) == (1, 1)
    assert summary.documents[PLAN] == 1
    assert summary.documents[f"{DATA}.files"] == 1
