from __future__ import annotations

import ctypes
import itertools
import multiprocessing
import os
import random
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzc_flows.errors import InputError, InputWarning
from lzc_flows.trajectory.layout import frames_per_chunk
from lzc_flows.trajectory.model import Frame, Header, Trajectory
from lzc_flows.trajectory.stored import load_stored, read_stored
from lzc_flows.trajectory.writer import Writer

MakeRun = Callable[..., tuple[Header, list[Frame]]]


def write(path: Path, header: Header, frames: list[Frame]) -> None:
    with Writer.create(path, header) as writer:
        for frame in frames:
            writer.append(frame)


def assert_same(trajectory: Trajectory, frames: list[Frame]) -> None:
    """All to the bit but for the positions, which are right to 2⁻²⁴ of the displacement."""
    assert len(trajectory) == len(frames)
    observed = trajectory.observables
    assert observed is not None
    np.testing.assert_array_equal(trajectory.times_ps, [frame.time_ps for frame in frames])
    np.testing.assert_array_equal(trajectory.cells, [frame.cell for frame in frames])
    np.testing.assert_array_equal(observed.steps, [frame.step for frame in frames])
    np.testing.assert_array_equal(observed.temperatures_k, [frame.temperature_k for frame in frames])
    np.testing.assert_array_equal(observed.potential_ev, [frame.potential_ev for frame in frames])
    np.testing.assert_array_equal(observed.kinetic_ev, [frame.kinetic_ev for frame in frames])
    np.testing.assert_array_equal(observed.conserved_ev, [frame.conserved_ev for frame in frames])
    positions = np.array([frame.positions for frame in frames])
    displacements = np.abs(positions - positions[0])
    # beside the float32 of the displacement, the float64 of the sum and float32's smallest number
    allowed = displacements * 2.0**-24 + np.abs(positions) * 2.0**-51 + 2.0**-149
    assert (np.abs(trajectory.positions - positions) <= allowed).all()


numbers = st.floats(-1e4, 1e4)


@st.composite
def runs(draw: st.DrawFn) -> tuple[Header, list[Frame]]:
    n_atoms = draw(st.integers(1, 5))
    header = Header(
        species=tuple(draw(st.lists(st.sampled_from(["Li", "Zr", "Cl", "F"]), min_size=n_atoms, max_size=n_atoms))),
        time_step_fs=draw(st.floats(0.1, 5)),
        steps_per_frame=draw(st.integers(1, 100)),
        engine=draw(st.text(st.characters(exclude_categories=["C"]), max_size=10)),
        protocol=draw(st.sampled_from(["{}", '{"segments": [1]}'])),
        seed=draw(st.integers(0, 2**32 - 1)),
        fingerprint="f",
        masses_amu=draw(st.none() | st.just(tuple(6.941 for _ in range(n_atoms)))),
        labels=draw(st.none() | st.just(tuple(f"Å{number}" for number in range(n_atoms)))),
    )
    steps = np.cumsum(draw(st.lists(st.integers(1, 1000), min_size=1, max_size=150)))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    scale = draw(st.sampled_from([1e-3, 1.0, 100.0]))
    return header, [
        Frame(int(step), float(step) * 1e-3, rng.normal(size=(n_atoms, 3)) * scale, rng.normal(size=(3, 3)), *rest)
        for step, rest in zip(steps, rng.normal(size=(len(steps), 4)).tolist(), strict=True)
    ]


