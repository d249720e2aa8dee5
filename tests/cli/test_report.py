from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lzc_flows.database.stores import Database
from lzc_flows.settings import get_settings


@pytest.fixture
def submitted(
    lzc: Callable, database: Database, tiny: Callable[[], dict[str, Any]], campaign_file: Callable
) -> Database:
    """A campaign of two candidates without results."""
    assert lzc("submit", campaign_file(tiny())).code == 0
    return database


def test_a_report_of_a_campaign_that_has_not_run(lzc: Callable, submitted: Database, tmp_path: Path) -> None:
    out, figures = tmp_path / "here.html", tmp_path / "figures"
    result = lzc("report", "tiny", "--out", out, "--figures", figures, "--json")
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out)
    assert (found["campaign"], found["candidates"], found["ranked"], found["detailed"]) == ("tiny", 2, 0, [])
    assert (found["html"], found["bytes"]) == (str(out), out.stat().st_size)
    assert sorted(found["figures"]) == sorted(str(path) for path in figures.iterdir())
    assert "none is ranked yet" in out.read_text()
    again = lzc("report", "tiny")
    place = get_settings().campaigns_dir / "tiny" / "report" / "report.html"
    assert (again.code, again.err) == (0, "")
    assert again.out.startswith(f"wrote {place} (")
    assert place.read_bytes() == out.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(["none"], "campaign 'none'"), (["tiny", "--out", "x.pdf"], "--out x.pdf: a file that ends")],
)
def test_refusals(submitted: Database, assert_refused: Callable, arguments: list[str], named: str) -> None:
    assert_refused(["report", *arguments], named)
