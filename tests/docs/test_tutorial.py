"""Pages that are followed as a reader would: files written, commands in their order, in an empty folder."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"
LIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Shell:
    """A reader's shell: a new folder, and no settings."""

    folder: Path

    def run(self, *command: str) -> str:
        """Return what a command that succeeds prints, errors included."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("LZC_")}
        # the model file is where `make install` has put it
        own |= {name: value for name, value in os.environ.items() if name == "LZC_MODELS_DIR"}
        own |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            command, cwd=self.folder, env=own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.run("lzc", "db", "stop")  # where the page did not come so far; again is no error


def assert_like(shown: str, printed: str) -> None:
    """What a page shows is what was printed; `...` is anything, a line of it any lines, or none."""
    same = doctest.OutputChecker().check_output(shown.replace("\n...\n", "\n..."), printed, LIKE)
    assert same, f"the page shows\n{shown}\nprinted was\n{printed}"


def follow(steps: list[Any], shell: Shell) -> None:
    """Do what the blocks of a page say, and compare what they show."""
    printed = ""
    for block in steps:
        if block.file:
            (shell.folder / block.file).write_text(block.body)
        elif block.language == "console":
            for command, shown in block.commands:
                printed = shell.run("bash", "-c", command)
                if shown:
                    assert_like(shown, printed)
        elif block.language == "python":
            printed = shell.run(sys.executable, "-c", block.body)
        else:  # what the block before printed
            assert block.language == "text"
            assert_like(block.body, printed)


def test_the_tutorial_does_what_it_shows(shell: Shell, blocks: Callable[[Path], list[Any]]) -> None:
    follow(blocks(DOCS / "tutorial.md"), shell)
    report = shell.folder / "campaigns" / "first" / "report"
    assert report.joinpath("heatmap.png").stat().st_size > 10_000


def test_the_guide_to_a_host_of_ones_own_does_what_it_shows(shell: Shell, blocks: Callable[[Path], list[Any]]) -> None:
    follow(blocks(DOCS / "howto-host.md"), shell)
