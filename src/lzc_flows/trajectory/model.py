"""What molecular dynamics leaves: the header of a run, its frames, and the whole as analysis reads it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lzc_flows.errors import InputError

TIME_TOLERANCE_PS = 1e-6
"""Times closer than this are the same: far below a time step (1 fs), far above the rounding of sums of them."""
CELL_TOLERANCE_ANGSTROM = 1e-6
"""Cells whose components differ by no more are the same; text formats carry 6 to 8 decimals."""


@dataclass(frozen=True)
class Header:
    """What is the same in all frames of a run.

    Attributes
    ----------
    species
        Element symbol of each atom.
    time_step_fs
        Time step of the dynamics as the run began, fs.
    steps_per_frame
        Steps from one stored frame to the next.
    engine, protocol, seed, fingerprint
        Provenance: the engine's stamp, the protocol as JSON, the seed of the random numbers, and what identifies the
        starting structure. Kept as given.
    masses_amu
        Mass of each atom, if they are not those of the elements.
    labels
        Label of each atom's site, if the structure has them.
    """

    species: tuple[str, ...]
    time_step_fs: float
    steps_per_frame: int
    engine: str
    protocol: str
    seed: int
    fingerprint: str
    masses_amu: tuple[float, ...] | None = None
    labels: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not self.species:
            raise InputError("species: a trajectory needs at least one atom")
        if not (np.isfinite(self.time_step_fs) and self.time_step_fs > 0):
            raise InputError(f"time step: {self.time_step_fs} fs, must be above 0")
        if self.steps_per_frame < 1:
            raise InputError(f"steps per frame: {self.steps_per_frame}, must be at least 1")
        for name, values in (("masses", self.masses_amu), ("labels", self.labels)):
            if values is not None and len(values) != len(self.species):
                raise InputError(f"{name}: {len(values)} of them, must be one for each of {len(self.species)} atoms")


@dataclass(frozen=True)
class Frame:
    """One instant of a run.

    Attributes
    ----------
    step
        Number of the step; grows from frame to frame.
    time_ps
        Time since the start of the run, ps.
    positions
        Unwrapped Cartesian positions, Å; (atoms, 3).
    cell
        Lattice vectors as rows, Å; (3, 3).
    temperature_k, potential_ev, kinetic_ev, conserved_ev
        Kinetic temperature (K), energies of the cell and the quantity that the ensemble conserves (eV).
    """

    step: int
    time_ps: float
    positions: NDArray[np.float64]
    cell: NDArray[np.float64]
    temperature_k: float
    potential_ev: float
    kinetic_ev: float
    conserved_ev: float


@dataclass(frozen=True)
class Observables:
    """What a run notes beside positions, (frames,) each: step, temperature in K, energies of the cell in eV."""

    steps: NDArray[np.int64]
    temperatures_k: NDArray[np.float64]
    potential_ev: NDArray[np.float64]
    kinetic_ev: NDArray[np.float64]
    conserved_ev: NDArray[np.float64]

    def cut(self, frames: slice) -> Observables:
        """Return those of some frames."""
        return Observables(**{name: values[frames] for name, values in vars(self).items()})


class PositionSource(Protocol):
    """Where the positions are: in memory or in a file."""

    def read(self, first: int, last: int, atoms: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return unwrapped Cartesian positions in Å of frames first ≤ i < last; (last - first, len(atoms), 3)."""


