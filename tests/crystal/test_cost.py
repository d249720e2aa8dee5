from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Composition

from lzc_flows.crystal.cost import cost_breakdown, cost_usd_per_kg, element_price
from lzc_flows.errors import InputError

# Supplementary Table 11 of the doped-LZC paper, $/kg
TABLE_11 = {
    "Li2.1Zr0.9Ti0.1Cl5.7F0.3": 8.67,
    "Li2ZrCl6": 8.68,
    "Li3InCl6": 106.44,
    "Li3Ta3O4Cl10": 179.74,
    "Li3ScCl6": 536.00,
    "Li0.388Ta0.238La0.475Cl3": 65.34,
}

# every cation that may take the Zr4+ octahedron, with the host's own elements and the anions
# fmt: off
PRICED = [
    "Li", "Zr", "Cl", "F", "O",
    "Mg", "Zn", "Co", "Ni", "Fe", "Mn", "Cd", "Ca", "Sc", "In", "Ti", "V", "Cr", "Ga", "Al", "Lu", "Yb", "Tm",
    "Er", "Y", "Ho", "Gd", "Sb", "Bi", "La", "Hf", "Sn", "Ge", "Ce", "P", "Nb", "Ta", "Mo", "W",
]
# fmt: on


@pytest.mark.parametrize(("formula", "published"), TABLE_11.items())
def test_published_costs_follow_from_table_10(formula: str, published: float) -> None:
    assert cost_usd_per_kg(formula) == pytest.approx(published, rel=1e-3, abs=0)


def test_oxychloride_is_not_what_table_11_prints() -> None:
    """Table 11 prints 8.86 $/kg for Li1.75ZrCl4.75O0.5; Table 10 gives 9.46, and 8.86 for Li1.5ZrCl5O0.5."""
    formula = "Li1.75ZrCl4.75O0.5"
    # by hand, atomic masses Li 6.94, Zr 91.224, Cl 35.45, O 15.999 g/mol and Table 10's prices
    grams = [1.75 * 6.94, 91.224, 4.75 * 35.45, 0.5 * 15.999]
    dollars = sum(mass * price for mass, price in zip(grams, [62.09, 20.59, 0.082, 0.154], strict=True)) / sum(grams)
    assert dollars == pytest.approx(9.463, rel=1e-3, abs=0)
    assert cost_usd_per_kg(formula) == pytest.approx(dollars, rel=1e-4, abs=0)
    assert cost_usd_per_kg("Li1.5ZrCl5O0.5") == pytest.approx(8.86, rel=1e-3, abs=0)


@pytest.mark.parametrize("element", PRICED)
def test_every_dopant_has_a_price_with_year_and_source(element: str) -> None:
    price = element_price(element)
    assert 0 < price.usd_per_kg < math.inf
    assert 2000 < price.year < 2030
    assert price.source


def test_table_10_comes_before_mendeleev() -> None:
    assert element_price("Zr").usd_per_kg == 20.59  # mendeleev: 35.7
    assert "Shanghai Metals Market" in element_price("Zr").source
    assert element_price("Mg").usd_per_kg == 2.32
    assert "Prices of chemical elements" in element_price("Mg").source


def test_mendeleev_still_cites_the_revision_that_we_name() -> None:
    from mendeleev.db import get_session
    from mendeleev.models import PropertyMetadata

    with get_session() as session:
        row = session.query(PropertyMetadata).filter_by(class_name="Element", attribute_name="price_per_kg").one()
    assert row.unit == "USD/kg"
    assert row.citation_keys.removeprefix("enwiki:") in element_price("Mg").source


def test_table_10_alone_leaves_mendeleev_unimported() -> None:
    script = (
        "import sys; from lzc_flows.crystal.cost import cost_usd_per_kg; cost_usd_per_kg('Li2ZrCl6');"
        "sys.exit('mendeleev' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_breakdown_adds_up_in_the_order_of_the_formula() -> None:
    breakdown = cost_breakdown("Li2.1Zr0.9Ti0.1Cl5.7F0.3")
    assert [entry.element for entry in breakdown.elements] == ["Li", "Zr", "Ti", "Cl", "F"]
    assert math.fsum(entry.mass_fraction for entry in breakdown.elements) == pytest.approx(1, rel=1e-12, abs=0)
    for entry in breakdown.elements:
        share = entry.mass_fraction * entry.price_usd_per_kg
        assert entry.contribution_usd_per_kg == pytest.approx(share, rel=1e-12, abs=0)
    total = math.fsum(entry.contribution_usd_per_kg for entry in breakdown.elements)
    assert breakdown.cost_usd_per_kg == pytest.approx(total, rel=1e-12, abs=0)


def test_pure_element_costs_its_price() -> None:
    assert cost_usd_per_kg("Ti") == pytest.approx(12.42, rel=1e-12, abs=0)


def test_composition_with_oxidation_states() -> None:
    charged = Composition({"Li+": 2, "Zr4+": 1, "Cl-": 6})
    assert cost_usd_per_kg(charged) == pytest.approx(cost_usd_per_kg("Li2ZrCl6"), rel=1e-12, abs=0)


@given(amounts=st.dictionaries(st.sampled_from(PRICED), st.floats(0.01, 10).map(lambda x: round(x, 3)), min_size=1))
def test_cost_lies_between_the_prices_of_its_elements(amounts: dict[str, float]) -> None:
    cost = cost_usd_per_kg("".join(f"{element}{amount:g}" for element, amount in amounts.items()))
    prices = [element_price(element).usd_per_kg for element in amounts]
    assert min(prices) * (1 - 1e-12) <= cost <= max(prices) * (1 + 1e-12)


@pytest.mark.parametrize(
    ("formula", "named"),
    [
        ("Li2Xx3", "Xx"),
        ("Li2Zz", "Zz"),
        ("Li2(Zr", "Li2(Zr"),
        ("Zr4+", "Zr4+"),
        ("Li-1", "Li-1"),
        ("Li0", "Li0"),
        ("", "''"),
        ("Li" + "9" * 400, "Li999"),
        ("LiAt", "'At'"),
    ],
)
def test_bad_formula_is_refused_in_one_line(formula: str, named: str) -> None:
    with pytest.raises(InputError) as refusal:
        cost_breakdown(formula)
    assert named in str(refusal.value)
    assert "\n" not in str(refusal.value)


@given(st.text(alphabet="LiZrClXe0123456789.()[]{}+-* \n₂", max_size=12))
def test_any_text_has_a_cost_or_is_refused(formula: str) -> None:
    try:
        cost = cost_usd_per_kg(formula)
    except InputError:
        return
    assert 0 < cost < math.inf


def test_unknown_element_is_named() -> None:
    with pytest.raises(InputError, match="'ti'"):
        element_price("ti")
