"""How rare the cations of a composition are in the earth's crust."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml
from pymatgen.core import Composition, Element

from lzc_flows.errors import InputError


@dataclass(frozen=True)
class Abundance:
    """Crustal abundance of an element, in mg/kg."""

    element: str
    mg_per_kg: float


@cache
def crustal_abundance(element: str) -> Abundance:
    """Return the crustal abundance of an element by its symbol, from the CRC Handbook of Chemistry and Physics.

    Raises
    ------
    InputError
        The handbook has none for it.
    """
    found = _table().get(element)
    if found is None:
        raise InputError(f"no crustal abundance of element {element!r}: the CRC Handbook has none")
    return Abundance(element, float(found))


def scarcest_cation(composition: Composition) -> Abundance:
    """Return the scarcest cation's element of a composition: all elements but halogens and chalcogens count.

    How much of it the composition holds does not matter, as in the second source (Fig. S14), which compares the
    elements themselves. Of abundances over eight orders of magnitude the logarithm is what can be averaged.

    Raises
    ------
    InputError
        There is no such element, or the handbook lacks one.
    """
    symbols = [element.symbol for element in composition.element_composition]
    cations = [symbol for symbol in symbols if not (Element(symbol).is_halogen or Element(symbol).is_chalcogen)]
    if not cations:
        raise InputError(f"{composition.formula}: an element other than halogens and chalcogens is needed")
    return min((crustal_abundance(symbol) for symbol in cations), key=lambda found: found.mg_per_kg)


@cache
def _table() -> dict[str, float]:
    content: dict[str, float] = yaml.safe_load(
        (files("lzc_flows.data") / "crustal_abundance.yaml").read_text(encoding="utf-8")
    )
    return content
