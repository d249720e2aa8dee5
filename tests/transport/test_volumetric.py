from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from ase.io.cube import read_cube
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from lzc_flows.transport.bvse import EnergyField
from lzc_flows.transport.volumetric import write_cube, write_grd

LATTICE = Lattice.from_parameters(7.1, 5.3, 9.7, 81, 97, 114)
BOHR_ANGSTROM = 0.529177210903  # CODATA 2018


def wave(fractional: NDArray[np.float64]) -> NDArray[np.float64]:
    """A periodic function without symmetry, so that no exchange or shift of axes goes unseen."""
    x, y, z = 2 * np.pi * np.moveaxis(fractional, -1, 0)
    return -3 + np.sin(x) + 2 * np.cos(y + 0.3) + 4 * np.sin(z - 0.7) * np.cos(x)


def make_field(shape: tuple[int, int, int] = (5, 4, 7)) -> EnergyField:
    fractional = np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), axis=-1)
    return EnergyField(wave(fractional), np.array(LATTICE.matrix), "Li+", "bvlain", 10.0)


STRUCTURE = Structure(
    LATTICE,
    [{"Li+": 0.3}, {"Cl-": 0.96, "F-": 0.04}, {"Cl-": 0.5, "F-": 0.5}, "Zr4+"],
    [[0.1, 0.2, 0.3], [0.5, 0.25, 0.75], [0.9, 0.9, 0.1], [-0.2, 1.3, 0.5]],
)


def read_grd(path: Path) -> tuple[list[float], NDArray[np.float64]]:
    """Cell and values as GSAS-II and bvlain lay them out: x slowest, z fastest."""
    _, cell, counts, *values = path.read_text().splitlines()
    shape = [int(count) for count in counts.split()]
    return [float(parameter) for parameter in cell.split()], np.array(values, dtype=float).reshape(shape)


@pytest.mark.parametrize("shape", [(5, 4, 7), (4, 3, 6), (2, 3, 12), (3, 2, 1)])
def test_cube_values_belong_to_their_places(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    write_cube(tmp_path / "field.cube", make_field(shape), STRUCTURE)
    with (tmp_path / "field.cube").open() as stream:
        cube = read_cube(stream)
    assert cube["data"].shape == shape
    assert cube["origin"] == pytest.approx(np.zeros(3), abs=0)
    nodes = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1) @ cube["spacing"]
    expected = wave(LATTICE.get_fractional_coords(nodes))
    assert cube["data"] == pytest.approx(expected, abs=2e-5)
    assert cube["atoms"].cell.array == pytest.approx(LATTICE.matrix, abs=1e-5)


def test_cube_atoms_are_the_majority_in_the_cell(tmp_path: Path) -> None:
    write_cube(tmp_path / "field.cube", make_field(), STRUCTURE)
    with (tmp_path / "field.cube").open() as stream:
        atoms = read_cube(stream)["atoms"]
    # of equal shares the lighter element
    assert atoms.get_chemical_symbols() == ["Li", "Cl", "F", "Zr"]
    wrapped = [[0.1, 0.2, 0.3], [0.5, 0.25, 0.75], [0.9, 0.9, 0.1], [0.8, 0.3, 0.5]]
    assert atoms.get_scaled_positions() == pytest.approx(np.array(wrapped), abs=1e-6)


def test_cube_lengths_are_in_bohr_and_energies_are_not(tmp_path: Path) -> None:
    lattice = Lattice.cubic(10 * BOHR_ANGSTROM)
    field = EnergyField(np.full((5, 5, 5), 100.0), np.array(lattice.matrix), "Li+", "softbv", 8.5)
    write_cube(tmp_path / "field.cube", field, Structure(lattice, ["Li+"], [[0.5, 0, 0]]))
    lines = (tmp_path / "field.cube").read_text().splitlines()
    assert lines[0] == "BVSE of Li+, convention softbv, cutoff 8.5 angstrom; energies in eV, lengths in bohr"
    assert [float(x) for x in lines[3].split()] == pytest.approx([5, 2, 0, 0], abs=1e-6)
    assert [float(x) for x in lines[6].split()] == pytest.approx([3, 3, 5, 0, 0], abs=1e-6)
    assert lines[7] == " 1.000000E+02" * 5


def test_cube_lines_hold_six_values_and_rows_start_lines(tmp_path: Path) -> None:
    write_cube(tmp_path / "field.cube", make_field((2, 3, 8)), STRUCTURE)
    rows = (tmp_path / "field.cube").read_text().splitlines()[6 + len(STRUCTURE) :]
    assert [len(row.split()) for row in rows] == [6, 2] * 6


def test_grd_values_belong_to_their_places(tmp_path: Path) -> None:
    field = make_field()
    write_grd(tmp_path / "field.grd", field)
    cell, values = read_grd(tmp_path / "field.grd")
    assert cell == pytest.approx([7.1, 5.3, 9.7, 81, 97, 114], abs=1e-6)
    # the format has no orientation: node (i, j, k) is at (i/nx, j/ny, k/nz), end planes not repeated
    assert values.shape == field.energies_ev.shape
    fractional = np.stack(np.meshgrid(*(np.arange(n) / n for n in values.shape), indexing="ij"), axis=-1)
    assert values == pytest.approx(wave(fractional), abs=1e-6)


def test_both_files_agree_and_keep_the_clipped_energies(tmp_path: Path) -> None:
    field = make_field()
    field.energies_ev[1, 2, 3] = 100.0
    write_cube(tmp_path / "field.cube", field, STRUCTURE)
    write_grd(tmp_path / "field.grd", field)
    with (tmp_path / "field.cube").open() as stream:
        cube = read_cube(stream)["data"]
    _, grd = read_grd(tmp_path / "field.grd")
    assert cube == pytest.approx(grd, abs=2e-5)
    assert grd[1, 2, 3] == cube[1, 2, 3] == grd.max() == 100.0


def test_same_field_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_cube(tmp_path / f"{name}.cube", make_field(), STRUCTURE)
        write_grd(tmp_path / f"{name}.grd", make_field())
    assert (tmp_path / "one.cube").read_bytes() == (tmp_path / "two.cube").read_bytes()
    assert (tmp_path / "one.grd").read_bytes() == (tmp_path / "two.grd").read_bytes()


@pytest.mark.parametrize("name", ["field.cube", "field.grd"])
def test_a_writer_that_dies_leaves_the_old_file_whole(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("old")
    child = os.fork()
    if child == 0:
        # the size limit ends the process in the middle of the new file, with SIGXFSZ ignored by Python: an OSError
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
        try:
            if path.suffix == ".cube":
                write_cube(path, make_field(), STRUCTURE)
            else:
                write_grd(path, make_field())
        except OSError:
            os._exit(3)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 3
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
