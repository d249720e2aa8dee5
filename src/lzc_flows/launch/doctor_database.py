"""Whether the database really works: it answers, takes documents and large data, and its clock is this machine's."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC

from gridfs import GridFS
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.database import Database

from lzc_flows.database.address import collection_counts, connected, mongo_uri, redacted
from lzc_flows.database.server import daemon_path, find_server
from lzc_flows.database.stores import CAMPAIGNS, CANDIDATES, PLAN, TASKS
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.launch.findings import Finding
from lzc_flows.settings import get_settings

SCRATCH = "lzc_doctor_"
"""How the names of the collections begin that are made for a look and dropped."""

LARGE_BYTES = 10**6
"""More than a document of ours; GridFS cuts it into four."""

UNEVEN_S = 5.0
"""A clock that is off by more is warned of, in s: ages of jobs are told wrongly."""

WRONG_S = 60.0
"""A clock that is off by more is wrong, in s: FireWorks takes living jobs for lost ones."""


INDEXED = {TASKS: "metadata.key", PLAN: "key", CANDIDATES: "key", CAMPAIGNS: "name", "fireworks": "fw_id"}
"""A field of each collection that has an index once lzc has queued something; without it every look is a scan."""


def server_uri() -> SecretStr | None:
    """Return the URI of lzc's server; None for the embedded one while it does not run.

    Raises
    ------
    InputError
        The server does not answer, or the embedded one is not installed.
    """
    settings = get_settings()
    if settings.mongo_uri is not None:
        return mongo_uri()
    server = find_server(settings.campaigns_dir)
    if server is None:
        daemon_path()  # says what is not installed
        return None
    return SecretStr(server.uri)


def database_findings() -> list[Finding]:
    """Return whether the database answers and, where it runs, whether it works."""
    try:
        uri = server_uri()
        first = Finding("database", "ok", _place(uri))
    except (InputError, CalculationError) as error:
        return [Finding.lacking("database", str(error), needed=True)]
    if uri is None:
        return [first]
    looks: dict[str, Callable[[Database], str]] = {"writing": _documents, "data store": _large_data}
    indexes = _tried("indexes", uri, _indexes)
    return [first, *(_tried(name, uri, look) for name, look in looks.items()), indexes, _clock(uri)]


def _place(uri: SecretStr | None) -> str:
    """Return where the database is, and how many fireworks and task documents it has."""
    settings = get_settings()
    if uri is None:
        return "embedded, not running: the first command that needs it starts it"
    place = redacted(uri.get_secret_value())
    server = find_server(settings.campaigns_dir) if settings.mongo_uri is None else None
    if server is not None:
        place = f"embedded, process {server.pid}, at {place}"
    counts = collection_counts(uri, settings.mongo_database, settings.mongo_timeout_s)
    queue = f"{counts.get('fireworks', 0)} fireworks, {counts.get('tasks', 0)} task documents"
    return f"{place}; {settings.mongo_database} has {queue}"


def _tried(name: str, uri: SecretStr, look: Callable[[Database], str]) -> Finding:
    settings = get_settings()

    def do() -> str:
        with connected(uri, settings.mongo_timeout_s) as client:
            return look(client[settings.mongo_database])

    return Finding.of(name, do, needed=True)


@contextmanager
def _scratch(database: Database) -> Iterator[str]:
    """Yield the name of a collection that nobody has; it, and GridFS of that name, are dropped again."""
    name = SCRATCH + secrets.token_hex(6)
    try:
        yield name
    finally:
        for ending in ("", ".files", ".chunks"):
            database.drop_collection(name + ending)


def _documents(database: Database) -> str:
    with _scratch(database) as name:
        collection = database[name]
        collection.insert_one({"_id": name, "n": 1})
        collection.update_one({"_id": name}, {"$inc": {"n": 1}})
        if collection.find_one({"_id": name}) != {"_id": name, "n": 2}:
            raise InputError("a document that was written does not come back: look at the server's log")
        collection.delete_one({"_id": name})
    return "a document was written, changed, read and deleted"


def _large_data(database: Database) -> str:
    """Return how long a round trip through GridFS takes, as jobflow's `data` store makes it."""
    content = secrets.token_bytes(LARGE_BYTES)
    begin = time.monotonic()
    with _scratch(database) as name:
        store = GridFS(database, collection=name)
        if store.get(store.put(content)).read() != content:
            raise InputError("data that was written to GridFS does not come back: look at the server's log")
        duration_s = time.monotonic() - begin
    return f"{LARGE_BYTES / 1e6:g} MB written to GridFS and read in {duration_s:.2f} s"


def _indexes(database: Database) -> str:
    names = [name for name in INDEXED if name in database.list_collection_names()]
    lacking = [name for name in names if not _has_index(database, name)]
    if lacking:
        raise InputError(f"{', '.join(lacking)} have lost theirs: run `lzc submit CAMPAIGN` and `lpad admin tuneup`")
    return f"{', '.join(names)} have theirs" if names else "made by the first `lzc submit`"


def _has_index(database: Database, name: str) -> bool:
    return any(index["key"][0][0] == INDEXED[name] for index in database[name].index_information().values())


def _clock(uri: SecretStr) -> Finding:
    name = "clock"
    try:
        with connected(uri, get_settings().mongo_timeout_s) as client:
            return clock_finding(_ahead_s(client))
    except InputError as error:
        return Finding.lacking(name, str(error), needed=False)


def _ahead_s(client: MongoClient) -> float:
    """Return how much the server's clock is ahead of this machine's, in s."""
    client.admin.command("ping")  # the connection is made before the time is taken
    before = time.time()
    server = client.admin.command("hello")["localTime"].replace(tzinfo=UTC).timestamp()
    return server - (before + time.time()) / 2


def clock_finding(ahead_s: float) -> Finding:
    """Return what a server's clock means that is `ahead_s` ahead of this machine's, in s."""
    name, off_s = "clock", abs(ahead_s)
    if off_s <= UNEVEN_S:
        return Finding(name, "ok", f"{off_s:.1f} s off the server's")
    found = f"the server's is {off_s:.0f} s {'ahead' if ahead_s > 0 else 'behind'}"
    hint = "set one of the clocks (`timedatectl set-ntp true`): FireWorks tells lost jobs by them"
    return Finding(name, "missing" if off_s > WRONG_S else "warning", found, hint)
