from __future__ import annotations

import json
import os
import pty
import re
import select
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lzc_flows.database.server import find_server, stop_server

NAMES = [
    "my_launchpad.yaml",
    "my_fworker.yaml",
    "my_fworker_gpu.yaml",
    "my_qadapter.yaml",
    "my_qadapter_gpu.yaml",
    "FW_config.yaml",
    "jobflow.yaml",
    "atomate2.yaml",
    "env.sh",
    "init.yaml",
    ".gitignore",
    "README.md",
]
URI = "mongodb://db.example.org:27017/"


@pytest.fixture
def place(set_lzc: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory without a server."""
    monkeypatch.chdir(tmp_path)
    with set_lzc(LZC_CAMPAIGNS_DIR=str(tmp_path / "campaigns")):
        yield tmp_path


def document(result: Any) -> dict[str, Any]:
    assert (result.code, result.err) == (0, "")
    return json.loads(result.out)


def statuses(result: Any) -> dict[str, str]:
    return {Path(file["path"]).name: file["status"] for file in document(result)["files"]}


def test_without_a_terminal_defaults_are_taken(lzc: Callable, place: Path) -> None:
    told = document(lzc("init", "--uri", URI, "--json"))
    assert told | {"files": []} == {
        "folder": str(place / "launchpad"),
        "server": "mongodb://db.example.org:27017",
        "embedded": False,
        "database": "lzc_flows",
        "files": [],
    }
    assert [Path(file["path"]).name for file in told["files"]] == [*NAMES, "mongo_uri"]
    assert sorted(path.name for path in (place / "launchpad").iterdir()) == sorted([*NAMES, "mongo_uri"])
    for file in told["files"]:
        mode = stat.S_IMODE(Path(file["path"]).stat().st_mode)
        assert mode == (0o600 if file["secret"] else 0o644)
    assert set(statuses(lzc("init", "--uri", URI, "--json")).values()) == {"unchanged"}


def test_the_embedded_server_is_started_and_its_address_written(lzc: Callable, place: Path) -> None:
    try:
        told = document(lzc("init", "--embedded", "--json"))
        server = find_server(place / "campaigns")
        assert server is not None
        assert told["embedded"]
        assert yaml.safe_load((place / "launchpad" / "my_launchpad.yaml").read_text())["host"] == server.uri
        assert not (place / "launchpad" / "mongo_uri").exists()
    finally:
        stop_server(place / "campaigns")


def test_what_was_told_is_remembered_and_what_was_changed_kept(lzc: Callable, place: Path) -> None:
    lzc("init", "--uri", URI, "--account", "chem", "--module", "vasp/6", "--module", "mkl", "--cores", 8)
    adapter = place / "launchpad" / "my_qadapter.yaml"
    assert set(statuses(lzc("init", "--json")).values()) == {"unchanged"}
    mine = adapter.read_text() + "constraint: broadwell\n"
    adapter.write_text(mine)
    refused = lzc("init")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        f"lzc: {place}/launchpad has other files of these names: my_qadapter.yaml; --force replaces them and keeps the "
        "old ones as .bak\n"
    )
    assert adapter.read_text() == mine
    done = statuses(lzc("init", "--force", "--walltime", "01:00:00", "--json"))
    assert {name for name, status in done.items() if status != "unchanged"} == {
        "my_qadapter.yaml",
        "my_qadapter_gpu.yaml",
        "init.yaml",
    }
    assert (place / "launchpad" / "my_qadapter.yaml.bak").read_text() == mine
    now = yaml.safe_load(adapter.read_text())
    assert (now["account"], now["ntasks"], now["walltime"]) == ("chem", 8, "01:00:00")
    assert now["pre_rocket"].startswith("module load vasp/6 mkl\n")


def test_broken_files_do_not_keep_it_from_mending_them(place: Path, shell: dict[str, str]) -> None:
    """jobflow and FireWorks read theirs at their import."""
    words = [Path(sys.executable).with_name("lzc"), "init", "--uri", URI]
    subprocess.run(words, check=True, capture_output=True, timeout=60, env=shell)
    broken = {"FW_CONFIG_FILE": "FW_config.yaml", "JOBFLOW_CONFIG_FILE": "jobflow.yaml"}
    for name in broken.values():
        (place / "launchpad" / name).write_text("NOTHING: [\n")
    environment = shell | {name: str(place / "launchpad" / file) for name, file in broken.items()}
    done = subprocess.run([*words, "--force"], capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[1].rstrip(",") for line in done.stdout.splitlines() if line.startswith("replaced")] == list(
        broken.values()
    )


def test_lines_for_people(lzc: Callable, place: Path) -> None:
    lines = lzc("init", "--uri", URI).out.splitlines()
    assert lines[0] == "written   my_launchpad.yaml, for you alone"
    assert lines[-2:] == [
        "server: mongodb://db.example.org:27017, database lzc_flows",
        f"now: . {place}/launchpad/env.sh && lzc doctor",
    ]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--uri", "mongodb://curie:Sesame@host/"], "--uri holds a user or a password"),
        (["--uri", URI, "--embedded"], "--uri, --uri-file and --embedded: give one of them"),
        (["--uri-file", "nowhere"], "--uri-file: nowhere cannot be read: No such file or directory"),
        (["--uri", URI, "--database", "a b"], "--database 'a b'"),
        (["--uri", URI, "--account", "a'b"], "--account "),
        (["--uri", URI, "--partition", "a\nb"], "--partition 'a\\nb': allowed: letters"),
        (["--uri", URI, "--walltime", "soon"], "--walltime 'soon': allowed: HH:MM:SS"),
        (["--uri", URI, "--cores", "0"], "--cores 0: "),
        (["--uri", "db.example.org"], "is not a MongoDB URI"),
        (["a$$b", "--uri", URI], "folder 'a$$b'"),
    ],
)
def test_bad_input_writes_nothing(lzc: Callable, place: Path, options: list[str], line: str) -> None:
    result = lzc("init", *options)
    assert (result.code, result.out) == (2, "")
    assert line in result.err
    assert "Sesame" not in result.err
    assert len(result.err.splitlines()) == 1
    assert list(place.iterdir()) == []


def test_a_full_disk_leaves_nothing(place: Path) -> None:
    """A file system of 16 KiB, in a mount namespace of its own."""
    command = 'mkdir m && mount -t tmpfs -o size=16k none m && cd m && "$@"; code=$?; find . -type f; exit $code'
    lzc = [Path(sys.executable).with_name("lzc"), "init", "--uri", URI]
    trial = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False, timeout=20)
    if trial.returncode:
        pytest.skip("no mount namespaces here")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command, "sh", *lzc], capture_output=True, text=True, check=False, timeout=60
    )
    if "permission denied" in done.stderr.lower():
        pytest.skip("no file system can be mounted here")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        r"lzc: disk full while writing .*: free some space and run the same command again\n", done.stderr
    )


def answered(arguments: list[str], answers: dict[str, str], environment: dict[str, str]) -> tuple[int, str]:
    """Run `lzc init` on a terminal and answer each question; return its exit code and all that was shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(Path(sys.executable).with_name("lzc"), ["lzc", "init", *arguments], environment)
    shown, seen, deadline = "", 0, time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                shown += os.read(terminal, 4096).decode()
            except OSError:  # the other side has closed
                break
        for question, answer in answers.items():
            at = shown.find(question, seen)
            if at >= 0 and shown.endswith(": "):  # the blank comes once the echo is off
                seen = len(shown)
                os.write(terminal, f"{answer}\n".encode())
                break
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown


@pytest.fixture
def shell(place: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LZC_")}
    return clean | {"TERM": "dumb", "LZC_CAMPAIGNS_DIR": str(place / "campaigns")}


def test_questions_on_a_terminal(place: Path, shell: dict[str, str]) -> None:
    answers = {
        "MongoDB URI": "mongodb://curie:Sesame@db.example.org/",
        "SLURM partition": "long",
        "SLURM account": "chem",
        "Cores of a job": "12",
        "GPUs of a job": "",
        "Most jobs": "",
        "Command of VASP": "",
        "Folder of the POTCARs": "",
    }
    code, shown = answered(["--walltime", "02:00:00"], answers, shell)
    assert code == 0, shown
    assert "Sesame" not in shown
    assert "Walltime" not in shown  # it was given
    adapter = yaml.safe_load((place / "launchpad" / "my_qadapter.yaml").read_text())
    assert [adapter[key] for key in ("queue", "account", "ntasks", "walltime")] == ["long", "chem", 12, "02:00:00"]
    assert (place / "launchpad" / "mongo_uri").read_text() == "mongodb://curie:Sesame@db.example.org/\n"


def test_a_wrong_answer_is_told_and_asked_for_again(place: Path, shell: dict[str, str]) -> None:
    words = ["--uri", URI, "--partition", "p", "--account", "a", "--cores", "1", "--gpus", "1", "--jobs-in-queue", "1"]
    code, shown = answered([*words, "--vasp", "v", "--potcars", "/p"], {"Walltime": "01:00:00"}, shell)
    assert code == 0, shown
    code, shown = answered(
        [*words, "--vasp", "v", "--potcars", "/p", "--force"],
        {"Error: --walltime 'soon'": "03:00:00", "Walltime of a job, HH:MM:SS [01:00:00]": "soon"},
        shell,
    )
    assert code == 0, shown
    assert "--walltime 'soon': allowed: HH:MM:SS" in shown
    assert yaml.safe_load((place / "launchpad" / "my_qadapter.yaml").read_text())["walltime"] == "03:00:00"


def test_yes_asks_nothing(place: Path, shell: dict[str, str]) -> None:
    code, shown = answered(["--uri", URI, "--yes"], {}, shell)
    assert code == 0
    assert "?" not in shown
    assert (place / "launchpad" / "env.sh").is_file()
