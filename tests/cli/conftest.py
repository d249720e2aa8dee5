from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lzc_flows.documents.aimd_protocol import AimdProtocol, Segment
from lzc_flows.trajectory.model import Frame, Header
from lzc_flows.trajectory.writer import Writer

FRAME_PS = 0.02


@dataclass(frozen=True)
class Walk:
    """Twelve lithium ions in Brownian motion among six chlorines that vibrate.

    Attributes
    ----------
    positions
        Unwrapped, Å; (frames, atoms, 3).
    cell
        Rows are the lattice vectors, Å.
    diffusivity
        The true one of the lithium, cm²/s.
    """

    positions: NDArray[np.float64]
    cell: NDArray[np.float64]
    diffusivity: float

    species = ("Li",) * 12 + ("Cl",) * 6


@pytest.fixture(scope="session")
def make_walk() -> Callable[..., Walk]:
    """A walk of so many frames, 0.02 ps apart, with a step along each axis of `step_A`, Å."""

    def make(frames: int = 3000, step_A: float = 0.3, seed: int = 1) -> Walk:
        rng = np.random.default_rng(seed)
        cell = np.array([[9.0, 0.0, 0.0], [-4.5, 7.8, 0.0], [0.0, 0.0, 12.0]])
        positions = np.tile(rng.random((18, 3)) @ cell, (frames, 1, 1))
        positions[1:, :12] += rng.normal(0, step_A, (frames - 1, 12, 3)).cumsum(axis=0)
        positions[:, 12:] += rng.normal(0, 0.1, (frames, 6, 3))
        # 1 Å²/ps = 1e-4 cm²/s
        return Walk(positions, cell, step_A**2 / (2 * FRAME_PS) * 1e-4)

    return make


@pytest.fixture(scope="session")
def write_run() -> Callable[..., Path]:
    """Our own file of a walk: 2 ps of heating, the rest at one temperature, as its protocol says."""

    def write(path: Path, walk: Walk, temperature_k: float = 900.0, kinetic_k: float | None = None) -> Path:
        length_ps = FRAME_PS * (len(walk.positions) - 1)
        heating = Segment(ensemble="nvt", temperature=(100.0, temperature_k), ps=2, time_step_fs=2)
        held = Segment(ensemble="nvt", temperature=temperature_k, ps=length_ps - 2, time_step_fs=2)
        protocol = AimdProtocol(segments=(heating, held))
        header = Header(walk.species, 2.0, 10, "nep 1", protocol.model_dump_json(), 1, "0" * 16)
        with Writer.create(path, header) as writer:
            for number, positions in enumerate(walk.positions):
                now = (10 * number, FRAME_PS * number, positions, walk.cell, kinetic_k or temperature_k)
                writer.append(Frame(*now, 0.0, 0.0, 0.0))
        return path

    return write


@pytest.fixture
def assert_refused(lzc: Callable[..., Any], tmp_path: Path) -> Callable[[list[str], str], None]:
    """A command is refused in one line that names something, with exit 2, and leaves the folder as it was."""

    def run(arguments: list[str], named: str) -> None:
        before, there = _contents(tmp_path), set(tmp_path.rglob("*"))
        with contextlib.chdir(tmp_path):
            result = lzc(*arguments)
        assert (result.code, result.out) == (2, "")
        assert len(result.err.splitlines()) == 1
        assert result.err.startswith("lzc: ")
        assert named in result.err
        assert _contents(tmp_path) == before
        assert set(tmp_path.rglob("*")) == there

    return run


def _contents(place: Path) -> dict[str, bytes]:
    """The files of a folder, by name."""
    return {str(path): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}
