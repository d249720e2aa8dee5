from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from lzc_flows.crystal.bond_valence import CUTOFF_ANGSTROM, Mismatch, bond_length_angstrom, mixed_anions
from lzc_flows.crystal.host import ideal_host
from lzc_flows.crystal.ions import charge_of
from lzc_flows.crystal.orbits import Placement
from lzc_flows.crystal.sampling import energies_of
from lzc_flows.errors import InputError

# R0 in Å from the table of Brese and O'Keeffe, Acta Cryst. B47, 192 (1991): fitted to crystals pair by pair,
# so a source of its own; the element parameters reproduce it to a few hundredths
PUBLISHED_R0 = {
    ("Li+", "O2-"): 1.466,
    ("Li+", "F-"): 1.360,
    ("Li+", "Cl-"): 1.91,
    ("Na+", "O2-"): 1.80,
    ("Na+", "F-"): 1.677,
    ("Na+", "Cl-"): 2.15,
    ("Mg2+", "O2-"): 1.693,
    ("Ca2+", "F-"): 1.842,
    ("Al3+", "O2-"): 1.651,
    ("Ti4+", "O2-"): 1.815,
    ("Zr4+", "O2-"): 1.937,
    ("Zr4+", "F-"): 1.854,
    ("Zr4+", "Cl-"): 2.33,
}
# fmt: off
DOPANTS = [
    "Mg2+", "Zn2+", "Co2+", "Ni2+", "Fe2+", "Mn2+", "Cd2+", "Ca2+",
    "Sc3+", "In3+", "Ti3+", "V3+", "Cr3+", "Ga3+", "Al3+", "Lu3+", "Yb3+", "Tm3+", "Er3+", "Y3+", "Ho3+", "Gd3+",
    "Sb3+", "Bi3+", "La3+", "Hf4+", "Sn4+", "Ge4+", "Ce4+", "P5+", "Nb5+", "Ta5+", "Mo5+", "W6+", "Zr4+", "Li+",
]
# fmt: on


# ---- bond lengths ----


@pytest.mark.parametrize(("pair", "published"), PUBLISHED_R0.items())
def test_bond_lengths_agree_with_the_fitted_table(pair: tuple[str, str], published: float) -> None:
    assert bond_length_angstrom(*pair) == pytest.approx(published, rel=0, abs=0.07)


@given(st.sampled_from(DOPANTS), st.sampled_from(["F-", "Cl-", "Br-", "O2-", "S2-"]))
def test_bond_lengths_are_symmetric_and_shorter_than_the_sum_of_radii(cation: str, anion: str) -> None:
    length = bond_length_angstrom(cation, anion)
    assert length == pytest.approx(bond_length_angstrom(anion, cation), rel=1e-12)
    # equal ions have no electronegativity term: R0 = 2 r
    radii = bond_length_angstrom(cation, cation) / 2 + bond_length_angstrom(anion, anion) / 2
    assert 0 < length <= radii


@pytest.mark.parametrize("cation", DOPANTS)
def test_every_dopant_has_parameters_and_prefers_shorter_fluorine_bonds(cation: str) -> None:
    lengths = [bond_length_angstrom(cation, anion) for anion in ("F-", "Cl-", "Br-")]
    assert lengths == sorted(lengths)
    assert lengths[1] - lengths[0] == pytest.approx(0.47, abs=0.1)


def test_missing_parameters_name_the_ion() -> None:
    with pytest.raises(InputError) as refusal:
        bond_length_angstrom("Xe2+", "F-")
    assert str(refusal.value) == "Xe2+: no bond-valence parameters for Xe (O'Keeffe and Brese)"


# ---- global instability index ----


def slow_instability_vu(structure: Structure) -> float:
    """Direct evaluation: every neighbour of every ion within the cutoff, b = 0.37 Å."""
    squares = []
    for site in structure:
        charge = charge_of(str(site.specie))
        total = 0.0
        for other in structure.get_neighbors(site, CUTOFF_ANGSTROM):
            if charge * charge_of(str(other.specie)) < 0:
                length = bond_length_angstrom(str(site.specie), str(other.specie))
                total += exp((length - other.nn_distance) / 0.37)
        squares.append((total - abs(charge)) ** 2)
    return sqrt(sum(squares) / len(squares))


