"""Where the database answers: `LZC_MONGO_URI`, or the embedded server. Credentials never leave this module."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.errors import ConfigurationError, InvalidURI, OperationFailure, PyMongoError

from lzc_flows.database.server import start_server
from lzc_flows.errors import InputError
from lzc_flows.settings import get_settings

_UNAUTHORIZED = 13  # MongoDB's error codes
_AUTHENTICATION_FAILED = 18


def mongo_uri() -> SecretStr:
    """Return the URI of a server that answers: `LZC_MONGO_URI`, or the embedded one, started if needed.

    Raises
    ------
    InputError
        `LZC_MONGO_URI` is malformed, nothing answers there within `LZC_MONGO_TIMEOUT_S`, or it refuses the
        user; the embedded server cannot be installed or written (see `start_server`).
    CalculationError
        The embedded server does not start.
    """
    settings = get_settings()
    if settings.mongo_uri is None:
        return SecretStr(start_server(settings.campaigns_dir).uri)
    with _connected(settings.mongo_uri, settings.mongo_timeout_s) as client:
        # unlike ping, which needs no user, this fails when a user is needed and none is given
        client[settings.mongo_database].command("listCollections", nameOnly=True, authorizedCollections=True)
    return settings.mongo_uri


def collection_counts(uri: SecretStr, database: str, timeout_s: float) -> dict[str, int]:
    """Return the number of documents of each collection of `database`, by name.

    Raises
    ------
    InputError
        The server does not answer within `timeout_s` (in s), or refuses the user.
    """
    with _connected(uri, timeout_s) as client:
        names = client[database].list_collection_names(filter={"type": "collection"})
        return {name: client[database][name].estimated_document_count() for name in sorted(names)}


def redacted(uri: str) -> str:
    """Return `scheme://hosts` of a MongoDB URI, never its user, password, database or options.

    Where it is not certain which part is the host (a password that was not percent-escaped), that part is
    replaced by an ellipsis.
    """
    scheme, _, rest = uri.partition("://")
    if scheme not in ("mongodb", "mongodb+srv"):
        return "…"
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    hosts = authority.rpartition("@")[2]
    host = r"([\w.%-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?"
    if "@" in rest[len(authority) :] or not re.fullmatch(rf"{host}(,{host})*", hosts):
        return f"{scheme}://…"
    return f"{scheme}://{hosts}"


@contextmanager
def _connected(uri: SecretStr, timeout_s: float) -> Iterator[MongoClient]:
    """Yield a client of `uri`; what the driver raises becomes one line without user, password or options."""
    plain = uri.get_secret_value()
    where = redacted(plain)
    silence = InputError(f"no MongoDB server answers at {where}: {_advice()}")
    malformed = InputError(
        f"LZC_MONGO_URI ({where}) is not a MongoDB URI: allowed is mongodb://user:password@host:27017/?options, "
        "with options that PyMongo knows and special characters percent-escaped"
    )
    if "://" not in where:
        raise malformed  # the driver would take any word for the name of a host
    milliseconds = max(1, int(timeout_s * 1000))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # so it reports options that it does not know
            client: MongoClient = MongoClient(
                plain,
                serverSelectionTimeoutMS=milliseconds,
                connectTimeoutMS=milliseconds,
                socketTimeoutMS=milliseconds,
            )
    except (ConfigurationError, ValueError, TypeError, UserWarning) as error:
        if plain.startswith("mongodb+srv://") and not isinstance(error, InvalidURI | UserWarning):
            raise silence from None  # its name could not be looked up
        raise malformed from None
    with client:
        try:
            yield client
        except OperationFailure as error:
            if error.code == _AUTHENTICATION_FAILED:
                raise InputError(
                    f"the MongoDB server at {where} refuses the user name or password of LZC_MONGO_URI"
                ) from None
            if error.code == _UNAUTHORIZED:
                raise InputError(
                    f"the MongoDB server at {where} wants a user with access to the database: "
                    "put a user name and password into LZC_MONGO_URI"
                ) from None
            raise InputError(f"the MongoDB server at {where} fails with error {error.code}") from None
        except PyMongoError:
            raise silence from None


def _advice() -> str:
    if get_settings().mongo_uri is None:
        return "run `lzc db stop` and try again"
    return "set LZC_MONGO_URI to a running server or unset it for the embedded one"
