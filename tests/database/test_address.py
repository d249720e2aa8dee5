from __future__ import annotations

import stat
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from lzc_flows.database.address import check_uri, connected, credentials_of, mongo_uri
from lzc_flows.database.stores import Database
from lzc_flows.errors import InputError

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("uri", "plain", "secrets"),
    [
        ("mongodb://h:1,g/", "mongodb://h:1,g/", {}),
        ("mongodb://h", "mongodb://h", {}),
        ("mongodb://a:b%40c@h/db?tls=true", "mongodb://h/db?tls=true", {"username": "a", "password": "b@c"}),
        ("mongodb+srv://a:b@h/?w=1", "mongodb+srv://h/?w=1", {"username": "a", "password": "b"}),
        ("mongodb://a@h/?authMechanism=GSSAPI", "mongodb://h/?authMechanism=GSSAPI", {"username": "a"}),
        (
            "mongodb://h/?tls=true&tlscertificatekeyfilepassword=x%26y&w=1",
            "mongodb://h/?tls=true&w=1",
            {"tlsCertificateKeyFilePassword": "x&y"},
        ),
        (
            "mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:t",
            "mongodb://h/",
            {"authMechanismProperties": "AWS_SESSION_TOKEN:t"},
        ),
    ],
)
def test_the_secrets_of_a_uri(uri: str, plain: str, secrets: dict[str, str]) -> None:
    parts = credentials_of(SecretStr(uri))
    assert (parts.uri, dict(parts.secrets)) == (plain, secrets)


@given(user=WORDS, password=WORDS)
def test_a_client_of_the_parts_has_the_same_user(user: str, password: str) -> None:
    uri = f"mongodb://{quote_plus(user)}:{quote_plus(password)}@h:1/db?authSource=admin"
    parts = credentials_of(SecretStr(uri))
    assert parts.uri == "mongodb://h:1/db?authSource=admin"
    with MongoClient(uri, connect=False) as one, MongoClient(parts.uri, connect=False, **parts.secrets) as other:
        assert one.options.pool_options._credentials == other.options.pool_options._credentials


@given(text=st.text(max_size=40))
def test_any_text_is_a_uri_or_refused_in_one_line(text: str) -> None:
    try:
        check_uri(SecretStr("mongodb://" + text))
    except InputError as refusal:
        told = str(refusal)
    else:
        told = ""
    assert "\n" not in told


@pytest.mark.parametrize(
    ("user", "code", "said"),
    [
        ("", 13, "wants a user with access to the database: put a user name and password into LZC_MONGO_URI"),
        (
            "curie:Sesame@",
            13,
            "wants a user with access to the database: give the one of LZC_MONGO_URI the role readWrite",
        ),
        ("curie:Sesame@", 14031, "fails with error 14031 (OutOfDiskSpace)"),
    ],
)
def test_what_servers_with_rights_and_full_disks_refuse(user: str, code: int, said: str) -> None:
    """SecantusDB has neither: MongoDB's documented errors."""
    uri = SecretStr(f"mongodb://{user}127.0.0.1:1/")
    with pytest.raises(InputError) as refusal, connected(uri, 0.1):
        raise OperationFailure("Sesame", code, {"codeName": {13: "Unauthorized", 14031: "OutOfDiskSpace"}[code]})
    assert str(refusal.value) == f"the MongoDB server at mongodb://127.0.0.1:1 {said}"


def test_a_file_holds_the_address(database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from lzc_flows.settings import get_settings

    file = tmp_path / "uri"
    file.write_text(f"\n  {database.uri.get_secret_value()}\n")
    file.chmod(stat.S_IRUSR)
    monkeypatch.delenv("LZC_MONGO_URI")
    monkeypatch.setenv("LZC_MONGO_URI_FILE", str(file))
    get_settings.cache_clear()
    assert mongo_uri() == database.uri
