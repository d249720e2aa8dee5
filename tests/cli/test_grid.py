from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LZC = Path(sys.executable).with_name("lzc")
Tiny = Callable[[], dict[str, Any]]


def test_json_holds_every_combination(lzc: Callable, tiny: Tiny, campaign_file: Callable) -> None:
    result = lzc("grid", campaign_file(tiny()), "--json")
    assert (result.code, result.err) == (0, "")
    document = json.loads(result.out)
    assert (document["campaign"], document["host"], document["count"]) == ("tiny", "lzc", 2)
    undoped, doped = document["combinations"]
    assert undoped["formula"] == "Li6Zr3Cl18"
    assert [undoped[name] for name in ("cation", "cation_site", "anion", "extra_mobile")] == [None, None, None, 0]
    assert doped == {
        "combination": "Ti3-1a-x1_F1-6i-x1_1x1x1",
        "cation": "Ti3+",
        "cation_site": "1a",
        "anion": "F-",
        "column": "1a ×1 · F 6i ×1",
        "formula": "Li7Zr2Ti1Cl17F1",
        "extra_mobile": 1,
        "arrangements": 162,
    }


def test_the_table_shows_them_to_people(lzc: Callable, tiny: Tiny, campaign_file: Callable) -> None:
    content = tiny()
    content["grid"] |= {"supercell": [2, 2, 1], "anion_counts": [3]}
    result = lzc("grid", campaign_file(content))
    assert result.code == 0
    # the count of the source: 4 Ti sites at 1a × C(72, 3) F sites × 36 vacant octahedra
    for words in ("tiny: 2 combinations", "Li25Zr11Ti1Cl69F3", "+1", f"{4 * 59640 * 36:,}"):
        assert words in result.out


def misspelt(content: dict[str, Any]) -> None:
    content["stages"]["relax"]["protocol"]["fmax"] = content["stages"]["relax"]["protocol"].pop("fmax_ev_per_angstrom")


def too_many(content: dict[str, Any]) -> None:
    content["grid"]["cation_counts"] = [2]


def empty(content: dict[str, Any]) -> None:
    content["grid"] = {"supercell": [1, 1, 1], "undoped": False}


def uncompensated(content: dict[str, Any]) -> None:
    content["grid"] |= {"anions": ["O2-"], "anion_counts": [10]}


def unknown_oxidation_state(content: dict[str, Any]) -> None:
    content["grid"]["cations"] = ["Ti7+"]


BAD = {
    misspelt: "did you mean fmax_ev_per_angstrom?",
    too_many: "occupancy above 1",
    empty: "its grid is empty",
    uncompensated: "cannot be compensated",
    unknown_oxidation_state: "Ti is known in the oxidation states",
}
COMMANDS = ("grid", "submit", "run", "advance", "work", "status", "query", "rank", "recover")


@pytest.mark.parametrize("spoil", BAD)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_bad_file_is_refused_before_a_server_is_started(
    lzc: Callable,
    tiny: Tiny,
    campaign_file: Callable,
    set_lzc: Callable,
    tmp_path: Path,
    command: str,
    spoil: Callable[[dict[str, Any]], None],
) -> None:
    content = tiny()
    spoil(content)
    path = campaign_file(content)
    with set_lzc(LZC_CAMPAIGNS_DIR=str(tmp_path / "campaigns")):
        result = lzc(command, path)
    assert (result.code, result.out) == (2, "")
    assert len(result.err.splitlines()) == 1
    assert result.err.startswith("lzc: campaign ")
    assert BAD[spoil] in result.err
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("command", ["submit", "advance", "work", "run"])
def test_a_missing_engine_is_named_before_a_server_is_started(
    lzc: Callable, tiny: Tiny, campaign_file: Callable, set_lzc: Callable, tmp_path: Path, command: str
) -> None:
    path = campaign_file(tiny())
    with set_lzc(LZC_CAMPAIGNS_DIR=str(tmp_path / "campaigns"), LZC_MODELS_DIR=str(tmp_path / "models")):
        result = lzc(command, path)
    assert (result.code, result.out) == (2, "")
    assert "run `lzc models install nep89`" in result.err
    assert len(result.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("command", "text", "named"),
    [("grid", b"name: [", "not YAML"), ("submit", None, "no such file"), ("run", b"nmae: x", "did you mean name?")],
)
def test_the_installed_command_does_the_same(tmp_path: Path, command: str, text: bytes | None, named: str) -> None:
    path = tmp_path / "bad.yaml"
    if text is not None:
        path.write_bytes(text)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LZC_")}
    done = subprocess.run(
        [LZC, command, path], capture_output=True, text=True, check=False, timeout=120, env=clean, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"lzc: campaign {path}: ")
    assert named in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == ([path] if text is not None else [])
