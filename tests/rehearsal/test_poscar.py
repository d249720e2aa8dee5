from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.inputs import Poscar

from lzc_flows.rehearsal.poscar import Motion, poscar_text, read_poscar, wrapped

STRUCTURE = Structure(
    Lattice.from_parameters(4, 5, 6, 80, 95, 110), ["Li", "Zr", "Cl", "Cl"], np.random.default_rng(2).random((4, 3))
)


@pytest.mark.parametrize("direct", [True, False])
def test_what_pymatgen_writes(direct: bool, tmp_path: Path) -> None:
    Poscar(STRUCTURE).write_file(tmp_path / "POSCAR", direct=direct)
    found = read_poscar(tmp_path / "POSCAR")
    assert found.species == ("Li", "Zr", "Cl", "Cl")
    assert found.formula == "Li1Zr1Cl2"
    assert np.allclose(found.positions, STRUCTURE.cart_coords)
    assert found.velocities is None


@pytest.mark.parametrize("scale", ["2.0", f"{-8 * 27.0}", "2.0 2.0 2.0"])
def test_scales(scale: str, tmp_path: Path) -> None:
    rows = ["a cube", scale, "3 0 0", "0 3 0", "0 0 3", "Li_sv/1a2b Cl", "1 1", "Cartesian", "0 0 0", "1.5 1.5 1.5"]
    (tmp_path / "POSCAR").write_text("\n".join(rows))
    found = read_poscar(tmp_path / "POSCAR")
    assert np.allclose(found.cell, 6 * np.eye(3))
    assert np.allclose(found.fractional, [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert found.symbols == ("Li", "Cl")


def test_a_run_goes_on(tmp_path: Path) -> None:
    Poscar(STRUCTURE).write_file(tmp_path / "POSCAR")
    found = read_poscar(tmp_path / "POSCAR")
    velocities = 1e-3 * np.random.default_rng(1).standard_normal((4, 3))
    motion = Motion(velocities, velocities / 10, 2.0, (1.5, -2.25, 0.5, 0.0))
    (tmp_path / "CONTCAR").write_text(poscar_text(found, motion))
    again = read_poscar(tmp_path / "CONTCAR")
    assert np.allclose(again.velocities, velocities, rtol=1e-8)
    assert again.thermostat == (1.5, -2.25, 0.5, 0.0)
    poscar = Poscar.from_file(tmp_path / "CONTCAR")
    assert np.allclose(poscar.velocities, velocities, rtol=1e-8)
    assert np.asarray(poscar.predictor_corrector).shape == (4, 3, 3)
    # pymatgen's own file is read as well
    poscar.write_file(tmp_path / "POSCAR")
    assert read_poscar(tmp_path / "POSCAR").thermostat == (1.5, -2.25, 0.5, 0.0)


def test_zeros_are_no_velocities(tmp_path: Path) -> None:
    Poscar(STRUCTURE).write_file(tmp_path / "POSCAR")
    (tmp_path / "CONTCAR").write_text(poscar_text(read_poscar(tmp_path / "POSCAR")))
    again = read_poscar(tmp_path / "CONTCAR")
    assert again.velocities is None
    assert again.thermostat is None


def test_velocities_in_the_lattice(tmp_path: Path) -> None:
    rows = [
        "a",
        "1",
        "3 0 0",
        "0 4 0",
        "0 0 5",
        "Li Cl",
        "1 1",
        "Direct",
        "0 0 0",
        ".5 .5 .5",
        "Direct",
        ".1 .1 .1",
        "0 0 0",
    ]
    (tmp_path / "POSCAR").write_text("\n".join(rows))
    assert np.allclose(read_poscar(tmp_path / "POSCAR").velocities, [[0.3, 0.4, 0.5], [0, 0, 0]])


def test_within_the_cell() -> None:
    inside = wrapped(np.array([[-0.25, 1.0, -1e-18], [0.0, 2.5, 0.999]]))
    assert np.allclose(inside, [[0.75, 0, 0], [0, 0.5, 0.999]])
    assert (inside < 1).all()
