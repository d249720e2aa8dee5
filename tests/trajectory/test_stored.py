from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from lzc_flows.errors import InputError, InputWarning
from lzc_flows.trajectory.layout import FRAME_TYPE, frames_per_chunk
from lzc_flows.trajectory.model import Frame, Header, Trajectory
from lzc_flows.trajectory.stored import load_stored, read_stored
from lzc_flows.trajectory.writer import Writer

MakeRun = Callable[..., tuple[Header, list[Frame]]]
N_FRAMES, N_ATOMS = 1000, 6


def ends_of_frames(path: Path) -> list[int]:
    """How many bytes of a closed file hold each frame, up to its last displacement.

    The displacements of the first are zero, and zeros stand for what is missing: up to its row of the table.
    """
    chunk = frames_per_chunk(N_ATOMS)
    with h5py.File(path) as file:
        chunks = file["displacements"].id
        starts = [chunks.get_chunk_info(number).byte_offset for number in range(chunks.get_num_chunks())]
        first_row = file["frames"].id.get_chunk_info(0).byte_offset + FRAME_TYPE.itemsize
    return [first_row] + [starts[frame // chunk] + (frame % chunk + 1) * N_ATOMS * 12 for frame in range(1, N_FRAMES)]


@pytest.mark.parametrize("closed", [True, False])
def test_cut_off_anywhere(make_run: MakeRun, tmp_path: Path, closed: bool) -> None:
    """The whole frames come back, to the last, and the run goes on from there; a lost head is one clear line."""
    header, frames = make_run(N_FRAMES)
    path, cut = tmp_path / "whole.h5", tmp_path / "cut.h5"
    with Writer.create(path, header) as writer:
        for frame in frames:
            writer.append(frame)
        writer.flush()
        content = path.read_bytes()
    if closed:
        content = path.read_bytes()
    positions, ends = read_stored(path).positions, ends_of_frames(path)
    middles = np.linspace(0, len(content) - 1, 30).astype(int)
    edges = [end + shift for end in ends[::197] for shift in (-1, 0, 1)]
    for size in [*range(0, ends[0], 700), *middles, *edges]:
        cut.write_bytes(content[:size])
        whole = sum(end <= size for end in ends)
        if whole == 0:
            with pytest.raises(
                InputError, match=r"^[^\n]*(no whole frame in it|cut off before its first frame)[^\n]*$"
            ):
                read_stored(cut)
            continue
        with pytest.warns(InputWarning, match=rf"; {whole} of 1000 frames are whole and kept$"):
            found = read_stored(cut)
        np.testing.assert_array_equal(found.positions, positions[:whole])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)
            with Writer.open(cut, header) as writer:
                assert (writer.n_frames, writer.last_step) == (whole, frames[whole - 1].step)
        np.testing.assert_array_equal(read_stored(cut).positions, positions[:whole])


def test_says_what_is_wrong(make_run: MakeRun, tmp_path: Path) -> None:
    header, frames = make_run(100)
    path = tmp_path / "x.h5"
    with Writer.create(path, header) as writer:
        for frame in frames:
            writer.append(frame)
    assert load_stored(path).damage is None
    path.write_bytes(path.read_bytes()[:-10_000])
    assert load_stored(path).damage == "its end is missing; 64 of 100 frames are whole and kept"


@pytest.mark.parametrize("where", ["frames", "displacements", "first_positions"])
def test_a_frame_that_changed_is_not_whole(make_run: MakeRun, tmp_path: Path, where: str) -> None:
    header, frames = make_run(100)
    path = tmp_path / "x.h5"
    with Writer.create(path, header) as writer:
        for frame in frames:
            writer.append(frame)
    with h5py.File(path, "r+") as file:
        if where == "frames":
            row = file["frames"][70]
            row["potential_ev"] += 1e-9
            file["frames"][70] = row
        else:
            index = (70, 2, 1) if where == "displacements" else (2, 1)
            file[where][index] += np.float32(1e-3)
    # the last byte: without it the file is damaged, and the checksums are compared
    path.write_bytes(path.read_bytes()[:-1])
    assert len(load_stored(path).table) == (0 if where == "first_positions" else 70)


def test_no_frames(make_run: MakeRun, tmp_path: Path) -> None:
    Writer.create(tmp_path / "x.h5", make_run(1)[0]).close()
    with pytest.raises(InputError, match="no whole frame in it"):
        read_stored(tmp_path / "x.h5")


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_another_hdf5_file(tmp_path: Path, libver: str) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w", libver=libver) as file:
        file["positions"] = np.zeros((3, 2, 3))
    with pytest.raises(InputError, match="not a trajectory that lzc-flows wrote"):
        read_stored(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"nothing can be recovered|not a trajectory that lzc-flows wrote"):
        read_stored(path)


def test_positions_of_some(stored_run: Callable[..., Trajectory]) -> None:
    trajectory = stored_run(300)
    stored = load_stored(Path(trajectory.name))
    atoms = np.array([4, 1])
    np.testing.assert_array_equal(stored.read(100, 250, atoms), trajectory.positions[100:250, atoms])
    assert stored.read(10, 10, atoms).shape == (0, 2, 3)
