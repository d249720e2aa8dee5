from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lzc_flows.trajectory.model import Frame, Header, Trajectory
from lzc_flows.trajectory.stored import read_stored
from lzc_flows.trajectory.writer import Writer

SPECIES = ("Li", "Li", "Li", "Zr", "Cl", "Cl")
CELL = np.array([[9.0, 0.0, 0.0], [-3.0, 8.0, 0.0], [0.5, 1.0, 7.0]])
MakeRun = Callable[..., tuple[Header, list[Frame]]]


@pytest.fixture
def make_run() -> MakeRun:
    """A random walk that leaves the cell: header and frames 0.1 ps apart."""

    def make(n_frames: int, species: tuple[str, ...] = SPECIES, swell: float = 0.0) -> tuple[Header, list[Frame]]:
        rng = np.random.default_rng(1)
        header = Header(species, 2.0, 50, "nep89", '{"segments": []}', 1, "0" * 16)
        fractional = rng.random((1, len(species), 3)) + np.cumsum(
            rng.uniform(-0.4, 0.4, (n_frames, len(species), 3)), axis=0
        )
        frames = []
        for number in range(n_frames):
            cell = CELL * (1 + swell * number)
            energies = rng.normal(size=3)
            frames.append(Frame(50 * number, 0.1 * number, fractional[number] @ cell, cell, 300.0 + number, *energies))
        return header, frames

    return make


@pytest.fixture
def stored_run(make_run: MakeRun, tmp_path: Path) -> Callable[..., Trajectory]:
    """The same as a trajectory in a file."""

    def make(n_frames: int, **options: object) -> Trajectory:
        header, frames = make_run(n_frames, **options)
        path = tmp_path / "run.h5"
        path.unlink(missing_ok=True)
        with Writer.create(path, header) as writer:
            for frame in frames:
                writer.append(frame)
        return read_stored(path)

    return make
