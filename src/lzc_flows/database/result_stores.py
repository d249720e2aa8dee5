"""jobflow's stores as this project uses them: patient, without passwords in their names, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bson import encode
from gridfs import GridFS
from gridfs.errors import FileExists
from jobflow import JobStore
from maggma.stores import GridFSStore, MongoStore
from pymongo.errors import BulkWriteError

from lzc_flows.database.address import redacted
from lzc_flows.database.patient import PatientClient
from lzc_flows.database.retry import Patience
from lzc_flows.errors import CalculationError

_DUPLICATE_KEY = 11000

LARGEST_BYTES = 8 * 2**20
"""MongoDB takes documents up to 16 MiB; half of that leaves room for what FireWorks and summaries add."""


class DocumentStore(MongoStore):
    """A collection of documents none of which is larger than `LARGEST_BYTES`."""

    patience = Patience(0.0)
    _held: list[tuple[list[dict[str, Any]], Any]] | None = None

    @property
    def name(self) -> str:
        """Name for logs; it holds no password."""
        return f"{redacted(self.uri or '')}/{self.database}/{self.collection_name}"

    def connect(self, force_reset: bool = False) -> None:
        """Connect with patience."""
        if self._coll is None or force_reset:
            client = PatientClient(self.uri or "", self.patience, **self.mongoclient_kwargs)
            self._coll = client[self.database or ""][self.collection_name]  # type: ignore[assignment]

    def update(self, docs: list[dict] | dict, key: list | str | None = None) -> None:
        """Insert documents or replace those of the same key.

        Raises
        ------
        CalculationError
            A document is too large; nothing is written.
        """
        documents = docs if isinstance(docs, list) else [docs]
        for document in documents:
            require_storable(document)
        if self._held is None:
            self._update(documents, key)
        else:
            self._held.append((documents, key))

    def _update(self, documents: list[dict[str, Any]], key: Any) -> None:
        try:
            super().update(documents, key)
        except BulkWriteError as error:
            failures = (error.details or {})["writeErrors"]
            if any(failure["code"] != _DUPLICATE_KEY for failure in failures):
                raise
            super().update(documents, key)  # another run of the job has just stored its document: it is replaced

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Write what the block gives to `update` when the block has ended well."""
        held: list[tuple[list[dict[str, Any]], Any]] = []
        self._held = held
        try:
            yield
        finally:
            self._held = None
        for documents, key in held:
            self.update(documents, key)


class DataStore(GridFSStore):
    """Large data on GridFS."""

    patience = Patience(0.0)

    @property
    def name(self) -> str:
        """Name for logs; it holds no password."""
        return f"{redacted(self.uri or '')}/{self.database}/{self.collection_name}"

    def connect(self, force_reset: bool = False) -> None:
        """Connect with patience."""
        if self._coll is None or force_reset:
            client = PatientClient(self.uri or "", self.patience, **self.mongoclient_kwargs)
            database = client[self.database or ""]
            self._coll = GridFS(database, self.collection_name)
            self._files_collection = database[f"{self.collection_name}.files"]
            self._chunks_collection = database[f"{self.collection_name}.chunks"]
            files = MongoStore.from_collection(self._files_collection)
            files.last_updated_field, files.key = f"metadata.{self.last_updated_field}", self.key
            self._fs = files

    def update(self, *arguments: Any, **named: Any) -> None:
        """Store data, or replace those of the same key."""
        try:
            super().update(*arguments, **named)
        except FileExists:
            # the embedded server, killed in the midst of an insertion, may remember a file's id without its content:
            # the file is written under another
            super().update(*arguments, **named)

    def query(self, *arguments: Any, **named: Any) -> Iterator[dict]:
        """Yield what matches; all of it is read before the first, so that reading can start again."""
        query = super().query
        yield from self.patience.retrying(lambda _: list(query(*arguments, **named)))


class ResultStore(JobStore):
    """jobflow's store; a document is there only when all large data that it names are."""

    docs_store: DocumentStore

    def update(self, docs: Any, key: Any = None, save: Any = None) -> None:
        """Store documents and their large data, the data first."""
        with self.docs_store.held_back():
            super().update(docs, key=key, save=save)


def require_storable(document: dict[str, Any]) -> None:
    """Raise `CalculationError` if a document is too large, naming its largest fields."""
    size = len(encode(document))
    if size <= LARGEST_BYTES:
        return
    parts = {name: value for name, value in document.items() if name != "output"}
    output = document.get("output")
    parts |= {f"output.{name}": value for name, value in output.items()} if isinstance(output, dict) else {}
    sizes = sorted(((len(encode({"": value})), name) for name, value in parts.items()), reverse=True)
    largest = ", ".join(f"{name} {_mib(of_field)}" for of_field, name in sizes[:3])
    raise CalculationError(
        f"a document of {_mib(size)} is too large for the database (limit {_mib(LARGEST_BYTES)}); "
        f"its largest fields: {largest}"
    )


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
