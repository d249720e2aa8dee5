"""A lock in the database: one submitter at a time, and a dead one's lock is taken over."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pymongo.errors import DuplicateKeyError

from lzc_flows.database.processes import ProcessName
from lzc_flows.database.stores import LOCKS, Database
from lzc_flows.errors import CalculationError

EXPIRY_S = 120.0
"""Age after which a lock of another host counts as abandoned; long work keeps its own young."""


@dataclass(frozen=True)
class HeldLock:
    """A lock that this process holds."""

    database: Database
    name: str
    holder: str

    def keep(self) -> None:
        """Say that the work under the lock goes on.

        Raises
        ------
        CalculationError
            Another process has taken the lock: it had taken this one for dead.
        """
        mine = {"_id": self.name, "holder": self.holder}
        if self.database.collection(LOCKS).update_one(mine, {"$set": {"since": time.time()}}).matched_count == 0:
            raise CalculationError(f"lock {self.name!r} was taken by another process: run the same command again")


@contextmanager
def database_lock(database: Database, name: str, patience_s: float = 60.0) -> Iterator[HeldLock]:
    """Hold the named lock.

    Raises
    ------
    CalculationError
        Another living process keeps it for longer than `patience_s`.
    """
    locks = database.collection(LOCKS)
    me = str(ProcessName.of_this_process())
    deadline = time.monotonic() + patience_s
    while True:
        try:
            locks.insert_one({"_id": name, "holder": me, "since": time.time()})
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
        yield HeldLock(database, name, me)
    finally:
        locks.delete_one({"_id": name, "holder": me})


def _is_abandoned(lock: dict) -> bool:
    holder = ProcessName.parse(lock["holder"])
    if holder is not None and holder.is_here():
        return holder.is_dead()
    return time.time() - lock["since"] > EXPIRY_S
