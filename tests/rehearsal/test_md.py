"""Molecular dynamics: what is conserved, what the thermostat does, and runs that go on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emmet.core.tasks import TaskDoc
from pymatgen.core import Structure
from pymatgen.io.vasp.inputs import Poscar
from pymatgen.io.vasp.outputs import Oszicar, Vasprun, Xdatcar

from lzc_flows.dynamics.units import AMU_EV, BOLTZMANN_EV
from lzc_flows.rehearsal.calculate import calculate
from lzc_flows.rehearsal.inputs import read_inputs
from lzc_flows.rehearsal.md import nose_mass


def column(folder: Path, name: str) -> np.ndarray:
    return np.array([step[name] for step in Oszicar(folder / "OSZICAR").ionic_steps])


def places(*folders: Path) -> np.ndarray:
    runs = [Vasprun(folder / "vasprun.xml", parse_potcar_file=False).structures for folder in folders]
    return np.array([structure.frac_coords for run in runs for structure in run])


def test_energy_is_conserved(rehearsed: Callable[..., Path], tags: dict[str, Any], host: Structure) -> None:
    free = {**tags["md"], "MDALGO": 0, "SMASS": -3, "NSW": 200, "POTIM": 1, "TEBEG": 600, "TEEND": 600}
    drifts = []
    for step, steps, name in ((2.0, 100, "coarse"), (1.0, 200, "fine")):
        folder = rehearsed({**free, "POTIM": step, "NSW": steps}, host, name, (1, 1, 1))
        total = column(folder, "E")
        assert np.allclose(total, column(folder, "F") + column(folder, "EK"), rtol=0, atol=1e-4)
        drifts.append(np.abs(total - total[0]).max())
        assert column(folder, "EK").std() > 0.05
    assert drifts[0] < 5e-3
    assert drifts[1] < drifts[0] / 2  # second order would be a quarter


def test_andersen_without_collisions_is_free(
    rehearsed: Callable[..., Path], tags: dict[str, Any], salt: Structure
) -> None:
    andersen = {**tags["md"], "MDALGO": 1, "ANDERSEN_PROB": 0.0}
    del andersen["SMASS"]
    free = {**tags["md"], "MDALGO": 0, "SMASS": -3}
    both = [rehearsed(incar, salt, name) for incar, name in ((andersen, "a"), (free, "b"))]
    assert np.array_equal(places(both[0]), places(both[1]))


@pytest.mark.parametrize("mdalgo", [0, 2])
def test_temperature_follows_the_ramp(
    mdalgo: int, rehearsed: Callable[..., Path], tags: dict[str, Any], host: Structure
) -> None:
    ramp = {**tags["md"], "MDALGO": mdalgo, "NSW": 500, "TEBEG": 100, "TEEND": 600}
    folder = rehearsed(ramp, host, mesh=(1, 1, 1))
    temperature, total = column(folder, "T"), column(folder, "E")
    assert temperature[0] == 100
    middle = np.linspace(100, 600, 500).reshape(5, 100).mean(axis=1)
    # 78 degrees of freedom: the mean of 100 steps scatters by some tens of K
    assert np.abs(temperature.reshape(5, 100).mean(axis=1) - middle).max() < 60
    # a target that changes does no work on a thermostat of constant mass
    assert np.ptp(total) < 0.02


def test_two_halves_are_one_run(
    rehearsed: Callable[..., Path], tags: dict[str, Any], host: Structure, tmp_path: Path
) -> None:
    # SMASS = 0 would take the thermostat's mass from each half's TEBEG
    ramp = {**tags["md"], "SMASS": 0.5}
    whole = rehearsed({**ramp, "NSW": 40, "TEBEG": 300, "TEEND": 500}, host, "whole", (1, 1, 1))
    first = rehearsed({**ramp, "NSW": 20, "TEBEG": 300, "TEEND": 400}, host, "first", (1, 1, 1))
    second = tmp_path / "second"
    shutil.copytree(first, second)
    shutil.copy(first / "CONTCAR", second / "POSCAR")
    incar = (second / "INCAR").read_text()
    (second / "INCAR").write_text(incar.replace("TEBEG = 300", "TEBEG = 400").replace("TEEND = 400", "TEEND = 500"))
    assert calculate(second) == 0
    assert np.allclose(places(first, second), places(whole), rtol=0, atol=2e-8)
    assert np.allclose(np.append(column(first, "E"), column(second, "E")), column(whole, "E"), rtol=0, atol=1e-5)
    one, two = (Poscar.from_file(folder / "CONTCAR") for folder in (whole, second))
    assert np.allclose(one.velocities, two.velocities, rtol=0, atol=1e-7)


def test_velocities_survive_a_structure(rehearsed: Callable[..., Path], tags: dict[str, Any], salt: Structure) -> None:
    """As atomate2 hands a run on; the thermostat's state does not: `Poscar(structure)` drops its preamble."""
    free = {**tags["md"], "MDALGO": 0, "SMASS": -3}
    whole = rehearsed({**free, "NSW": 12}, salt, "whole")
    first = rehearsed({**free, "NSW": 6}, salt, "first")
    second = rehearsed({**free, "NSW": 6}, Poscar.from_file(first / "CONTCAR").structure, "second")
    assert np.allclose(places(first, second), places(whole), rtol=0, atol=2e-8)


