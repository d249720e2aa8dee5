"""What a trajectory costs: time to append a frame and to read it, bytes in the file, and what compression would save.

Run ``python bench/trajectory_io.py`` (half a minute). Random-walk trajectories of 81 and 216 atoms, the cells of the
molecular dynamics benches; a step of these takes about 7 and 20 ms with NEP89. A flush is what stands before each
checkpoint and waits for the disk. Compression is tried on the stored displacements themselves.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np

from lzc_flows.trajectory.export import write_extxyz, write_xdatcar
from lzc_flows.trajectory.model import Frame, Header
from lzc_flows.trajectory.reader import read_trajectory
from lzc_flows.trajectory.writer import Writer

ATOMS = (81, 216)
FOREIGN_FRAMES = 1000


def frames_of(n_atoms: int, n_frames: int) -> list[Frame]:
    """Atoms that vibrate by 0.1 Å, of which three in ten walk (0.05 Å a frame)."""
    rng = np.random.default_rng(1)
    walk = np.zeros((n_frames, n_atoms, 3))
    walk[:, : int(0.3 * n_atoms)] = rng.normal(0, 0.05, (n_frames, int(0.3 * n_atoms), 3)).cumsum(axis=0)
    positions = rng.uniform(0, 12, (n_atoms, 3)) + walk + rng.normal(0, 0.1, walk.shape)
    cell = np.eye(3) * 12
    return [Frame(5 * i, 0.01 * i, positions[i], cell, 900.0, -300.0, 9.0, -291.0) for i in range(n_frames)]


def bench(n_atoms: int, n_frames: int, folder: Path) -> None:
    header = Header(("Li",) * n_atoms, 2.0, 5, "nep89", "{}", 1, "bench")
    frames, path = frames_of(n_atoms, n_frames), folder / f"{n_atoms}.h5"
    costs = np.empty(n_frames)
    with Writer.create(path, header) as writer:
        for number, frame in enumerate(frames):
            start = time.perf_counter()
            writer.append(frame)
            costs[number] = time.perf_counter() - start
        flushes = []
        for extra in range(20):
            writer.append(Frame(5 * (n_frames + extra), 0.0, *list(vars(frames[0]).values())[2:]))
            start = time.perf_counter()
            writer.flush()
            flushes.append(time.perf_counter() - start)
        writer.truncate_after(5 * (n_frames - 1))
    size = path.stat().st_size
    print(f"{n_atoms} atoms, {n_frames} frames")
    print(
        f"  append            {costs.mean() * 1e6:8.1f} us a frame (median {np.median(costs) * 1e6:.1f}, "
        f"longest {costs.max() * 1e3:.2f} ms)"
    )
    print(f"  flush             {np.median(flushes) * 1e3:8.2f} ms (longest {max(flushes) * 1e3:.2f})")
    print(f"  file              {size / n_frames:8.0f} B a frame ({n_atoms * 12} of them displacements)")
    for label, damaged in (("read", False), ("read, cut off", True)):
        if damaged:
            os.truncate(path, size - 1)
        start = time.perf_counter()
        positions = read_trajectory(path).positions
        seconds = time.perf_counter() - start
        rate = positions.nbytes / seconds / 1e6
        print(f"  {label:17s} {seconds / len(positions) * 1e6:8.1f} us a frame ({rate:.0f} MB/s)")
    compress(path)


def compress(path: Path) -> None:
    """Print what deflate makes of the displacements, 64 frames at a time, with and without shuffled bytes."""
    with h5py.File(path.with_name("copy.h5"), "w") as file:
        displacements = np.asarray(read_trajectory(path).positions, dtype="<f4")
        displacements -= displacements[0]
        for name, options in (("gzip 1", {}), ("gzip 1, shuffled", {"shuffle": True})):
            start = time.perf_counter()
            dataset = file.create_dataset(
                name,
                data=displacements,
                chunks=(64, *displacements.shape[1:]),
                compression="gzip",
                compression_opts=1,
                **options,
            )
            file.flush()
            seconds = time.perf_counter() - start
            print(
                f"  {name:17s} {dataset.id.get_storage_size() / displacements.nbytes:8.1%} of the size, "
                f"{seconds / len(displacements) * 1e6:.0f} us a frame"
            )


def foreign(n_atoms: int, folder: Path) -> None:
    header = Header(("Li",) * n_atoms, 2.0, 5, "nep89", "{}", 1, "bench")
    path = folder / "foreign.h5"
    with Writer.create(path, header) as writer:
        for frame in frames_of(n_atoms, FOREIGN_FRAMES):
            writer.append(frame)
    trajectory = read_trajectory(path)
    for name, write in (("extxyz", write_extxyz), ("XDATCAR", write_xdatcar)):
        start = time.perf_counter()
        write(trajectory, folder / name)
        written = time.perf_counter()
        read_trajectory(folder / name, 10.0)
        done = time.perf_counter()
        print(
            f"  {name:17s} written in {(written - start) / FOREIGN_FRAMES * 1e3:.2f}, read in "
            f"{(done - written) / FOREIGN_FRAMES * 1e3:.2f} ms a frame"
        )
    path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10_000)
    arguments = parser.parse_args()
    for n_atoms in ATOMS:
        with TemporaryDirectory() as folder:
            bench(n_atoms, arguments.frames, Path(folder))
            foreign(n_atoms, Path(folder))


if __name__ == "__main__":
    main()
