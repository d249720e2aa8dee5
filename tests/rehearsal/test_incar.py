from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzc_flows.rehearsal.incar import read_incar, typed
from lzc_flows.rehearsal.messages import Refusal


def tags_of(folder: Path, content: str) -> dict[str, object]:
    (folder / "INCAR").write_text(content)
    return read_incar(folder / "INCAR")


def test_all_ways_of_writing(tmp_path: Path) -> None:
    content = """\
    # a comment
    algo = Fast ; NELM = 100   ! another
    EDIFF = 1D-5
    MAGMOM = 2*1.5 3*0 \\
      4
    LWAVE = .FALSE. ; LCHARG = T
    LREAL = Auto
    SYSTEM = "Li, Cl"
    NELM = 3
    """
    assert tags_of(tmp_path, content) == {
        "ALGO": "Fast",
        "NELM": 100,
        "EDIFF": 1e-5,
        "MAGMOM": [1.5, 1.5, 0, 0, 0, 4],
        "LWAVE": False,
        "LCHARG": True,
        "LREAL": "Auto",
        "SYSTEM": "Li, Cl",
    }


@pytest.mark.parametrize(
    "line",
    [
        "ENCUTT = 500",
        "NSW = many",
        "NSW = 1.5",
        "IBRION = 4",
        "ISPIN = 3",
        "LWAVE = 0",
        "PREC = Best",
        "MAGMOM = up down",
        "MAGMOM =",
        "IOPT = 9",
    ],
)
def test_refused(line: str, tmp_path: Path) -> None:
    with pytest.raises(Refusal) as refused:
        tags_of(tmp_path, line)
    # what custodian takes for a mistake of the user
    assert f"Error reading item '{line.split()[0]}'" in str(refused.value)


@given(st.integers(-(10**9), 10**9))
def test_whole_numbers(number: int) -> None:
    assert typed("NSW", str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers(number: float) -> None:
    assert typed("ENCUT", repr(number)) == number
    assert typed("ENCUT", repr(number).replace("e", "d")) == number
