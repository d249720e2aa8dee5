from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LZC = Path(sys.executable).with_name("lzc")


def run_lzc(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"COLUMNS": "200"}
    return subprocess.run([LZC, *arguments], capture_output=True, text=True, check=False, timeout=60, env=environment)


def test_json_is_one_document_with_these_keys() -> None:
    result = run_lzc("cost", "Li2ZrCl6", "--json")
    assert result.returncode == 0
    assert result.stderr == ""
    document = json.loads(result.stdout)
    assert set(document) == {"formula", "cost_usd_per_kg", "elements"}
    assert document["formula"] == "Li2ZrCl6"
    assert document["cost_usd_per_kg"] == pytest.approx(8.68, rel=1e-3, abs=0)  # Supplementary Table 11
    zirconium = next(entry for entry in document["elements"] if entry["element"] == "Zr")
    assert zirconium["price_usd_per_kg"] == 20.59
    assert zirconium["year"] == 2025
    assert zirconium["source"].startswith("Shanghai Metals Market")


def test_table_names_every_element_and_its_source() -> None:
    result = run_lzc("cost", "Li2.1Zr0.9Ti0.1Cl5.7F0.3")
    assert result.returncode == 0
    assert "Li2.1Zr0.9Ti0.1Cl5.7F0.3: 8.67 $/kg" in result.stdout
    for word in ("Li", "Zr", "Ti", "Cl", "F", "2025", "China Agriculture Reports"):
        assert word in result.stdout


@pytest.mark.parametrize(("formula", "named"), [("Li2Xx3", "Xx"), ("Li2(Zr", "Li2(Zr"), ("LiAt", "At")])
def test_bad_input_leaves_with_2_and_one_line(formula: str, named: str) -> None:
    result = run_lzc("cost", formula)
    assert result.returncode == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert named in result.stderr
