"""A MongoDB client whose operations outlive a restart of the server, each with its effect once.

PyMongo itself repeats operations on replica sets only. Most operations may simply be repeated: they ask, or they leave
the same state when they are done twice. An insertion and a conditional update are not like that: those whose answer was
lost are recognised by what they left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import wraps
from typing import Any, TypeVar, cast

from bson import ObjectId, decode, encode
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.cursor import Cursor
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError
from pymongo.results import InsertManyResult, InsertOneResult

from lzc_flows.database.retry import Patience

Method = TypeVar("Method", bound=Callable[..., Any])

TICKET = "_ticket"
"""Field by which a client knows its own last conditional update of a document."""


class PatientClient(MongoClient):
    """A client with patience; its databases, their collections and cursors have it too."""

    def __init__(self, uri: str, patience: Patience, **options: Any) -> None:
        super().__init__(uri, **options)
        self.patience = patience

    def __getitem__(self, name: str) -> Database:
        return PatientDatabase(self, name)


class PatientDatabase(Database):
    """A database of a `PatientClient`."""

    def __getitem__(self, name: str) -> Collection:
        return PatientCollection(self, name)

    def with_options(self, *options: Any, **named: Any) -> Database:
        """Return itself with other options."""
        other = super().with_options(*options, **named)
        return type(self)(
            self.client, self.name, other.codec_options, other.read_preference, other.write_concern, other.read_concern
        )


def _repeated(method: Method) -> Method:
    """Return a method of a collection that may be done twice, with patience."""

    @wraps(method)
    def repeat(self: PatientCollection, *arguments: Any, **named: Any) -> Any:
        return self.patience.retrying(lambda _: method(self, *arguments, **named))

    return cast(Method, repeat)


class PatientCollection(Collection):
    """A collection of a `PatientDatabase`."""

    @property
    def patience(self) -> Patience:
        """The client's patience."""
        return cast(PatientClient, self.database.client).patience

    def __getitem__(self, name: str) -> Collection:
        return self._like(self, f"{self.name}.{name}")

    def with_options(self, *options: Any, **named: Any) -> Collection:
        """Return itself with other options."""
        return self._like(super().with_options(*options, **named), self.name)

    def _like(self, other: Collection, name: str) -> Collection:
        options = (other.codec_options, other.read_preference, other.write_concern, other.read_concern)
        return type(self)(self.database, name, False, *options)

    aggregate = _repeated(Collection.aggregate)
    bulk_write = _repeated(Collection.bulk_write)
    count_documents = _repeated(Collection.count_documents)
    create_index = _repeated(Collection.create_index)
    delete_many = _repeated(Collection.delete_many)
    delete_one = _repeated(Collection.delete_one)
    distinct = _repeated(Collection.distinct)
    estimated_document_count = _repeated(Collection.estimated_document_count)
    find_one_and_replace = _repeated(Collection.find_one_and_replace)
    list_indexes = _repeated(Collection.list_indexes)
    replace_one = _repeated(Collection.replace_one)
    update_many = _repeated(Collection.update_many)
    update_one = _repeated(Collection.update_one)

    def find(self, *arguments: Any, **named: Any) -> Cursor:
        """Return a cursor that waits for the server."""
        return PatientCursor(self, *arguments, **named)

    def insert_one(self, document: Any, *arguments: Any, **named: Any) -> InsertOneResult:
        """Insert a document once."""

        def insert(again: bool) -> InsertOneResult:
            try:
                return super(PatientCollection, self).insert_one(document, *arguments, **named)
            except DuplicateKeyError:
                # PyMongo names a document before it sends it
                if again and self.find_one({"_id": document["_id"]}) == decode(encode(document)):
                    return InsertOneResult(document["_id"], acknowledged=True)
                raise

        return self.patience.retrying(insert)

    def insert_many(self, documents: Iterable[Any], *arguments: Any, **named: Any) -> InsertManyResult:
        """Insert documents, each once."""
        wanted = list(documents)

        def is_there(document: Any) -> bool:
            return "_id" in document and self.find_one({"_id": document["_id"]}, {"_id": True}) is not None

        def insert(again: bool) -> None:
            missing = [document for document in wanted if not again or not is_there(document)]
            if missing or not again:
                super(PatientCollection, self).insert_many(missing, *arguments, **named)

        self.patience.retrying(insert)
        return InsertManyResult([document["_id"] for document in wanted], acknowledged=True)

    def find_one_and_update(self, filter: Mapping[str, Any], update: Any, *arguments: Any, **named: Any) -> Any:
        """Update a document that matches, once.

        If the answer was lost, the document is returned as it is after the update, whichever state was asked for.
        """
        ticket = ObjectId()
        marked = {**update, "$set": {**update.get("$set", {}), TICKET: ticket}}

        def act(again: bool) -> Any:
            done = self.find_one({TICKET: ticket}) if again else None
            if done is not None:
                return done
            return super(PatientCollection, self).find_one_and_update(filter, marked, *arguments, **named)

        return self.patience.retrying(act)


class PatientCursor(Cursor):
    """A cursor that outlives a restart of the server: all is read before the first document is handed out.

    A server that comes back does not know where a cursor stood: reading starts from the beginning, and nothing is seen
    twice. Where the client has no patience, documents are read as they are asked for, whatever their number.
    """

    _whole: deque[Any] | None = None

    def next(self) -> Any:
        """Return the next document."""
        patience = cast(PatientCollection, self.collection).patience
        if patience.limit_s == 0:
            return super().next()
        if self._whole is None:
            self._whole = patience.retrying(self._read)
        if not self._whole:
            raise StopIteration
        return self._whole.popleft()

    def rewind(self) -> Cursor:
        """Let the documents come again from the first."""
        self._whole = None
        return super().rewind()

    def _read(self, again: bool) -> deque[Any]:
        if again:
            self.rewind()
        whole: deque[Any] = deque()
        with suppress(StopIteration):
            while True:
                whole.append(super().next())
        return whole
