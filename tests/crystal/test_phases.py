from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Composition
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
from pymatgen.symmetry.groups import SpaceGroup

from lzc_flows.crystal.doping import expand_grid
from lzc_flows.crystal.phases import Phase, packaged_phases, phases_within
from lzc_flows.flows.spec import load_campaign

PHASES = packaged_phases()

IDEALISED = {"Ga2Cl6", "M2Cl10"}
"""Prototypes whose starting positions have more symmetry than the crystal."""


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.name)
def test_each_phase_is_the_neutral_crystal_that_it_says(phase: Phase) -> None:
    structure = phase.structure()
    assert structure.composition.element_composition.reduced_formula == Composition(phase.formula).reduced_formula
    assert structure.charge == pytest.approx(0, abs=1e-9)
    number, stated = SpacegroupAnalyzer(structure, 0.01).get_space_group_number(), phase.prototype.space_group
    if phase.prototype.name in IDEALISED:
        assert number > SpaceGroup(stated).int_number
    else:
        assert number == SpaceGroup(stated).int_number
    distances = structure.distance_matrix + 10 * np.eye(len(structure))
    assert distances.min() > 1.5
    assert 7 < structure.volume / len(structure) < 50  # Å³ an atom: LiF has 8, molecules held apart some 40


def test_names_tell_phases_apart() -> None:
    assert len({phase.name for phase in PHASES}) == len(PHASES) > 100
    assert all(phase.prototype.source for phase in PHASES)


def test_charges_are_those_of_the_ions() -> None:
    by_name = {phase.name: phase.structure() for phase in PHASES}
    ions = {name: {str(ion) for ion in structure.elements} for name, structure in by_name.items()}
    assert ions["LiYF4 (scheelite)"] == {"Li+", "Y3+", "F-"}
    assert ions["PCl5 (PCl5)"] == {"P5+", "Cl-"}
    assert ions["WCl6 (alpha-WCl6)"] == {"W6+", "Cl-"}
    assert ions["Cl2 (Cl2)"] == {"Cl0+"}


def test_metal_halogen_distances_are_those_of_the_literature() -> None:
    """Starts only, but a wrong position would start a relaxation to another crystal."""
    expected = {
        "LiCl (rock salt)": 2.57,
        "LiF (rock salt)": 2.01,
        "CaF2 (fluorite)": 2.37,
        "MgF2 (rutile)": 1.99,
        "AlF3 (FeF3)": 1.80,
        "LaF3 (LaF3)": 2.42,
    }
    for phase in PHASES:
        if phase.name in expected:
            structure = phase.structure()
            distances = structure.distance_matrix + 10 * np.eye(len(structure))
            assert distances.min() == pytest.approx(expected.pop(phase.name), abs=0.03)
    assert not expected


def test_only_phases_of_the_elements_are_taken() -> None:
    assert {phase.formula for phase in phases_within(["Li", "Cl"])} == {"LiCl", "Cl2"}
    found = {phase.formula for phase in phases_within(["Li", "Zr", "Cl", "F", "Ti"])}
    assert {"LiCl", "LiF", "ZrCl4", "ZrF4", "Li2ZrF6", "TiCl3", "TiCl4", "TiF3", "TiF4"} <= found
    assert all(
        {element.symbol for element in Composition(formula).elements} <= {"Li", "Zr", "Cl", "F", "Ti"}
        for formula in found
    )


def test_every_cation_of_the_papers_screen_has_a_chloride_and_a_fluoride() -> None:
    spec = load_campaign(Path(__file__).parents[2] / "flows" / "paper-fluorides.yaml")
    cations = {ion for cell in expand_grid(spec.host.read(), spec.grid) for ion in cell.ions} - {"Li+", "Cl-", "F-"}
    assert len(cations) == 39
    pairs = {frozenset(map(str, phase.structure().elements)) for phase in PHASES}
    without = {ion: halogen for ion in cations for halogen in ("Cl-", "F-") if {ion, halogen} not in pairs}
    assert without == {"Ce4+": "Cl-", "V5+": "Cl-"}  # not known to exist
