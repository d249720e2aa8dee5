from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from pymongo import MongoClient

LZC = Path(sys.executable).with_name("lzc")
Lzc = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def lzc(tmp_path: Path) -> Iterator[Lzc]:
    """Run `lzc` with its campaigns in a folder of the test; the server is gone afterwards."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LZC_")}

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = clean | {"LZC_CAMPAIGNS_DIR": str(tmp_path / "campaigns")} | settings
        return subprocess.run(
            [LZC, *arguments], capture_output=True, text=True, check=False, timeout=60, env=environment
        )

    yield run
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any("secantusd" in word for word in words[:2]) and any(str(tmp_path) in word for word in words):
            process.kill()  # not waited for: not our child, and pid 1 may take its time to reap it


def document(result: subprocess.CompletedProcess[str]) -> dict:
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return json.loads(result.stdout)


def test_start_status_stop(lzc: Lzc, tmp_path: Path) -> None:
    idle = document(lzc("db", "status", "--json"))
    assert idle == {
        "running": False,
        "uri": None,
        "embedded": True,
        "pid": None,
        "port": None,
        "data_dir": None,
        "collections": None,
    }
    assert not (tmp_path / "campaigns").exists()

    started = document(lzc("db", "start", "--json"))
    assert psutil.pid_exists(started["pid"])  # outlives the command that started it
    assert started["uri"] == f"mongodb://127.0.0.1:{started['port']}"
    assert started["data_dir"] == str(tmp_path / "campaigns" / "db" / "data")

    with MongoClient(started["uri"]) as client:
        client.screening.tasks.insert_many([{"n": n} for n in range(3)])
        client.screening.candidates.insert_one({"n": 1})
        client.other.things.insert_one({"n": 1})
    status = document(lzc("db", "status", "--json", LZC_MONGO_DATABASE="screening"))
    assert status == started | {"running": True, "collections": {"candidates": 1, "tasks": 3}}
    text = lzc("db", "status", LZC_MONGO_DATABASE="screening").stdout
    assert text.splitlines() == [
        f"embedded database: {started['uri']}, process {started['pid']}, data in {started['data_dir']}",
        "  candidates: 1",
        "  tasks: 3",
    ]

    assert document(lzc("db", "stop", "--json")) == {"stopped": True}
    assert "no embedded database server was running" in lzc("db", "stop").stdout


def test_a_server_of_ones_own_is_used_but_neither_started_nor_stopped(lzc: Lzc, tmp_path: Path) -> None:
    server = document(lzc("db", "start", "--json"))
    uri = f"{server['uri']}/?appName=Sesame"
    elsewhere = {"LZC_MONGO_URI": uri, "LZC_CAMPAIGNS_DIR": str(tmp_path / "elsewhere")}
    status = document(lzc("db", "status", "--json", **elsewhere))
    place = {"pid": None, "port": None, "data_dir": None}
    assert status == {
        **{"running": True, "uri": server["uri"], "embedded": False, "collections": {}},
        **place,
    }
    result = lzc("db", "stop", "--json", **elsewhere)
    assert result.returncode == 2
    assert result.stdout == ""
    assert f"cannot stop the external MongoDB server at {server['uri']}:" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert psutil.pid_exists(server["pid"])
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("uri", "named"),
    [
        ("mongodb://curie:Sesame@127.0.0.1:1/?appName=x", "no MongoDB server answers at mongodb://127.0.0.1:1:"),
        ("mongodb://curie:Ses/ame@host", "LZC_MONGO_URI (mongodb://…) is not a MongoDB URI"),
    ],
)
def test_bad_uris_leave_with_2_and_one_line_without_the_password(lzc: Lzc, uri: str, named: str) -> None:
    result = lzc("db", "status", LZC_MONGO_URI=uri, LZC_MONGO_TIMEOUT_S="0.5")
    assert result.returncode == 2
    assert result.stdout == ""
    assert named in result.stderr
    assert len(result.stderr.splitlines()) == 1
    for secret in ("Ses", "curie", "appName"):
        assert secret not in result.stderr


def test_a_folder_that_cannot_be_written_leaves_with_2_and_one_line(lzc: Lzc, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = lzc("db", "start", LZC_CAMPAIGNS_DIR=str(tmp_path / "file"))
    assert result.returncode == 2
    assert result.stderr.startswith(f"lzc: cannot keep the embedded database in {tmp_path}/file/db:")
    assert len(result.stderr.splitlines()) == 1
