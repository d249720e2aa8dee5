from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lzc_flows.cli import main as main_module
from lzc_flows.errors import CalculationError, InputError

LZC = Path(sys.executable).with_name("lzc")
CAMPAIGN_COMMANDS = ("submit", "advance", "work", "run", "status", "recover", "query", "rank")
OTHER_COMMANDS = ("grid", "bvse", "cost", "inputs", "doctor", "models", "db")
SUBCOMMANDS = ("models/install", "models/list", "db/start", "db/stop", "db/status")
COMMANDS = CAMPAIGN_COMMANDS + OTHER_COMMANDS + SUBCOMMANDS
HEAVY = {"pymatgen", "numba", "matplotlib", "torch", "atomate2", "jobflow", "fireworks", "maggma", "chgnet"}


def test_help_lists_every_command_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['lzc', '--help']\n"
        "from lzc_flows.cli.main import main\n"
        "try: main()\n"
        f"finally: print('imported:', *({HEAVY} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].split() == ["imported:"]
    for command in COMMANDS:
        assert command.partition("/")[0] in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(lzc: Callable, command: str) -> None:
    for flag in ("--help", "-h"):
        result = lzc(*command.split("/"), flag)
        assert result.code == 0
        assert "Usage: " in result.out
        assert result.err == ""
    leaf = command not in ("models", "db")
    assert ("--json" in result.out) == leaf


def test_without_a_command_the_help_is_shown_and_2_returned(lzc: Callable) -> None:
    result = lzc()
    assert result.code == 2
    assert "Usage: " in result.out + result.err


@pytest.mark.parametrize(
    "arguments", [["sbumit"], ["submit"], ["run", "x", "--workers", "0"], ["cost", "Li", "--jsno"]]
)
def test_wrong_usage_leaves_with_2(lzc: Callable, arguments: list[str]) -> None:
    result = lzc(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert "Usage: " in result.err


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("file [x]: nothing"), 2, "lzc: file [x]: nothing"),
        (CalculationError("it [/red] broke"), 1, "lzc: it [/red] broke"),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/a/b"),
            2,
            "lzc: disk full while writing /a/b: free some space and run the same command again",
        ),
        (
            OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
            2,
            "lzc: disk full while writing the working directory: free some space and run the same command again",
        ),
    ],
)
def test_errors_are_one_line_and_an_exit_code(
    lzc: Callable, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, line: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(main_module, "app", fail)
    result = lzc()
    assert (result.code, result.out, result.err) == (code, "", line + "\n")


def test_other_errors_are_not_hidden(lzc: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise FileNotFoundError(errno.ENOENT, "gone", "/a")

    monkeypatch.setattr(main_module, "app", fail)
    with pytest.raises(FileNotFoundError):
        lzc()


def test_an_unknown_setting_is_refused_whatever_the_command(lzc: Callable, set_lzc: Callable) -> None:
    with set_lzc(LZC_MONGO_URL="mongodb://somewhere"):
        result = lzc("status", "x")
    assert result.code == 2
    assert result.err.startswith("lzc: unknown setting LZC_MONGO_URL: allowed are ")
    assert len(result.err.splitlines()) == 1


def test_the_console_script_is_installed() -> None:
    done = subprocess.run([LZC, "--help"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0
    assert "Usage: lzc" in done.stdout
