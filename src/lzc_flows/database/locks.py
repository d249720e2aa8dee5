"""A lock in the database: one submitter at a time, and a dead one's lock is taken over."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from pymongo.errors import DuplicateKeyError

from lzc_flows.database.processes import ProcessName
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
    holder = {"holder": str(ProcessName.of_this_process()), "since": time.time()}
    deadline = time.monotonic() + patience_s
    while True:
        try:
            locks.insert_one({"_id": name, **holder})
            break
        except DuplicateKeyError:
            found = locks.find_one({"_id": name})
            if found is None:
                continue  # released in the meantime
            if _is_abandoned(found):
                locks.delete_one(found)  # this very lock: not one that another process has taken since
            elif time.monotonic() > deadline:
                raise CalculationError(f"lock {name!r} is held by {found['holder']}: try again later") from None
            else:
                time.sleep(0.1)
    try:
        yield
    finally:
        locks.delete_one({"_id": name, **holder})


def _is_abandoned(lock: dict) -> bool:
    holder = ProcessName.parse(lock["holder"])
    if holder is not None and holder.is_here():
        return holder.is_dead()
    return time.time() - lock["since"] > EXPIRY_S
