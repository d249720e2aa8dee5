"""Waiting for a server that is gone, and bringing the embedded one back."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from typing import TypeVar

from pymongo.errors import ConnectionFailure, CursorNotFound, OperationFailure, PyMongoError

from lzc_flows.database.server import INTERNAL_ERROR, is_broken, start_server
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.settings import get_settings

T = TypeVar("T")

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0


class Patience:
    """How long the operations of a client wait for a server that is gone; nothing is waited for without a limit.

    The time counts from the first failure of an outage, whichever operation saw it: what cleans up after an operation
    that has given up does not wait all over again.

    Attributes
    ----------
    limit_s
        How long an outage may last, in s.
    obstacle
        Why the embedded server could not be started again, in one line; empty where nothing is known.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self.obstacle = ""
        self._since: float | None = None

    def retrying(self, operation: Callable[[bool], T]) -> T:
        """Return what `operation` returns, called again with growing pauses until the server answers.

        The operation is told whether it is called again: one that came before may have done its work and lost only
        the answer.

        Raises
        ------
        PyMongoError
            The server has been gone for longer than the limit, or refuses.
        """
        for attempt in itertools.count():
            try:
                result = operation(attempt > 0)
            except PyMongoError as error:
                if not _is_outage(error):
                    self._since = None  # a refusal is an answer
                    raise
                if not self._pause(attempt):
                    raise
                self.obstacle = _bring_back()
            else:
                self._since = None
                return result
        raise AssertionError("the count has no end")

    def _pause(self, attempt: int) -> bool:
        """Wait before the next attempt; return False without waiting where the patience is over."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        # with a random part, so that workers do not come back all at once
        pause = min(FIRST_PAUSE_S * 2.0 ** min(attempt, 30), LONGEST_PAUSE_S) * random.uniform(0.5, 1)
        if now + pause > self._since + self.limit_s:
            return False
        time.sleep(pause)
        return True


def _is_outage(error: PyMongoError) -> bool:
    """Return whether the server is gone, or has come back and does not know the cursors of before, or is broken."""
    if isinstance(error, OperationFailure) and error.code == INTERNAL_ERROR:
        settings = get_settings()
        return settings.mongo_uri is None and is_broken(settings.campaigns_dir)
    return isinstance(error, ConnectionFailure | CursorNotFound)


def _bring_back() -> str:
    """Start the embedded server again where it is what the settings use, and return what is in the way.

    Many may try at the same time.
    """
    settings = get_settings()
    if settings.mongo_uri is None:
        try:
            start_server(settings.campaigns_dir)
        except (InputError, CalculationError) as error:
            return str(error)
    return ""
