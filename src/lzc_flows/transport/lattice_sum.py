"""Sums of radial functions over all periodic images of sites, on the nodes of a grid.

Nodes are taken in blocks, and blocks in groups. The images that can reach a group are picked from all of them, those
that can reach a block from the group's: cell lists, in two steps, with no image missed. Python threads share the
groups out, over a kernel without the GIL; not numba's prange: on GNU OpenMP, its usual layer, the children forked
after a first prange are killed at their own.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numba
import numpy as np

from lzc_flows.transport.framework import Framework
from lzc_flows.transport.radial import MIN_SQUARED, RadialTables, first_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK_ANGSTROM = 0.8  # edge of the blocks that share one list of images
_MAX_BLOCK_NODES = 8  # along an edge: the buffers of a block stay in the first-level cache
_GROUP = 4  # blocks along an edge of a group
_MARGIN_ANGSTROM = 1e-6  # of the lists, against rounding


@dataclass(frozen=True, eq=False)
class Images:
    """All images of the sites that can be within a cutoff of a point of the home cell.

    Attributes
    ----------
    positions_angstrom
        Shape (m, 3), Å.
    kinds
        Shape (m,), index of each image's kind.
    """

    positions_angstrom: NDArray[np.float64]
    kinds: NDArray[np.int64]


def images_within(framework: Framework, cutoff_angstrom: float) -> Images:
    """Return the images of a framework's sites that can be within a cutoff in Å of the home cell."""
    lattice = framework.lattice_angstrom
    # a plane-to-plane distance of the cell is one over the length of the reciprocal vector
    margin = (cutoff_angstrom + _MARGIN_ANGSTROM) * np.linalg.norm(np.linalg.inv(lattice), axis=0)
    reach = np.ceil(margin).astype(int)
    axes = [np.arange(-r, r + 1) for r in reach]
    translations = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    images = (translations + (framework.fractional - np.floor(framework.fractional))).reshape(-1, 3)
    near = np.all((images >= -margin) & (images <= 1 + margin), axis=1)
    return Images(images[near] @ lattice, np.tile(framework.kinds, len(translations))[near])


class _Sum(NamedTuple):
    """What the kernel needs besides the grid."""

    lattice: NDArray[np.float64]
    block: NDArray[np.int64]  # nodes along the edges of a block
    positions: NDArray[np.float64]
    kinds: NDArray[np.int64]
    coefficients: NDArray[np.float64]
    shift: int
    first: int  # interval 0 as the integer of its bits
    cutoff_squared: float
    largest: float  # energies above are clipped


