from __future__ import annotations

import numpy as np
import pytest

from lzc_flows.errors import InputError
from lzc_flows.transport import motion as motion_module
from lzc_flows.transport.motion import Motion, displacements

SPECIES = ("Li", "Cl", "Li", "Zr")
CELL = np.diag([4.0, 5.0, 6.0])


@pytest.fixture
def positions():
    return np.random.default_rng(0).normal(size=(50, 4, 3)).cumsum(axis=0)


def test_displacements_are_those_from_the_framework(positions) -> None:
    moved = positions - positions[0]
    expected = moved[:, [0, 2]] - moved[:, [1, 3]].mean(axis=1, keepdims=True)
    assert displacements(Motion(positions, 0.1, SPECIES, CELL), "Li", "Li") == pytest.approx(expected, abs=1e-12)
    expected = moved[:, [3]] - moved[:, [1, 3]].mean(axis=1, keepdims=True)
    assert displacements(Motion(positions, 0.1, SPECIES, CELL), "Zr", "Li") == pytest.approx(expected, abs=1e-12)


def test_a_drift_of_all_atoms_changes_nothing(positions) -> None:
    drifted = positions + np.arange(50)[:, None, None] * np.array([1.0, -20.0, 3.0]) + 1e4
    mine = displacements(Motion(drifted, 0.1, SPECIES, CELL), "Li", "Li")
    assert mine == pytest.approx(displacements(Motion(positions, 0.1, SPECIES, CELL), "Li", "Li"), abs=1e-9)


class OnlySlices:
    """Frames that are read when they are sliced, as from a file; remembers how many at most."""

    def __init__(self, array) -> None:
        self.array, self.shape, self.most = array, array.shape, 0

    def __getitem__(self, frames: slice):
        self.most = max(self.most, frames.stop - frames.start)
        return self.array[frames]


def test_frames_are_read_in_pieces(positions, monkeypatch: pytest.MonkeyPatch) -> None:
    lazy = OnlySlices(positions.astype(np.float32))
    monkeypatch.setattr(motion_module, "_CHUNK_BYTES", 7 * 4 * 3 * 8)
    mine = displacements(Motion(lazy, 0.1, SPECIES, CELL), "Li", "Li")
    assert lazy.most == 7
    assert mine.dtype == np.float64
    assert mine == pytest.approx(displacements(Motion(positions, 0.1, SPECIES, CELL), "Li", "Li"), abs=1e-5)


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"time_step_ps": 0.0}, "time between frames of 0.0 ps"),
        ({"time_step_ps": float("nan")}, "time between frames of nan ps"),
        ({"positions": np.zeros((1, 4, 3))}, "trajectory of 1 frame"),
        ({"positions": np.zeros((9, 4))}, r"positions of shape \(9, 4\)"),
        ({"species": ("Li",)}, "species of 1 atoms"),
        ({"cell": np.zeros((3, 3))}, "span a volume"),
        ({"cell": np.ones(3)}, "span a volume"),
    ],
)
def test_bad_trajectories_are_refused(positions, changed, line) -> None:
    good = {"positions": positions, "time_step_ps": 0.1, "species": SPECIES, "cell": CELL}
    with pytest.raises(InputError, match=line):
        Motion(**(good | changed))


def test_bad_species_are_refused(positions) -> None:
    with pytest.raises(InputError, match="species Na: not in the trajectory, which holds Cl, Li, Zr"):
        displacements(Motion(positions, 0.1, SPECIES, CELL), "Na", "Na")
    with pytest.raises(InputError, match="no framework"):
        displacements(Motion(positions, 0.1, ("Li",) * 4, CELL), "Li", "Li")


@pytest.mark.parametrize("atom", range(4))
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_positions_that_are_not_finite_are_refused(positions, atom, number) -> None:
    positions[33, atom, 1] = number
    with pytest.raises(InputError, match="frame 33"):
        displacements(Motion(positions, 0.1, SPECIES, CELL), "Li", "Li")
