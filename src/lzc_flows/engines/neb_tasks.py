"""What the neb worker is asked for and what it answers: tasks, each in a folder of its own.

A task's folder holds ``task.npz`` (what is asked), ``search.npz`` (how far a band has got) and, once it is done,
``outcome.json`` and ``result.npz``. Its name ends with a checksum of all that the result follows from, so that what
lies in a folder of that name is always of the same task.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lzc_flows.band.path import distances_angstrom
from lzc_flows.band.stored import read_arrays, write_arrays
from lzc_flows.documents.base import EngineStamp
from lzc_flows.documents.protocols import NebProtocol
from lzc_flows.engines.base import Ions
from lzc_flows.files import write_atomically

TASK_FILE = "task.npz"
OUTCOME_FILE = "outcome.json"
RESULT_FILE = "result.npz"

Status = Literal["converged", "unconverged", "exploded", "many minima", "crashed", "refused"]
"""How a task ended; refused: in the same way whenever it is tried."""

Kind = Literal["end", "path"]


@dataclass(frozen=True, eq=False)
class Task:
    """An end to relax, or a path to find between two relaxed ends.

    Attributes
    ----------
    kind
        ``end`` or ``path``.
    ions
        The atoms.
    cell
        Rows are the lattice vectors, (3, 3), Å.
    positions
        Of the end, (1, atoms, 3), or of both ends, (2, atoms, 3), Å.
    energies_ev
        Of the relaxed ends, shape (2,); empty for an end.
    """

    kind: Kind
    ions: Ions
    cell: NDArray[np.float64]
    positions: NDArray[np.float64]
    energies_ev: NDArray[np.float64]

    @property
    def species(self) -> tuple[str, ...]:
        """Symbol of each atom."""
        return self.ions.species

    def checksum(self, engine: EngineStamp, protocol: NebProtocol) -> str:
        """Return ten characters that differ for another result."""
        words = [self.kind, *self.ions.words(engine.name), engine.name, engine.version, protocol.model_dump_json()]
        digest = hashlib.sha256(" ".join(words).encode())
        for array in (self.cell, self.positions, self.energies_ev):
            digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        return digest.hexdigest()[:10]

    def write(self, folder: Path) -> None:
        """Write the task, whole or not at all."""
        write_arrays(
            folder / TASK_FILE,
            {"kind": self.kind, **vars(self.ions)},
            {"cell": self.cell, "positions": self.positions, "energies_ev": self.energies_ev},
        )

    @classmethod
    def read(cls, folder: Path) -> Task:
        """Read the task of a folder."""
        header, arrays = read_arrays(folder / TASK_FILE)
        return cls(kind=header.pop("kind"), ions=Ions.of_stored(header), **arrays)


def end_task(ions: Ions, cell: NDArray[np.float64], positions: NDArray[np.float64]) -> Task:
    """Return the task of relaxing atoms at positions (atoms, 3), Å, in a fixed cell."""
    return Task("end", ions, cell, positions[None], np.empty(0))


def path_task(ions: Ions, cell: NDArray[np.float64], ends: Sequence[EndResult]) -> Task:
    """Return the task of finding the path between two relaxed ends, their atoms in one order and unwrapped."""
    positions, energies = np.array([end.positions for end in ends]), np.array([end.energy_ev for end in ends])
    return Task("path", ions, cell, positions, energies)


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    Attributes
    ----------
    status
        ``converged``, or what went wrong.
    reason
        Of a failure: why, in one line.
    attempt
        Which one this was, from 0.
    evaluations
        Force evaluations of all attempts.
    wall_s
        Time of all attempts that ended in order, s.
    """

    status: Status
    reason: str | None
    attempt: int
    evaluations: int
    wall_s: float

    def write(self, folder: Path) -> None:
        """Write the outcome, whole or not at all."""
        write_atomically(folder / OUTCOME_FILE, json.dumps(vars(self)).encode())

    @classmethod
    def read(cls, folder: Path) -> Outcome | None:
        """Read the outcome; None if there is none."""
        path = folder / OUTCOME_FILE
        return cls(**json.loads(path.read_text())) if path.is_file() else None


@dataclass(frozen=True, eq=False)
class EndResult:
    """A relaxed end: positions (atoms, 3) in Å, its energy in eV, its largest force in eV/Å."""

    positions: NDArray[np.float64]
    energy_ev: float
    fmax: float

    def write(self, folder: Path) -> None:
        """Write the result, whole or not at all."""
        write_arrays(
            folder / RESULT_FILE, {"energy_ev": self.energy_ev, "fmax": self.fmax}, {"positions": self.positions}
        )

    @classmethod
    def read(cls, folder: Path) -> EndResult:
        """Read the result of a converged end."""
        header, arrays = read_arrays(folder / RESULT_FILE)
        return cls(arrays["positions"], **header)


@dataclass(frozen=True)
class LegResult:
    """An elementary step of a path: its images among all, forces in eV/Å, steps of its band."""

    first_image: int
    last_image: int
    saddle_image: int | None
    fmax_climbing: float
    fmax_band: float
    steps: int


@dataclass(frozen=True, eq=False)
class PathResult:
    """A converged path.

    Attributes
    ----------
    positions
        Of all images, the ends and the minima between legs once each, (images, atoms, 3), Å.
    energies_ev, distances_angstrom, slopes_ev_per_angstrom
        Of all images, shape (images,): energies of the cell, ways along the path, slopes of the energy along it.
    legs
        The elementary steps.
    """

    positions: NDArray[np.float64]
    energies_ev: NDArray[np.float64]
    distances_angstrom: NDArray[np.float64]
    slopes_ev_per_angstrom: NDArray[np.float64]
    legs: tuple[LegResult, ...]

    def write(self, folder: Path) -> None:
        """Write the result, whole or not at all."""
        arrays = {name: value for name, value in vars(self).items() if name != "legs"}
        write_arrays(folder / RESULT_FILE, {"legs": [vars(leg) for leg in self.legs]}, arrays)

    @classmethod
    def read(cls, folder: Path) -> PathResult:
        """Read the result of a converged path."""
        header, arrays = read_arrays(folder / RESULT_FILE)
        return cls(legs=tuple(LegResult(**leg) for leg in header["legs"]), **arrays)


def chained(paths: Sequence[PathResult]) -> PathResult:
    """Return the path that converged paths make together, each from where the one before ends."""
    legs, first = [], 0
    for path in paths:
        for leg in path.legs:
            saddle = None if leg.saddle_image is None else first + leg.saddle_image
            ends = {"first_image": first + leg.first_image, "last_image": first + leg.last_image}
            legs.append(replace(leg, **ends, saddle_image=saddle))
        first += len(path.positions) - 1
    # what two of them share counts once
    kept = [slice(0 if number == 0 else 1, None) for number in range(len(paths))]
    positions = np.concatenate([path.positions[part] for path, part in zip(paths, kept, strict=True)])
    return PathResult(
        positions=positions,
        energies_ev=np.concatenate([path.energies_ev[part] for path, part in zip(paths, kept, strict=True)]),
        distances_angstrom=distances_angstrom(positions),
        slopes_ev_per_angstrom=np.concatenate(
            [path.slopes_ev_per_angstrom[part] for path, part in zip(paths, kept, strict=True)]
        ),
        legs=tuple(legs),
    )
