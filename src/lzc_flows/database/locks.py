"""A lock in the database: one submitter at a time, and a dead one's lock is taken over."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from pymongo.errors import DuplicateKeyError

from lzc_flows.database.stores import LOCKS, Database
from lzc_flows.errors import CalculationError

EXPIRY_S = 120.0
"""Age after which a lock of another host counts as abandoned; no submission holds one that long."""


@contextmanager
def database_lock(database: Database, name: str, patience_s: float = 60.0) -> Iterator[None]:
    """Hold the named lock.

    Raises
    ------
    CalculationError
        Another living process keeps it for longer than `patience_s`.
    """
    locks = database.collection(LOCKS)
    holder = {"host": socket.gethostname(), "pid": os.getpid(), "since": time.time()}
    deadline = time.monotonic() + patience_s
    while True:
        try:
            locks.insert_one({"_id": name, **holder})
            break
        except DuplicateKeyError:
            found = locks.find_one({"_id": name})
            if found is None or _is_abandoned(found):
                locks.delete_one(found or {"_id": name})
            elif time.monotonic() > deadline:
                raise CalculationError(
                    f"lock {name!r} is held by process {found['pid']} on {found['host']}: try again later"
                ) from None
            else:
                time.sleep(0.1)
    try:
        yield
    finally:
        locks.delete_one({"_id": name, **holder})


def _is_abandoned(lock: dict) -> bool:
    if lock["host"] == socket.gethostname():
        return not psutil.pid_exists(lock["pid"])
    return time.time() - lock["since"] > EXPIRY_S
