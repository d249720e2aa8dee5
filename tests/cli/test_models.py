from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from lzc_flows.engines.models import MODELS


def test_list_names_every_model_and_how_to_install_it(lzc: Callable, set_lzc: Callable, tmp_path: Path) -> None:
    with set_lzc(LZC_MODELS_DIR=str(tmp_path)):
        document = json.loads(lzc("models", "list", "--json").out)
        text = lzc("models", "list").out
    assert [entry["name"] for entry in document] == list(MODELS)
    assert all(entry.keys() == {"name", "installed", "source", "licence"} for entry in document)
    assert not any(entry["installed"] for entry in document)
    assert "nep89: not installed: lzc models install nep89; GPL-3.0" in text
    assert list(tmp_path.iterdir()) == []


def test_an_installed_model_is_listed_and_not_fetched_again(lzc: Callable, set_lzc: Callable) -> None:
    with set_lzc():
        assert json.loads(lzc("models", "list", "--json").out)[0]["installed"] is True
        result = lzc("models", "install", "nep89", "--json")
        path = MODELS["nep89"].path
        before = path.stat().st_mtime_ns
    assert result.code == 0
    document = json.loads(result.out)
    assert document == {"name": "nep89", "path": str(path), "sha256": MODELS["nep89"].sha256}
    assert path.stat().st_mtime_ns == before


def test_a_damaged_file_counts_as_not_installed(lzc: Callable, set_lzc: Callable, tmp_path: Path) -> None:
    (tmp_path / "nep89.txt").write_text("half of it")
    with set_lzc(LZC_MODELS_DIR=str(tmp_path)):
        assert json.loads(lzc("models", "list", "--json").out)[0]["installed"] is False


def test_an_unknown_model_is_refused_with_the_known_ones(lzc: Callable) -> None:
    result = lzc("models", "install", "nep90")
    assert (result.code, result.out) == (2, "")
    assert result.err == f"lzc: model 'nep90': allowed are {', '.join(MODELS)}\n"
