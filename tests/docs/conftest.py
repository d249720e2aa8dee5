"""The fenced blocks of the documentation's pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_OPTION = re.compile(r"^:(?P<name>[a-z-]+):(?P<value>.*)\n", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the name of its file where it has one, and what is in it."""

    language: str
    file: str | None
    body: str

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Of a console: each command behind a `$`, and what it printed."""
        parts = re.split(r"^\$ ", self.body, flags=re.MULTILINE)[1:]
        return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


@pytest.fixture(scope="session")
def blocks() -> Callable[[Path], list[Block]]:
    """Return the fenced blocks of a page, one after the other."""

    def read(page: Path) -> list[Block]:
        return [_block(match["info"].strip(), match["body"]) for match in _FENCE.finditer(page.read_text())]

    return read


def _block(info: str, body: str) -> Block:
    if not info.startswith("{"):
        return Block(info, None, body)
    # a directive of Sphinx: its options stand in the first lines
    options = {}
    while found := _OPTION.match(body):
        options[found["name"]] = found["value"].strip()
        body = body[found.end() :]
    directive, _, language = info.partition(" ")
    return Block(language if directive == "{code-block}" else directive, options.get("caption"), body.lstrip("\n"))
