from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition

from lzc_flows.crystal.reactions import Compound, lowest_combination


def compound(formula: str, energy_ev: float) -> Compound:
    return Compound(formula, Composition(formula).get_el_amt_dict(), energy_ev)


LICL, LIF = compound("LiCl", -7.0), compound("LiF", -9.5)
ZRCL4, ZRF4 = compound("ZrCl4", -25.0), compound("ZrF4", -34.0)
HOST = compound("Li2ZrCl6", -39.2)
SALTS = [LICL, LIF, ZRCL4, ZRF4]


def test_the_lowest_of_two_balanced_combinations_is_taken() -> None:
    """Li2ZrCl5F can have its F with Li or with Zr; here LiF + LiCl + ZrCl4 is lower than ZrF4 and LiCl."""
    found = lowest_combination({"Li": 2, "Zr": 1, "Cl": 5, "F": 1}, SALTS)
    assert found is not None
    assert found.amounts == pytest.approx({"LiCl": 1, "LiF": 1, "ZrCl4": 1})
    assert found.energy_ev == pytest.approx(-7 - 9.5 - 25)


def test_a_compound_below_its_salts_stands_for_itself() -> None:
    found = lowest_combination({"Li": 12, "Zr": 6, "Cl": 36}, [*SALTS, HOST])
    assert found is not None
    assert found.amounts == pytest.approx({"Li2ZrCl6": 6})


def test_what_cannot_be_balanced_has_none() -> None:
    assert lowest_combination({"Li": 2, "Zr": 1, "Cl": 5}, SALTS) is None
    assert lowest_combination({"O": 1}, SALTS) is None
    assert lowest_combination({"Li": 1, "Cl": 1}, [HOST]) is None


amounts = st.lists(st.integers(0, 40), min_size=5, max_size=5).filter(any)


@given(amounts, st.lists(st.floats(-5, -1), min_size=5, max_size=5))
def test_atoms_are_conserved_and_a_mixture_of_the_phases_is_never_below_them(
    numbers: list[int], energies_ev: list[float]
) -> None:
    """A cell that is made of the phases themselves, with their energies, is at or above the combination found."""
    formulas = ("LiCl", "LiF", "ZrCl4", "ZrF4", "Li2ZrCl6")
    phases = [
        compound(name, energy * Composition(name).num_atoms) for name, energy in zip(formulas, energies_ev, strict=True)
    ]
    atoms: dict[str, float] = {}
    for number, phase in zip(numbers, phases, strict=True):
        for element, count in phase.atoms.items():
            atoms[element] = atoms.get(element, 0) + number * count
    found = lowest_combination(atoms, phases)
    assert found is not None
    balance = dict.fromkeys(atoms, 0.0)
    for phase in phases:
        for element, count in phase.atoms.items():
            if element in balance:
                balance[element] += found.amounts.get(phase.name, 0.0) * count
    assert balance == pytest.approx(atoms, rel=1e-9, abs=1e-9)
    mixture = sum(number * phase.energy_ev for number, phase in zip(numbers, phases, strict=True))
    assert found.energy_ev <= mixture + 1e-6 * abs(mixture)
    assert min(found.amounts.values()) >= 0


@given(st.lists(st.floats(-5, -1), min_size=6, max_size=6))
def test_the_combination_is_the_hull_that_pymatgen_finds(energies_ev: list[float]) -> None:
    formulas = ("Li", "Cl", "Zr", "LiCl", "ZrCl4", "Li2ZrCl6")
    phases = [compound(name, e * Composition(name).num_atoms) for name, e in zip(formulas, energies_ev, strict=True)]
    diagram = PhaseDiagram([PDEntry(Composition(phase.name), phase.energy_ev) for phase in phases])
    wanted = Composition("Li3ZrCl8")
    found = lowest_combination(wanted.get_el_amt_dict(), phases)
    assert found is not None
    assert found.energy_ev / wanted.num_atoms == pytest.approx(diagram.get_hull_energy_per_atom(wanted), abs=1e-6)
    assert np.isfinite(found.energy_ev)
