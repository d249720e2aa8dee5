from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Element

from lzc_flows.crystal.ions import VACANT, charge_of, element_of, parse_ion
from lzc_flows.errors import InputError

NAMED = [element.symbol for element in Element if any(element.oxidation_states)]


@given(st.sampled_from(NAMED), st.data())
def test_every_known_ion_survives_parsing(symbol: str, data: st.DataObject) -> None:
    states = [int(state) for state in Element(symbol).oxidation_states if state]
    state = data.draw(st.sampled_from(states))
    ion = parse_ion(f"{symbol}{abs(state)}{'+' if state > 0 else '-'}")
    assert (element_of(ion), charge_of(ion)) == (symbol, state)
    assert parse_ion(ion) == ion


@pytest.mark.parametrize(("text", "canonical"), [("Li1+", "Li+"), ("F1-", "F-"), ("O2-", "O2-")])
def test_names_are_canonical(text: str, canonical: str) -> None:
    assert parse_ion(text) == canonical


def test_vacant_site_has_no_charge() -> None:
    assert charge_of(VACANT) == 0


# fmt: off
NO_IONS = [
    "", "Ti", "Ti3", "3+", "Ti+3", "Ti 3+", "Zr4+ ", "ti3+", "Xx2+", "X2+", "Ti3.5+", "Ti0+", "Ti3++",
    "Ti3+,spin=5",
]
# fmt: on


@pytest.mark.parametrize("text", NO_IONS)
def test_what_is_no_ion_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InputError) as refusal:
        parse_ion(text)
    assert str(refusal.value) == f"ion {text!r}: an element with its charge is allowed, such as Ti3+ or F-"


def test_unknown_oxidation_state_names_the_known_ones() -> None:
    with pytest.raises(InputError) as refusal:
        parse_ion("Ti9+")
    assert str(refusal.value) == "ion 'Ti9+': Ti is known in the oxidation states -1, +2, +3, +4"
    with pytest.raises(InputError, match="He is known in the oxidation states none"):
        parse_ion("He1+")
