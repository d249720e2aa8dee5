"""Reading the project's own trajectories: closed ones, growing ones, and those that a kill or a cut left."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from lzc_flows.errors import InputError, InputWarning
from lzc_flows.trajectory.layout import FRAME_TYPE, frames_per_chunk, is_ours, read_header, whole_frames
from lzc_flows.trajectory.model import Header, Observables, Trajectory
from lzc_flows.trajectory.salvage import Healed

_BLOCK_BYTES = 2**22
"""So much of the displacements is read at a time."""


@dataclass(frozen=True)
class Stored:
    """A trajectory file: the header and all of its whole frames but for the displacements, which stay in the file.

    Attributes
    ----------
    path
        The file.
    header
        What is the same in all frames.
    table
        One row of `FRAME_TYPE` for each whole frame.
    first_positions
        Unwrapped positions of the first frame, Å; (atoms, 3).
    damage
        What is wrong with the file, and what of it is whole; None for a file that was closed and is all there.
    """

    path: Path
    header: Header
    table: NDArray[np.void]
    first_positions: NDArray[np.float64]
    damage: str | None

    def displacements(self, first: int, last: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield the displacements from the first frame (Å) of frames first ≤ i < last in blocks, with each start."""
        with _opened(self.path) as (file, _):
            step = _frames_per_block(self.header)
            for start in range(first, last, step):
                yield start, file["displacements"][start : min(start + step, last)]

    def read(self, first: int, last: int, atoms: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return unwrapped Cartesian positions in Å of some frames and atoms; (last - first, len(atoms), 3)."""
        positions = np.empty((last - first, len(atoms), 3))
        for start, block in self.displacements(first, last):
            positions[start - first : start - first + len(block)] = block[:, atoms]
        positions += self.first_positions[atoms]
        return positions


def load_stored(path: Path) -> Stored:
    """Read a trajectory file but for the displacements.

    In a file that was not closed, or of which the end is missing, each frame's checksum is compared, and the frames
    before the first that is not whole are kept.

    Raises
    ------
    InputError
        The file is of another kind, or so much of it is missing that no frame can be reached.
    """
    try:
        with _opened(path) as (file, complaint):
            if not is_ours(file):
                raise InputError(f"{path}: an HDF5 file, but not a trajectory that lzc-flows wrote")
            header = read_header(file)
            first_positions = file["first_positions"][()]
            n_frames = file["frames"].shape[0]
            if complaint is None:
                table, damage = file["frames"][()], None
            else:
                table = _whole(file, header, first_positions)
                damage = f"{complaint}; {len(table)} of {n_frames} frames are whole and kept"
    # what is missing shows as an object that cannot be opened, read or understood
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cut off before its first frame or damaged there, nothing can be recovered") from None
    return Stored(path, header, table, first_positions, damage)


def read_stored(path: Path) -> Trajectory:
    """Return the trajectory in one of our own files, its positions still in the file.

    Warns
    -----
    InputWarning
        The file was not closed or its end is missing: the whole frames are used.

    Raises
    ------
    InputError
        The file is of another kind, or holds no whole frame.
    """
    stored = load_stored(path)
    table = stored.table
    if not len(table):
        raise InputError(f"{path}: no whole frame in it")
    if stored.damage is not None:
        warnings.warn(f"{path}: {stored.damage}", InputWarning, stacklevel=2)
    return Trajectory(
        name=str(path),
        species=stored.header.species,
        times_ps=table["time_ps"].copy(),
        cells=table["cell"].copy(),
        source=stored,
        atoms=np.arange(len(stored.header.species)),
        header=stored.header,
        observables=Observables(
            steps=table["step"].copy(),
            temperatures_k=table["temperature_k"].copy(),
            potential_ev=table["potential_ev"].copy(),
            kinetic_ev=table["kinetic_ev"].copy(),
            conserved_ev=table["conserved_ev"].copy(),
        ),
    )


@contextmanager
def _opened(path: Path) -> Iterator[tuple[h5py.File, str | None]]:
    """Open a file, healed where need be; yield it with what is wrong with it."""
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        complaint = "its end is missing" if "truncated" in str(error) else "not closed, still growing or killed"
    else:
        with file:
            yield file, None
        return
    healed = Healed(path)
    try:
        with h5py.File(healed, "r") as file:
            yield file, complaint
    finally:
        healed.close()


def _frames_per_block(header: Header) -> int:
    chunk = frames_per_chunk(len(header.species))
    return chunk * max(1, _BLOCK_BYTES // (chunk * 12 * len(header.species)))


def _whole(file: h5py.File, header: Header, first_positions: NDArray[np.float64]) -> NDArray[np.void]:
    """Return the rows of the leading whole frames."""
    origin = zlib.crc32(first_positions.data)
    found = [np.empty(0, FRAME_TYPE)]
    # chunk by chunk: one that cannot be reached takes only itself along
    step = frames_per_chunk(len(header.species))
    for start in range(0, file["frames"].shape[0], step):
        try:
            rows = file["frames"][start : start + step]
            displacements = file["displacements"][start : start + step]
        except OSError:
            break
        # a kill may fall between the growth of the one dataset and that of the other
        both = min(len(rows), len(displacements))
        whole = whole_frames(rows[:both], displacements[:both], origin)
        found.append(rows[:whole])
        if whole < step:
            break
    return np.concatenate(found)
