from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lzc_flows.crystal.occupancy import excess_of, normalise_occupancy
from lzc_flows.errors import InputError

fractions = st.floats(1e-3, 1, allow_nan=False)


@given(fractions, fractions)
@example(0.9572, 0.0434)
@example(0.96, 0.045)  # 1.005, the most that rounding explains
@example(0.96, 0.0451)
def test_occupancies_are_kept_normalised_or_refused(first: float, second: float) -> None:
    total = first + second
    occupancy = {"Zr4+": first, "Ti3+": second}
    if total > 1.005001:
        with pytest.raises(InputError, match=r"^host 1a: occupancies sum to .*: at most 1 is allowed"):
            normalise_occupancy(occupancy, "host 1a")
        return
    kept, notes = normalise_occupancy(occupancy, "host 1a")
    assert kept["Zr4+"] * second == pytest.approx(kept["Ti3+"] * first)
    assert sum(kept.values()) == pytest.approx(min(total, 1))
    assert len(notes) == (total > 1.000001)


def test_rounding_is_accepted_and_real_excess_refused() -> None:
    kept, notes = normalise_occupancy({"Cl-": 0.9572, "F-": 0.0434}, "6i")
    assert kept["F-"] == pytest.approx(0.0434 / 1.0006)
    assert notes == ["6i: occupancies sum to 1.0006, normalised to 1"]
    with pytest.raises(InputError) as refusal:
        normalise_occupancy({"Cl-": 0.96, "F-": 0.07}, "6i")
    assert str(refusal.value) == (
        "6i: occupancies sum to 1.0300: at most 1 is allowed (rounding up to 0.005 is normalised)"
    )


def test_rounding_of_floating_point_numbers_is_not_worth_a_note() -> None:
    assert 1 + 4e-16 > 1
    assert excess_of(1 + 4e-16, "1a") is None
    kept, notes = normalise_occupancy({"Zr4+": 0.5, "Ti3+": 0.5 + 4e-16}, "1a")
    assert notes == []
    assert sum(kept.values()) == pytest.approx(1, rel=1e-15)


@pytest.mark.parametrize("value", [0.0, -0.1, 1.2, float("nan")])
def test_occupancy_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(InputError, match=r"occupancy .* of Zr4\+: a number above 0 and at most 1 is allowed"):
        normalise_occupancy({"Zr4+": value}, "1a")
