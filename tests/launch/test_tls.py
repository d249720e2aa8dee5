"""A server that wants TLS and a user: what its URI says reaches PyMongo, FireWorks, maggma and their programs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import psutil
import pytest
from pymongo import MongoClient

from lzc_flows.database.address import mongo_uri
from lzc_flows.database.server import start_server
from lzc_flows.database.stores import connect
from lzc_flows.errors import InputError
from lzc_flows.launch.launchpad import open_launchpad

PASSWORD = "Sesame/0pen@x"
SCRIPTS = Path(sys.executable).parent

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate")


@dataclass(frozen=True)
class Guarded:
    """A server for curie alone, and the certificate of its own authority."""

    host: str
    certificate: Path

    def uri(self, user: str = f"curie:{quote_plus(PASSWORD)}@", options: str | None = None) -> str:
        trusting = f"tls=true&tlsCAFile={self.certificate}" if options is None else options
        return f"mongodb://{user}{self.host}/?{trusting}"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    places = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run([*command, *places], check=True, capture_output=True, timeout=60)
    server = start_server(folder)
    with MongoClient(server.uri) as client:
        client.admin.command("createUser", "curie", pwd=PASSWORD, roles=["root"])
    process = psutil.Process(server.pid)
    words = process.cmdline()
    process.kill()
    process.wait(timeout=10)
    locked = ["--auth", "--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
    with (folder / "log").open("wb") as log:
        again = subprocess.Popen([*words, *locked], stdout=log, stderr=log)
    there = Guarded(f"127.0.0.1:{server.port}", certificate)
    with MongoClient(there.uri(), serverSelectionTimeoutMS=20000) as client:
        client.admin.command("ping")
    yield there
    again.kill()
    again.wait()


def test_stores_and_the_launchpad(guarded: Guarded, set_lzc: Callable) -> None:
    with set_lzc(LZC_MONGO_URI=guarded.uri(), LZC_MONGO_DATABASE="stores"):
        database = connect()
        database.ensure_indexes()
        with database.job_store() as store:
            store.update([{"uuid": "1", "index": 1, "output": 2}])
            store.additional_stores["data"].update([{"blob_uuid": "b", "data": "x" * 10**6}])
            assert store.get_output("1") == 2
            assert store.additional_stores["data"].query_one({"blob_uuid": "b"})["data"] == "x" * 10**6
        assert open_launchpad(database).get_fw_ids() == []


@pytest.mark.parametrize(
    ("user", "options", "said"),
    [
        ("curie:Wr0ng@", None, "refuses the user name or password of LZC_MONGO_URI"),
        ("", None, "wants a user with access to the database"),
        (
            f"curie:{quote_plus(PASSWORD)}@",
            "tls=true",
            "is not trusted here: give the file of its authority as tlsCAFile",
        ),
        (
            f"curie:{quote_plus(PASSWORD)}@",
            "tls=true&tlsCAFile=/no/such",
            "TLS options of LZC_MONGO_URI cannot be read",
        ),
        (f"curie:{quote_plus(PASSWORD)}@", "tls=false", "no MongoDB server answers at"),
    ],
)
def test_what_the_server_refuses(
    guarded: Guarded, set_lzc: Callable, user: str, options: str | None, said: str
) -> None:
    with (
        set_lzc(LZC_MONGO_URI=guarded.uri(user, options), LZC_MONGO_TIMEOUT_S="2"),
        pytest.raises(InputError, match=said) as refusal,
    ):
        mongo_uri()
    assert len(str(refusal.value).splitlines()) == 1
    for secret in ("Sesame", "Wr0ng", "curie"):
        assert secret not in str(refusal.value)


def test_lpad_and_the_doctor_on_files_of_init(
    guarded: Guarded, set_lzc: Callable, lzc: Callable, tmp_path: Path
) -> None:
    uri_file = tmp_path / "uri"
    uri_file.write_text(guarded.uri())
    uri_file.chmod(0o600)
    folder = tmp_path / "launchpad"
    with set_lzc(LZC_CAMPAIGNS_DIR=str(tmp_path / "campaigns")):
        result = lzc("init", folder, "--uri-file", uri_file, "--database", "files", "--yes")
        assert result.code == 0, result.err
        assert "Sesame" not in result.out
        assert not (folder / "mongo_uri").exists()
    with set_lzc(LZC_MONGO_URI_FILE=str(uri_file), LZC_MONGO_DATABASE="files"):
        open_launchpad(connect())
    shown = in_env(folder, SCRIPTS / "lpad", "get_wflows", "-d", "count")
    assert (shown.returncode, shown.stdout.splitlines()[-1]) == (0, "0"), shown.stderr
    looked = in_env(folder, SCRIPTS / "lzc", "doctor")
    lines = {line[9:].partition(":")[0]: line for line in looked.stdout.splitlines()}
    for name in ("database", "writing", "data store", "clock", "job store", "LaunchPad file", "secrets"):
        assert lines[name].startswith("ok "), lines[name]
    assert "my_launchpad.yaml, jobflow.yaml, uri: for you alone" in lines["secrets"]
    # a password that others can read
    (folder / "jobflow.yaml").chmod(0o644)
    looked = in_env(folder, SCRIPTS / "lzc", "doctor")
    assert (
        f"missing  secrets: {folder}/jobflow.yaml holds a password and can be read or written by others"
        in looked.stdout
    )
    for secret in ("Sesame", "curie"):
        assert secret not in shown.stdout + shown.stderr + looked.stdout + looked.stderr


def test_lpad_tells_no_password_of_a_server_that_is_gone(set_lzc: Callable, lzc: Callable, tmp_path: Path) -> None:
    """It prints the host as its file has it."""
    uri_file = tmp_path / "uri"
    uri_file.write_text("mongodb://curie:Sesame@127.0.0.1:1/")
    uri_file.chmod(0o600)
    with set_lzc(LZC_MONGO_TIMEOUT_S="0.2"):
        assert lzc("init", tmp_path / "launchpad", "--uri-file", uri_file, "--yes").code == 0
    shown = in_env(tmp_path / "launchpad", SCRIPTS / "lpad", "get_wflows", "-d", "count")
    assert "was not able to connect to MongoDB at mongodb://127.0.0.1:1/" in shown.stderr
    assert "Sesame" not in shown.stdout + shown.stderr


def in_env(folder: Path, *command: Any) -> subprocess.CompletedProcess[str]:
    """Run a command in a shell that has sourced env.sh."""
    words = ["/bin/sh", "-c", '. "$0" && exec "$@"', folder / "env.sh", *command]
    with suppress(FileExistsError):
        (folder / "elsewhere").mkdir()
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, cwd=folder / "elsewhere")
