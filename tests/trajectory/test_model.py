from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lzc_flows.errors import InputError
from lzc_flows.trajectory.model import Header, InMemory, Trajectory


def from_times(times_ps: list[float]) -> Trajectory:
    n_frames = len(times_ps)
    positions = np.arange(n_frames * 6.0).reshape(n_frames, 2, 3)
    cells = np.tile(np.eye(3) * 5, (n_frames, 1, 1))
    return Trajectory("x", ("Li", "Cl"), np.array(times_ps), cells, InMemory(positions), np.arange(2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"species": ()}, "species: a trajectory needs at least one atom"),
        ({"time_step_fs": 0.0}, r"time step: 0\.0 fs, must be above 0"),
        ({"time_step_fs": float("nan")}, "time step: nan fs"),
        ({"steps_per_frame": 0}, "steps per frame: 0, must be at least 1"),
        ({"masses_amu": (6.9,)}, "masses: 1 of them, must be one for each of 2 atoms"),
        ({"labels": ("a", "b", "c")}, "labels: 3 of them"),
    ],
)
def test_bad_header(change: dict, message: str) -> None:
    header = Header(("Li", "Cl"), 2.0, 5, "nep", "{}", 1, "abc")
    with pytest.raises(InputError, match=message):
        replace(header, **change)


def test_views_are_slices_of_the_whole(stored_run: Callable[..., Trajectory]) -> None:
    whole = stored_run(200)
    positions = whole.positions
    part = whole.between(2.0, 15.0).select("Cl", "Li")
    assert part.species == ("Li", "Li", "Li", "Cl", "Cl")
    assert (len(part), part.times_ps[0], part.times_ps[-1]) == (131, pytest.approx(2.0), pytest.approx(15.0))
    np.testing.assert_array_equal(part.positions, positions[20:151][:, [0, 1, 2, 4, 5]])
    assert part.observables is not None
    np.testing.assert_array_equal(part.observables.steps, 50 * np.arange(20, 151))
    again = part.select("Cl").between(10.0)
    np.testing.assert_array_equal(again.positions, positions[100:151, 4:])
    np.testing.assert_array_equal(again.cells, whole.cells[100:151])


@pytest.mark.parametrize("size", [1, 64, 100, 1000])
def test_blocks_make_the_whole(stored_run: Callable[..., Trajectory], size: int) -> None:
    part = stored_run(200).between(1.0).select("Li")
    blocks = list(part.blocks(size))
    assert max(len(block) for _, block in blocks) == min(size, 190)
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), part.positions)
    assert [frames.start for frames, _ in blocks] == list(range(0, 190, size))


def test_selection_does_not_load_the_rest() -> None:
    class Counting(InMemory):
        asked = 0

        def read(self, first: int, last: int, atoms: np.ndarray) -> np.ndarray:
            Counting.asked += (last - first) * len(atoms)
            return super().read(first, last, atoms)

    trajectory = replace(from_times([0, 1, 2, 3]), source=Counting(np.zeros((4, 2, 3))))
    part = trajectory.between(1, 2).select("Li")
    assert Counting.asked == 0
    assert part.positions.shape == (2, 1, 3)
    assert Counting.asked == 2


def test_refusals() -> None:
    trajectory = from_times([0.0, 1.0, 2.0])
    with pytest.raises(InputError, match=r"^x: no Na; it has Cl, Li$"):
        trajectory.select("Na")
    with pytest.raises(InputError, match=r"^x: no frame between 3 and inf ps; it runs from 0 to 2 ps$"):
        trajectory.between(3.0)
    with pytest.raises(InputError, match="at least 2"):
        _ = trajectory.between(2.0).frame_interval_ps


def test_frame_interval() -> None:
    assert from_times((0.002 * np.arange(130_000)).tolist()).frame_interval_ps == pytest.approx(0.002, rel=1e-9)
    uneven = from_times([0.0, 0.01, 0.02, 0.025, 0.03])
    with pytest.raises(InputError, match=r"changes from 10 to 5 fs at 0\.02 ps, must be uniform"):
        _ = uneven.frame_interval_ps
    assert uneven.between(0.02).frame_interval_ps == pytest.approx(0.005)


def test_constant_cell(stored_run: Callable[..., Trajectory]) -> None:
    np.testing.assert_array_equal(stored_run(3).constant_cell, [[9, 0, 0], [-3, 8, 0], [0.5, 1, 7]])
    with pytest.raises(InputError, match=r"the cell of frame 2 differs from that of frame 1 by 0\.009 Å"):
        _ = stored_run(3, swell=1e-3).constant_cell
