"""Exact percolation thresholds of a periodic energy field, in one pass.

Nodes are added in the order of their energy and joined with their neighbours by a union-find whose links
carry integer lattice translations. An edge inside a component closes a loop; where the loop's net translation
is not zero it is a winding vector of the component. The component percolates in as many dimensions as its
winding vectors have integer rank. This is exact: no bisection, and channels that close only after several
cells are seen. Adding nodes in order is the idea of Newman & Ziff, Phys. Rev. E 64, 016706 (2001); the
displacement vectors are those of Machta et al., Phys. Rev. E 54, 1332 (1996), here extended from wrapping to
dimension.

Neighbours are the 26 nodes around a node (faces, edges, corners of a grid cell), which is bvlain's choice, so
that barriers compare. Face neighbours alone would cut the short diagonal of hexagonal cells, equal in length
to their edges, and so treat in-plane directions that symmetry relates differently.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba
import numpy as np

from lzc_flows.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Threshold:
    """Where a field first percolates in a number of dimensions.

    Attributes
    ----------
    level_ev
        Energy of the threshold in eV; +inf where the field never percolates. Nodes at or below it percolate.
    barrier_ev
        The level above the percolating component's own minimum, eV (+inf likewise). Where several components
        percolate at the same level, the deepest counts.
    barrier_from_cell_minimum_ev
        The level above the minimum of the whole field, eV (+inf likewise); what bvlain reports.
    windings
        Linearly independent winding vectors of that component at the level, in lattice vectors: at least as
        many as the dimensions, or none where the field never percolates. They span the directions in which it
        percolates, but need not generate every winding vector by integer combination.
    """

    level_ev: float
    barrier_ev: float
    barrier_from_cell_minimum_ev: float
    windings: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Percolation:
    """Percolation thresholds of a field in one, two and three dimensions; levels never fall with dimension.

    Attributes
    ----------
    minimum_ev
        Minimum of the field, eV.
    thresholds
        For one, two and three dimensions, in this order.
    """

    minimum_ev: float
    thresholds: tuple[Threshold, Threshold, Threshold]

    def in_dimensions(self, dimensions: int) -> Threshold:
        """Return the threshold for 1, 2 or 3 dimensions."""
        if dimensions not in (1, 2, 3):
            raise InputError(f"percolation in {dimensions} dimensions: expected 1, 2 or 3")
        return self.thresholds[dimensions - 1]


def percolation_thresholds(energies_ev: ArrayLike) -> Percolation:
    """Return the percolation thresholds of a periodic field.

    Parameters
    ----------
    energies_ev
        Shape (nx, ny, nz), eV, on periodic nodes without repeated end planes, as in
        `lzc_flows.transport.bvse.EnergyField`. Nodes at +inf are never entered. A single node along an axis
        is its own neighbour in the next cell.

    Raises
    ------
    InputError
        If the array is not three-dimensional, is empty, holds NaN or −inf, or no finite energy.
    """
    energies = np.ascontiguousarray(energies_ev, dtype=np.float64)
    if energies.ndim != 3 or energies.size == 0:
        raise InputError(f"energy field of shape {energies.shape}: expected three non-empty axes")
    flat = energies.ravel()
    if np.isnan(flat).any() or np.isneginf(flat).any():
        raise InputError("energy field: expected energies that are finite or +inf, found NaN or -inf")
    order = np.argsort(flat, kind="stable")[: np.count_nonzero(np.isfinite(flat))]
    if order.size == 0:
        raise InputError("energy field: expected at least one finite energy")
    minimum = float(flat[order[0]])
    levels, component_minima, ranks, windings = _sweep(flat, order, np.array(energies.shape))
    first, second, third = (
        Threshold(
            float(levels[d]),
            float(levels[d] - component_minima[d]),
            float(levels[d] - minimum),
            tuple((int(w[0]), int(w[1]), int(w[2])) for w in windings[d, : ranks[d]]),
        )
        for d in range(3)
    )
    return Percolation(minimum, (first, second, third))


@numba.njit(cache=True)
def _find(parent: NDArray[np.int64], offset: NDArray[np.int32], node: int) -> int:
    """Return the root of a node; afterwards offset[node] is the node's cell relative to the root's."""
    root = node
    x, y, z = 0, 0, 0
    while parent[root] != root:
        x += offset[root, 0]
        y += offset[root, 1]
        z += offset[root, 2]
        root = parent[root]
    while parent[node] != root and node != root:
        above = parent[node]
        ox, oy, oz = offset[node, 0], offset[node, 1], offset[node, 2]
        parent[node] = root
        offset[node, 0], offset[node, 1], offset[node, 2] = x, y, z
        x -= ox
        y -= oy
        z -= oz
        node = above
    return root


@numba.njit(cache=True)
def _add_winding(basis: NDArray[np.int32], rank: int, x: int, y: int, z: int) -> int:
    """Add a vector to the rows of basis (3, 3) if independent of the first `rank`; return the new rank."""
    if rank == 0:
        independent = x != 0 or y != 0 or z != 0
    elif rank == 3:
        independent = False
    else:
        a = basis[0].astype(np.int64)
        if rank == 1:
            independent = a[1] * z != a[2] * y or a[2] * x != a[0] * z or a[0] * y != a[1] * x
        else:
            b = basis[1].astype(np.int64)
            determinant = (
                x * (a[1] * b[2] - a[2] * b[1]) + y * (a[2] * b[0] - a[0] * b[2]) + z * (a[0] * b[1] - a[1] * b[0])
            )
            independent = determinant != 0
    if independent:
        basis[rank, 0], basis[rank, 1], basis[rank, 2] = x, y, z
        rank += 1
    return rank


@numba.njit(cache=True)
def _join(
    parent: NDArray[np.int64],
    offset: NDArray[np.int32],
    size: NDArray[np.int64],
    lowest: NDArray[np.float64],
    basis: NDArray[np.int32],
    rank: NDArray[np.int8],
    node: int,
    other: int,
    shift: tuple[int, int, int],
) -> bool:
    """Join a node with its neighbour `other`, `shift` cells away; return whether the rank grew by it."""
    root, other_root = _find(parent, offset, node), _find(parent, offset, other)
    # the cell of the other root, as reached through this edge, relative to this node's root
    x = int(offset[node, 0]) + shift[0] - int(offset[other, 0])
    y = int(offset[node, 1]) + shift[1] - int(offset[other, 1])
    z = int(offset[node, 2]) + shift[2] - int(offset[other, 2])
    before = max(rank[root], rank[other_root])
    if root == other_root:
        if x == 0 and y == 0 and z == 0:
            return False
        rank[root] = _add_winding(basis[root], rank[root], x, y, z)
        return rank[root] > before
    if size[root] < size[other_root]:
        root, other_root = other_root, root
        x, y, z = -x, -y, -z
    parent[other_root] = root
    offset[other_root, 0], offset[other_root, 1], offset[other_root, 2] = x, y, z
    size[root] += size[other_root]
    lowest[root] = min(lowest[root], lowest[other_root])
    # translations commute: winding vectors are the same seen from either root
    for w in range(rank[other_root]):
        v = basis[other_root, w]
        rank[root] = _add_winding(basis[root], rank[root], int(v[0]), int(v[1]), int(v[2]))
    return rank[root] > before


@numba.njit(cache=True)
def _sweep(
    energies: NDArray[np.float64], order: NDArray[np.int64], shape: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Add the nodes in order; return levels, component minima, ranks (3,) and windings (3, 3, 3)."""
    nx, ny, nz = shape
    total = energies.size
    parent = np.full(total, -1, dtype=np.int64)  # −1: not yet added
    offset = np.zeros((total, 3), dtype=np.int32)
    size = np.ones(total, dtype=np.int64)
    lowest = energies.copy()
    basis = np.zeros((total, 3, 3), dtype=np.int32)
    rank = np.zeros(total, dtype=np.int8)

    levels = np.full(3, math.inf)
    minima = np.zeros(3)
    found_rank = np.zeros(3, dtype=np.int64)
    found = np.zeros((3, 3, 3), dtype=np.int64)
    reached = 0  # dimensions whose thresholds are known
    grown = np.empty(order.size, dtype=np.int64)  # nodes of this level whose component's rank grew
    n_grown = 0

    for step in range(order.size):
        node = order[step]
        parent[node] = node
        i, j, k = node // (ny * nz), node // nz % ny, node % nz
        node_grew = False
        for dx in range(-1, 2):
            sx = (i + dx) // nx  # floor division: the cell the neighbour lies in
            for dy in range(-1, 2):
                sy = (j + dy) // ny
                for dz in range(-1, 2):
                    sz = (k + dz) // nz
                    other = ((i + dx - sx * nx) * ny + j + dy - sy * ny) * nz + k + dz - sz * nz
                    if parent[other] >= 0 and _join(
                        parent, offset, size, lowest, basis, rank, node, other, (sx, sy, sz)
                    ):
                        node_grew = True
        if node_grew:
            grown[n_grown] = node
            n_grown += 1

        # nodes of equal energy count as one level, so that their order does not matter
        level_done = step + 1 == order.size or energies[order[step + 1]] > energies[node]
        if not level_done or n_grown == 0:
            continue
        for d in range(reached, 3):
            for g in range(n_grown):
                root = _find(parent, offset, grown[g])
                if rank[root] > d and (math.isinf(levels[d]) or lowest[root] < minima[d]):
                    levels[d] = energies[node]
                    minima[d] = lowest[root]
                    found_rank[d] = rank[root]
                    found[d] = basis[root]
        while reached < 3 and not math.isinf(levels[reached]):
            reached += 1
        n_grown = 0
        if reached == 3:
            break
    return levels, minima, found_rank, found
