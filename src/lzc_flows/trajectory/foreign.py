"""Trajectories that others wrote: extended XYZ and VASP's XDATCAR.

Neither holds the time between its frames, and both may hold positions wrapped into the cell. Positions are unwrapped
by the minimum image of each step in fractional coordinates, so that the cell may change; where an atom moves by
nearly half a cell between two frames, the image is a guess, and the file is refused.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import TextIO

import numpy as np
from ase.io.extxyz import read_xyz
from numpy.typing import NDArray
from pymatgen.core import Element

from lzc_flows.errors import InputError, InputWarning
from lzc_flows.trajectory.model import InMemory, Trajectory

LARGEST_STEP = 0.45
"""Largest step in fractional coordinates: the minimum image of any is at most 0.5, and near it one cannot know."""
_LEAST_VOLUME = 1e-6
"""Å³; below it three vectors are no cell."""

RawFrame = tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.float64]]
"""Species, cell in Å with vectors as rows, fractional coordinates."""


def read_extxyz(path: Path, time_step_fs: float | None) -> Trajectory:
    """Return the trajectory in an extended XYZ file, unwrapped, in memory (24 bytes per atom and frame).

    `time_step_fs` is the time from one frame of the file to the next. Each frame is parsed by ASE.

    Warns
    -----
    InputWarning
        The last frame is cut off and left out.

    Raises
    ------
    InputError
        `time_step_fs` is None or not above 0, a frame cannot be read, has no cell, other atoms or another order than
        the first, or an atom moves too far between two frames.
    """
    interval_ps = _interval_ps(path, time_step_fs)
    with path.open(encoding="utf-8", errors="replace") as stream:
        return _gather(path, _extxyz_frames(path, stream), interval_ps)


def read_xdatcar(path: Path, time_step_fs: float | None) -> Trajectory:
    """Return the trajectory in an XDATCAR, unwrapped, in memory; constant and variable cells.

    Parameters, warnings and errors are those of `read_extxyz`.
    """
    interval_ps = _interval_ps(path, time_step_fs)
    with path.open(encoding="utf-8", errors="replace") as stream:
        return _gather(path, _xdatcar_frames(path, stream), interval_ps)


def unwrap(fractional: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """Return fractional coordinates (frames, atoms, 3) without jumps across the cell; the first frame is as it was.

    Raises
    ------
    InputError
        A step is longer than `LARGEST_STEP` in a direction; `name` is what the message calls the trajectory.
    """
    steps = np.diff(fractional, axis=0)
    steps -= np.rint(steps)
    largest = np.abs(steps).max(axis=(1, 2), initial=0.0)
    ambiguous = np.flatnonzero(largest > LARGEST_STEP)
    if ambiguous.size:
        frame = int(ambiguous[0])
        atom = int(np.abs(steps[frame]).max(axis=1).argmax())
        raise InputError(
            f"{name}: atom {atom + 1} moves by {largest[frame]:.2f} of the cell from frame {frame + 1} to {frame + 2}, "
            f"must be at most {LARGEST_STEP} to know across which face; store frames more often"
        )
    unwrapped = np.concatenate([fractional[:1], steps])
    return np.cumsum(unwrapped, axis=0, out=unwrapped)


class _CutOffError(Exception):
    """The file ends within a frame."""


def _interval_ps(path: Path, time_step_fs: float | None) -> float:
    if time_step_fs is None:
        raise InputError(f"{path}: does not hold the time between its frames, give it as time step in fs")
    if not (np.isfinite(time_step_fs) and time_step_fs > 0):
        raise InputError(f"time step: {time_step_fs} fs, must be above 0")
    return time_step_fs * 1e-3


def _gather(path: Path, frames: Iterator[RawFrame], interval_ps: float) -> Trajectory:
    """Collect frames into a trajectory."""
    species: tuple[str, ...] = ()
    cells: list[NDArray[np.float64]] = []
    fractional: list[NDArray[np.float64]] = []
    try:
        for symbols, cell, coordinates in frames:
            number = len(cells) + 1
            species = species or symbols
            if len(symbols) != len(species):
                raise InputError(
                    f"{path}: frame {number} has {len(symbols)} atoms, must have {len(species)} as frame 1"
                )
            if symbols != species:
                raise InputError(f"{path}: the species of frame {number} or their order are not those of frame 1")
            if not np.isfinite(coordinates).all() or abs(np.linalg.det(cell)) < _LEAST_VOLUME:
                raise InputError(f"{path}: frame {number} has no cell with a volume, or a coordinate that is no number")
            cells.append(cell)
            fractional.append(coordinates)
    except _CutOffError:
        if not cells:
            raise InputError(f"{path}: cut off in its first frame") from None
        warnings.warn(
            f"{path}: cut off in frame {len(cells) + 1}; the {len(cells)} whole frames before are used",
            InputWarning,
            stacklevel=3,
        )
    if not cells:
        raise InputError(f"{path}: no frame in it")
    lattices = np.array(cells)
    positions = unwrap(np.array(fractional), str(path)) @ lattices
    return Trajectory(
        name=str(path),
        species=species,
        times_ps=interval_ps * np.arange(len(cells), dtype=float),
        cells=lattices,
        source=InMemory(positions),
        atoms=np.arange(len(species)),
    )


def _lines(stream: TextIO, count: int) -> list[str]:
    """Return the next lines of a file, all of them whole."""
    lines = [stream.readline() for _ in range(count)]
    # the last line may lack its end only where it is the file's own last one, which a cut cannot be told from
    if not all(line.endswith("\n") for line in lines):
        raise _CutOffError
    return lines


def _extxyz_frames(path: Path, stream: TextIO) -> Iterator[RawFrame]:
    number = 0
    while (line := stream.readline()).strip():
        number += 1
        if not line.strip().isdecimal() or int(line) < 1:
            raise InputError(f"{path}: frame {number} begins with {line.strip()[:40]!r}, must be a number of atoms")
        lines = _lines(stream, int(line) + 1)
        try:
            atoms = next(read_xyz(StringIO(line + "".join(lines)), 0))
        # ASE tells unreadable text by whatever its parts raise
        except Exception as error:
            raise InputError(f"{path}: frame {number} is not extended XYZ: {str(error).splitlines()[0]}") from None
        cell = atoms.cell.array
        if abs(np.linalg.det(cell)) < _LEAST_VOLUME:
            raise InputError(f"{path}: frame {number} has no Lattice of three vectors")
        yield tuple(atoms.get_chemical_symbols()), cell, atoms.positions @ np.linalg.inv(cell)


def _xdatcar_frames(path: Path, stream: TextIO) -> Iterator[RawFrame]:
    number = 0
    species: tuple[str, ...] = ()
    cell = np.zeros((3, 3))
    while line := stream.readline():
        # lines left empty at the end
        if species and not line.strip():
            continue
        number += 1
        try:
            if not line.endswith("\n"):
                raise _CutOffError
            # with a variable cell, and by some writers always, each frame has its own header
            if not _begins_frame(line) or not species:
                cell, species = _xdatcar_header(_lines(stream, 6))
                (line,) = _lines(stream, 1)
            if not _begins_frame(line):
                raise ValueError(f"{line.strip()[:40]!r} where 'Direct configuration=' must be")
            rows = _lines(stream, len(species))
            fractional = np.array([row.split()[:3] for row in rows], dtype=float)
            if fractional.shape != (len(species), 3):
                raise ValueError("must have three coordinates for each atom")
        except _CutOffError:
            raise
        except (ValueError, IndexError) as error:
            raise InputError(f"{path}: frame {number} is not XDATCAR: {error}") from None
        yield species, cell, fractional


def _begins_frame(line: str) -> bool:
    """Return whether a line stands before coordinates: "Direct configuration= 1", or "Konfig= 1" of old versions."""
    return re.match(r"\s*(Direct|Konfig)", line, re.IGNORECASE) is not None


def _xdatcar_header(lines: list[str]) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return cell and species of the lines after the title; ValueError where they are something else."""
    scale = float(lines[0])
    cell = np.array([line.split() for line in lines[1:4]], dtype=float)
    if cell.shape != (3, 3) or scale <= 0:
        raise ValueError("its header must have a scale above 0 and three lattice vectors")
    # VASP 6 appends the name and the hash of the pseudopotential
    symbols = [re.split(r"[_/]", word)[0] for word in lines[4].split()]
    counts = [int(word) for word in lines[5].split()]
    unknown = [symbol for symbol in symbols if not Element.is_valid_symbol(symbol)]
    if unknown or len(symbols) != len(counts) or not counts or min(counts) < 1:
        raise ValueError("its header must have element symbols and a number of atoms for each")
    return scale * cell, tuple(symbol for symbol, count in zip(symbols, counts, strict=True) for _ in range(count))
