from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lzc_flows.database.stores import CAMPAIGNS, PLAN, Database

Tiny = Callable[[], dict[str, Any]]
QUICKSTART = Path(__file__).parents[2] / "flows" / "quickstart.yaml"


@pytest.fixture
def uncovered(tiny: Tiny, campaign_file: Callable) -> Path:
    """A campaign file with Pr4+, of which softBV has no radius."""
    content = tiny()
    content["grid"]["cations"] = ["Ti3+", "Pr4+"]
    return campaign_file(content)


REFUSAL = (
    "lzc: campaign 'tiny': no softBV parameters in convention softbv for Li+ with "
    "Pr4+ (coulomb; in 1 combination: Pr4-1a-x1_F1-6i-x1_1x1x1; available: Pr3+)\n"
)


def test_the_main_campaign_is_covered(lzc: Callable) -> None:
    result = lzc("bvse", "--check-pairs", QUICKSTART, "--json")
    assert (result.code, result.err) == (0, "")
    document = json.loads(result.out)
    assert (document["campaign"], document["mobile"], document["convention"]) == ("quickstart", "Li+", "softbv")
    assert {"partner": "Cl-", "interaction": "morse", "covered": True, "candidates": 29} in document["pairs"]
    assert len(document["pairs"]) == 14 + 3
    assert document["missing"] == []


def test_a_missing_pair_is_reported_and_refused(lzc: Callable, uncovered: Path) -> None:
    result = lzc("bvse", "--check-pairs", uncovered, "--json")
    assert (result.code, result.err) == (2, REFUSAL)
    document = json.loads(result.out)
    assert [(pair["partner"], pair["covered"], pair["candidates"]) for pair in document["pairs"]] == [
        ("Zr4+", True, 3),
        ("Cl-", True, 3),
        ("Ti3+", True, 1),
        ("F-", True, 2),
        ("Pr4+", False, 1),
    ]
    assert document["missing"] == [
        {
            **document["pairs"][-1],
            "combinations": ["Pr4-1a-x1_F1-6i-x1_1x1x1"],
            "available": ["Pr3+"],
        }
    ]


def test_the_table_is_for_people(lzc: Callable, uncovered: Path) -> None:
    result = lzc("bvse", "--check-pairs", uncovered)
    assert (result.code, result.err) == (2, REFUSAL)
    assert "tiny: softBV parameters of Li+, convention softbv" in result.out
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.out.splitlines() if "│" in line]
    assert rows[1] == ["Cl-", "morse", "ok", "3"]
    assert rows[-1] == ["Pr4+", "coulomb", "missing", "1"]


@pytest.mark.parametrize("both", [False, True])
def test_a_crystal_and_a_campaign_exclude_each_other(lzc: Callable, uncovered: Path, both: bool) -> None:
    result = lzc("bvse", *(["x.cif", "--check-pairs", uncovered] if both else []))
    assert (result.code, result.out) == (2, "")
    assert result.err == "lzc: bvse: either a crystal FILE or --check-pairs CAMPAIGN is allowed, and one is needed\n"


def test_a_bad_campaign_file_is_one_line(lzc: Callable, tmp_path: Path) -> None:
    result = lzc("bvse", "--check-pairs", tmp_path / "none.yaml", "--json")
    assert (result.code, result.out) == (2, "")
    assert result.err == f"lzc: campaign {tmp_path / 'none.yaml'}: no such file\n"


@pytest.mark.parametrize("command", ["submit", "advance", "work", "run"])
def test_what_starts_work_refuses_before_a_server_is_started(
    lzc: Callable, uncovered: Path, set_lzc: Callable, tmp_path: Path, command: str
) -> None:
    with set_lzc(LZC_CAMPAIGNS_DIR=str(tmp_path / "campaigns")):
        result = lzc(command, uncovered)
    assert (result.code, result.out, result.err) == (2, "", REFUSAL)
    assert list(tmp_path.iterdir()) == [uncovered]


@pytest.mark.parametrize("command", ["submit", "advance", "work", "run"])
def test_a_refused_campaign_leaves_the_database_as_it_was(
    lzc: Callable, tiny: Tiny, campaign_file: Callable, database: Database, tmp_path: Path, command: str
) -> None:
    """A campaign that had been submitted, with a dopant added to its file that softBV lacks."""
    content = tiny()
    path = campaign_file(content)
    assert lzc("submit", path).code == 0
    held = {name: list(database.collection(name).find()) for name in (CAMPAIGNS, PLAN)}
    queue = list(database.collection("fireworks").find())
    content["grid"]["cations"].append("Pr4+")
    campaign_file(content)
    result = lzc(command, path)
    assert (result.code, result.out, result.err) == (2, "", REFUSAL)
    assert {name: list(database.collection(name).find()) for name in (CAMPAIGNS, PLAN)} == held
    assert list(database.collection("fireworks").find()) == queue
    assert queue
    assert not (tmp_path / "campaigns").exists()
