"""Writing a trajectory frame by frame, such that a kill at any moment leaves a file that goes on.

The file grows under SWMR (single writer, multiple readers), in which HDF5 writes what is pointed to before what
points to it: whatever has reached the file can be read. What was cut short by a kill shows in the frames' checksums.
A file that was not closed is continued from a copy of its whole frames, which replaces it in one step; frames are
dropped in the same way. Memory does not grow with the number of frames.
"""

from __future__ import annotations

import os
import warnings
import zlib
from dataclasses import fields
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np
from numpy.typing import NDArray

from lzc_flows.errors import InputError, InputWarning
from lzc_flows.files import written_whole
from lzc_flows.trajectory.layout import FRAME_TYPE, LIBVER, checksum, frames_per_chunk, lay_out
from lzc_flows.trajectory.model import Frame, Header
from lzc_flows.trajectory.stored import Stored, load_stored


class Writer:
    """A trajectory that grows; made by `create` or `open`, closed by `close` or at the end of a ``with``.

    Frames are gathered and written up to 64 at a time; `flush` before a checkpoint, so that the file holds all frames
    up to it, and `truncate_after` it when the run continues from there. One process may write at a time.

    Attributes
    ----------
    path, header
        The file and what is the same in all its frames.
    n_frames
        Number of frames appended so far, in all runs. Kept in a checkpoint and compared after `truncate_after`, it
        proves that the trajectory has no gap.
    last_step
        Step of the last frame; None where there is none.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.header = header
        chunk = frames_per_chunk(len(header.species))
        self._rows = np.zeros(chunk, FRAME_TYPE)
        self._moved = np.zeros((chunk, len(header.species), 3), "<f4")
        self._file: h5py.File | None = None
        self.n_frames = 0
        self.last_step: int | None = None
        self._start()

    @classmethod
    def create(cls, path: Path, header: Header) -> Writer:
        """Begin a trajectory.

        Raises
        ------
        InputError
            There is a file of this name.
        """
        if path.exists():
            raise InputError(f"{path}: exists already; continue it or take another name")
        with written_whole(path) as partial, h5py.File(partial, "w", libver=LIBVER) as file:
            lay_out(file, header)
        return cls(path, header)

    @classmethod
    def open(cls, path: Path, header: Header) -> Writer:
        """Continue a trajectory.

        Warns
        -----
        InputWarning
            The file was not closed or its end is missing: it goes on after its last whole frame.

        Raises
        ------
        InputError
            There is no such file, it is not a trajectory, or its header is another.
        """
        stored = load_stored(path)
        for entry in fields(Header):
            there, here = getattr(stored.header, entry.name), getattr(header, entry.name)
            if there != here:
                raise InputError(
                    f"{path}: of another run, its {entry.name} is {_short(there)}, must be {_short(here)} to continue"
                )
        if stored.damage is not None:
            warnings.warn(f"{path}: {stored.damage}", InputWarning, stacklevel=2)
            _keep(stored, len(stored.table))
        return cls(path, header)

    def append(self, frame: Frame) -> None:
        """Add a frame.

        Raises
        ------
        InputError
            Its step is not above that of the frame before, or it has another number of atoms.
        """
        if frame.positions.shape != self._moved.shape[1:]:
            raise InputError(f"frame: positions of shape {frame.positions.shape}, must be {self._moved.shape[1:]}")
        if self.last_step is not None and frame.step <= self.last_step:
            raise InputError(f"frame: step {frame.step}, must be above the last one, {self.last_step}")
        if self.n_frames == 0:
            self._first_positions = np.array(frame.positions, dtype="<f8")
            self._origin = zlib.crc32(self._first_positions.data)
            stored = self._open_file["first_positions"]
            stored[...] = self._first_positions
            stored.flush()
        place = self.n_frames % len(self._rows)
        moved, row = self._moved[place], self._rows[place : place + 1]
        np.subtract(frame.positions, self._first_positions, out=moved, casting="same_kind")
        row[0] = (
            frame.step,
            frame.time_ps,
            frame.cell,
            frame.temperature_k,
            frame.potential_ev,
            frame.kinetic_ev,
            frame.conserved_ev,
            0,
        )
        row["checksum"] = checksum(row[0], moved, self._origin)
        self.n_frames += 1
        self.last_step = frame.step
        if self.n_frames % len(self._rows) == 0:
            self._write_gathered()

    def flush(self) -> None:
        """Put all frames appended so far on the disk; they then survive a power cut as well."""
        self._write_gathered()
        os.fsync(self._open_file.id.get_vfd_handle())

    def truncate_after(self, step: int) -> None:
        """Drop the frames whose step is above `step`: those after the checkpoint from which the run continues."""
        self._write_gathered()
        steps = self._open_file["frames"].fields("step")[:]
        kept = int(np.searchsorted(steps, step, side="right"))
        if kept == self.n_frames:
            return
        self.close()
        _keep(load_stored(self.path), kept)
        self._start()

    def close(self) -> None:
        """Flush and close the file; a second time does nothing."""
        if self._file is not None:
            self.flush()
            self._file.close()
            self._file = None

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _open_file(self) -> h5py.File:
        if self._file is None:
            raise ValueError(f"{self.path}: closed")
        return self._file

    def _start(self) -> None:
        """Open the file, which was closed, for growth."""
        # no chunk cache: frames go to the file when they are written, and in the order of time
        self._file = h5py.File(self.path, "r+", libver=LIBVER, rdcc_nbytes=0)
        self._file.swmr_mode = True
        frames = self._file["frames"]
        self.n_frames = frames.shape[0]
        self._written = self.n_frames
        self.last_step = int(frames[-1]["step"]) if self.n_frames else None
        self._first_positions = self._file["first_positions"][()]
        self._origin = zlib.crc32(self._first_positions.data)

    def _write_gathered(self) -> None:
        """Write the frames that are only in memory; they never reach beyond one chunk."""
        start, stop = self._written, self.n_frames
        if start == stop:
            return
        places = slice(start % len(self._rows), start % len(self._rows) + stop - start)
        _extend(self._open_file, start, self._rows[places], self._moved[places])
        self._written = stop


def _extend(file: h5py.File, start: int, rows: NDArray[np.void], moved: NDArray[np.float32]) -> None:
    """Write frames from number `start` on, none beyond the chunk of the first."""
    # the table first: a cut within the displacements then costs only the frames that it hits
    for name, values in (("frames", rows), ("displacements", moved)):
        dataset = file[name]
        dataset.resize(start + len(values), axis=0)
        dataset[start : start + len(values)] = values
        dataset.flush()


def _keep(stored: Stored, count: int) -> None:
    """Replace a file by one of its first `count` frames."""
    chunk = frames_per_chunk(len(stored.header.species))
    with written_whole(stored.path) as partial, h5py.File(partial, "w", libver=LIBVER, rdcc_nbytes=0) as file:
        lay_out(file, stored.header)
        file["first_positions"][...] = stored.first_positions
        file.swmr_mode = True
        for first, block in stored.displacements(0, count):
            for start in range(first, first + len(block), chunk):
                moved = block[start - first : start - first + chunk]
                _extend(file, start, stored.table[start : start + len(moved)], moved)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
