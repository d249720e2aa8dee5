"""Ions as campaign files write them: an element and its charge, such as ``Ti3+`` or ``F-``."""

from __future__ import annotations

from functools import cache

from pymatgen.core import Element, Species

from lzc_flows.errors import InputError

VACANT = ""
"""The ion of an empty site."""


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
    form = f"ion {text!r}: an element with its charge is allowed, such as Ti3+ or F-"
    try:
        species = Species.from_str(text)
    except ValueError:
        raise InputError(form) from None
    state = species.oxi_state
    if not state or int(state) != state:
        raise InputError(form)
    known = sorted({int(value) for value in Element(species.element.symbol).oxidation_states if value})
    if int(state) not in known:
        listed = ", ".join(f"{value:+d}" for value in known)
        raise InputError(f"ion {text!r}: {species.element.symbol} is known in the oxidation states {listed}")
    return str(species)
