"""One database: jobflow's stores and the project's collections, whoever serves them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from pymongo.collection import Collection
from pymongo.database import Database as PymongoDatabase
from pymongo.errors import DuplicateKeyError

from lzc_flows.database.address import mongo_uri
from lzc_flows.database.patient import PatientClient
from lzc_flows.database.retry import Patience
from lzc_flows.database.version import require_this_version
from lzc_flows.errors import InputError
from lzc_flows.settings import get_settings

if TYPE_CHECKING:
    # `lzc status` does not wait for jobflow and maggma
    from jobflow import JobStore
    from maggma.stores import MongoStore

    from lzc_flows.database.result_stores import DocumentStore

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
WORKERS = "workers"
"""One document a living worker process, with its last sign of life."""
RECOVERIES = "recoveries"
"""One document a decision about a lost or failed job: the history of tries."""
BUILDS = "builds"
"""One document, the form of the summaries: a new version builds them again."""

SELECTIVE = ("key", "cation", "cation_element")
"""Fields of summaries by which conditions choose few: what is asked of one of them reads what it finds, not all."""

BUILT = "built"
"""Mark of a plan or task document that is in its candidates' summaries; see `candidates.py`."""

RESULT_KEY = ("uuid", "index")
"""Fields that name a job's result: one document each."""

VERSIONED = (PLAN, CAMPAIGNS, TASKS)
"""Collections that a version of the schema is about."""


@dataclass(frozen=True)
class Database:
    """A named database on a server; connects when first used.

    Attributes
    ----------
    patience_s
        How long its operations wait for a server that is gone, in s.
    """

    uri: SecretStr
    name: str
    patience_s: float = 0.0

    def patient(self) -> Database:
        """Return the same database for work that outlives a restart of the server."""
        return replace(self, patience_s=get_settings().mongo_patience_s)

    @cached_property
    def patience(self) -> Patience:
        """The patience that all clients of this database share."""
        return Patience(self.patience_s)

    def client(self) -> PatientClient:
        """Return a client of its own."""
        return PatientClient(self.uri.get_secret_value(), self.patience, **_client_options())

    @cached_property
    def pymongo(self) -> PymongoDatabase:
        """PyMongo's own view of it."""
        return self.client()[self.name]

    def collection(self, name: str) -> Collection:
        """Return a collection."""
        return self.pymongo[name]

    def store(self, collection: str, key: str) -> MongoStore:
        """Return a collection as a maggma store."""
        return self._document_store(collection, key)

    def _document_store(self, collection: str, key: str) -> DocumentStore:
        from lzc_flows.database.result_stores import DocumentStore

        store = DocumentStore(
            database=self.name,
            collection_name=collection,
            uri=self.uri.get_secret_value(),
            mongoclient_kwargs=_client_options(),
            key=key,
            last_updated_field="completed_at",
            last_updated_type="isoformat",
        )
        store.patience = self.patience
        return store

    def job_store(self) -> JobStore:
        """Return jobflow's store: documents, and the additional store `data` on GridFS."""
        from lzc_flows.database.result_stores import DataStore, ResultStore

        data = DataStore(
            database=self.name,
            collection_name=DATA,
            uri=self.uri.get_secret_value(),
            mongoclient_kwargs=_client_options(),
            key="blob_uuid",
            searchable_fields=["job_uuid", "job_index"],
        )
        data.patience = self.patience
        return ResultStore(self._document_store(TASKS, "uuid"), additional_stores={"data": data})

    def ensure_indexes(self) -> None:
        """Make the indexes that the project's queries use.

        Raises
        ------
        InputError
            Two documents of one job are there, which the index of results excludes.
        """
        self._ensure_one_result_a_job()
        self.collection(TASKS).create_index("metadata.key")
        self.collection(TASKS).create_index(BUILT)
        self.collection(PLAN).create_index("key", unique=True)
        self.collection(PLAN).create_index("campaigns")
        self.collection(PLAN).create_index(BUILT)
        self.collection(CANDIDATES).create_index("key", unique=True)
        self.collection(CANDIDATES).create_index("campaigns")
        for field in SELECTIVE[1:]:
            self.collection(CANDIDATES).create_index(field)
        self.collection(CANDIDATES).create_index([("campaigns", 1), ("barrier_3d", 1)])
        self.collection(CAMPAIGNS).create_index("name", unique=True)

    def _ensure_one_result_a_job(self) -> None:
        """Let two runs of one job leave one document, whichever store writes them."""
        tasks = self.collection(TASKS)
        try:
            tasks.create_index(list(dict.fromkeys(RESULT_KEY, 1).items()), unique=True)
        except DuplicateKeyError:
            seen: set[tuple] = set()
            for task in tasks.find({}, dict.fromkeys(RESULT_KEY, True)):
                result = tuple(task.get(name) for name in RESULT_KEY)
                if result in seen:
                    break
                seen.add(result)
            raise InputError(
                f"database {self.name!r}: collection {TASKS!r} holds two results of one job "
                f"(uuid {result[0]!r}, index {result[1]}): leave only one of them, then run the same command again"
            ) from None


def connect() -> Database:
    """Return the database of the settings, the embedded server started if it has to be.

    Raises
    ------
    InputError
        No server answers, or it refuses the credentials; neither is ever shown. Or the database is of another schema
        version: older, newer, or half restored.
    """
    database = Database(mongo_uri(), get_settings().mongo_database)
    require_this_version(database.pymongo, VERSIONED)
    return database


def _client_options() -> dict[str, Any]:
    return {"serverSelectionTimeoutMS": int(1000 * get_settings().mongo_timeout_s)}