def sum_over_images(
    representative: NDArray[np.uint8],
    framework: Framework,
    images: Images,
    tables: RadialTables,
    largest_ev: float,
) -> NDArray[np.float64]:
    """Return the sums in eV on the marked nodes of a grid; the other nodes stay undefined.

    Parameters
    ----------
    representative
        Shape (nx, ny, nz), one where a sum is wanted. Node (i, j, k) lies at (i/nx, j/ny, k/nz).
    framework
        Where the images come from.
    images
        The images within the tables' cutoff of the home cell.
    tables
        The radial function of each kind.
    largest_ev
        Sums are clipped here, eV.
    """
    shape = np.array(representative.shape)
    steps = np.linalg.norm(framework.lattice_angstrom, axis=1) / shape
    block = np.clip(np.rint(_BLOCK_ANGSTROM / steps), 1, _MAX_BLOCK_NODES).astype(np.int64)
    task = _Sum(
        framework.lattice_angstrom,
        block,
        images.positions_angstrom,
        images.kinds,
        tables.coefficients,
        tables.shift,
        first_interval(tables.shift),
        tables.cutoff_squared,
        largest_ev,
    )
    energies = np.empty(representative.shape)
    threads: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    groups = int(np.prod(-(-shape // (block * _GROUP))))
    # several ranges a thread, as groups differ in cost
    bounds = np.unique(np.linspace(0, groups, 8 * threads + 1).astype(int))
    with ThreadPoolExecutor(threads) as pool:
        done = [
            pool.submit(_fill_groups, energies, representative, (int(a), int(b)), task) for a, b in pairwise(bounds)
        ]
        for future in done:
            future.result()
    return energies


@numba.njit(cache=True, nogil=True)
def _in_reach(
    candidates: NDArray[np.int64],
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    shape: NDArray[np.int64],
    task: _Sum,
) -> NDArray[np.int64]:
    """Return those of the candidate images that can be within the cutoff of a node of [start, stop)."""
    centre = (0.5 * (start + stop - 1) / shape) @ task.lattice
    half = 0.5 * (stop - 1 - start) / shape
    radius = 0.0
    for sy in (-1.0, 1.0):
        for sz in (-1.0, 1.0):
            corner = np.array([half[0], sy * half[1], sz * half[2]]) @ task.lattice
            radius = max(radius, np.sqrt(np.sum(corner**2)))
    reach = np.sqrt(task.cutoff_squared) + radius + _MARGIN_ANGSTROM
    near = np.empty(len(candidates), dtype=np.int64)
    count = 0
    for m in candidates:
        squared = 0.0
        for axis in range(3):
            squared += (task.positions[m, axis] - centre[axis]) ** 2
        if squared <= reach**2:
            near[count] = m
            count += 1
    return near[:count]


@numba.njit(cache=True, nogil=True)
def _fill_groups(
    energies: NDArray[np.float64], representative: NDArray[np.uint8], group_range: tuple[int, int], task: _Sum
) -> None:
    """Write the clipped energies of the marked nodes in a range of groups of blocks."""
    shape = np.array(energies.shape)
    edge = task.block * _GROUP
    groups = (shape + edge - 1) // edge
    everything = np.arange(len(task.positions))
    room = task.block.prod()
    nodes = np.empty((room, 3), dtype=np.int64)
    x, y, z, squared, total = np.empty(room), np.empty(room), np.empty(room), np.empty(room), np.empty(room)
    for group in range(group_range[0], group_range[1]):
        start = edge * np.array([group // (groups[1] * groups[2]), group // groups[2] % groups[1], group % groups[2]])
        stop = np.minimum(start + edge, shape)
        near = _in_reach(everything, start, stop, shape, task)
        for i in range(start[0], stop[0], task.block[0]):
            for j in range(start[1], stop[1], task.block[1]):
                for k in range(start[2], stop[2], task.block[2]):
                    corner = np.array([i, j, k])
                    end = np.minimum(corner + task.block, shape)
                    count = _marked_nodes(nodes, representative, corner, end)
                    if count == 0:
                        continue
                    positions = (nodes[:count] / shape) @ task.lattice
                    x[:count], y[:count], z[:count] = positions[:, 0], positions[:, 1], positions[:, 2]
                    _add_images(x, y, z, squared, total, count, _in_reach(near, corner, end, shape, task), task)
                    for n in range(count):
                        energies[nodes[n, 0], nodes[n, 1], nodes[n, 2]] = min(total[n], task.largest)


@numba.njit(cache=True, nogil=True)
def _marked_nodes(
    nodes: NDArray[np.int64], representative: NDArray[np.uint8], start: NDArray[np.int64], stop: NDArray[np.int64]
) -> int:
    """Write the marked nodes of [start, stop) and return their number."""
    count = 0
    for i in range(start[0], stop[0]):
        for j in range(start[1], stop[1]):
            for k in range(start[2], stop[2]):
                if representative[i, j, k]:
                    nodes[count, 0], nodes[count, 1], nodes[count, 2] = i, j, k
                    count += 1
    return count


@numba.njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")
def _add_images(x, y, z, squared, total, count, near, task):
    """Write to total the sums over the near images at the first nodes of x, y, z; squared is scratch.

    Separate arrays, as LLVM does not vectorise loops over the rows of one array or the arrays of a tuple.
    """
    shift, first, cutoff_squared = task.shift, task.first, task.cutoff_squared
    mask = ~((1 << shift) - 1)
    total[:count] = 0.0
    for m in near:
        px, py, pz = task.positions[m, 0], task.positions[m, 1], task.positions[m, 2]
        table = task.coefficients[task.kinds[m]]
        # two loops: the first runs in vector registers
        for n in range(count):
            dx, dy, dz = x[n] - px, y[n] - py, z[n] - pz
            squared[n] = max(dx * dx + dy * dy + dz * dz, MIN_SQUARED)
        for n in range(count):
            s = squared[n]
            if s <= cutoff_squared:
                bits = np.float64(s).view(np.int64)
                t = s - np.int64(bits & mask).view(np.float64)
                i = np.uint64((bits >> shift) - first)  # unsigned: no check for negative indices
                total[n] += table[i, 0] + t * (table[i, 1] + t * (table[i, 2] + t * table[i, 3]))
