"""The database as the page reads it: only asked, never written to, and found again when it comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pymongo
from pydantic import SecretStr
from pymongo.errors import PyMongoError

from lzc_flows.database.server import find_server
from lzc_flows.database.stores import CAMPAIGNS, Database
from lzc_flows.settings import get_settings

ANSWER_S = 2.0
"""How long a server may take to say that it is there, in s; more is taken for absence."""


class DatabaseAwayError(RuntimeError):
    """The database does not answer; what was read before may still be shown."""


class Source:
    """Where the page reads.

    Parameters
    ----------
    database
        The database.
    answer_s
        How long its server may take to say that it is there, in s.

    Attributes
    ----------
    away_since
        Since when the database has not answered, in s since the epoch; None while it does.
    """

    def __init__(self, database: Database, answer_s: float = ANSWER_S) -> None:
        self.away_since: float | None = None
        self._answer_s = answer_s
        self._database = database
        self._lock = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[Database]:
        """Yield the database, to be read.

        Raises
        ------
        DatabaseAwayError
            The server does not answer, or stops to while it is read.
        """
        database = self._database
        try:
            with pymongo.timeout(self._answer_s):
                database.collection(CAMPAIGNS).database.command("ping")
            self.away_since = None
            yield database
        except PyMongoError as error:
            self.away_since = self.away_since or time.time()
            self._look_again()
            # not the driver's message: it may hold the URI
            raise DatabaseAwayError(type(error).__name__) from None

    def _look_again(self) -> None:
        """Take the embedded server's new address where it was started again on another port."""
        settings = get_settings()
        if settings.mongo_uri is not None:
            return  # the driver itself finds a server at its address again
        server = find_server(settings.campaigns_dir)
        with self._lock:
            before = self._database
            if server is not None and server.uri != before.uri.get_secret_value():
                self._database = Database(SecretStr(server.uri), before.name)
