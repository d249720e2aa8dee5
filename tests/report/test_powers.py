from __future__ import annotations

import pytest

from lzc_flows.report.powers import ten_to


@pytest.mark.parametrize(("power", "text"), [(-5, "10⁻⁵"), (0, "10⁰"), (12, "10¹²"), (-306, "10⁻³⁰⁶")])
def test_powers_are_raised(power: int, text: str) -> None:
    assert ten_to(power) == text
