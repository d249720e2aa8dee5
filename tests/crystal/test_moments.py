from __future__ import annotations

import pytest
from pymatgen.core import Lattice, Species, Structure

from lzc_flows.crystal.moments import starting_moments

CUBE = Lattice.cubic(5.0)

# unpaired electrons of the free d and f configurations, high-spin in an octahedron: Shriver & Atkins, Inorganic
# Chemistry, tables of spin-only moments; lanthanoids by their 4f count
UNPAIRED = {
    # the dopants of 2+
    "Mg2+": 0, "Zn2+": 0, "Co2+": 3, "Ni2+": 2, "Fe2+": 4, "Mn2+": 5, "Cd2+": 0, "Ca2+": 0,
    # 3+
    "Sc3+": 0, "In3+": 0, "Ti3+": 1, "V3+": 2, "Cr3+": 3, "Fe3+": 5, "Ga3+": 0, "Al3+": 0, "Lu3+": 0, "Yb3+": 1,
    "Tm3+": 2, "Er3+": 3, "Y3+": 0, "Ho3+": 4, "Gd3+": 7, "Sb3+": 0, "Bi3+": 0, "La3+": 0,
    # 4+
    "Hf4+": 0, "Sn4+": 0, "Ti4+": 0, "Ge4+": 0, "Ce4+": 0,
    # 5+ and 6+
    "P5+": 0, "Nb5+": 0, "Ta5+": 0, "Sb5+": 0, "Mo5+": 1, "V5+": 0, "W6+": 0, "Mo6+": 0,
    # the host and its anions
    "Li+": 0, "Zr4+": 0, "Cl-": 0, "F-": 0, "Br-": 0, "I-": 0, "O2-": 0,
    # f ions of other states
    "Ce3+": 1, "Eu2+": 7, "Eu3+": 6, "Yb2+": 0, "U4+": 2,
}  # fmt: skip


@pytest.mark.parametrize(("ion", "unpaired"), UNPAIRED.items())
def test_each_unpaired_electron_gives_one_bohr_magneton(ion: str, unpaired: int) -> None:
    assert starting_moments(Structure(CUBE, [Species.from_str(ion)], [[0, 0, 0]])) == (unpaired,)


def test_moments_follow_the_sites() -> None:
    structure = Structure(CUBE, ["Cl-", "Ti3+", "Zr4+", "Ti4+"], [[0, 0, z / 4] for z in range(4)])
    assert starting_moments(structure) == (0, 1, 0, 0)


def test_without_oxidation_states_nothing_is_known() -> None:
    assert starting_moments(Structure(CUBE, ["Fe", "Cl"], [[0, 0, 0], [0, 0, 0.5]])) == (0, 0)


def test_a_metal_of_state_zero_has_no_crystal_field() -> None:
    assert starting_moments(Structure(CUBE, [Species("Fe", 0)], [[0, 0, 0]])) == (0,)
