from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure, ServerSelectionTimeoutError

from lzc_flows.database.retry import Patience
from lzc_flows.database.server import INTERNAL_ERROR, ServerInfo, find_server, start_server

NOBODY = "mongodb://127.0.0.1:1"


class Asked:
    """An operation that notes how it was called."""

    def __init__(self, operation: Callable[[], object]) -> None:
        self.operation = operation
        self.calls: list[bool] = []

    def __call__(self, again: bool) -> object:
        self.calls.append(again)
        return self.operation()


@pytest.fixture
def nobody(set_lzc: Callable) -> Asked:
    """An operation on a server that is not there."""

    def ask() -> None:
        with MongoClient(NOBODY, serverSelectionTimeoutMS=20) as client:
            client.there.things.find_one()

    return Asked(ask)


def test_what_ends_well_is_done_once() -> None:
    asked = Asked(lambda: 7)
    assert Patience(60.0).retrying(asked) == 7
    assert asked.calls == [False]


def test_a_killed_server_is_started_again_and_asked_again(own_campaigns: Path, kill_server: Callable) -> None:
    server = start_server(own_campaigns)
    with MongoClient(server.uri, serverSelectionTimeoutMS=200) as client:
        client.there.things.insert_one({"_id": 1})
        kill_server(own_campaigns)
        asked = Asked(client.there.things.find_one)
        patience = Patience(60.0)
        assert patience.retrying(asked) == {"_id": 1}
    assert asked.calls[0] is False
    assert asked.calls[1:] == [True] * (len(asked.calls) - 1) != []
    assert patience.obstacle == ""
    again = find_server(own_campaigns)
    assert again is not None
    assert (again.port, again.pid != server.pid) == (server.port, True)


def test_a_cursor_that_the_server_does_not_know_is_asked_for_again(server: ServerInfo, set_lzc: Callable) -> None:
    with set_lzc(LZC_MONGO_URI=server.uri), MongoClient(server.uri) as client:
        things = client.retry.things
        things.insert_many({"n": number} for number in range(10))
        cursors = [things.find(batch_size=2) for _ in range(2)]
        assert next(cursors[0])["n"] == 0
        client.retry.command({"killCursors": "things", "cursors": [cursors[0].cursor_id]})
        found = Patience(60.0).retrying(lambda again: [entry["n"] for entry in cursors[again]])
        client.drop_database("retry")
    assert found == list(range(10))


def test_a_refusal_is_an_answer(server: ServerInfo) -> None:
    with MongoClient(server.uri) as client:
        asked = Asked(lambda: client.there.command("what is this"))
        with pytest.raises(OperationFailure):
            Patience(60.0).retrying(asked)
    assert asked.calls == [False]


@pytest.mark.parametrize("embedded", [True, False])
def test_an_internal_error_of_a_server_that_can_read_is_an_answer(
    own_campaigns: Path, set_lzc: Callable, embedded: bool
) -> None:
    def fail() -> None:
        raise OperationFailure("not this one", INTERNAL_ERROR)

    server = start_server(own_campaigns)
    asked = Asked(fail)
    place = {"LZC_CAMPAIGNS_DIR": str(own_campaigns)} if embedded else {"LZC_MONGO_URI": server.uri}
    with set_lzc(**place), pytest.raises(OperationFailure):
        Patience(60.0).retrying(asked)
    assert asked.calls == [False]


def test_other_errors_are_not_waited_for() -> None:
    asked = Asked(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Patience(60.0).retrying(asked)
    assert asked.calls == [False]


def test_without_patience_nothing_is_asked_twice(nobody: Asked, set_lzc: Callable) -> None:
    with set_lzc(LZC_MONGO_URI=NOBODY), pytest.raises(ServerSelectionTimeoutError):
        Patience(0.0).retrying(nobody)
    assert nobody.calls == [False]


def test_patience_is_of_an_outage_not_of_an_operation(nobody: Asked, set_lzc: Callable) -> None:
    """What cleans up after an operation that has given up does not wait all over again; the next outage is another."""
    patience = Patience(0.7)
    tries = []
    with set_lzc(LZC_MONGO_URI=NOBODY):
        for _ in range(2):
            with pytest.raises(ServerSelectionTimeoutError):
                patience.retrying(nobody)
            tries.append(len(nobody.calls))
            nobody.calls.clear()
        patience.retrying(lambda _: None)
        with pytest.raises(ServerSelectionTimeoutError):
            patience.retrying(nobody)
        tries.append(len(nobody.calls))
    assert tries[0] > 1
    assert tries[1] == 1
    assert tries[2] > 1


def test_why_the_embedded_server_does_not_come_back_is_known(nobody: Asked, set_lzc: Callable, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    patience = Patience(0.3)
    with set_lzc(LZC_CAMPAIGNS_DIR=str(tmp_path / "file")), pytest.raises(ServerSelectionTimeoutError):
        patience.retrying(nobody)
    assert patience.obstacle.startswith(f"cannot keep the embedded database in {tmp_path}/file/db: Not a directory")
    assert "\n" not in patience.obstacle
