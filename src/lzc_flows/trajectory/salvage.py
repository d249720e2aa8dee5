"""HDF5 files that were not closed, or of which the end is missing, as if neither had happened.

The library refuses to open such files: their superblock says that someone writes to them, or that they are longer
than they are. `Healed` reads a file as the library would have it: the mark of the writer taken off, zeros where bytes
are missing. Whether what is read is true, the caller finds out by checksums.

The superblock is that of the HDF5 File Format Specification 3.0, section II.A, version 3; its checksum is the
`lookup3` hash of Bob Jenkins (section III.C "Checksums").
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

_SUPERBLOCK = struct.Struct("<8sBBBBQQQQ")
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_BEYOND_END = 2**20
"""Bytes of a chunk that may be missing at the end of a file that was not closed; chunks are no larger."""
_MASK = 0xFFFFFFFF


def is_hdf5(path: Path) -> bool:
    """Return whether a file begins like an HDF5 file."""
    with path.open("rb") as stream:
        return stream.read(len(_SIGNATURE)) == _SIGNATURE


class Healed:
    """A damaged HDF5 file for reading, in the shape of a file object for h5py.

    Raises
    ------
    OSError
        The superblock is missing or of another version than the one that our files have.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        try:
            self._size = os.fstat(self._descriptor).st_size
            head = os.pread(self._descriptor, _SUPERBLOCK.size + 4, 0)
            if len(head) < _SUPERBLOCK.size + 4 or head[8] != 3:
                raise OSError("no superblock of version 3")
            parts = list(_SUPERBLOCK.unpack(head[:-4]))
        except OSError:
            self.close()
            raise
        # of a file that was not closed the stored end is that of the last closing, and the true one is not known
        self._end = max(parts[7], self._size + _BEYOND_END) if parts[4] else max(parts[7], self._size)
        parts[4], parts[7] = 0, self._end
        packed = _SUPERBLOCK.pack(*parts)
        self._head = packed + struct.pack("<I", lookup3(packed))
        self._at = 0

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place of the healed file; return it."""
        self._at = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence] + offset
        return self._at

    def tell(self) -> int:
        """Return the present place."""
        return self._at

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer; return its size."""
        view = memoryview(buffer).cast("B")
        read = os.preadv(self._descriptor, [view], self._at) if self._at < self._size else 0
        view[read:] = bytes(len(view) - read)
        head = self._head[self._at : self._at + len(view)]
        view[: len(head)] = head
        self._at += len(view)
        return len(view)

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        buffer = bytearray(size)
        self.readinto(memoryview(buffer))
        return bytes(buffer)


def lookup3(data: bytes) -> int:
    """Return the `lookup3` hash (``hashlittle``, initial value 0) of some bytes: the checksum of HDF5's metadata."""
    a = b = c = (0xDEADBEEF + len(data)) & _MASK
    blocks = [data[i : i + 12] for i in range(0, len(data), 12)] or [b""]
    for block in blocks[:-1]:
        x, y, z = struct.unpack("<III", block)
        a, b, c = _mix((a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK)
    if not blocks[-1]:
        return c
    x, y, z = struct.unpack("<III", blocks[-1].ljust(12, b"\0"))
    return _finish((a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK)


def _rotate(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (32 - bits))) & _MASK


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for bits in ((4, 6, 8), (16, 19, 4)):
        a, c = ((a - c) & _MASK) ^ _rotate(c, bits[0]), (c + b) & _MASK
        b, a = ((b - a) & _MASK) ^ _rotate(a, bits[1]), (a + c) & _MASK
        c, b = ((c - b) & _MASK) ^ _rotate(b, bits[2]), (b + a) & _MASK
    return a, b, c


def _finish(a: int, b: int, c: int) -> int:
    # the three take turns: c changes by b, a by c, b by a, and so on
    changing, by, other = c, b, a
    for bits in (14, 11, 25, 16, 4, 14, 24):
        changing, by, other = other, ((changing ^ by) - _rotate(by, bits)) & _MASK, by
    return by
