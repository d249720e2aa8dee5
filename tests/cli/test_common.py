from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzc_flows.cli.common import chosen_engine, emit_json, warnings_as_lines
from lzc_flows.documents.dft import LZC, LZC_AIMD, LZRC
from lzc_flows.errors import InputError, InputWarning


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


def test_our_warnings_are_one_line_each_and_others_are_pythons(
    capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    before = warnings.showwarning
    with warnings_as_lines():
        for _ in range(2):
            warnings.warn(f"a [b] {'long ' * 100}line", InputWarning, stacklevel=1)
        warnings.warn("theirs", RuntimeWarning, stacklevel=1)
    assert warnings.showwarning is before
    assert [str(warning.message) for warning in recwarn] == ["theirs"]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [f"lzc: a [b] {'long ' * 100}line"] * 2


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


def test_the_numbers_of_a_source_by_their_name() -> None:
    assert chosen_engine("cp2k", "lzrc", LZC).dft == LZRC
    assert chosen_engine("vasp", None, LZC_AIMD).dft == LZC_AIMD
    assert chosen_engine("nep", None, LZC).dft is None


@pytest.mark.parametrize(
    ("engine", "dft", "said"),
    [
        ("qe", None, "engine 'qe': allowed are chgnet, nep, vasp, cp2k"),
        ("nep", "lzc", "--dft lzc: engine 'nep' has no electrons; cp2k and vasp have"),
        ("vasp", "mp", "--dft mp: allowed are lzc, lzc-aimd, lzrc"),
    ],
)
def test_bad_engines_are_named(engine: str, dft: str | None, said: str) -> None:
    with pytest.raises(InputError) as caught:
        chosen_engine(engine, dft, LZC)
    assert str(caught.value) == said
