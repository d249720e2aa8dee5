"""The page and the picture of the house show the rooms that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = {path.parent.name for path in (ROOT / "src" / "lzc_flows").glob("*/__init__.py")}


def test_the_table_has_every_room_and_no_other() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
    assert {room for row in rows for room in re.findall(r"`(\w+)/`", row)} == ROOMS


def test_the_picture_has_every_room() -> None:
    words = set(re.findall(r"\w+", (ROOT / "docs" / "images" / "house.svg").read_text()))
    assert words >= ROOMS
