from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Structure
from pymatgen.io.vasp.outputs import Xdatcar

from lzc_flows.errors import InputError, InputWarning
from lzc_flows.trajectory.foreign import unwrap
from lzc_flows.trajectory.model import Trajectory
from lzc_flows.trajectory.reader import read_trajectory

SPECIES = ("Li", "Li", "Zr", "Cl", "Cl", "Cl")
CELL = np.array([[9.0, 0.0, 0.0], [-3.0, 8.0, 0.0], [0.5, 1.0, 7.0]])
Writing = Callable[[Path, list[Atoms]], None]


def as_extxyz(path: Path, images: list[Atoms]) -> None:
    ase.io.write(path, images, format="extxyz")


def as_xdatcar_by_ase(path: Path, images: list[Atoms]) -> None:
    """ASE repeats the header, always that of the first image: cells must not change."""
    ase.io.write(path, images, format="vasp-xdatcar")


def as_xdatcar_by_pymatgen(path: Path, images: list[Atoms]) -> None:
    structures = [Structure(at.cell.array, at.get_chemical_symbols(), at.get_scaled_positions()) for at in images]
    xdatcar = Xdatcar.__new__(Xdatcar)
    xdatcar.structures, xdatcar.comment = structures, "written by pymatgen"
    xdatcar.write_file(path)


WRITERS = [as_extxyz, as_xdatcar_by_ase, as_xdatcar_by_pymatgen]


def walk(n_frames: int, largest: float = 0.4, swell: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Unwrapped fractional coordinates of a walk that starts in the cell, and cells."""
    rng = np.random.default_rng(2)
    steps = rng.uniform(-largest, largest, (n_frames, len(SPECIES), 3))
    steps[0] = rng.random((len(SPECIES), 3))
    return np.cumsum(steps, axis=0), CELL * (1 + swell * np.arange(n_frames))[:, None, None]


def wrapped_images(fractional: np.ndarray, cells: np.ndarray) -> list[Atoms]:
    return [
        Atoms(SPECIES, scaled_positions=coordinates % 1, cell=cell, pbc=True)
        for coordinates, cell in zip(fractional, cells, strict=True)
    ]


@pytest.mark.parametrize("write", WRITERS)
def test_what_others_wrote_is_unwrapped(tmp_path: Path, write: Writing) -> None:
    fractional, cells = walk(50)
    assert np.ptp(fractional, axis=0).max() > 1.5
    write(tmp_path / "x", wrapped_images(fractional, cells))
    trajectory = read_trajectory(tmp_path / "x", time_step_fs=20)
    np.testing.assert_allclose(trajectory.positions, fractional @ CELL, rtol=0, atol=5e-7)
    np.testing.assert_allclose(trajectory.constant_cell, CELL, rtol=0, atol=1e-6)
    assert (trajectory.species, trajectory.header, trajectory.observables) == (SPECIES, None, None)
    assert trajectory.frame_interval_ps == pytest.approx(0.02)
    np.testing.assert_array_equal(trajectory.select("Cl").positions, trajectory.positions[:, 3:])


def test_unwrapped_files_stay_as_they_are(tmp_path: Path) -> None:
    """ASE's dynamics do not wrap."""
    fractional, cells = walk(50)
    images = [Atoms(SPECIES, coordinates @ CELL, cell=CELL, pbc=True) for coordinates in fractional]
    as_extxyz(tmp_path / "x", images)
    read = read_trajectory(tmp_path / "x", 20).positions
    np.testing.assert_allclose(read, fractional @ CELL, rtol=0, atol=1e-7)
    assert len(cells) == len(read)


def test_variable_cells(tmp_path: Path) -> None:
    """A swelling cell carries atoms that rest in it along, and no atom jumps."""
    fractional, cells = walk(40, swell=1e-3)
    as_extxyz(tmp_path / "x", wrapped_images(fractional, cells))
    trajectory = read_trajectory(tmp_path / "x", 20)
    np.testing.assert_allclose(trajectory.positions, fractional @ cells, rtol=0, atol=1e-6)
    with pytest.raises(InputError, match="the cell of frame 2 differs from that of frame 1"):
        _ = trajectory.constant_cell


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40))
def test_unwrap_undoes_any_wrapping(seed: int, n_frames: int) -> None:
    rng = np.random.default_rng(seed)
    steps = rng.uniform(-0.44, 0.44, (n_frames, 3, 3))
    walked = np.cumsum(steps, axis=0)
    hidden = walked + rng.integers(-3, 4, walked.shape)
    hidden[0] = walked[0]
    np.testing.assert_allclose(unwrap(hidden, "x"), walked, rtol=0, atol=1e-12)


