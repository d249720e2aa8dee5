"""Where the database answers: `LZC_MONGO_URI`, or the embedded server. No message of this module holds credentials."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote_plus

from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.errors import ConfigurationError, InvalidURI, OperationFailure, PyMongoError

from lzc_flows.database.server import start_server
from lzc_flows.errors import InputError
from lzc_flows.settings import get_settings

_UNAUTHORIZED = 13  # MongoDB's error codes
_AUTHENTICATION_FAILED = 18

_WITH_A_USER = "put a user name and password into LZC_MONGO_URI"

_SECRET_OPTIONS = ("authMechanismProperties", "tlsCertificateKeyFilePassword")


@dataclass(frozen=True)
class UriParts:
    """A MongoDB URI in two parts.

    Attributes
    ----------
    uri
        With hosts, database and options, without anything secret.
    secrets
        User, password and secret options, by the name that PyMongo's client takes them under.
    """

    uri: str
    secrets: Mapping[str, str]


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
    with connected(settings.mongo_uri, settings.mongo_timeout_s) as client:
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
    with connected(uri, timeout_s) as client:
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


def check_uri(uri: SecretStr) -> None:
    """Raise `InputError` if `uri` is not a MongoDB URI that PyMongo takes; nothing is connected."""
    with _readable_client_errors(uri):
        MongoClient(uri.get_secret_value(), connect=False).close()


def credentials_of(uri: SecretStr) -> UriParts:
    """Return `uri` without its user, password and secret options, and these."""
    scheme, _, rest = uri.get_secret_value().partition("://")
    end = re.search(r"[/?#]|$", rest)
    authority, tail = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    userinfo, at, hosts = authority.rpartition("@")
    user, colon, password = userinfo.partition(":")
    secrets = {"username": unquote_plus(user)} if at else {}
    if colon:
        secrets["password"] = unquote_plus(password)
    path, question, query = tail.partition("?")
    options = [option for option in query.split("&") if option]
    for option in list(options):
        name, _, value = option.partition("=")
        for secret in _SECRET_OPTIONS:
            if name.lower() == secret.lower():
                secrets[secret] = unquote_plus(value)
                options.remove(option)
    return UriParts(f"{scheme}://{hosts}{path}{question if options else ''}{'&'.join(options)}", secrets)


@contextmanager
def connected(uri: SecretStr, timeout_s: float) -> Iterator[MongoClient]:
    """Yield a client of `uri` that waits `timeout_s` (in s) for each answer.

    Raises
    ------
    InputError
        Whatever the driver raises in the block: one line without user, password or options.
    """
    milliseconds = max(1, int(timeout_s * 1000))
    with _readable_client_errors(uri):
        client: MongoClient = MongoClient(
            uri.get_secret_value(),
            serverSelectionTimeoutMS=milliseconds,
            connectTimeoutMS=milliseconds,
            socketTimeoutMS=milliseconds,
        )
    where = redacted(uri.get_secret_value())
    with client:
        try:
            yield client
        except OperationFailure as error:
            if error.code == _AUTHENTICATION_FAILED:
                raise InputError(
                    f"the MongoDB server at {where} refuses the user name or password of LZC_MONGO_URI"
                ) from None
            if error.code == _UNAUTHORIZED:
                has_user = "username" in credentials_of(uri).secrets
                mend = "give the one of LZC_MONGO_URI the role readWrite" if has_user else _WITH_A_USER
                raise InputError(
                    f"the MongoDB server at {where} wants a user with access to the database: {mend}"
                ) from None
            # one of a fixed list of words, such as OutOfDiskSpace; the message itself may hold anything
            word = (error.details or {}).get("codeName", "no name")
            raise InputError(f"the MongoDB server at {where} fails with error {error.code} ({word})") from None
        except PyMongoError as error:
            if "certificate verify failed" in str(error):
                raise InputError(
                    f"the certificate of the MongoDB server at {where} is not trusted here: give the file of its "
                    "authority as tlsCAFile=/path in LZC_MONGO_URI"
                ) from None
            if "SSL" in str(error):
                raise InputError(
                    f"the MongoDB server at {where} does not agree on TLS: put tls=true or tls=false into "
                    "LZC_MONGO_URI, or the certificate that it wants as tlsCertificateKeyFile=/path"
                ) from None
            raise _silence(where) from None


@contextmanager
def _readable_client_errors(uri: SecretStr) -> Iterator[None]:
    """Turn what PyMongo says of a URI into one line without user, password or options."""
    plain = uri.get_secret_value()
    where = redacted(plain)
    malformed = InputError(
        f"LZC_MONGO_URI ({where}) is not a MongoDB URI: allowed is mongodb://user:password@host:27017/?options, "
        "with options that PyMongo knows and special characters percent-escaped"
    )
    if "://" not in where:
        raise malformed  # the driver would take any word for the name of a host
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # so it reports options that it does not know
            yield
    except OSError as error:
        reason = error.strerror or "it holds no certificate"
        raise InputError(f"a file of the TLS options of LZC_MONGO_URI cannot be read: {reason}") from None
    except (ConfigurationError, ValueError, TypeError, UserWarning) as error:
        if plain.startswith("mongodb+srv://") and not isinstance(error, InvalidURI | UserWarning):
            raise _silence(where) from None  # its name could not be looked up
        raise malformed from None


def _silence(where: str) -> InputError:
    return InputError(f"no MongoDB server answers at {where}: {_advice()}")


def _advice() -> str:
    if get_settings().mongo_uri is None:
        return "run `lzc db stop` and try again"
    return "set LZC_MONGO_URI to a running server or unset it for the embedded one"
