"""How a trajectory lies in an HDF5 file.

======================  =====================  ==============================================================
``/first_positions``    float64 (atoms, 3)     unwrapped positions of the first frame, Å
``/displacements``      float32 (frames, ...)  positions less those of the first frame, Å; chunked
``/frames``             table (frames,)        all else of a frame, `FRAME_TYPE`; energies and cells in float64
``/species`` ...        (atoms,)               also ``/masses_amu`` and ``/labels`` where the header has them
attributes of ``/``                            ``header``: the rest of the header as JSON; ``format``
======================  =====================  ==============================================================

Displacements in float32 are right to 2⁻²⁴ = 6e-8 of themselves (component by component): to 4e-6 Å for an atom 100 Å
from where it began, a thousandth of a percent of a thermal vibration; to 1.2e-7 of a mean-square displacement from
the first frame. Nothing is compressed: that would save a fifth (bench/trajectory_io.py), and chunks of which the size
can change move when they are rewritten, which is what a kill must not meet.

Each frame carries a checksum, by which whole frames are told from what a kill or a cut left.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import fields
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from lzc_flows.trajectory.model import Header

FORMAT = "lzc-flows trajectory 1"
LIBVER = ("v110", "v110")
"""Oldest HDF5 that reads the file, and newest: 1.10 brought SWMR, without which a kill can lose the whole file."""

FRAME_TYPE = np.dtype(
    [
        ("step", "<i8"),
        ("time_ps", "<f8"),
        ("cell", "<f8", (3, 3)),
        ("temperature_k", "<f8"),
        ("potential_ev", "<f8"),
        ("kinetic_ev", "<f8"),
        ("conserved_ev", "<f8"),
        ("checksum", "<u4"),
    ]
)
_CHECKED_BYTES = FRAME_TYPE.itemsize - 4
_PER_ATOM = ("species", "masses_amu", "labels")


def frames_per_chunk(n_atoms: int) -> int:
    """Return the number of frames that are stored together: 64, fewer where they exceed 1 MiB."""
    return max(1, min(64, 2**20 // (12 * n_atoms)))


def lay_out(file: h5py.File, header: Header) -> None:
    """Write the header and empty datasets into a new file."""
    # strings of fixed length: HDF5 keeps others in a heap without a checksum, and a cut there hangs the library
    file.attrs["format"] = np.bytes_(FORMAT)
    scalars = {entry.name: getattr(header, entry.name) for entry in fields(Header) if entry.name not in _PER_ATOM}
    file.attrs["header"] = np.bytes_(json.dumps(scalars))
    for name in _PER_ATOM:
        values = getattr(header, name)
        if values is not None:
            numeric = not isinstance(values[0], str)
            file.create_dataset(name, data=np.array(values, "<f8") if numeric else np.char.encode(values, "utf-8"))
    n_atoms, chunk = len(header.species), frames_per_chunk(len(header.species))
    file.create_dataset("first_positions", (n_atoms, 3), "<f8")
    file.create_dataset(
        "displacements", (0, n_atoms, 3), "<f4", maxshape=(None, n_atoms, 3), chunks=(chunk, n_atoms, 3)
    )
    file.create_dataset("frames", (0,), FRAME_TYPE, maxshape=(None,), chunks=(chunk,))


def is_ours(file: h5py.File) -> bool:
    """Return whether a file is laid out so."""
    return bytes(file.attrs.get("format", b"")) == FORMAT.encode()


def read_header(file: h5py.File) -> Header:
    """Return the header of a file; KeyError or ValueError where it has none."""
    found: dict[str, Any] = json.loads(bytes(file.attrs["header"]))
    for name in _PER_ATOM:
        if name in file:
            values = file[name][()]
            found[name] = tuple((np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values).tolist())
    return Header(**found)


def checksum(row: NDArray[np.void], displacements: NDArray[np.float32], origin: int) -> int:
    """Return the CRC-32 of a frame: its row of the table and its displacements.

    `origin` is the CRC-32 of the first positions, so that a frame is whole only if these are.
    """
    return zlib.crc32(displacements.data, zlib.crc32(row.tobytes()[:_CHECKED_BYTES], origin))


def whole_frames(table: NDArray[np.void], displacements: NDArray[np.float32], origin: int) -> int:
    """Return how many leading frames of a block are whole."""
    for number, (row, moved) in enumerate(zip(table, displacements, strict=True)):
        if row["checksum"] != checksum(row, np.ascontiguousarray(moved), origin):
            return number
    return len(table)
