from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from custodian.vasp.handlers import VaspErrorHandler
from pymatgen.core import Structure
from pymatgen.io.vasp.inputs import Incar
from pymatgen.io.vasp.sets import MPRelaxSet

from lzc_flows.rehearsal.electrons import default_bands, electrons_of
from lzc_flows.rehearsal.grids import fft_grids
from lzc_flows.rehearsal.inputs import Inputs, read_inputs

Read = Callable[..., Inputs]


@pytest.fixture
def read(tags: dict[str, Any], written: Callable[..., Path], salt: Structure, tmp_path: Path) -> Read:
    def inputs(structure: Structure = salt, **changes: Any) -> Inputs:
        return read_inputs(written(tmp_path, {**tags["static"], **changes}, structure))

    return inputs


@pytest.mark.parametrize(
    "changes", [{}, {"NELECT": 38}, {"ISPIN": 2, "MAGMOM": [5, 0, 0, 0, 3, 0, 0, 0]}, {"NBANDS": 40}]
)
def test_bands_hold_the_electrons(changes: dict[str, Any], read: Read) -> None:
    inputs = read(**changes)
    electrons = electrons_of(inputs)
    times = 2 if electrons.spins == 1 else 1
    held = times * (electrons.occupations.sum(axis=2) * inputs.mesh.weights).sum()
    assert held == pytest.approx(changes.get("NELECT", 40))
    assert electrons.bands == changes.get("NBANDS", default_bands(inputs))
    # each is an insulator
    filled, empty = (electrons.energies_ev[electrons.occupations == each] for each in (1, 0))
    assert empty.min() - filled.max() > 3
    assert filled.max() < electrons.fermi_ev < empty.min()


def test_an_odd_electron_without_spin_makes_a_metal(read: Read) -> None:
    electrons = electrons_of(read(NELECT=39))
    assert set(np.unique(electrons.occupations)) == {0, 0.5, 1}


@pytest.mark.parametrize(
    ("moments", "electrons", "moment"),
    [([5] + [0] * 7, 40, 4), ([5] + [0] * 7, 41, 5), ([0.6] * 8, 40, 0), ([1] * 8, 41, 7)],
)
def test_the_moment_is_odd_as_the_electrons_are(moments: list[float], electrons: int, moment: int, read: Read) -> None:
    assert electrons_of(read(ISPIN=2, MAGMOM=moments, NELECT=electrons)).moment == pytest.approx(moment, abs=1.01)
    assert electrons_of(read(ISPIN=2, MAGMOM=moments, NELECT=electrons)).moment % 2 == electrons % 2


def test_the_number_of_bands_is_custodians(read: Read) -> None:
    for changes in ({}, {"ISPIN": 2, "MAGMOM": [5.0] * 8}):
        expected = VaspErrorHandler._default_nbands(Incar(changes), 40, 8)
        assert default_bands(read(**changes)) == expected


@pytest.mark.parametrize("precision", ["Normal", "Accurate"])
def test_grids_are_pymatgens(precision: str, read: Read, host: Structure) -> None:
    sets = MPRelaxSet(host, user_incar_settings={"PREC": precision, "ENCUT": 480})
    grids, fine = sets.calculate_ng(max_prime_factor=7, must_inc_2=True, custom_encut=480, custom_prec=precision)
    assert fft_grids(read(host, PREC=precision, ENCUT=480)) == (tuple(grids), tuple(fine))
