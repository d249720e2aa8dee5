from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pymongo import monitoring

from lzc_flows.database.locks import EXPIRY_S, database_lock
from lzc_flows.database.processes import ProcessName
from lzc_flows.database.stores import LOCKS, Database, connect
from lzc_flows.errors import CalculationError


def held(database: Database) -> list[dict[str, Any]]:
    return list(database.collection(LOCKS).find())


def test_a_lock_is_there_while_held_and_gone_afterwards_also_after_an_error(database: Database) -> None:
    with database_lock(database, "submit"):
        (lock,) = held(database)
        assert lock["_id"] == "submit"
        assert ProcessName.parse(lock["holder"]).pid == os.getpid()
        with database_lock(database, "another"):
            assert len(held(database)) == 2
    with pytest.raises(ZeroDivisionError), database_lock(database, "submit"):
        _ = 1 / 0
    assert held(database) == []


def test_a_living_holder_is_waited_for_and_then_named(database: Database) -> None:
    with database_lock(database, "submit"):
        begin = time.monotonic()
        with (
            pytest.raises(
                CalculationError, match=rf"^lock 'submit' is held by lzc/.*/{os.getpid()}/.*: try again later$"
            ),
            database_lock(database, "submit", patience_s=0.3),
        ):
            pytest.fail("two holders")
        assert 0.3 <= time.monotonic() - begin < 2.0
        assert len(held(database)) == 1


def count_up(times: int) -> None:
    """Add 1 so that two at the same time lose one of them."""
    database = connect()
    counter = database.collection("counter")
    for _ in range(times):
        with database_lock(database, "submit"):
            value = counter.find_one({"_id": 0})["value"]
            counter.update_one({"_id": 0}, {"$set": {"value": value + 1}})


def test_processes_hold_it_one_at_a_time(database: Database, fork: Callable) -> None:
    database.collection("counter").insert_one({"_id": 0, "value": 0})
    children = [fork(count_up, 15) for _ in range(4)]
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    assert database.collection("counter").find_one({"_id": 0})["value"] == 60


def hold_for_ever() -> None:
    with database_lock(connect(), "submit"):
        time.sleep(600)


@pytest.mark.parametrize("is_reaped", [True, False])
def test_the_lock_of_a_killed_process_is_taken_over_at_once(
    database: Database, fork: Callable, wait_until: Callable[..., None], is_reaped: bool
) -> None:
    child = fork(hold_for_ever)
    wait_until(lambda: held(database))
    child.kill()
    if is_reaped:
        child.join()
    else:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    begin = time.monotonic()
    with database_lock(database, "submit"):
        assert time.monotonic() - begin < 1.0
        (lock,) = held(database)
        assert ProcessName.parse(lock["holder"]).pid == os.getpid()


def test_the_lock_of_another_host_is_taken_over_only_when_it_is_old(database: Database) -> None:
    elsewhere = str(replace(ProcessName.of_this_process(), host="elsewhere"))
    locks = database.collection(LOCKS)
    locks.insert_one({"_id": "submit", "holder": elsewhere, "since": time.time()})
    with pytest.raises(CalculationError, match="elsewhere"), database_lock(database, "submit", patience_s=0.1):
        pytest.fail("taken from a living holder")
    locks.update_one({"_id": "submit"}, {"$set": {"since": time.time() - EXPIRY_S - 1}})
    with database_lock(database, "submit", patience_s=0.1):
        assert len(held(database)) == 1


def take_while_another_does() -> None:
    """Look at a lock at the moment when its holder lets it go and a third process takes it."""
    other = connect().collection(LOCKS)
    third = {"_id": "submit", "holder": str(ProcessName.of_this_process()), "since": 1.0}
    other.insert_one({**third, "since": 0.0})

    class Interleave(monitoring.CommandListener):
        looked = False

        def started(self, event: monitoring.CommandStartedEvent) -> None:
            if event.command_name == "find" and not Interleave.looked:
                other.delete_one({"_id": "submit"})

        def failed(self, event: monitoring.CommandFailedEvent) -> None: ...

        def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
            if event.command_name == "find" and not Interleave.looked:
                Interleave.looked = True
                other.insert_one(third)

    monitoring.register(Interleave())
    with pytest.raises(CalculationError, match="held by"), database_lock(connect(), "submit", patience_s=0.3):
        pass
    assert Interleave.looked
    assert other.find_one({"_id": "submit"}) == third


def test_a_lock_that_changes_hands_while_one_looks_is_not_broken(database: Database, fork: Callable) -> None:
    child = fork(take_while_another_does)
    child.join(30)
    assert child.exitcode == 0


def test_work_under_a_lock_keeps_it_young(database: Database) -> None:
    with database_lock(database, "submit") as lock:
        (before,) = held(database)
        lock.keep()
        (after,) = held(database)
        assert after["since"] > before["since"]
        database.collection(LOCKS).update_one({}, {"$set": {"holder": "another"}})
        with pytest.raises(CalculationError, match=r"^lock 'submit' was taken by another process: run the same "):
            lock.keep()
    assert [entry["holder"] for entry in held(database)] == ["another"]
