"""Trajectories for other programs: extended XYZ and XDATCAR, written in a stream."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io.extxyz import write_xyz
from numpy.typing import NDArray

from lzc_flows.files import written_whole
from lzc_flows.trajectory.model import CELL_TOLERANCE_ANGSTROM, Trajectory


def write_extxyz(trajectory: Trajectory, path: Path) -> None:
    """Write extended XYZ: unwrapped positions to 1e-8 Å, the cell, ``time_ps``, and what the run noted.

    An existing file is replaced when the new one is whole.
    """
    observed = trajectory.observables
    with written_whole(path) as partial, partial.open("w") as stream:
        for frames, block in trajectory.blocks():
            for number, positions in zip(range(frames.start, frames.stop), block, strict=True):
                info: dict[str, float | int] = {"time_ps": float(trajectory.times_ps[number])}
                if observed is not None:
                    info["step"] = int(observed.steps[number])
                    info["temperature_k"] = float(observed.temperatures_k[number])
                    info["potential_ev"] = float(observed.potential_ev[number])
                    info["kinetic_ev"] = float(observed.kinetic_ev[number])
                    info["conserved_ev"] = float(observed.conserved_ev[number])
                cell = trajectory.cells[number]
                write_xyz(stream, [Atoms(trajectory.species, positions, cell=cell, pbc=True, info=info)])


def write_xdatcar(trajectory: Trajectory, path: Path) -> None:
    """Write an XDATCAR as VASP does: coordinates wrapped into the cell, to 1e-8 of it.

    The header stands once, or before each frame where the cell changes. An existing file is replaced when the new one
    is whole.
    """
    runs = [(symbol, len(list(same))) for symbol, same in groupby(trajectory.species)]
    title = "".join(f"{symbol}{count}" for symbol, count in runs)
    symbols = " ".join(symbol for symbol, _ in runs) + "\n" + " ".join(str(count) for _, count in runs) + "\n"
    changes = np.abs(trajectory.cells - trajectory.cells[0]).max() > CELL_TOLERANCE_ANGSTROM
    rows = "%12.8f%12.8f%12.8f\n" * len(trajectory.species)
    with written_whole(path) as partial, partial.open("w") as stream:
        for frames, block in trajectory.blocks():
            for number, positions in zip(range(frames.start, frames.stop), block, strict=True):
                cell = trajectory.cells[number]
                if changes or number == 0:
                    stream.write(f"{title}\n1.0\n{_vectors(cell)}{symbols}")
                fractional = positions @ np.linalg.inv(cell)
                # what the rounding of the text would make 1 is 0
                wrapped = np.round(fractional - np.floor(fractional), 8) % 1.0
                stream.write(f"Direct configuration={number + 1:6d}\n")
                stream.write(rows % tuple(wrapped.ravel()))


def _vectors(cell: NDArray[np.float64]) -> str:
    return "".join("{:18.10f}{:18.10f}{:18.10f}\n".format(*vector) for vector in cell)
