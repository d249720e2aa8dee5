"""Ions as campaign files write them: an element and its charge, such as ``Ti3+`` or ``F-``."""

from __future__ import annotations

import re
from functools import cache

from pymatgen.core import Element, Species

from lzc_flows.errors import InputError

VACANT = ""
"""The ion of an empty site."""

_ION = re.compile(r"(?P<symbol>[A-Z][a-z]?)(?P<number>[1-9]?)(?P<sign>[+-])")


@cache
def charge_of(ion: str) -> int:
    """Return the charge of an ion in e; zero for `VACANT`."""
    return 0 if ion == VACANT else int(Species.from_str(ion).oxi_state or 0)


@cache
def element_of(ion: str) -> str:
    """Return the symbol of an ion's element."""
    return Species.from_str(ion).element.symbol


@cache
def parse_ion(text: str) -> str:
    """Return an ion's canonical name.

    Raises
    ------
    InputError
        Not an element with an integer charge, or an oxidation state that the element is not known in.
    """
    match = _ION.fullmatch(text)
    if match is None or not Element.is_valid_symbol(match["symbol"]):
        raise InputError(f"ion {text!r}: an element with its charge is allowed, such as Ti3+ or F-")
    symbol, state = match["symbol"], int(match["sign"] + (match["number"] or "1"))
    known = sorted({int(value) for value in Element(symbol).oxidation_states if value})
    if state not in known:
        listed = ", ".join(f"{value:+d}" for value in known) or "none"
        raise InputError(f"ion {text!r}: {symbol} is known in the oxidation states {listed}")
    return str(Species(symbol, state))
