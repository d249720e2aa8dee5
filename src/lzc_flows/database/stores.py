"""One database: jobflow's stores and the project's collections, whoever serves them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from jobflow import JobStore
from maggma.stores import GridFSStore, MongoStore
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database as PymongoDatabase

from lzc_flows.database.address import mongo_uri, redacted
from lzc_flows.settings import get_settings

TASKS = "tasks"
"""Task documents: one an output of a job."""
DATA = "tasks_data"
"""GridFS behind jobflow's `data` store: landscapes, later trajectories."""
PLAN = "plan"
"""One document a candidate: what campaigns want."""
CANDIDATES = "candidates"
"""One summary a candidate, built from plan and tasks."""
CAMPAIGNS = "campaigns"
"""One document a campaign: its file, as submitted."""
LOCKS = "locks"


class _PrivateMongoStore(MongoStore):
    """A MongoStore whose name, which goes into logs, holds no password."""

    @property
    def name(self) -> str:
        return f"{redacted(self.uri or '')}/{self.database}/{self.collection_name}"


class _PrivateGridFSStore(GridFSStore):
    """A GridFSStore whose name, which goes into logs, holds no password."""

    @property
    def name(self) -> str:
        return f"{redacted(self.uri or '')}/{self.database}/{self.collection_name}"


@dataclass(frozen=True)
class Database:
    """A named database on a server; connects when first used."""

    uri: SecretStr
    name: str

    @cached_property
    def _database(self) -> PymongoDatabase:
        timeout_ms = int(1000 * get_settings().mongo_timeout_s)
        client: MongoClient = MongoClient(self.uri.get_secret_value(), serverSelectionTimeoutMS=timeout_ms)
        return client[self.name]

    def collection(self, name: str) -> Collection:
        """Return a collection."""
        return self._database[name]

    def store(self, collection: str, key: str) -> MongoStore:
        """Return a collection as a maggma store."""
        return _PrivateMongoStore(
            database=self.name,
            collection_name=collection,
            uri=self.uri.get_secret_value(),
            key=key,
            last_updated_field="completed_at",
            last_updated_type="isoformat",
        )

    def job_store(self) -> JobStore:
        """Return jobflow's store: documents, and the additional store `data` on GridFS."""
        data = _PrivateGridFSStore(
            database=self.name,
            collection_name=DATA,
            uri=self.uri.get_secret_value(),
            key="blob_uuid",
        )
        return JobStore(self.store(TASKS, "uuid"), additional_stores={"data": data})

    def ensure_indexes(self) -> None:
        """Make the indexes that the project's queries use."""
        self.collection(TASKS).create_index("metadata.key")
        self.collection(PLAN).create_index("key", unique=True)
        self.collection(PLAN).create_index("campaigns")
        self.collection(CANDIDATES).create_index("key", unique=True)
        self.collection(CANDIDATES).create_index("campaigns")
        self.collection(CAMPAIGNS).create_index("name", unique=True)


def connect() -> Database:
    """Return the database of the settings, the embedded server started if it has to be.

    Raises
    ------
    InputError
        No server answers, or it refuses the credentials; neither is ever shown.
    """
    return Database(mongo_uri(), get_settings().mongo_database)