def test_ambiguous_steps_are_refused(tmp_path: Path) -> None:
    fractional, cells = walk(10, largest=0.2)
    fractional[6:, 3, 1] += 0.47 - (fractional[6, 3, 1] - fractional[5, 3, 1])
    as_extxyz(tmp_path / "x", wrapped_images(fractional, cells))
    message = r"atom 4 moves by 0\.47 of the cell from frame 6 to 7, must be at most 0\.45"
    with pytest.raises(InputError, match=message):
        read_trajectory(tmp_path / "x", 20)


@pytest.mark.parametrize("write", WRITERS)
def test_cut_off_anywhere(tmp_path: Path, write: Writing) -> None:
    fractional, cells = walk(12)
    write(tmp_path / "x", wrapped_images(fractional, cells))
    whole = (tmp_path / "x").read_text()
    found = set()
    for size in range(len(whole) // 6, len(whole), 61):
        (tmp_path / "x").write_text(whole[:size])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            trajectory = read_trajectory(tmp_path / "x", 20)
        n_frames = len(trajectory)
        # between two frames a cut does not show
        assert all(issubclass(entry.category, InputWarning) for entry in caught)
        assert caught == [] or f"cut off in frame {n_frames + 1}" in str(caught[0].message)
        np.testing.assert_allclose(trajectory.positions, fractional[:n_frames] @ CELL, rtol=0, atol=1e-6)
        found.add(n_frames)
    assert found >= set(range(2, 12))


def frame(symbols: str = "Li Cl", comment: str = 'Lattice="5 0 0 0 5 0 0 0 5"', x: str = "0.1") -> str:
    rows = "".join(f"{symbol} {x} 0.2 0.3\n" for symbol in symbols.split())
    return f"{len(symbols.split())}\n{comment}\n{rows}"


HEAD = "t\n1.0\n5 0 0\n0 5 0\n0 0 5\nLi Cl\n1 1\n"
DIRECT = "Direct configuration=     1\n0.1 0.1 0.1\n0.2 0.2 0.2\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (frame() + frame("Cl Li"), "the species of frame 2 or their order are not those of frame 1"),
        (frame() + frame("Li Cl Cl"), "frame 2 has 3 atoms, must have 2 as frame 1"),
        (frame(comment="free"), "frame 1 has no Lattice of three vectors"),
        (frame(comment='Lattice="5 0 0 5 0 0 0 0 5"'), "frame 1 has no Lattice of three vectors"),
        (frame() + frame(x="nan"), "frame 2 has no cell with a volume, or a coordinate that is no number"),
        (frame() + frame(x="here"), "frame 2 is not extended XYZ"),
        (frame() + frame("Li Xy"), "frame 2 is not extended XYZ"),
        (frame() + "two\n", "frame 2 begins with 'two', must be a number of atoms"),
        ("5\n", "cut off in its first frame"),
        (HEAD + DIRECT + "Direct configuration=     2\n0.1 0.1\n0.2 0.2 0.2\n", "frame 2 is not XDATCAR"),
        (HEAD + DIRECT + "Direct configuration=     2\n0.1 0.1 x\n0.2 0.2 0.2\n", "frame 2 is not XDATCAR"),
        (HEAD + DIRECT + DIRECT + HEAD.replace("Li Cl", "Cl Li") + DIRECT, "the species of frame 3 or their order"),
        (HEAD + DIRECT + HEAD.replace("1 1", "1 2") + DIRECT + "0.3 0.3 0.3\n", "frame 2 has 3 atoms"),
        (HEAD.replace("Li", "Q") + DIRECT, "its header must have element symbols"),
        (HEAD.replace("1 1", "1 0") + DIRECT, "its header must have element symbols and a number"),
        (HEAD.replace("1.0", "0.0") + DIRECT, "its header must have a scale above 0"),
        (HEAD.replace("0 0 5", "0 5 0") + DIRECT, "frame 1 has no cell with a volume"),
        (HEAD + "Direct configuration=     1\n0.1 0.1 0.1\n", "cut off in its first frame"),
    ],
)
def test_bad_input(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "x").write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read_trajectory(tmp_path / "x", 20)
    assert "\n" not in str(caught.value)


def test_spellings_of_xdatcar(tmp_path: Path) -> None:
    """Old versions write "Konfig=", VASP 6 the names of pseudopotentials; the scale multiplies the cell."""
    path = tmp_path / "XDATCAR"
    head = HEAD.replace("Li Cl", "Li_sv/1ab2 Cl").replace("1.0", "2.0")
    path.write_text(head + DIRECT.replace("Direct configuration", "Konfig"))
    trajectory: Trajectory = read_trajectory(path, 1)
    assert trajectory.species == ("Li", "Cl")
    np.testing.assert_allclose(trajectory.positions[0], [[1, 1, 1], [2, 2, 2]])
    np.testing.assert_allclose(trajectory.constant_cell, np.eye(3) * 10)
