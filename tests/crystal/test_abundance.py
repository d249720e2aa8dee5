from __future__ import annotations

import pytest
from pymatgen.core import Composition

from lzc_flows.crystal.abundance import crustal_abundance, scarcest_cation
from lzc_flows.errors import InputError


@pytest.mark.parametrize(
    ("element", "mg_per_kg"), [("Li", 20), ("Zr", 165), ("Ti", 5650), ("Al", 82300), ("P", 1050), ("Bi", 0.0085)]
)
def test_abundances_are_those_of_the_handbook(element: str, mg_per_kg: float) -> None:
    assert crustal_abundance(element).mg_per_kg == mg_per_kg


def test_the_table_is_mendeleevs() -> None:
    from mendeleev.fetch import fetch_table

    known = fetch_table("elements").set_index("symbol")["abundance_crust"].dropna()
    assert len(known) > 80
    for symbol, mg_per_kg in known.items():
        assert crustal_abundance(str(symbol)).mg_per_kg == pytest.approx(mg_per_kg, rel=1e-9)


@pytest.mark.parametrize(
    ("formula", "element"),
    [("Li2ZrCl6", "Li"), ("Li25Zr11Ti1Cl69F3", "Li"), ("Li22Zr11W1Cl69F3", "W"), ("Li25Zr11Lu1Cl69F3", "Lu")],
)
def test_the_scarcest_cation_counts_however_little_there_is(formula: str, element: str) -> None:
    assert scarcest_cation(Composition(formula)).element == element
    charged = Composition(formula).add_charges_from_oxi_state_guesses()
    assert scarcest_cation(charged).element == element


def test_anions_do_not_count() -> None:
    assert scarcest_cation(Composition("Li3AlS3I")).element == "Li"  # Se, Te and I are scarcer than any cation here
    with pytest.raises(InputError, match="other than halogens"):
        scarcest_cation(Composition("Cl2"))


def test_what_the_handbook_lacks_is_refused() -> None:
    with pytest.raises(InputError, match="'Pm'"):
        scarcest_cation(Composition("LiPmCl4"))
