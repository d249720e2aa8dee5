from __future__ import annotations

import numpy as np
import pytest

from lzc_flows.errors import InputError
from lzc_flows.transport import frames as frames_module
from lzc_flows.transport.frames import frames_in_framework, framework_atoms
from lzc_flows.transport.motion import Motion, displacements

SPECIES = ("Li", "Cl", "Li", "Zr")
CELL = np.diag([4.0, 5.0, 6.0])
POSITIONS = np.random.default_rng(0).normal(size=(50, 4, 3)).cumsum(axis=0)


def test_pieces_are_the_displacements_from_the_first_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames_module, "_PIECE_BYTES", 7 * 4 * 3 * 8)
    motion = Motion(POSITIONS, 0.1, SPECIES, CELL)
    pieces = list(frames_in_framework(motion, "Li"))
    assert [first for first, _ in pieces] == list(range(0, 50, 7))
    moved = np.concatenate([piece for _, piece in pieces]) - POSITIONS[0]
    for rows, species in (([0, 2], "Li"), ([1], "Cl"), ([3], "Zr")):
        np.testing.assert_allclose(moved[:, rows], displacements(motion, species, "Li"), atol=1e-12)


def test_the_trajectory_stays_as_it_is() -> None:
    before = POSITIONS.copy()
    list(frames_in_framework(Motion(POSITIONS, 0.1, SPECIES, CELL), "Li"))
    assert (before == POSITIONS).all()


def test_bad_trajectories_are_refused() -> None:
    broken = POSITIONS.copy()
    broken[33, 2, 1] = np.nan
    with pytest.raises(InputError, match="positions of frame 33"):
        list(frames_in_framework(Motion(broken, 0.1, SPECIES, CELL), "Li"))
    with pytest.raises(InputError, match="species Na"):
        framework_atoms(Motion(POSITIONS, 0.1, SPECIES, CELL), "Na")
    with pytest.raises(InputError, match="no framework is left"):
        framework_atoms(Motion(POSITIONS, 0.1, ("Li",) * 4, CELL), "Li")
