from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzc_flows.rehearsal.messages import framed
from lzc_flows.rehearsal.oszicar import fortran


@given(st.floats(-1e30, 1e30).filter(lambda number: number == 0 or abs(number) > 1e-30))
def test_numbers_as_fortran_writes_them(number: float) -> None:
    text = fortran(number, 15, 8)
    assert len(text) == 15
    assert float(text) == pytest.approx(number, rel=1e-7)


def test_without_a_zero_where_there_is_no_room() -> None:
    assert fortran(-120.77597, 14, 8) == "-.12077597E+03"
    assert fortran(0.00123, 12, 5) == " 0.12300E-02"


def test_frames_are_straight() -> None:
    lines = framed("WARNING", "word " * 60 + "\nnext").splitlines()
    assert {len(line) for line in lines[1:-1]} == {79}
