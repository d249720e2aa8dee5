from __future__ import annotations

import re

import numpy as np
import pytest
from pymatgen.core import Lattice, Species, Structure

from lzc_flows.crystal.host import ideal_host
from lzc_flows.errors import InputError
from lzc_flows.transport.framework import framework_of

LI = Species("Li", 1)


def test_sites_of_one_composition_are_of_one_kind():
    framework = framework_of(ideal_host().structure, LI, "removed")
    assert [[str(ion) for ion, _ in kind] for kind in framework.ions] == [["Cl-"], ["Zr4+"]]
    assert np.bincount(framework.kinds).tolist() == [18, 3]
    assert framework.fractional.shape == (21, 3)


def test_the_mobile_element_stays_where_the_convention_keeps_it():
    positions = [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.25, 0.25, 0.25]]
    structure = Structure(Lattice.cubic(6), ["Li+", {"Zr4+": 0.6, "Li+": 0.4}, "Cl-"], positions)
    removed = framework_of(structure, LI, "removed")
    assert {frozenset((str(ion), n) for ion, n in kind) for kind in removed.ions} == {
        frozenset({("Zr4+", 0.6)}),
        frozenset({("Cl-", 1.0)}),
    }
    average = framework_of(structure, LI, "average")
    assert {frozenset((str(ion), n) for ion, n in kind) for kind in average.ions} == {
        frozenset({("Li+", 1.0)}),
        frozenset({("Zr4+", 0.6), ("Li+", 0.4)}),
        frozenset({("Cl-", 1.0)}),
    }
    assert len(average.fractional) == 3


def test_occupancies_that_differ_by_rounding_are_of_one_kind():
    structure = Structure(
        Lattice.cubic(6), ["Li+", {"Cl-": 0.3}, {"Cl-": 0.1 + 0.2}], [[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0]]
    )
    assert len(framework_of(structure, LI, "removed").ions) == 1


def test_sites_on_top_of_each_other_are_named():
    structure = Structure(Lattice.cubic(6), ["Li+", "Zr4+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.97], [0.5, 0.5, 0.04]])
    message = "site 1 (Zr4+) and site 2 (Cl-) are 0.420 Å apart: sites closer than 0.5 Å"
    with pytest.raises(InputError, match=re.escape(message)):
        framework_of(structure, LI, "removed")
    structure.replace(2, "Cl-", [0.5, 0.5, 0.97])
    with pytest.raises(InputError, match=r"0\.000 Å apart"):
        framework_of(structure, LI, "removed")


def test_split_sites_are_alternatives():
    structure = Structure(
        Lattice.cubic(6), ["Li+", {"Cl-": 0.503}, {"Cl-": 0.5}], [[0, 0, 0], [0.5, 0.5, 0.52], [0.5, 0.5, 0.48]]
    )
    assert len(framework_of(structure, LI, "removed").fractional) == 2
    structure.replace(2, {"Cl-": 0.51})
    with pytest.raises(InputError, match=r"site 1 \(Cl-:0\.503\) and site 2 \(Cl-:0\.51.*0\.240 Å apart"):
        framework_of(structure, LI, "removed")


def test_a_cell_too_short_for_its_ions_is_refused():
    structure = Structure(Lattice.tetragonal(6, 0.4), ["Li+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0]])
    with pytest.raises(InputError, match=r"site 0 \(Li\+\) and its own periodic image are 0\.400 Å apart"):
        framework_of(structure, LI, "removed")
