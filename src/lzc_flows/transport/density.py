r"""Probability density of a mobile species on a periodic grid.

Each position, seen from the framework, is shared among the eight nodes around it (trilinear weights, "cloud in
cell": Hockney & Eastwood, Computer Simulation Using Particles, ch. 5). That keeps the number of ions and their centre
exactly and has no width to choose; it blurs by a variance of h²/6 along an axis with nodes h apart, (0.08 Å)² at 0.2 Å,
where ions vibrate by some 0.3 Å. A Gaussian would blur more, and its width would decide how high the highest density
is, on which iso-surfaces are counted.

**How much it is worth.** Successive frames are not independent. The two halves of the trajectory tell how many
independent samples n would differ as much: n₁ and n₂ samples of probabilities p give

    E Σ (p₁ − p₂)² = (κ − Σ p²) (1/n₁ + 1/n₂) ,

κ being the mean sum of a sample's squared weights. Ions that stay on other sites in one half than in the other count
as few samples, as they should.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba
import numpy as np

from lzc_flows.transport.bvse import grid_shape
from lzc_flows.transport.density_symmetry import ideal_framework, origin_of, symmetric_shape, symmetrised
from lzc_flows.transport.frames import frames_in_framework
from lzc_flows.transport.grid_symmetry import grid_operations
from lzc_flows.transport.volumetric import Volume

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from lzc_flows.transport.motion import Motion

RESOLUTION_ANGSTROM = 0.2


@dataclass(frozen=True, eq=False)
class Density:
    """Where the ions of a species are, on the nodes of a periodic grid.

    Attributes
    ----------
    per_angstrom3
        Ions per Å³, shape (nx, ny, nz); times the volume of a voxel they add up to `ions`. Node (i, j, k) lies at the
        fractional position (i/nx, j/ny, k/nz); the end planes are not repeated.
    halves
        The same from the first and the second half of the frames alone.
    lattice_angstrom
        Shape (3, 3), Å, rows are the lattice vectors.
    species
        Chemical symbol of the ions.
    ions, frames
        Numbers of ions in the cell and of frames.
    effective_samples
        Independent positions that would be worth as much as the `ions` × `frames` correlated ones, before any
        symmetry; see the module.
    operations
        Symmetry operations that the density was averaged over, the identity included: 1 without symmetry.
    """

    per_angstrom3: NDArray[np.float64]
    halves: tuple[NDArray[np.float64], NDArray[np.float64]]
    lattice_angstrom: NDArray[np.float64]
    species: str
    ions: int
    frames: int
    effective_samples: float
    operations: int = 1

    @property
    def highest(self) -> float:
        """Pmax: the density of the highest node, ions per Å³. Being the highest of noisy ones it is a little high."""
        return float(self.per_angstrom3.max())

    @property
    def voxel_angstrom3(self) -> float:
        """Volume of a voxel, Å³."""
        return float(abs(np.linalg.det(self.lattice_angstrom))) / self.per_angstrom3.size

    def samples_per_node(self, fraction: float) -> float:
        """Return how many effective samples, on average, a node at a fraction of Pmax is from.

        Its relative error is about one over the root. Symmetry multiplies the samples by as many operations as it has
        (by fewer on special positions).
        """
        share = fraction * self.highest * self.voxel_angstrom3 / self.ions
        return share * self.effective_samples * self.operations

    def volume(self, fraction: float) -> Volume:
        """Return the density as `lzc_flows.transport.volumetric.write_volume_cube` takes it, ions per Å³.

        The first line of the file names the value of the iso-surface at a fraction of Pmax.
        """
        return Volume(
            self.per_angstrom3,
            self.lattice_angstrom,
            f"probability density of {self.species}, ions per cubic angstrom; "
            f"{fraction:g} of the maximum is {fraction * self.highest:.6E}",
        )


def probability_density(motion: Motion, species: str, resolution_angstrom: float = RESOLUTION_ANGSTROM) -> Density:
    """Return the probability density of the ions of a species in a trajectory.

    Parameters
    ----------
    motion
        The trajectory, without its heat-up. Its framework (all other atoms) rests with its centre where it is in the
        first frame. Where the cell breathes, positions are taken in the mean cell.
    species
        The mobile species, a chemical symbol.
    resolution_angstrom
        Largest distance of neighbouring nodes along each lattice vector, Å.

    Returns
    -------
    Density
        Made in one pass over the frames, in memory that does not grow with their number.

    Raises
    ------
    InputError
        If the species is missing or alone, a position is not finite, or the resolution is not positive.
    """
    shape = grid_shape(np.asarray(motion.cell, dtype=np.float64), resolution_angstrom)
    return _accumulated(motion, species, shape, np.zeros(3))


def symmetrised_density(
    motion: Motion, species: str, ideal: Structure, resolution_angstrom: float = RESOLUTION_ANGSTROM
) -> Density:
    """Return the probability density, averaged over the space group of an ideal structure.

    Numbers of nodes are rounded up to multiples of 12, so that the usual symmetry operations map nodes onto nodes;
    those that do not are left out. The average is exact: nodes that symmetry makes equal are equal to the last bit.

    Parameters
    ----------
    motion, species, resolution_angstrom
        As in `probability_density`.
    ideal
        The crystal without vibrations in the cell of the trajectory, with as many framework atoms, such as the host's
        supercell. Sites that the mobile element is on do not count; species on the others need not be those of the
        trajectory. The density is in its coordinates.

    Raises
    ------
    InputError
        As `probability_density`, or if the ideal structure is not that of the trajectory.
    """
    framework = ideal_framework(ideal, species)
    shape = symmetric_shape(framework, resolution_angstrom)
    plain = _accumulated(motion, species, shape, origin_of(motion, species, framework))
    operations = grid_operations(framework, shape)
    first, second = (symmetrised(half, operations) for half in plain.halves)
    return Density(
        symmetrised(plain.per_angstrom3, operations),
        (first, second),
        plain.lattice_angstrom,
        species,
        plain.ions,
        plain.frames,
        plain.effective_samples,
        len(operations.matrices) + 1,
    )


def _accumulated(motion: Motion, species: str, shape: tuple[int, int, int], origin: NDArray[np.float64]) -> Density:
    """Return the density of a trajectory whose fractional coordinates are counted from an origin."""
    ions = motion.indices(species)
    cell = np.asarray(motion.cell, dtype=np.float64)
    to_nodes = np.linalg.inv(cell) * shape
    middle = motion.frames // 2
    sums = np.zeros((2, *shape))
    squares = 0.0
    for first, piece in frames_in_framework(motion, species):
        nodes = (piece[:, ions].reshape(-1, 3) @ to_nodes) - origin * shape
        # the piece may hold the end of one half and the start of the other
        cut = min(max(middle - first, 0), len(piece)) * len(ions)
        squares += _deposit(sums[0], nodes[:cut]) + _deposit(sums[1], nodes[cut:])
    counts = np.array([middle, motion.frames - middle]) * len(ions)
    effective = _effective_samples(sums, counts, squares / float(counts.sum()))
    per_angstrom3 = len(ions) * sums[0].size / motion.volume
    return Density(
        sums.sum(axis=0) * (per_angstrom3 / counts.sum()),
        (sums[0] * (per_angstrom3 / counts[0]), sums[1] * (per_angstrom3 / counts[1])),
        cell,
        species,
        len(ions),
        motion.frames,
        effective,
    )


def _effective_samples(sums: NDArray[np.float64], counts: NDArray[np.int64], kappa: float) -> float:
    """Return the number of independent samples by which two halves would differ as they do; at most all."""
    total = int(counts.sum())
    probabilities = sums / counts[:, None, None, None]
    # of independent samples the halves would have shares in proportion to their lengths
    scatter = (kappa - float(((sums.sum(axis=0) / total) ** 2).sum())) * float((total / counts).sum())
    difference = float(((probabilities[0] - probabilities[1]) ** 2).sum())
    return min(float(total), float(scatter) / difference) if difference > 0 else float(total)


@numba.njit(cache=True, nogil=True)
def _deposit(grid: NDArray[np.float64], nodes: NDArray[np.float64]) -> float:
    """Share points (n, 3), in units of nodes, among the nodes around them; return the sum of the squared weights."""
    shape = grid.shape
    low = np.empty(3, dtype=np.int64)
    high = np.empty(3, dtype=np.int64)
    up = np.empty(3)
    squares = 0.0
    for p in range(len(nodes)):
        square = 1.0
        for axis in range(3):
            below = math.floor(nodes[p, axis])
            up[axis] = nodes[p, axis] - below
            low[axis] = int(below) % shape[axis]
            high[axis] = (low[axis] + 1) % shape[axis]
            if shape[axis] > 1:
                square *= up[axis] ** 2 + (1 - up[axis]) ** 2
        squares += square
        for i, wx in ((low[0], 1 - up[0]), (high[0], up[0])):
            for j, wy in ((low[1], 1 - up[1]), (high[1], up[1])):
                for k, wz in ((low[2], 1 - up[2]), (high[2], up[2])):
                    grid[i, j, k] += wx * wy * wz
    return squares
