from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzc_flows.cli.common import emit_json


def test_numbers_without_a_word_in_json_become_null(capsys: pytest.CaptureFixture[str]) -> None:
    emit_json({"a": [1.5, math.inf, -math.inf, math.nan], "b": {"c": (math.inf, None, True)}, 3: Path("x"), "Å": "×"})
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {
        "a": [1.5, None, None, None],
        "b": {"c": [None, None, True]},
        "3": "x",
        "Å": "×",
    }
    assert "Å" in captured.out


@given(
    st.recursive(st.none() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_what_is_printed_is_strict_json(document: object) -> None:
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr("builtins.print", printed.append)
        emit_json(document)

    def refuse(word: str) -> None:
        pytest.fail(f"{word} is not JSON")

    (text,) = printed
    json.loads(text, parse_constant=refuse)