@settings(max_examples=25, deadline=None)
@given(run=runs(), data=st.data())
def test_round_trip_in_pieces(
    run: tuple[Header, list[Frame]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Written in one go or in several, with flushes between, closed or not: the same comes back."""
    header, frames = run
    path = tmp_path_factory.mktemp("run") / "x.h5"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(frames)), max_size=4)))
    Writer.create(path, header).close()
    for start, stop in zip([0, *cuts], [*cuts, len(frames)], strict=True):
        with Writer.open(path, header) as writer:
            assert writer.n_frames == start
            for frame in frames[start:stop]:
                writer.append(frame)
                if data.draw(st.integers(0, 9)) == 0:
                    writer.flush()
    trajectory = read_stored(path)
    assert trajectory.header == header
    assert_same(trajectory, frames)


def test_displacements_of_100_angstrom_are_right_to_4e_6(make_run: MakeRun, tmp_path: Path) -> None:
    header, frames = make_run(2)
    far = replace(frames[1], positions=frames[0].positions + np.random.default_rng(0).uniform(64, 128, (6, 3)))
    write(tmp_path / "x.h5", header, [frames[0], far])
    error = np.abs(read_stored(tmp_path / "x.h5").positions[1] - far.positions).max()
    assert 1e-7 < error < 4e-6


def test_a_long_run_is_stored_a_chunk_at_a_time() -> None:
    assert [frames_per_chunk(n_atoms) for n_atoms in (1, 81, 216, 5000, 10**6)] == [64, 64, 64, 17, 1]


@pytest.mark.parametrize("kept", [0, 1, 63, 64, 65, 128, 149, 150])
def test_truncate_and_go_on(make_run: MakeRun, tmp_path: Path, kept: int) -> None:
    """The frames after a checkpoint are dropped and written again: to the bit what one run writes."""
    header, frames = make_run(150)
    write(tmp_path / "whole.h5", header, frames)
    write(tmp_path / "cut.h5", header, [replace(frame, temperature_k=0.0) for frame in frames[:1]])
    with Writer.open(tmp_path / "cut.h5", header) as writer:
        writer.truncate_after(-1)
        assert (writer.n_frames, writer.last_step) == (0, None)
        for frame in frames:
            writer.append(frame)
        writer.truncate_after(50 * kept - 1)
        assert (writer.n_frames, writer.last_step) == (kept, 50 * (kept - 1) if kept else None)
        for frame in frames[kept:]:
            writer.append(frame)
    one, two = read_stored(tmp_path / "whole.h5"), read_stored(tmp_path / "cut.h5")
    np.testing.assert_array_equal(one.positions, two.positions)
    assert_same(two, frames)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["cut.h5", "whole.h5"]


def test_refusals(make_run: MakeRun, tmp_path: Path) -> None:
    header, frames = make_run(2)
    path = tmp_path / "x.h5"
    with pytest.raises(InputError, match="no such file"):
        Writer.open(path, header)
    write(path, header, frames)
    with pytest.raises(InputError, match="exists already"):
        Writer.create(path, header)
    with pytest.raises(InputError, match="of another run, its seed is 1, must be 2 to continue"):
        Writer.open(path, replace(header, seed=2))
    with pytest.raises(InputError, match="its species is"):
        Writer.open(path, replace(header, species=("Li",)))
    with Writer.open(path, header) as writer:
        with pytest.raises(InputError, match="step 50, must be above the last one, 50"):
            writer.append(frames[1])
        with pytest.raises(InputError, match=r"positions of shape \(5, 3\), must be \(6, 3\)"):
            writer.append(replace(frames[1], step=51, positions=frames[1].positions[:5]))
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.flush()
    assert_same(read_stored(path), frames)


READS = "from pathlib import Path; from lzc_flows.trajectory.stored import read_stored; "


def test_a_growing_file_can_be_read(make_run: MakeRun, tmp_path: Path) -> None:
    header, frames = make_run(150)
    path = tmp_path / "x.h5"
    with Writer.create(path, header) as writer:
        for number, frame in enumerate(frames):
            writer.append(frame)
            if number in (70, 100):
                writer.flush()
                assert_same(read_stored(path), frames[: number + 1])
                code = f"print(len(read_stored(Path({str(path)!r}))))"
                other = subprocess.run([sys.executable, "-c", READS + code], capture_output=True, text=True, check=True)
                assert int(other.stdout) == number + 1
                assert f"still growing or killed; {number + 1} of {number + 1} frames" in other.stderr
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(read_stored(path), frames)


def write_until_killed(path: Path, flushed: ctypes.c_long) -> None:
    """Write, flush and truncate as fast as can be; tell how many frames a kill may not take."""
    header = Header(("Li",) * 5, 2.0, 1, "nep", "{}", 1, "abc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        writer = Writer.open(path, header) if path.exists() else Writer.create(path, header)
    for round_number in itertools.count(1):
        step = writer.n_frames
        positions = np.random.default_rng(step).normal(size=(5, 3))
        writer.append(Frame(step, step * 2e-3, positions, np.eye(3), 300.0, -1.0, 1.0, 0.0))
        if round_number % 37 == 0:
            writer.flush()
            flushed.value = writer.n_frames
        if round_number % 250 == 0:
            flushed.value = min(flushed.value, step - 19)
            writer.truncate_after(step - 20)


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """30 kills of a process that does nothing but write, flush and truncate; none takes what was flushed."""
    path, moments = tmp_path / "x.h5", random.Random(1)
    fork = multiprocessing.get_context("fork")
    flushed = multiprocessing.RawValue(ctypes.c_long, 0)
    whole = 0
    for number in range(30):
        process = fork.Process(target=write_until_killed, args=(path, flushed))
        process.start()
        # some kills fall upon the start, which makes the file or repairs it
        time.sleep(moments.uniform(0, 0.02 if number % 5 == 0 else 0.3))
        process.kill()
        process.join()
        if not path.exists():
            continue
        stored = load_stored(path)
        whole = len(stored.table)
        assert whole >= flushed.value
        np.testing.assert_array_equal(stored.table["step"], np.arange(whole))
        positions = stored.read(0, whole, np.arange(5))
        for step in (0, whole // 2, whole - 1) if whole else ():
            expected = np.random.default_rng(step).normal(size=(5, 3))
            np.testing.assert_allclose(positions[step], expected, rtol=0, atol=1e-6)
    assert whole > 1000


def test_memory_and_file_grow_as_they_should(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    process = psutil.Process(os.getpid())
    positions, cell = np.zeros((20, 3)), np.eye(3)
    memory, sizes = [], []
    with Writer.create(path, Header(("Li",) * 20, 2.0, 1, "nep", "{}", 1, "abc")) as writer:
        for step in range(24_000):
            writer.append(Frame(step, step * 2e-3, positions, cell, 300.0, -1.0, 1.0, 0.0))
            if step % 4000 == 3999:
                writer.flush()
                memory.append(process.memory_info().rss)
                sizes.append(path.stat().st_size)
    # 240 B of displacements and 124 B of the table for each frame, and the index of the chunks
    assert np.diff(sizes) == pytest.approx(4000 * (240 + 124), rel=0.02)
    # the frames are 7 MB, the first 4000 fill HDF5's own buffers
    assert memory[-1] - memory[0] < 1.5e6
