from __future__ import annotations

import pytest
from pymatgen.core import Lattice, Structure

from lzc_flows.crystal.charges import with_charges
from lzc_flows.crystal.host import ideal_host
from lzc_flows.errors import InputError

CUBE = Lattice.cubic(5)


def bare(*elements: object) -> Structure:
    return Structure(CUBE, list(elements), [[number / len(elements), 0, 0] for number in range(len(elements))])


def test_states_in_the_file_are_kept() -> None:
    # unusual on purpose: a guess would give Ti4+
    structure = bare("Ti3+", "Cl-", "Cl-", "Cl-")
    assert with_charges(structure, [], "x.cif") == structure


def test_given_states_come_before_those_in_the_file() -> None:
    structure = bare("Ti3+", "Cl-", "Cl-", "Cl-")
    charged = with_charges(structure, ["Ti=4", "Cl=-1.5"], "x.cif")
    assert [site.specie.oxi_state for site in charged] == [4, -1.5, -1.5, -1.5]
    assert structure[0].specie.oxi_state == 3


def test_the_guess_for_the_host_is_its_formal_charges() -> None:
    host = ideal_host().structure
    stripped = host.copy().remove_oxidation_states()
    charged = with_charges(stripped, [], "x.cif")
    assert charged.species == host.species
    assert all(getattr(site.specie, "oxi_state", None) is None for site in stripped)
    assert charged.site_properties == host.site_properties


def test_partial_occupancies_get_their_states() -> None:
    structure = Structure(CUBE, [{"Li": 0.5, "Na": 0.5}, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(InputError, match=r"x\.cif: no oxidation states"):
        with_charges(structure, [], "x.cif")
    charged = with_charges(structure, ["Li=1", "Na=1", "Cl=-1"], "x.cif")
    assert charged.charge == pytest.approx(0, abs=1e-12)
    assert {str(species): amount for species, amount in charged[0].species.items()} == {"Li+": 0.5, "Na+": 0.5}


def test_a_file_with_states_on_some_ions_only_is_guessed_anew() -> None:
    structure = bare("Zr4+", "Cl", "Cl", "Cl", "Cl")
    assert [site.specie.oxi_state for site in with_charges(structure, [], "x.cif")] == [4, -1, -1, -1, -1]


@pytest.mark.parametrize(
    "structure",
    [bare("Fe", "Zr"), bare("Fe", "Fe", "Fe", "O", "O", "O", "O")],
    ids=["metal", "mixed valence, whose mean state no ion has"],
)
def test_no_guess_names_the_file_and_the_option(structure: Structure) -> None:
    with pytest.raises(InputError, match=r"^x\.cif: no oxidation states in the file .* --charge$"):
        with_charges(structure, [], "x.cif")


@pytest.mark.parametrize("entry", ["Zr", "Zr=", "Zr=four", "=4", "Hf=4", "Zr:4", "Zr=nan", "Zr=inf"])
def test_an_entry_that_does_not_parse_is_named(entry: str) -> None:
    with pytest.raises(InputError, match=f"^charge '{entry}': ELEMENT=CHARGE is allowed"):
        with_charges(bare("Zr", "Cl"), [entry, "Cl=-1"], "x.cif")


def test_an_element_left_out_is_named() -> None:
    with pytest.raises(InputError, match=r"x\.cif: .* not Cl"):
        with_charges(bare("Zr", "Cl"), ["Zr=4"], "x.cif")


def test_a_guess_that_would_take_for_ever_is_refused_at_once() -> None:
    elements = ["Fe"] * 40 + ["Mn"] * 31 + ["V"] * 29 + ["Cr"] * 23 + ["S"] * 37 + ["Br"] * 19 + ["N"] * 11
    with pytest.raises(InputError, match=r"^x\.cif: too many oxidation states come into question: .* --charge$"):
        with_charges(bare(*elements), [], "x.cif")


def test_a_large_cell_of_known_ions_is_not() -> None:
    charged = with_charges(bare(*["Li"] * 31, *["Zr"] * 10, *["Cl"] * 71), [], "x.cif")
    assert {str(species) for species in charged.species} == {"Li+", "Zr4+", "Cl-"}
