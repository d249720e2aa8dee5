"""Operations whose server is killed, or whose answer is lost on its way."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from bson import ObjectId
from pydantic import SecretStr
from pymongo.errors import DuplicateKeyError, PyMongoError

from lzc_flows.database.patient import TICKET
from lzc_flows.database.server import ServerInfo
from lzc_flows.database.stores import Database, connect

SIZE = 3000


def scan(database: Database) -> list[int]:
    """Read all in eight batches."""
    things = database.collection("things").find({}, {"_id": False}, batch_size=400)
    return [entry["n"] for entry in things]


@pytest.mark.parametrize("batch", [1, 4])
def test_a_scan_in_whose_middle_the_server_is_killed_is_whole(
    own_campaigns: Path, kill_server: Callable, act_at: Callable, fork: Callable, batch: int
) -> None:
    connect().collection("things").insert_many({"n": number} for number in range(SIZE))

    def read() -> None:
        database = connect().patient()
        found: list[int] = []
        act_at(batch, lambda: kill_server(own_campaigns), lambda: found.extend(scan(database)))
        assert found == list(range(SIZE))

    reader = fork(read)
    reader.join(60)
    assert reader.exitcode == 0


def test_without_patience_a_scan_reads_as_it_goes_on_and_ends_with_its_server(
    own_campaigns: Path, kill_server: Callable
) -> None:
    things = connect().collection("things")
    things.insert_many({"n": number} for number in range(SIZE))
    cursor = things.find({}, batch_size=400)
    assert next(cursor)["n"] == 0
    assert cursor.retrieved == 400
    kill_server(own_campaigns)
    with pytest.raises(PyMongoError):
        list(cursor)


def test_patient_cursors_are_cursors(database: Database) -> None:
    things = database.patient().collection("things")
    things.insert_many({"n": number} for number in range(10))

    def numbers(cursor: object) -> list[int]:
        return [entry["n"] for entry in cursor]

    cursor = things.find({"n": {"$gt": 2}}, batch_size=2).sort("n", -1).skip(1).limit(5)
    assert next(cursor)["n"] == 8
    assert numbers(cursor) == [7, 6, 5, 4]
    assert numbers(cursor) == []
    assert numbers(cursor.rewind()) == numbers(cursor.clone()) == [8, 7, 6, 5, 4]
    assert things.find().sort("n", 1)[3]["n"] == 3
    assert numbers(things.find().sort("n", 1)[3:5]) == [3, 4]
    assert things.find_one({"n": 4})["n"] == 4
    assert things.find_one({"n": 40}) is None


@dataclass
class Line:
    """What lies between a client and the server: it can lose the next answer to a command."""

    listener: socket.socket
    server: tuple[str, int]
    loses: bytes = b""

    def run(self) -> None:
        with suppress(OSError):  # closed at the end
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        with client, socket.create_connection(self.server) as server, suppress(OSError):
            while asked := client.recv(2**20):
                server.sendall(asked)
                answer = server.recv(2**20)
                if self.loses and self.loses in asked:
                    self.loses = b""
                    return
                client.sendall(answer)


@pytest.fixture
def line(server: ServerInfo) -> Iterator[Line]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line = Line(listener, ("127.0.0.1", server.port))
        threading.Thread(target=line.run, daemon=True).start()
        yield line
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture(params=["true", "false"])
def distant(request: pytest.FixtureRequest, database: Database, line: Line) -> Iterator[Database]:
    """The database at the other end of the line, for clients with patience; PyMongo repeats once by itself, or not."""
    port = line.listener.getsockname()[1]
    uri = f"mongodb://127.0.0.1:{port}/?directConnection=true&retryWrites={request.param}&retryReads={request.param}"
    distant = replace(database, uri=SecretStr(uri), patience_s=60.0)
    yield distant
    distant.pymongo.client.close()


def test_an_insertion_whose_answer_is_lost_is_done_once(database: Database, distant: Database, line: Line) -> None:
    things = distant.collection("things")
    line.loses = b"insert"
    assert things.insert_one({"_id": 1, "n": 1.5}).inserted_id == 1
    line.loses = b"insert"
    assert things.insert_many([{"_id": 2}, {"_id": 3}]).inserted_ids == [2, 3]
    line.loses = b"insert"
    named = things.insert_one({"n": 4}).inserted_id
    assert line.loses == b""
    assert [entry["_id"] for entry in database.collection("things").find()] == [1, 2, 3, named]


def test_what_another_has_inserted_is_not_taken_for_ones_own(distant: Database, line: Line) -> None:
    things = distant.collection("things")
    things.insert_one({"_id": 1, "by": "another"})
    line.loses = b"insert"
    with pytest.raises(DuplicateKeyError):
        things.insert_one({"_id": 1, "by": "me"})


def test_an_update_whose_answer_is_lost_is_done_once(database: Database, distant: Database, line: Line) -> None:
    things = distant.collection("things")
    things.insert_one({"_id": 1, "state": "READY", "n": 0})
    line.loses = b"findAndModify"
    claim = {"$set": {"state": "RESERVED"}, "$inc": {"n": 1}}
    claimed = things.find_one_and_update({"state": "READY"}, claim)
    assert line.loses == b""
    assert claimed["_id"] == 1
    assert things.find_one_and_update({"state": "READY"}, claim) is None
    found = database.collection("things").find_one()
    assert found is not None
    assert isinstance(found.pop(TICKET), ObjectId)
    assert found == {"_id": 1, "state": "RESERVED", "n": 1}


@pytest.mark.parametrize(
    ("act", "command"),
    [
        (lambda things: things.update_one({"_id": 1}, {"$set": {"n": 2}}).matched_count, b"update"),
        (lambda things: things.replace_one({"_id": 1}, {"n": 2}).matched_count, b"update"),
        (lambda things: things.count_documents({}), b"aggregate"),
        (lambda things: things.find_one({"_id": 1}) is not None, b"find"),
        (lambda things: len(list(things.find())), b"find"),
    ],
)
def test_what_may_be_done_twice_is_repeated(
    distant: Database, line: Line, act: Callable[..., object], command: bytes
) -> None:
    distant.collection("things").insert_one({"_id": 1})
    line.loses = command
    assert act(distant.collection("things")) == 1
    assert line.loses == b""
