"""Every command that the documentation shows is there, with its options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from lzc_flows.cli.main import app

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "docs" / "commands.md"
PAGES = sorted({*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")} - {GENERATED})
LZC: Any = get_command(app)
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.fixture
def shown(blocks: Callable[[Path], list[Any]]) -> Callable[[Path], list[list[str]]]:
    """Return the words of each command behind a `$` of a page, those joined by && and ; one by one."""

    def read(page: Path) -> list[list[str]]:
        lines = [command for block in blocks(page) if block.language == "console" for command, _ in block.commands]
        parts = [part for line in lines for part in re.split(r"&&|\|\||[;|](?=\s)", line)]
        return [words for part in parts if (words := shlex.split(part, comments=True))]

    return read


def spoken(page: Path) -> list[list[str]]:
    """Return the words of each command of `lzc` in the running text."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"`(lzc [^`|{]+)`", text)
    return [shlex.split(" ".join(command.split())) for command in found]


def refusal(words: list[str]) -> str | None:
    """Return what is wrong with a command of `lzc`; None where it could be run."""
    command, rest = LZC, iter(words[1:])
    for word in rest:
        if word.startswith("-"):
            name, given, _ = word.partition("=")
            if name in ("--help", "-h"):
                continue
            option = next((parameter for parameter in command.params if name in parameter.opts), None)
            if option is None:
                return f"{command.name} has no option {name}"
            if not option.is_flag and not given:
                next(rest, None)  # its value, which may begin with a dash
        elif hasattr(command, "commands"):
            if word not in command.commands:
                return f"{command.name} has no command {word}"
            command = command.commands[word]
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_and_options_are_there(page: Path, shown: Callable[[Path], list[list[str]]]) -> None:
    lzc = [words for words in [*shown(page), *spoken(page)] if words[0] == "lzc"]
    assert [said for words in lzc if (said := refusal(words))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_targets_of_make_are_there(page: Path, shown: Callable[[Path], list[list[str]]]) -> None:
    wanted = [word for words in shown(page) if words[0] == "make" for word in words[1:] if "=" not in word]
    assert set(wanted) <= TARGETS


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("lzc rank quickstart --json", None),
        ("lzc db backup FILE", None),
        ("lzc rnk quickstart", "lzc has no command rnk"),
        ("lzc db back", "db has no command back"),
        ("lzc rank quickstart --jason", "rank has no option --jason"),
    ],
)
def test_what_is_not_there_is_noticed(command: str, said: str | None) -> None:
    assert refusal(shlex.split(command)) == said