@dataclass(frozen=True)
class InMemory:
    """Unwrapped Cartesian positions in Å, (frames, atoms, 3)."""

    positions: NDArray[np.float64]

    def read(self, first: int, last: int, atoms: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return a copy of some positions; see `PositionSource`."""
        return self.positions[first:last, atoms]


@dataclass(frozen=True)
class Trajectory:
    """Frames of the same atoms. Positions are loaded when asked for, and only those of the atoms and frames kept.

    Attributes
    ----------
    name
        What error messages call it: its file.
    species
        Element symbol of each atom kept.
    times_ps
        Time of each frame, ps; (frames,).
    cells
        Lattice vectors as rows, Å; (frames, 3, 3).
    source, first, atoms
        Where the positions are, the number there of the first frame kept, and the numbers there of the atoms kept.
    header, observables
        What the run noted; None for files that others wrote.
    """

    name: str
    species: tuple[str, ...]
    times_ps: NDArray[np.float64]
    cells: NDArray[np.float64]
    source: PositionSource
    atoms: NDArray[np.intp]
    first: int = 0
    header: Header | None = None
    observables: Observables | None = None

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.times_ps)

    @property
    def positions(self) -> NDArray[np.float64]:
        """Unwrapped Cartesian positions of all that is kept, Å; (frames, atoms, 3). Read anew at each call."""
        return self.source.read(self.first, self.first + len(self), self.atoms)

    def blocks(self, frames: int = 1024) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """Yield the positions of at most `frames` frames at a time, with the slice of frames that they are.

        Each is (frames of the block, atoms, 3) in Å. Memory does not grow with the length of the trajectory.
        """
        for start in range(0, len(self), frames):
            stop = min(start + frames, len(self))
            yield slice(start, stop), self.source.read(self.first + start, self.first + stop, self.atoms)

    def select(self, *species: str) -> Trajectory:
        """Return the trajectory of the atoms of some elements, in the order of the file.

        Raises
        ------
        InputError
            There are none of an element.
        """
        missing = [symbol for symbol in species if symbol not in self.species]
        if missing:
            raise InputError(f"{self.name}: no {missing[0]}; it has {', '.join(sorted(set(self.species)))}")
        kept = np.array([symbol in species for symbol in self.species])
        return replace(
            self, species=tuple(symbol for symbol in self.species if symbol in species), atoms=self.atoms[kept]
        )

    def between(self, start_ps: float, end_ps: float = np.inf) -> Trajectory:
        """Return the frames from `start_ps` to `end_ps`, both included: the production part after a ramp, for one.

        Raises
        ------
        InputError
            There are none.
        """
        inside = (self.times_ps >= start_ps - TIME_TOLERANCE_PS) & (self.times_ps <= end_ps + TIME_TOLERANCE_PS)
        kept = np.flatnonzero(inside)
        if not kept.size:
            raise InputError(
                f"{self.name}: no frame between {start_ps:g} and {end_ps:g} ps; it runs from {self.times_ps[0]:g} to "
                f"{self.times_ps[-1]:g} ps"
            )
        frames = slice(int(kept[0]), int(kept[-1]) + 1)
        return replace(
            self,
            times_ps=self.times_ps[frames],
            cells=self.cells[frames],
            first=self.first + frames.start,
            observables=None if self.observables is None else self.observables.cut(frames),
        )

    @property
    def frame_interval_ps(self) -> float:
        """Time from one frame to the next, ps.

        Raises
        ------
        InputError
            There are fewer than two frames, or the interval is not the same throughout.
        """
        if len(self) < 2:
            raise InputError(f"{self.name}: {len(self)} frame, must have at least 2 for a time between frames")
        intervals = np.diff(self.times_ps)
        mean = float(self.times_ps[-1] - self.times_ps[0]) / len(intervals)
        # the first interval, not the mean, is what the message must name as the one that others differ from
        uneven = np.flatnonzero(np.abs(intervals - intervals[0]) > TIME_TOLERANCE_PS)
        if uneven.size:
            raise InputError(
                f"{self.name}: time between frames changes from {intervals[0] * 1e3:g} to "
                f"{intervals[uneven[0]] * 1e3:g} fs at {self.times_ps[uneven[0]]:g} ps, must be uniform"
            )
        return mean

    @property
    def constant_cell(self) -> NDArray[np.float64]:
        """Lattice vectors as rows where all frames have the same, Å; (3, 3).

        Raises
        ------
        InputError
            The cell changes.
        """
        change = np.abs(self.cells - self.cells[0]).max(axis=(1, 2))
        changed = np.flatnonzero(change > CELL_TOLERANCE_ANGSTROM)
        if changed.size:
            raise InputError(
                f"{self.name}: the cell of frame {changed[0] + 1} differs from that of frame 1 by "
                f"{change[changed[0]]:.2g} Å, must be the same in all frames"
            )
        return self.cells[0]