def test_the_thermostat_survives_a_poscar(
    rehearsed: Callable[..., Path], written: Callable[..., Path], tags: dict[str, Any], salt: Structure, tmp_path: Path
) -> None:
    whole = rehearsed({**tags["md"], "NSW": 12}, salt, "whole")
    first = rehearsed({**tags["md"], "NSW": 6}, salt, "first")
    second = written(tmp_path / "second", {**tags["md"], "NSW": 6}, salt)
    Poscar.from_file(first / "CONTCAR").write_file(second / "POSCAR")
    assert calculate(second) == 0
    assert np.allclose(places(first, second), places(whole), rtol=0, atol=2e-8)


def test_positions_are_those_before_the_step(
    rehearsed: Callable[..., Path], tags: dict[str, Any], salt: Structure
) -> None:
    folder = rehearsed({**tags["md"], "NSW": 7, "NBLOCK": 3}, salt)
    found = places(folder)
    assert np.allclose((found[0] - salt.frac_coords + 0.5) % 1, 0.5, atol=1e-8)
    frames = [structure.frac_coords for structure in Xdatcar(folder / "XDATCAR").structures]
    assert np.allclose(frames, found[::3], atol=1e-8)
    contcar = Poscar.from_file(folder / "CONTCAR").structure.frac_coords
    step = (contcar - found[-1] + 0.5) % 1 - 0.5
    assert 1e-4 < np.abs(step).max() < 0.01
    assert TaskDoc.from_directory(folder).state.value == "successful"


def test_seed(rehearsed: Callable[..., Path], tags: dict[str, Any], salt: Structure) -> None:
    runs = [
        rehearsed({**tags["md"], "NSW": 2, **seed}, salt, name)
        for seed, name in (({}, "a"), ({}, "b"), ({"RANDOM_SEED": [5, 0, 0]}, "c"), ({"RANDOM_SEED": [6, 0, 0]}, "d"))
    ]
    second = [places(folder)[1] for folder in runs]
    assert np.array_equal(second[0], second[1])
    assert not np.allclose(second[2], second[3], atol=1e-5)


def test_mass_of_the_thermostat(
    tags: dict[str, Any], written: Callable[..., Path], salt: Structure, tmp_path: Path
) -> None:
    own = read_inputs(written(tmp_path / "a", tags["md"], salt))
    period = 2 * np.pi * np.sqrt(nose_mass(own, 21) / (2 * 21 * BOLTZMANN_EV * 300))
    assert period == pytest.approx(40 * 2.0)
    given = read_inputs(written(tmp_path / "b", {**tags["md"], "SMASS": 0.7}, salt))
    assert nose_mass(given, 21) == pytest.approx(0.7 * AMU_EV * salt.lattice.a**2)
