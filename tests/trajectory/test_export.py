from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from pymatgen.io.vasp.outputs import Xdatcar

from lzc_flows.trajectory.export import write_extxyz, write_xdatcar
from lzc_flows.trajectory.model import InMemory, Trajectory
from lzc_flows.trajectory.reader import read_trajectory

StoredRun = Callable[..., Trajectory]
SWELL = pytest.mark.parametrize("swell", [0.0, 1e-3])


def modulo_cell(difference: np.ndarray, cells: np.ndarray) -> np.ndarray:
    fractional = difference @ np.linalg.inv(cells)
    return (fractional - np.rint(fractional)) @ cells


@SWELL
def test_extxyz_as_ase_reads_it(stored_run: StoredRun, tmp_path: Path, swell: float) -> None:
    trajectory = stored_run(30, swell=swell)
    write_extxyz(trajectory, tmp_path / "x.xyz")
    images = ase.io.read(tmp_path / "x.xyz", index=":")
    assert [tuple(image.get_chemical_symbols()) for image in images] == [trajectory.species] * 30
    np.testing.assert_allclose([image.positions for image in images], trajectory.positions, rtol=0, atol=1e-8)
    np.testing.assert_allclose([image.cell.array for image in images], trajectory.cells, rtol=1e-12)
    assert trajectory.observables is not None
    for name, values in (
        ("time_ps", trajectory.times_ps),
        ("step", trajectory.observables.steps),
        ("temperature_k", trajectory.observables.temperatures_k),
        ("potential_ev", trajectory.observables.potential_ev),
        ("kinetic_ev", trajectory.observables.kinetic_ev),
        ("conserved_ev", trajectory.observables.conserved_ev),
    ):
        np.testing.assert_allclose([image.info[name] for image in images], values, rtol=1e-12)


@SWELL
def test_xdatcar_as_ase_and_pymatgen_read_it(stored_run: StoredRun, tmp_path: Path, swell: float) -> None:
    trajectory = stored_run(30, swell=swell)
    path = tmp_path / "XDATCAR"
    write_xdatcar(trajectory, path)
    images = ase.io.read(path, index=":", format="vasp-xdatcar")
    structures = Xdatcar(path).structures
    for symbols, positions, cells in (
        (images[7].get_chemical_symbols(), [at.positions for at in images], [at.cell.array for at in images]),
        (
            [str(site.specie) for site in structures[7]],
            [s.cart_coords for s in structures],
            [s.lattice.matrix for s in structures],
        ),
    ):
        assert tuple(symbols) == trajectory.species
        np.testing.assert_allclose(cells, trajectory.cells, rtol=0, atol=1e-9)
        np.testing.assert_allclose(modulo_cell(positions - trajectory.positions, trajectory.cells), 0, atol=3e-7)


@SWELL
@pytest.mark.parametrize("write", [write_extxyz, write_xdatcar])
def test_there_and_back(
    stored_run: StoredRun, tmp_path: Path, swell: float, write: Callable[[Trajectory, Path], None]
) -> None:
    """Our own reader brings back all of it but for the cell that the first frame lies in."""
    trajectory = stored_run(1100, swell=swell * 0.1)
    write(trajectory, tmp_path / "x")
    back = read_trajectory(tmp_path / "x", trajectory.frame_interval_ps * 1e3)
    np.testing.assert_allclose(back.times_ps, trajectory.times_ps, rtol=1e-12)
    np.testing.assert_allclose(back.cells, trajectory.cells, rtol=0, atol=1e-9)
    first = np.linalg.solve(trajectory.cells[0].T, (trajectory.positions[0] - back.positions[0]).T).T
    shift = np.rint(first)
    np.testing.assert_allclose(first, shift, rtol=0, atol=1e-7)
    np.testing.assert_allclose(back.positions + shift @ back.cells, trajectory.positions, rtol=0, atol=1e-6)


def test_a_part_is_written(stored_run: StoredRun, tmp_path: Path) -> None:
    part = stored_run(30).between(1.0, 2.0).select("Zr", "Cl")
    write_extxyz(part, tmp_path / "x.xyz")
    images = ase.io.read(tmp_path / "x.xyz", index=":")
    assert [image.info["step"] for image in images] == list(range(500, 1001, 50))
    np.testing.assert_allclose([image.positions for image in images], part.positions, rtol=0, atol=1e-8)


def test_coordinates_lie_in_the_cell(stored_run: StoredRun, tmp_path: Path) -> None:
    """Also those just below 1, which rounding would lift to it."""
    trajectory = stored_run(2)
    edge = InMemory(np.full((2, 6, 3), -1e-10) @ trajectory.cells)
    write_xdatcar(replace(trajectory, source=edge), tmp_path / "x")
    rows = [line for line in (tmp_path / "x").read_text().splitlines()[8:] if "Direct" not in line]
    assert {word for row in rows for word in row.split()} == {"0.00000000"}
