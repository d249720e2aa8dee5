from __future__ import annotations

import subprocess
import sys

import pytest
from pymatgen.core import Lattice, Species, Structure

from lzc_flows.errors import InputError
from lzc_flows.transport.bvse_parameters import (
    _table,
    available_partners,
    covalent_radius_angstrom,
    covered_partners,
    interaction_of,
    missing_pairs,
    morse_parameters,
    parse_ion,
    principal_quantum_number,
    site_ions,
)

LI = Species("Li", 1)


def _structure(*species: str) -> Structure:
    return Structure(Lattice.cubic(6.0), list(species), [[i / len(species), 0.1, 0.3] for i in range(len(species))])


@pytest.mark.parametrize(
    ("partner", "expected"),
    [
        # D0 (eV), alpha (1/Å) and Rmin (Å) as in the table of bvlain 0.25.1
        (Species("Cl", -1), (0.49302, 1.577287, 2.39647)),
        (Species("O", -2), (0.98816, 1.937984, 1.940013)),
        (Species("F", -1), (0.49611, 1.968504, 1.87265)),
    ],
)
def test_morse_parameters_of_lithium(partner, expected):
    found = morse_parameters(LI, partner)
    assert (found.dissociation_energy_ev, found.alpha_per_angstrom, found.r_min_angstrom) == expected


def test_pairs_with_negative_alpha_are_refused():
    assert _table("cation.pkl")[12][2][34][-2]["alpha"] < 0
    with pytest.raises(InputError, match=r"no softBV parameters for Mg2\+ with Se2-"):
        morse_parameters(Species("Mg", 2), Species("Se", -2))
    assert "Se2-" not in available_partners(Species("Mg", 2))


def test_a_missing_pair_names_the_partners_that_exist():
    with pytest.raises(InputError) as caught:
        morse_parameters(LI, Species("S", -1))
    assert str(caught.value) == (
        "no softBV parameters for Li+ with S-; available partners: Br-, Cl-, F-, I-, N3-, O2-, S2-, Se2-, Te2-"
    )
    with pytest.raises(InputError, match="available partners: none"):
        morse_parameters(Species("Li", 2), Species("Cl", -1))


def test_a_charge_that_is_not_an_integer_has_no_parameters():
    with pytest.raises(InputError, match="no softBV parameters"):
        morse_parameters(LI, Species("Cl", -0.9))
    with pytest.raises(InputError, match="no softBV covalent radius"):
        covalent_radius_angstrom(Species("Zr", 3.5), "softbv")


def test_radii_and_quantum_numbers():
    zr = Species("Zr", 4)
    # Li 1.28, Zr 1.75 in Cordero et al., Dalton Trans. 2832 (2008); Li+ 1.31, Zr4+ 1.41 in softBV
    assert [covalent_radius_angstrom(s, "ase") for s in (LI, zr)] == [1.28, 1.75]
    assert [covalent_radius_angstrom(s, "softbv") for s in (LI, zr)] == [1.31, 1.41]
    # valence shells: Li 2s, Zr 5s
    assert [principal_quantum_number(s) for s in (LI, zr)] == [2, 5]
    with pytest.raises(InputError, match="no softBV covalent radius for Zr9"):
        covalent_radius_angstrom(Species("Zr", 9), "softbv")
    with pytest.raises(InputError, match="quantum number for Pu"):
        principal_quantum_number(Species("Pu", 4))


@pytest.mark.parametrize(("label", "charge"), [("Li+", 1), ("Li1+", 1), ("Mg2+", 2)])
def test_parse_ion(label, charge):
    assert parse_ion(label).oxi_state == charge


@pytest.mark.parametrize("label", ["", "Li", "Xx+", "li", "Li0+"])
def test_parse_ion_rejects(label):
    with pytest.raises(InputError, match="mobile ion"):
        parse_ion(label)


@pytest.mark.parametrize("label", ["F-", "O2-"])
def test_a_mobile_anion_is_refused(label):
    with pytest.raises(InputError, match=rf"^mobile ion {label}: a cation is allowed, such as Li\+$"):
        parse_ion(label)
    with pytest.raises(InputError, match=f"mobile ion {label}"):
        missing_pairs(_structure("Ca2+", "F-", "O2-"), label)


def test_missing_pairs_lists_all_of_them():
    structure = _structure("Li+", "Zr4+", "Cl-", "S-", "P3-", "Pu4+")
    assert missing_pairs(structure, "Li+") == [("Li+", "P3-"), ("Li+", "Pu4+"), ("Li+", "S-")]
    assert missing_pairs(_structure("Li+", "Zr4+", "Cl-"), "Li+") == []


def test_missing_pairs_depends_on_the_radii():
    structure = _structure("Li+", "Zr5+", "Cl-")
    assert missing_pairs(structure, "Li+", "ase") == []
    assert missing_pairs(structure, "Li+", "softbv") == [("Li+", "Zr5+")]


def test_what_could_stand_for_a_missing_partner():
    """For an anion the other anions, for a cation the other states of its element."""
    assert interaction_of(LI, Species("P", -3)) == "morse"
    assert covered_partners(LI, Species("P", -3), "softbv") == available_partners(LI)
    zirconium = Species("Zr", 5)
    assert interaction_of(LI, zirconium) == "coulomb"
    # softBV has radii of Zr2+, Zr3+ and Zr4+; the element's own radius serves every state
    assert covered_partners(LI, zirconium, "softbv") == ["Zr2+", "Zr3+", "Zr4+"]
    assert covered_partners(LI, zirconium, "ase") == ["Zr+", "Zr2+", "Zr3+", "Zr4+"]
    assert covered_partners(LI, Species("Pu", 4), "ase") == []


def test_ions_of_the_mobile_element_are_no_partners():
    assert missing_pairs(_structure("Cu+", "Cu3-", "Cl-"), "Cu+") == []


def test_site_ions_keeps_occupancies_and_rejects_missing_charges():
    structure = Structure(Lattice.cubic(5), [{"Zr4+": 0.75, "Y3+": 0.25}, "Cl-"], [[0.0, 0.0, 0.0], [0.5, 0, 0]])
    found = {(entry.site, str(entry.species), entry.occupancy) for entry in site_ions(structure)}
    assert found == {(0, "Zr4+", 0.75), (0, "Y3+", 0.25), (1, "Cl-", 1.0)}
    with pytest.raises(InputError, match=r"site 1 \(Cl\) has no oxidation state"):
        site_ions(_structure("Li+", "Cl"))
    with pytest.raises(InputError, match=r"site 0 \(Li0\+\) has no oxidation state"):
        site_ions(_structure("Li0+", "Cl-"))


def test_bvlain_itself_is_not_imported():
    code = (
        "import sys; from lzc_flows.transport.bvse_parameters import available_partners, parse_ion;"
        "available_partners(parse_ion('Li+')); sys.exit('bvlain' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
