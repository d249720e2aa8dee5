"""What was read from the database, kept for some seconds: many readers cost one read, and none waits for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

from lzc_flows.web.source import DatabaseAwayError

Value = TypeVar("Value")

FRESH_S = 2.0
"""How long a reading counts as new, in s."""

SHARE = 4.0
"""A reading that took t counts as new for at least this many t: pages cost the server a quarter of its time at most."""


@dataclass(frozen=True)
class Reading(Generic[Value]):
    """A value and when it was read, in s since the epoch."""

    value: Value
    read_at: float


@dataclass
class _Entry(Generic[Value]):
    """A name's last reading, when the next one is due (on the monotonic clock) and the one under way."""

    reading: Reading[Value] | None = None
    due: float = 0.0
    future: Future[Reading[Value]] | None = None


class Readings(Generic[Value]):
    """Values by name, read in the background when they are asked for and not new.

    Parameters
    ----------
    read
        Returns the value of a name; what it raises reaches who asked, unless an older value is there and the database
        is only away.
    pool
        Where it runs.
    fresh_s
        How long a value counts as new, in s.
    """

    def __init__(self, read: Callable[[str], Value], pool: ThreadPoolExecutor, fresh_s: float = FRESH_S) -> None:
        self._read, self._pool, self._fresh_s = read, pool, fresh_s
        self._entries: dict[str, _Entry[Value]] = {}
        self._lock = threading.Lock()

    def get(self, name: str, patience_s: float | None = None) -> Reading[Value] | None:
        """Return the newest reading there is, an older one while the next is under way.

        Where there is none yet, it is waited for, at most `patience_s`; None if that was not enough.

        Raises
        ------
        DatabaseAwayError
            The database does not answer and nothing was read before.
        """
        with self._lock:
            entry = self._entries.setdefault(name, _Entry())
            if entry.future is None and time.monotonic() >= entry.due:
                entry.future = self._pool.submit(self._renew, name, entry)
            reading, future = entry.reading, entry.future
        if reading is not None or future is None:
            return reading
        done, _ = wait([future], patience_s)
        return future.result() if done else None

    def _renew(self, name: str, entry: _Entry[Value]) -> Reading[Value]:
        started = time.monotonic()
        try:
            reading = Reading(self._read(name), time.time())
        except BaseException as error:
            with self._lock:
                if not isinstance(error, DatabaseAwayError) or entry.reading is None:
                    self._entries.pop(name, None)  # names that are asked for at random leave nothing
                entry.future = None
            raise
        took = time.monotonic() - started
        with self._lock:
            entry.reading, entry.future = reading, None
            entry.due = time.monotonic() + max(self._fresh_s, SHARE * took)
        return reading
