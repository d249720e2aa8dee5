from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lzc_flows.errors import InputError
from lzc_flows.trajectory.model import Trajectory
from lzc_flows.trajectory.reader import read_trajectory

XYZ = '1\nLattice="5 0 0 0 5 0 0 0 5"\nLi 0 0 0\n'


def test_own_file_by_its_content(stored_run: Callable[..., Trajectory], tmp_path: Path) -> None:
    written = stored_run(20)
    odd = Path(written.name).rename(tmp_path / "run.xyz")
    read = read_trajectory(odd)
    np.testing.assert_array_equal(read.times_ps, written.times_ps)
    with pytest.raises(InputError, match="holds its own times, leave the time step out"):
        read_trajectory(odd, 2.0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"data_LZC\n_cell_length_a 5\n", "of unknown format, must be a trajectory of lzc-flows, extended XYZ or"),
        (bytes(range(256)) * 100, "of unknown format"),
        (b"\x89HDF\r\n\x1a\n", "cut off before its first frame"),
        (b"\x89HDF\r\n\x1a\n" + b"\x03" * 5000, "cut off before its first frame"),
        (b"0\n\n", "frame 1 begins with '0', must be a number of atoms"),
    ],
)
def test_what_is_no_trajectory(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_trajectory(path, None if content.startswith(b"\x89") else 2.0)
    assert str(caught.value).startswith(str(path))


def test_time_step(tmp_path: Path) -> None:
    path = tmp_path / "x.xyz"
    path.write_text(XYZ)
    assert len(read_trajectory(path, 2.0)) == 1
    with pytest.raises(InputError, match="does not hold the time between its frames"):
        read_trajectory(path)
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"time step: .* fs, must be above 0"):
            read_trajectory(path, wrong)


def test_no_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.h5"):
        with pytest.raises(InputError, match="no such file"):
            read_trajectory(path)
