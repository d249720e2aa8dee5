from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote_plus

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from lzc_flows.database.address import collection_counts, mongo_uri, redacted
from lzc_flows.database.server import ServerInfo, find_server, start_server, stop_server
from lzc_flows.errors import CalculationError, InputError, InputWarning
from lzc_flows.settings import get_settings

PASSWORD = "Sesame/0pen@x"


def daemons(folder: Path) -> list[psutil.Process]:
    """The living daemons with data in `folder`."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if any("secantusd" in word for word in words[:2]) and any(str(folder) in word for word in words):
            found.append(process)
    return found


@pytest.fixture
def campaigns(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "campaigns"
    yield folder
    for process in daemons(tmp_path):
        process.kill()  # not waited for: not our child, and pid 1 may take its time to reap it


@pytest.fixture
def set_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Clears the settings' cache, and clears it again once the variables are as before."""
    for name in [name for name in os.environ if name.startswith("LZC_")]:
        monkeypatch.delenv(name)
    get_settings.cache_clear()
    yield monkeypatch
    get_settings.cache_clear()


def kill(server: ServerInfo) -> None:
    process = psutil.Process(server.pid)
    process.kill()
    process.wait(timeout=10)


def in_new_process(code: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


START = """
import sys
from pathlib import Path
from lzc_flows.database.server import start_server
from lzc_flows.errors import InputError
try:
    server = start_server(Path(sys.argv[1]))
    print(server.pid, server.port)
except InputError as error:
    print(error)
"""


def test_one_server_answers_on_the_loopback_interface_until_it_is_stopped(campaigns: Path) -> None:
    assert find_server(campaigns) is None
    server = start_server(campaigns)
    with MongoClient(server.uri, serverSelectionTimeoutMS=1000) as client:
        client.there.things.insert_one({"_id": 1})
    assert start_server(campaigns) == server
    durations = []
    for _ in range(5):
        begin = time.perf_counter()
        assert find_server(campaigns) == server
        durations.append(time.perf_counter() - begin)
    assert min(durations) < 0.05  # s
    assert server.data_dir == campaigns / "db" / "data"

    process = psutil.Process(server.pid)
    listening = [entry.laddr for entry in process.net_connections() if entry.status == psutil.CONN_LISTEN]
    assert listening == [("127.0.0.1", server.port)]
    assert "--sync-on-commit" in process.cmdline()
    assert os.getsid(server.pid) == server.pid  # outlives the terminal of the command
    assert "secantus" not in sys.modules

    assert stop_server(campaigns)
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    assert find_server(campaigns) is None
    assert not stop_server(campaigns)
    assert (campaigns / "db" / "server.log").read_text() == ""

    again = start_server(campaigns)
    assert collection_counts(SecretStr(again.uri), "there", 5.0) == {"things": 1}


def test_nothing_to_stop_makes_no_folder(campaigns: Path) -> None:
    assert find_server(campaigns) is None
    assert not stop_server(campaigns)
    assert not campaigns.exists()


def test_starters_at_the_same_time_end_with_one_server(campaigns: Path) -> None:
    starters = [in_new_process(START, campaigns) for _ in range(4)]
    answers = {starter.communicate(timeout=60) for starter in starters}
    assert [starter.returncode for starter in starters] == [0] * 4
    server = find_server(campaigns)
    assert server is not None
    assert answers == {(f"{server.pid} {server.port}\n", "")}
    assert [process.pid for process in daemons(campaigns)] == [server.pid]


def test_a_users_own_configuration_of_secantus_changes_nothing(campaigns: Path, tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / ".secantus", campaigns / "db"):
        place.mkdir(parents=True, exist_ok=True)
        (place / "secantusd.toml").write_text("[server]\nauth = true\n[storage]\nsync_on_commit = false\n")
    starter = in_new_process(START, campaigns, cwd=tmp_path, env=os.environ | {"HOME": str(tmp_path)})
    assert starter.communicate(timeout=60)[1] == ""
    server = find_server(campaigns)
    assert server is not None
    assert collection_counts(SecretStr(server.uri), "there", 5.0) == {}  # refused, were auth on


def test_a_recycled_process_id_is_neither_found_nor_signalled(campaigns: Path, tmp_path: Path) -> None:
    kill(start_server(campaigns))
    record_path = campaigns / "db" / "server.json"
    record = json.loads(record_path.read_text())
    # all but the time of its creation is the daemon's
    impostor = tmp_path / "secantusd-py"
    impostor.write_text("import time; print(1, flush=True); time.sleep(60)")
    other = subprocess.Popen([sys.executable, impostor, record["data_dir"]], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"1\n"
        record_path.write_text(json.dumps(record | {"pid": other.pid}))
        assert find_server(campaigns) is None
        assert not stop_server(campaigns)
        assert other.poll() is None

        # all but the command is the daemon's
        created = psutil.Process().create_time() - psutil.boot_time()
        record_path.write_text(json.dumps(record | {"pid": os.getpid(), "created_s_after_boot": created}))
        assert find_server(campaigns) is None
        server = start_server(campaigns)
        assert server.pid not in (os.getpid(), other.pid)
        assert other.poll() is None
    finally:
        other.kill()
        other.communicate()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": -1}', b"\xff\x00"])
def test_an_unreadable_record_is_no_record(campaigns: Path, content: bytes) -> None:
    (campaigns / "db").mkdir(parents=True)
    (campaigns / "db" / "server.json").write_bytes(content)
    assert find_server(campaigns) is None
    assert not stop_server(campaigns)


def test_a_copied_folder_does_not_lead_to_the_original_server(campaigns: Path, tmp_path: Path) -> None:
    original = start_server(campaigns)
    copy = tmp_path / "copy"
    (copy / "db").mkdir(parents=True)
    shutil.copy(campaigns / "db" / "server.json", copy / "db")
    assert find_server(copy) is None
    assert not stop_server(copy)
    assert find_server(campaigns) == original


def test_kill_9_during_inserts_loses_no_acknowledged_one(campaigns: Path) -> None:
    acknowledged: list[int] = []

    def insert(server: ServerInfo, writer: int) -> None:
        with MongoClient(server.uri, serverSelectionTimeoutMS=200, retryWrites=False) as client:
            number = writer
            while True:
                try:
                    client.there.things.insert_one({"_id": number, "payload": "x" * 1000})
                except PyMongoError:
                    return
                acknowledged.append(number)
                number += 4

    for _ in range(2):
        server = start_server(campaigns)
        before = len(acknowledged)
        first = max(acknowledged, default=0) + 1
        writers = [threading.Thread(target=insert, args=(server, first + i)) for i in range(4)]
        for writer in writers:
            writer.start()
        deadline = time.monotonic() + 20
        while len(acknowledged) < before + 100 and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(server.pid, signal.SIGKILL)
        for writer in writers:
            writer.join(timeout=20)
        assert len(acknowledged) >= before + 100
        assert find_server(campaigns) is None

    with MongoClient(start_server(campaigns).uri) as client:
        stored = {document["_id"] for document in client.there.things.find({}, {"_id": 1})}
    assert set(acknowledged) <= stored
    assert len(stored - set(acknowledged)) <= 2 * 4  # at most what each writer had under way


def test_a_running_client_finds_the_server_again_after_a_crash(campaigns: Path) -> None:
    server = start_server(campaigns)
    with MongoClient(server.uri, serverSelectionTimeoutMS=5000) as client:
        client.there.things.insert_one({"_id": 1})
        kill(server)
        again = start_server(campaigns)
        assert again == replace(server, pid=again.pid)
        assert again.pid != server.pid
        assert client.there.things.find_one({"_id": 1}) == {"_id": 1}


@pytest.mark.parametrize("end", [kill, lambda server: stop_server(server.data_dir.parents[1])], ids=["kill", "stop"])
def test_the_port_of_before_is_taken_again(campaigns: Path, end: Callable[[ServerInfo], object]) -> None:
    """Files that name it, such as my_launchpad.yaml, stay right."""
    server = start_server(campaigns)
    end(server)
    again = start_server(campaigns)
    assert again.port == server.port
    end(again)
    with socket.create_server(("127.0.0.1", server.port)), pytest.warns(InputWarning) as said:
        other = start_server(campaigns)
    (line,) = [str(entry.message) for entry in said]
    assert line.startswith(f"port {server.port} of the embedded database is taken by another program: it answers")
    assert f" at port {other.port} from now on; `lzc init --force` " in line
    end(other)
    assert start_server(campaigns).port == other.port


@pytest.mark.parametrize("content", ["", "what is this", "-1", "65536"])
def test_an_unreadable_port_is_no_port(campaigns: Path, content: str) -> None:
    (campaigns / "db").mkdir(parents=True)
    (campaigns / "db" / "port").write_text(content)
    server = start_server(campaigns)
    assert (campaigns / "db" / "port").read_text() == f"{server.port}\n"


def test_data_open_in_another_process_are_named(campaigns: Path) -> None:
    server = start_server(campaigns)
    (campaigns / "db" / "server.json").unlink()
    with pytest.raises(InputError, match=r"db/data is open in another process") as caught:
        start_server(campaigns)
    assert "\n" not in str(caught.value)
    assert [process.pid for process in daemons(campaigns)] == [server.pid]


def test_a_daemon_that_dies_at_its_start_is_quoted(campaigns: Path) -> None:
    kill(start_server(campaigns))
    (campaigns / "db" / "data" / "WiredTiger.turtle").write_text("not a turtle file")
    with pytest.raises(CalculationError, match=r"died at its start: .*WiredTiger.*server\.log") as caught:
        start_server(campaigns)
    assert "\n" not in str(caught.value)
    assert find_server(campaigns) is None


def test_a_frozen_server_is_named(campaigns: Path, set_environment: pytest.MonkeyPatch) -> None:
    server = start_server(campaigns)
    psutil.Process(server.pid).suspend()
    set_environment.setattr("lzc_flows.database.server._START_TIMEOUT_S", 0.5)
    with pytest.raises(CalculationError, match=rf"process {server.pid}\) does not answer"):
        start_server(campaigns)
    with pytest.raises(InputError, match="run `lzc db stop` and try again"):
        collection_counts(SecretStr(server.uri), "there", 0.5)


def test_without_secantusdb_the_error_says_what_to_install(
    campaigns: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"pip install 'lzc-flows\[embedded\]'` or set LZC_MONGO_URI"):
        start_server(campaigns)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=rf"{tmp_path}/file/db: Not a directory"):
        start_server(tmp_path / "file")


def test_a_file_system_that_takes_no_more_is_named(campaigns: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
    starter = in_new_process(limit + START, campaigns, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})
    output, errors = starter.communicate(timeout=60)
    assert (starter.returncode, errors) == (0, "")
    assert output.startswith(f"cannot keep the embedded database in {campaigns}/db: File too large")
    assert len(output.splitlines()) == 1
    assert daemons(campaigns) == []


def test_without_a_uri_the_embedded_server_is_started(campaigns: Path, set_environment: pytest.MonkeyPatch) -> None:
    set_environment.setenv("LZC_CAMPAIGNS_DIR", str(campaigns))
    uri = mongo_uri().get_secret_value()
    server = find_server(campaigns)
    assert server is not None
    assert uri == server.uri == mongo_uri().get_secret_value()


@pytest.fixture
def guarded(campaigns: Path) -> Iterator[ServerInfo]:
    """A server with a user `curie`, that answers nobody else."""
    server = start_server(campaigns)
    with MongoClient(server.uri) as client:
        client.admin.command("createUser", "curie", pwd=PASSWORD, roles=["root"])
    command = psutil.Process(server.pid).cmdline()
    kill(server)
    with (campaigns / "guarded.log").open("wb") as log:
        process = subprocess.Popen([*command, "--auth"], stdout=log, stderr=log)
    with MongoClient(server.uri, serverSelectionTimeoutMS=20000) as client:
        client.admin.command("ping")
    yield replace(server, pid=process.pid)
    process.kill()
    process.wait()


def test_users_and_passwords(guarded: ServerInfo, campaigns: Path, set_environment: pytest.MonkeyPatch) -> None:
    host = f"127.0.0.1:{guarded.port}"

    def point_at(user: str) -> str:
        uri = f"mongodb://{user}{host}/?appName=lzc"
        set_environment.setenv("LZC_MONGO_URI", uri)
        get_settings.cache_clear()
        return uri

    def refusal(user: str) -> str:
        point_at(user)
        begin = time.monotonic()
        with pytest.raises(InputError) as caught:
            mongo_uri()
        assert time.monotonic() - begin < 2.0
        # one exception, not chained to the driver's own with its details
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__
        assert "Wr0ng" not in str(caught.value)
        return str(caught.value)

    right = point_at(f"curie:{quote_plus(PASSWORD)}@")
    assert mongo_uri().get_secret_value() == right
    assert repr(mongo_uri()) == "SecretStr('**********')"
    wrong = f"the MongoDB server at mongodb://{host} refuses the user name or password of LZC_MONGO_URI"
    assert refusal("curie:Wr0ng@") == wrong
    assert refusal("pierre:Wr0ng@") == wrong
    assert refusal("") == (
        f"the MongoDB server at mongodb://{host} wants a user with access to the database: "
        "put a user name and password into LZC_MONGO_URI"
    )
    logs = (campaigns / "guarded.log").read_bytes() + (campaigns / "db" / "server.log").read_bytes()
    assert PASSWORD.encode() not in logs
    assert quote_plus(PASSWORD).encode() not in logs


def test_a_server_that_does_not_answer_is_waited_for_as_long_as_set(
    set_environment: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:  # accepts and says nothing
        port = mute.getsockname()[1]
        set_environment.setenv("LZC_MONGO_URI", f"mongodb://curie:Sesame@127.0.0.1:{port}/x?authSource=admin")
        set_environment.setenv("LZC_MONGO_TIMEOUT_S", "0.3")
        begin = time.monotonic()
        with pytest.raises(InputError) as caught:
            mongo_uri()
        assert 0.3 <= time.monotonic() - begin < 2.0
    assert str(caught.value) == (
        f"no MongoDB server answers at mongodb://127.0.0.1:{port}: "
        "set LZC_MONGO_URI to a running server or unset it for the embedded one"
    )


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "Sesame",
        "http://curie:Sesame@host",
        "mongodb://curie:Sesame",
        "mongodb://curie:Ses/ame@host:27017",
        "mongodb://curie:Ses@ame@host:27017",
        "mongodb://curie:Sesame@host:port",
        "mongodb://curie:Sesame@host:99999",
        "mongodb://",
        "mongodb://host/?authMechanism=Sesame",
        "mongodb://curie:Sesame@host/?authSorce=admin",
    ],
)
def test_a_malformed_uri_is_one_line_without_secrets(uri: str, set_environment: pytest.MonkeyPatch) -> None:
    set_environment.setenv("LZC_MONGO_URI", uri)
    with pytest.raises(InputError, match=r"is not a MongoDB URI: allowed is mongodb://user:password@") as caught:
        mongo_uri()
    assert "\n" not in str(caught.value)
    for secret in ("Ses", "ame@", "curie"):
        assert secret not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("mongodb://127.0.0.1:27017/", "mongodb://127.0.0.1:27017"),
        ("mongodb://a:b@h1:1,h2.example.org:2/db?tls=true", "mongodb://h1:1,h2.example.org:2"),
        ("mongodb+srv://a:b@cluster.example.org/db?w=1", "mongodb+srv://cluster.example.org"),
        ("mongodb://a:b@[::1]:27017?x=y", "mongodb://[::1]:27017"),
        ("mongodb://a:b@%2Ftmp%2Fmongodb-27017.sock", "mongodb://%2Ftmp%2Fmongodb-27017.sock"),
        ("postgres://a:b@host", "…"),
    ],
)
def test_redacted_shows_scheme_and_hosts(uri: str, shown: str) -> None:
    assert redacted(uri) == shown


@given(user=st.text(), password=st.text())
def test_redacted_never_shows_a_password_however_it_is_written(user: str, password: str) -> None:
    raw = redacted(f"mongodb://{user}:{password}@host.example:27017/database?w=1")
    assert raw in ("mongodb://host.example:27017", "mongodb://…")
    escaped = f"mongodb://{quote_plus(user)}:{quote_plus(password)}@host.example:27017/database?w=1"
    assert redacted(escaped) == "mongodb://host.example:27017"