def instability_of(structure: Structure, guest: str, guests: list[list[int]]) -> np.ndarray:
    ions = [str(site.specie) for site in structure]
    cations = [i for i, ion in enumerate(ions) if charge_of(ion) > 0]
    anions = [i for i, ion in enumerate(ions) if charge_of(ion) < 0]
    coordinates = structure.frac_coords
    bonds = mixed_anions(
        structure.lattice,
        ([ions[i] for i in cations], coordinates[cations]),
        ([ions[i] for i in anions], coordinates[anions]),
        guest,
    )
    states = np.array(guests, dtype=np.int16)
    n_sites = len(bonds.host_excess)
    mismatch = Mismatch(bonds, np.arange(n_sites), n_sites)
    placements = [Placement(guest, tuple(range(n_sites)), states.shape[1])]
    return mismatch.instability_vu(energies_of(states, placements, mismatch.form(placements)))


def replaced(structure: Structure, guest: str, guests: list[int]) -> Structure:
    anions = [i for i, site in enumerate(structure) if site.specie.oxi_state < 0]
    copy = structure.copy()
    for number in guests:
        copy[anions[number]] = guest
    return copy


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_index_is_the_direct_evaluation(data: st.DataObject) -> None:
    host = ideal_host().structure
    count = data.draw(st.integers(0, 6))
    guest = data.draw(st.sampled_from(["F-", "Br-"]))
    states = st.lists(st.integers(0, 17), min_size=count, max_size=count, unique=True)
    guests = [data.draw(states), data.draw(states)]
    expected = [slow_instability_vu(replaced(host, guest, state)) for state in guests]
    assert instability_of(host, guest, guests) == pytest.approx(expected, rel=1e-6, abs=0)


def rock_salt(cation: str, anion: str, bond_angstrom: float) -> Structure:
    """The primitive cell: each ion has six images of the one other ion."""
    a = bond_angstrom * sqrt(2)
    lattice = Lattice.from_parameters(a, a, a, 60, 60, 60)
    return Structure(lattice, [cation, anion], [(0, 0, 0), (0.5, 0.5, 0.5)])


@pytest.mark.parametrize(("cation", "anion"), [("Li+", "Cl-"), ("Na+", "Cl-"), ("Mg2+", "O2-")])
def test_ideal_rock_salt_has_no_strain(cation: str, anion: str) -> None:
    """Six bonds of valence V/6 have the length R0 + b ln(6/V); the cell holds six images of one anion."""
    charge = charge_of(cation)
    bond = bond_length_angstrom(cation, anion) + 0.37 * log(6 / charge)
    crystal = rock_salt(cation, anion, bond)
    assert instability_of(crystal, anion, [[]])[0] == pytest.approx(0, abs=1e-6)
    # stretched by b ln 2, both sums are half the charge
    longer = rock_salt(cation, anion, bond + 0.37 * log(2))
    assert instability_of(longer, anion, [[]])[0] == pytest.approx(charge / 2, rel=1e-6)


@pytest.mark.parametrize("bond_angstrom", [2.2, 2.57, 3.2])
def test_index_of_a_one_anion_cell_is_the_direct_evaluation(bond_angstrom: float) -> None:
    crystal = rock_salt("Li+", "Cl-", bond_angstrom)
    expected = [slow_instability_vu(replaced(crystal, "F-", state)) for state in ([0],)]
    assert instability_of(crystal, "F-", [[0]]) == pytest.approx(expected, rel=1e-6, abs=0)


def test_a_guest_that_is_the_host_changes_nothing() -> None:
    host = ideal_host().structure
    assert instability_of(host, "Cl-", [[0, 5], [3, 17]]) == pytest.approx(slow_instability_vu(host), rel=1e-6, abs=0)


def test_lone_ions_miss_their_whole_charge() -> None:
    """Nothing within the cutoff: every sum is zero, so the index is the root mean square charge."""
    far = Structure(Lattice.cubic(12), ["Zr4+", "Cl-"], [(0, 0, 0), (0.5, 0.5, 0.5)])
    assert instability_of(far, "F-", [[0]])[0] == pytest.approx(sqrt((16 + 1) / 2))
