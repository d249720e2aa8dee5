"""Raw-material cost of a composition: the mass-fraction sum of its elements' prices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files

import yaml
from pymatgen.core import Composition, DummySpecies, Element

from lzc_flows.errors import InputError

EXAMPLE_FORMULA = "Li2.1Zr0.9Ti0.1Cl5.7F0.3"

# mendeleev's documentation cites this revision of Wikipedia for Element.price_per_kg and states no year for
# a single element, so its prices carry the year of the compilation; the quotes inside it are older.
_MENDELEEV_YEAR = 2024
_MENDELEEV_REFERENCE = "Wikipedia, Prices of chemical elements, revision 1262554464 of 2024"


@dataclass(frozen=True)
class ElementPrice:
    """Price of an element in $/kg, the year it stands for and who states it."""

    element: str
    usd_per_kg: float
    year: int
    source: str


@dataclass(frozen=True)
class ElementCost:
    """What one element adds to the cost of 1 kg of a material.

    `contribution_usd_per_kg` is `mass_fraction` × `price_usd_per_kg`: $ per kg of the material.
    """

    element: str
    mass_fraction: float
    price_usd_per_kg: float
    contribution_usd_per_kg: float
    year: int
    source: str


@dataclass(frozen=True)
class CostBreakdown:
    """Cost of a formula in $/kg and its elements, in the order of the formula."""

    formula: str
    cost_usd_per_kg: float
    elements: tuple[ElementCost, ...]


@cache
def element_price(element: str) -> ElementPrice:
    """Price of an element: Supplementary Table 10 of the doped-LZC paper first, then mendeleev.

    Parameters
    ----------
    element
        Symbol, such as `"Ti"`.

    Raises
    ------
    InputError
        Neither of the two has a price for `element`.

    Notes
    -----
    The two differ in kind: Table 10 holds quotes of 2025, mendeleev the lower end of what Wikipedia lists.
    For elements in both they differ by up to a factor of two (Ge 1728.55 and 914 $/kg).
    """
    if element in (table := _table_10()):
        return table[element]
    if element in (listed := _mendeleev_prices()):
        source = f"mendeleev {version('mendeleev')} ({_MENDELEEV_REFERENCE})"
        return ElementPrice(element, listed[element], _MENDELEEV_YEAR, source)
    raise InputError(f"no price for element {element!r}: neither Supplementary Table 10 nor mendeleev has one")


def cost_usd_per_kg(composition: Composition | str) -> float:
    """Raw-material cost of a composition in $/kg, Σ mass fraction × price (Supplementary Fig. 47).

    Raises
    ------
    InputError
        `composition` cannot be read as elements with amounts, or one of them has no price.
    """
    return cost_breakdown(composition).cost_usd_per_kg


def cost_breakdown(composition: Composition | str) -> CostBreakdown:
    """Raw-material cost with the share, the price and the source of each element.

    Parameters
    ----------
    composition
        Formula, fractional amounts allowed (`"Li2.1Zr0.9Ti0.1Cl5.7F0.3"`), or a pymatgen composition, whose
        oxidation states are dropped.

    Raises
    ------
    InputError
        `composition` cannot be read as elements with amounts, or one of them has no price.
    """
    if isinstance(composition, str):
        formula, parsed = composition, _parse(composition)
    else:
        formula, parsed = composition.formula.replace(" ", ""), composition.element_composition
    elements = []
    masses = {element: amount * _atomic_mass(element.symbol) for element, amount in parsed.items()}
    weight = sum(masses.values())
    for element, mass in masses.items():
        price, fraction = element_price(element.symbol), mass / weight
        elements.append(
            ElementCost(
                element=element.symbol,
                mass_fraction=fraction,
                price_usd_per_kg=price.usd_per_kg,
                contribution_usd_per_kg=fraction * price.usd_per_kg,
                year=price.year,
                source=price.source,
            )
        )
    total = math.fsum(entry.contribution_usd_per_kg for entry in elements)
    return CostBreakdown(formula=formula, cost_usd_per_kg=total, elements=tuple(elements))


@cache
def _atomic_mass(element: str) -> float:
    # pymatgen's own numbers carry units through every product, which is slow for thousands of formulas
    return float(Element(element).atomic_mass)


def _parse(formula: str) -> Composition:
    refusal = f"cannot read formula {formula!r}: write elements with amounts, such as {EXAMPLE_FORMULA}"
    try:
        composition = Composition(formula)
    except ValueError:
        raise InputError(refusal) from None
    # pymatgen reads an unknown symbol that starts with X as a dummy species of zero mass
    for species in composition:
        if isinstance(species, DummySpecies):
            raise InputError(f"cannot read formula {formula!r}: {species.symbol!r} is not an element")
    if not (composition and math.isfinite(composition.weight)):
        raise InputError(refusal)
    return composition


@cache
def _table_10() -> dict[str, ElementPrice]:
    text = (files("lzc_flows.data") / "element_prices.yaml").read_text(encoding="utf-8")
    return {element: ElementPrice(element, **entry) for element, entry in yaml.safe_load(text).items()}


@cache
def _mendeleev_prices() -> dict[str, float]:
    """Every price that mendeleev knows, in $/kg by symbol.

    Imported here because it takes most of a second and many formulas need only Table 10.
    """
    from mendeleev.fetch import fetch_table

    elements = fetch_table("elements")
    return elements.set_index("symbol")["price_per_kg"].dropna().to_dict()
