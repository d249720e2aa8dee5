"""The worked examples of the how-to guides are carried out on a copy of the house, and their own tests are run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class House:
    """A copy of the sources."""

    folder: Path

    def follow(self, block: Any) -> None:
        """Write a file, or change the lines of one, as a block says."""
        path = self.folder / block.file
        if block.language == "diff":
            text = path.read_text()
            for old, new in _changes(block.body):
                assert text.count(old) == 1, f"{block.file} should have this once:\n{old}"
                text = text.replace(old, new)
            path.write_text(text)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.body)

    def test(self, file: str) -> subprocess.CompletedProcess[str]:
        """Run a test file with the copy in place of the sources."""
        command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", file)
        environment = os.environ | {"PYTHONPATH": str(self.folder / "src"), "OMP_NUM_THREADS": "1"}
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)


def _changes(diff: str) -> list[tuple[str, str]]:
    """Return the lines that go and the lines that come in their place, one run after the other."""
    changes: list[tuple[list[str], list[str]]] = []
    for line in diff.splitlines():
        if line.startswith("-"):
            if not changes or changes[-1][1]:
                changes.append(([], []))
            changes[-1][0].append(line[1:])
        elif line.startswith("+"):
            changes[-1][1].append(line[1:])
    return [("\n".join(old) + "\n", "\n".join(new) + "\n") for old, new in changes]


@pytest.fixture
def house(tmp_path: Path) -> House:
    shutil.copytree(ROOT / "src", tmp_path / "src")
    return House(tmp_path)


@pytest.mark.parametrize("page", ["howto-criterion", "howto-engine"])
def test_the_worked_example_works(page: str, house: House, blocks: Callable[[Path], list[Any]]) -> None:
    steps = [block for block in blocks(ROOT / "docs" / f"{page}.md") if block.file]
    for block in steps:
        house.follow(block)
    tests = [block.file for block in steps if Path(block.file).name.startswith("test_")]
    assert tests
    for file in tests:
        done = house.test(file)
        assert done.returncode == 0, done.stdout
        assert "passed" in done.stdout
