"""Any trajectory by its file: our own HDF5, extended XYZ, XDATCAR, told apart by what is in them."""

from __future__ import annotations

from pathlib import Path

from lzc_flows.errors import InputError
from lzc_flows.trajectory.foreign import read_extxyz, read_xdatcar
from lzc_flows.trajectory.model import Trajectory
from lzc_flows.trajectory.salvage import is_hdf5
from lzc_flows.trajectory.stored import read_stored


def read_trajectory(path: Path, time_step_fs: float | None = None) -> Trajectory:
    """Return the trajectory in a file.

    `time_step_fs` is the time from one frame of the file to the next (not the time step of the dynamics), for files
    that do not hold it.

    Warns
    -----
    InputWarning
        Frames at the end are not whole and left out.

    Raises
    ------
    InputError
        The file is not there, empty, of another kind, or its frames do not fit together; `time_step_fs` is missing,
        or given for a file that has its own times.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if is_hdf5(path):
        if time_step_fs is not None:
            raise InputError(f"{path}: holds its own times, leave the time step out")
        return read_stored(path)
    # eight lines are the header of an XDATCAR up to its first frame; of binary files no more than a piece
    with path.open(encoding="utf-8", errors="replace") as stream:
        lines = [stream.readline(1000) for _ in range(8)]
    if not any(line.strip() for line in lines):
        raise InputError(f"{path}: empty")
    if lines[7].strip().lower().startswith(("direct", "konfig")):
        return read_xdatcar(path, time_step_fs)
    if lines[0].strip().isdecimal():
        return read_extxyz(path, time_step_fs)
    raise InputError(f"{path}: of unknown format, must be a trajectory of lzc-flows, extended XYZ or XDATCAR")
