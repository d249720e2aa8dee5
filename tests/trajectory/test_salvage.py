from __future__ import annotations

import io
import struct
from pathlib import Path

import h5py
import pytest

from lzc_flows.trajectory.salvage import Healed, is_hdf5, lookup3


def test_lookup3_is_jenkins_own() -> None:
    """Values that driver5() of Jenkins' lookup3.c prints (public domain, May 2006)."""
    assert lookup3(b"") == 0xDEADBEEF
    assert lookup3(b"Four score and seven years ago") == 0x17770551


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        file["x"] = range(1000)
    return path


def test_lookup3_is_the_checksum_in_the_superblock(path: Path) -> None:
    head = path.read_bytes()[:48]
    assert struct.unpack("<I", head[44:])[0] == lookup3(head[:44])


def test_a_sound_file_is_unchanged(path: Path) -> None:
    healed = Healed(path)
    size = healed.seek(0, io.SEEK_END)
    healed.seek(0)
    assert healed.read(size) == path.read_bytes()
    healed.close()


@pytest.mark.parametrize("at", [0, 20, 47, 48, 60])
@pytest.mark.parametrize("size", [1, 10, 100])
def test_pieces(path: Path, at: int, size: int) -> None:
    healed = Healed(path)
    healed.seek(at)
    assert healed.read(size) == path.read_bytes()[at : at + size]
    assert healed.tell() == at + size
    healed.close()


def test_what_is_missing_is_zero(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    healed = Healed(path)
    assert healed.read(len(whole)) == whole[:-100] + bytes(100)
    healed.close()


def test_the_mark_of_a_writer_is_off(path: Path) -> None:
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        file.swmr_mode = True
        marked = path.read_bytes()
    # the consistency flags, section II.A of the specification
    assert marked[11] != 0
    path.write_bytes(marked)
    with pytest.raises(OSError, match="already open for"):
        h5py.File(path)
    healed = Healed(path)
    with h5py.File(healed) as file:
        assert list(file["x"]) == list(range(1000))
    healed.close()


def test_no_superblock(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    for content in (b"", b"\x89HDF\r\n\x1a\n\x03", b"\x89HDF\r\n\x1a\n\x00" + bytes(100)):
        path.write_bytes(content)
        with pytest.raises(OSError, match="no superblock of version 3"):
            Healed(path)
    assert is_hdf5(path)
