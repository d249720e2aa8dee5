"""Supplementary Table 2 as a CIF, in the forms in which refinement programs write it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from pymatgen.core import Structure
from pymatgen.io.cif import CifFile

from lzc_flows.crystal.cif import read_cif
from lzc_flows.crystal.host import rietveld_host
from lzc_flows.errors import InputError

# P-3m1 and the refined sites of LZC-10TF as printed: Cl2 and F2 sum to 1.0006
TABLE_2 = """data_global
_publ_section_title 'no crystal in this block'
data_lzc-10tf
_cell_length_a 10.9625(2)
_cell_length_b 10.9625(2)
_cell_length_c 5.9256(1)
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 120
_symmetry_space_group_name_H-M 'P -3 m 1'
_symmetry_Int_Tables_number 164
loop_
_symmetry_equiv_pos_as_xyz
'x, y, z'
'-y, x-y, z'
'-x+y, -x, z'
'y, x, -z'
'x-y, -y, -z'
'-x, -x+y, -z'
'-x, -y, -z'
'y, -x+y, -z'
'x-y, x, -z'
'-y, -x, z'
'-x+y, y, z'
'x, x-y, z'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Li1 Li+ 0.3062 0 0 0.2459
Li2 Li+ 0.3248 0 0.5 0.8041(12)
Zr1 Zr4+ 0 0 0 0.6642
Ti1 Ti3+ 0 0 0 0.0265
Zr2 Zr4+ 0.333333 0.666667 0.5160 0.6327
Ti2 Ti3+ 0.333333 0.666667 0.5160 0.0492
Zr3 Zr4+ 0 0 0.5 0.4318
Ti3 Ti3+ 0 0 0.5 0.0613
Zr4 Zr4+ 0.333333 0.666667 0.9404 0.1693
Ti4 Ti3+ 0.333333 0.666667 0.9404 0.0569
Cl1 Cl- 0.1099 -0.1099 0.7669 0.9836
F1 F- 0.1099 -0.1099 0.7669 0.0158
Cl2 Cl- 0.2234 -0.2234 0.2527 0.9572
F2 F- 0.2234 -0.2234 0.2527 0.0434
Cl3 Cl- 0.4439 -0.4439 0.7389 0.9092
F3 F- 0.4439 -0.4439 0.7389 0.0908
"""
NOTE = "x.cif: site Cl2/F2 at (0.2234, 0.7766, 0.2527): occupancies sum to 1.0006, normalised to 1"
IONS = {"Li+": ("Li", "+1"), "Zr4+": ("Zr", "+4"), "Ti3+": ("Ti", "+3"), "Cl-": ("Cl", "-1"), "F-": ("F", "-1")}


def read(text: str) -> tuple[Structure, list[str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read_cif(CifFile.from_str(text), "x.cif")


def with_symbols(form: str) -> str:
    """Return the CIF with another way of writing the charges: `form` of element and signed charge."""
    text = TABLE_2
    for ion, (element, charge) in IONS.items():
        text = text.replace(f" {ion} ", f" {form.format(element=element, charge=charge)} ")
    return text


def assert_is_the_built_in(structure: Structure) -> None:
    """Same species, occupancies and places, in any order."""
    host = rietveld_host("lzc-10tf").structure
    apart = host.lattice.get_all_distances(host.frac_coords, structure.frac_coords)
    partner = apart.argmin(axis=1)
    assert len(structure) == len(host)
    assert apart.min(axis=1).max() < 1e-4
    for site, index in zip(host, partner, strict=True):
        found = {str(species): amount for species, amount in structure[index].species.items()}
        assert found == pytest.approx({str(species): amount for species, amount in site.species.items()})


# ---- occupancies ----


def test_table_2_is_normalised_as_the_built_in_host() -> None:
    structure, notes = read(TABLE_2)
    assert notes == [NOTE]
    assert_is_the_built_in(structure)


def test_a_sum_of_1_is_left_alone() -> None:
    structure, notes = read(TABLE_2.replace("0.0434", "0.0428"))
    assert notes == []
    assert np.isclose([site.species.num_atoms for site in structure], 1).sum() == 12


@pytest.mark.parametrize(("fluorine", "total"), [("0.0478", None), ("0.0479", "1.0051"), ("0.0728", "1.0300")])
def test_at_most_5_thousandths_are_rounding(fluorine: str, total: str | None) -> None:
    text = TABLE_2.replace("0.0434", fluorine)
    if total is None:
        assert read(text)[1] == [NOTE.replace("1.0006", "1.0050")]
        return
    with pytest.raises(InputError) as refusal:
        read(text)
    assert str(refusal.value) == (
        f"x.cif: site Cl2/F2 at (0.2234, 0.7766, 0.2527): occupancies sum to {total}: at most 1 is allowed "
        "(rounding up to 0.005 is normalised)"
    )


def test_one_atom_of_12_tenths_is_refused() -> None:
    with pytest.raises(InputError, match=r"^x\.cif: site Zr1 at \(0, 0, 0\): occupancies sum to 1\.2000: at most 1 is"):
        read(TABLE_2.replace("0 0 0 0.6642", "0 0 0 1.2").replace("Ti1 Ti3+ 0 0 0 0.0265\n", ""))


def test_an_atom_listed_twice_is_refused() -> None:
    """Also where the second is an image of the first under the symmetry."""
    with pytest.raises(InputError, match=r"^x\.cif: site Cl3/F3 at .*: occupancies sum to 1\.9092: at most 1"):
        read(TABLE_2 + "Cl4 Cl- 0.4439 0.8878 0.7389 0.9092\n")


@pytest.mark.parametrize(
    ("change", "count"), [(("0.9092", "0.9100"), 2), (("0.9836", "0.9846"), 2)], ids=["third", "first"]
)
def test_several_sites_share_one_note(change: tuple[str, str], count: int) -> None:
    (note,) = read(TABLE_2.replace(*change))[1]
    assert note.count("site ") == note.count("occupancies sum to") == count
    assert note.endswith(", normalised to 1")


def test_of_many_sites_three_are_named() -> None:
    """Without symmetry, as pymatgen writes crystals, each of the six Cl2 sites stands alone."""
    rows = [f"Zr{n} Zr4+ 0 0 0.{n} 1.001" for n in range(1, 8)]
    head = TABLE_2[: TABLE_2.index("loop_\n_symmetry")]
    columns = TABLE_2[TABLE_2.index("loop_\n_atom_site_label") : TABLE_2.index("Li1 Li+")]
    (note,) = read(head + "loop_\n_symmetry_equiv_pos_as_xyz\n'x, y, z'\n" + columns + "\n".join(rows))[1]
    assert note.count("occupancies sum to 1.0010") == 3
    assert note.endswith(" and 4 more, normalised to 1")


@pytest.mark.parametrize("value", ["-0.01", "nan", "inf", "many"])
def test_an_occupancy_that_is_none_is_refused(value: str) -> None:
    """pymatgen drops such an atom, or takes it for a whole one."""
    with pytest.raises(InputError, match=rf"^x\.cif: occupancy {value} of F2: a number from 0 to 1 is allowed$"):
        read(TABLE_2.replace("0.0434", value))


def test_an_empty_and_an_unknown_occupancy() -> None:
    """0 is an atom that is not there; ? is a whole one, as in a CIF that has no such column."""
    structure, _ = read(TABLE_2.replace("0.0434", "0").replace("0.8041(12)", "?"))
    assert structure.composition["F-"] == pytest.approx(6 * (0.0158 + 0.0908))
    assert structure.composition["Li+"] == pytest.approx(6 * (0.2459 + 1))


# ---- charges ----


@pytest.mark.parametrize("form", ["{element}", "{element}{charge}"], ids=["elements", "GSAS"])
def test_charges_in_type_symbols(form: str) -> None:
    structure, notes = read(with_symbols(form))
    assert notes == [NOTE]
    if "charge" in form:
        assert_is_the_built_in(structure)
    else:
        assert {getattr(species, "oxi_state", None) for species in structure.elements} == {None}


def test_charges_in_labels_where_there_are_no_type_symbols() -> None:
    text = TABLE_2.replace("_atom_site_type_symbol\n", "")
    for ion, (element, _) in IONS.items():
        for number in range(1, 5):
            text = text.replace(f"\n{element}{number} {ion} ", f"\n{ion} ")
    structure, (note,) = read(text)
    assert_is_the_built_in(structure)
    assert note == NOTE.replace("Cl2/F2", "Cl-/F-")


def test_oxidation_numbers_of_the_file_come_first() -> None:
    numbers = "".join(f"{ion} {2 if ion == 'Ti3+' else charge}\n" for ion, (_, charge) in IONS.items())
    structure, _ = read(TABLE_2 + "loop_\n_atom_type_symbol\n_atom_type_oxidation_number\n" + numbers)
    assert {str(species) for species in structure.elements} == {"Li+", "Zr4+", "Ti2+", "Cl-", "F-"}


def test_charges_on_some_atoms_only_are_no_charges() -> None:
    structure, _ = read(TABLE_2.replace("Zr1 Zr4+", "Zr1 Zr"))
    assert {getattr(species, "oxi_state", None) for species in structure.elements} == {None}


# ---- atoms ----


@pytest.mark.parametrize("symbol", ["?", "OH", "Qq1"])
def test_an_atom_that_pymatgen_would_drop_is_refused(symbol: str) -> None:
    with pytest.raises(InputError, match=r"^x\.cif: atom Zr1: symbol '.+' is no element$"):
        read(TABLE_2.replace("Zr1 Zr4+", f"Zr1 {symbol}"))


@pytest.mark.parametrize(
    "text",
    ["", "no crystal", TABLE_2[: TABLE_2.index("loop_\n_atom_site_label")], TABLE_2[: TABLE_2.index("Li1 Li+")]],
    ids=["empty", "words", "no list of atoms", "an empty list of atoms"],
)
def test_without_atoms_there_is_no_crystal(text: str) -> None:
    with pytest.raises((ValueError, ZeroDivisionError)) as refusal:
        read(text)
    assert not isinstance(refusal.value, InputError)  # who asked says which file
