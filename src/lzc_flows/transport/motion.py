"""Where the atoms of a simulation go: unwrapped positions, and displacements in the frame of the framework.

The framework is every atom that is not of the mobile species. What it drifts, the mean displacement of its atoms (each
counts once, whatever its mass, as in pymatgen), is taken off, so that a drift of the whole cell changes nothing. A
mean by mass would differ by the framework's vibration only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lzc_flows.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHUNK_BYTES = 32 * 2**20  # of positions read at a time, as float64


@dataclass(frozen=True, eq=False)
class Motion:
    """Positions of atoms at equal steps of time.

    Attributes
    ----------
    positions
        Unwrapped Cartesian positions, Å, shape (frames, atoms, 3): an array, or what is sliced like one by frames
        (such as a data set of HDF5) and is read in pieces.
    time_step_ps
        Time between frames, ps.
    species
        Chemical symbol of every atom.
    cell
        Rows are the lattice vectors, Å, shape (3, 3); their mean where the cell breathes.

    Raises
    ------
    InputError
        If there are fewer than two frames, the time step is not positive, the cell has no volume, or shapes disagree.
    """

    positions: Any
    time_step_ps: float
    species: tuple[str, ...]
    cell: NDArray[np.float64]

    def __post_init__(self) -> None:
        shape = tuple(self.positions.shape)
        if len(shape) != 3 or shape[2] != 3:
            raise InputError(f"positions of shape {shape}: (frames, atoms, 3) is allowed")
        if len(self.species) != shape[1]:
            raise InputError(f"species of {len(self.species)} atoms with positions of {shape[1]}: one each is allowed")
        if shape[0] < 2:
            raise InputError(f"trajectory of {shape[0]} frame(s): at least two are needed to see any motion")
        if not (np.isfinite(self.time_step_ps) and self.time_step_ps > 0):
            raise InputError(f"time between frames of {self.time_step_ps} ps: more than zero is allowed")
        if np.shape(self.cell) != (3, 3) or not self.volume > 0:
            raise InputError(
                f"cell {np.asarray(self.cell).tolist()}: three lattice vectors that span a volume are allowed"
            )

    @property
    def frames(self) -> int:
        """Number of frames."""
        return int(self.positions.shape[0])

    @property
    def length_ps(self) -> float:
        """Time from the first frame to the last, ps."""
        return (self.frames - 1) * self.time_step_ps

    @property
    def volume(self) -> float:
        """Volume of the cell, Å³."""
        return float(abs(np.linalg.det(np.asarray(self.cell, dtype=np.float64))))

    def indices(self, species: str) -> NDArray[np.int64]:
        """Return the indices of the atoms of a species; raise InputError if there are none."""
        found = np.flatnonzero(np.array(self.species) == species)
        if not len(found):
            present = ", ".join(sorted(set(self.species)))
            raise InputError(f"species {species}: not in the trajectory, which holds {present}")
        return found


def displacements(motion: Motion, species: str, mobile: str) -> NDArray[np.float64]:
    """Return the displacements of a species since the first frame, in the frame of the framework.

    Parameters
    ----------
    motion
        The trajectory.
    species
        Whose displacements.
    mobile
        The mobile species: all other atoms are the framework, whose mean displacement is taken off.

    Returns
    -------
    NDArray
        Å, float64 whatever the positions are, shape (frames, atoms of the species, 3). Beside it, memory holds 32 MiB
        of positions at a time.

    Raises
    ------
    InputError
        If either species is missing, no atom is left for the framework, or a position is not finite.
    """
    wanted, moving = motion.indices(species), motion.indices(mobile)
    framework = np.setdiff1d(np.arange(len(motion.species)), moving)
    if not len(framework):
        raise InputError(
            f"mobile species {mobile}: every atom is one, so that no framework is left to measure its motion by"
        )
    start = np.asarray(motion.positions[0:1], dtype=np.float64)
    # a product with weights is faster than picking the framework's atoms out
    weights = np.zeros(len(motion.species))
    weights[framework] = 1 / len(framework)
    moved = np.empty((motion.frames, len(wanted), 3))
    step = max(1, _CHUNK_BYTES // start.nbytes)
    for first in range(0, motion.frames, step):
        # the start is taken off in float64 before anything is summed: no digits are lost to where the atoms lie
        chunk = np.asarray(motion.positions[first : first + step], dtype=np.float64) - start
        with np.errstate(invalid="ignore"):
            drift = weights @ chunk
        # that of any atom is in the product, for 0 × nan is nan
        if not np.isfinite(drift).all():
            bad = first + int(np.flatnonzero(~np.isfinite(drift).all(axis=1))[0])
            raise InputError(f"positions of frame {bad}: a number that is not finite; only finite ones are allowed")
        np.subtract(chunk[:, wanted], drift[:, None], out=moved[first : first + step])
    return moved
