"""Basins of a periodic energy field: its local minima, and the lowest passes between them.

Every node descends to its steepest lower neighbour until it reaches a local minimum; the nodes of one minimum
are its basin. Where two basins touch, the pass is the pair of neighbouring nodes whose higher energy is lowest.
A path over nodes can be replaced by the descents of its nodes without ever rising above it, so the minima and
passes percolate at exactly the energies at which the nodes do: `lzc_flows.transport.percolation` needs no more
than this small graph. The decomposition is the discrete form of the Morse–Smale complex (Edelsbrunner, Harer &
Zomorodian, Discrete Comput. Geom. 30, 87 (2003)).

Neighbours are the 26 nodes around a node (faces, edges, corners of a grid cell), which is bvlain's choice, so
that barriers compare. Face neighbours alone would cut the short diagonal of hexagonal cells, equal in length
to their edges, and so treat in-plane directions that symmetry relates differently.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba
import numpy as np

from lzc_flows.errors import InputError
from lzc_flows.transport.sitegraph import SiteGraph

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_STEPS = np.array([step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)], dtype=np.int64)
"""The 26 neighbours; the last 13 are the first 13 seen backwards."""

_KEY = numba.types.UniTuple(numba.int64, 5)  # an edge: its two sites and its translation
_FORWARD = 13  # first of the steps with which every pair of neighbours is met once


@dataclass(frozen=True, eq=False)
class Basins:
    """A field cut into the basins of its local minima.

    Attributes
    ----------
    graph
        Minima as sites with their energies, passes between basins as edges.
    minima
        Shape (sites,), flat index of each minimum's node.
    passes
        Shape (edges, 2), flat indices of the two nodes of each pass: the first in the basin of the edge's
        first site, the second in that of the second.
    descent
        Shape (nx, ny, nz), the step (0 to 25) to the next node downhill; −1 at minima and in walls.
    """

    graph: SiteGraph
    minima: NDArray[np.int64]
    passes: NDArray[np.int64]
    descent: NDArray[np.int8]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Nodes along the three axes."""
        nx, ny, nz = self.descent.shape
        return nx, ny, nz

    def way_down(self, node: int) -> NDArray[np.int64]:
        """Return the nodes from `node` (flat index) down to its minimum.

        Shape (steps + 1, 3): integer coordinates that start in the home cell and run on into its neighbours.
        """
        position = np.array(np.unravel_index(node, self.shape))
        way = [position]
        while (step := self.descent[tuple(position % self.shape)]) >= 0:
            position = position + _STEPS[step]
            way.append(position)
        return np.array(way)


def basins(energies_ev: ArrayLike, lattice_angstrom: ArrayLike, ceiling_ev: float = np.inf) -> Basins:
    """Return the basins of a periodic field.

    Parameters
    ----------
    energies_ev
        Shape (nx, ny, nz), eV, on periodic nodes without repeated end planes, as in
        `lzc_flows.transport.bvse.EnergyField`. A single node along an axis is its own neighbour in the next
        cell.
    lattice_angstrom
        Shape (3, 3), Å, rows are the lattice vectors: slopes depend on it, percolation does not.
    ceiling_ev
        Nodes at this energy and above are walls, of no basin, eV.

    Raises
    ------
    InputError
        If the array is not three-dimensional, is empty, holds NaN or −inf, or no energy below the
        ceiling.
    """
    energies = np.ascontiguousarray(energies_ev, dtype=np.float64)
    if energies.ndim != 3 or energies.size == 0:
        raise InputError(f"energy field of shape {energies.shape}: expected three non-empty axes")
    lowest = energies.min()
    if np.isnan(lowest) or np.isneginf(lowest):
        raise InputError("energy field: expected energies that are finite or +inf, found NaN or -inf")
    if lowest >= ceiling_ev:
        raise InputError(f"energy field: expected at least one energy below {ceiling_ev} eV")
    lengths = np.linalg.norm(_STEPS / energies.shape @ np.asarray(lattice_angstrom, dtype=np.float64), axis=1)
    descent = _descent(energies, ceiling_ev, _STEPS, 1 / lengths)
    minima = np.flatnonzero((descent.ravel() < 0) & (energies.ravel() < ceiling_ev))
    label, offset = _labels(descent, minima, _STEPS)
    sites, translations, levels, passes = _passes(energies, label, offset, _STEPS[_FORWARD:])
    graph = SiteGraph(energies.ravel()[minima], sites, translations, levels)
    return Basins(graph, minima, passes, descent)


@numba.njit(cache=True, inline="always")
def _neighbour(node: tuple[int, int, int], step: NDArray[np.int64], shape: tuple[int, int, int]) -> tuple:
    """Return the flat index of a neighbour and the cell (three integers) that it lies in."""
    x, y, z = node[0] + step[0], node[1] + step[1], node[2] + step[2]
    # steps are −1, 0 or 1, so no division is needed to find the cell
    cx, cy, cz = (x >= shape[0]) - (x < 0), (y >= shape[1]) - (y < 0), (z >= shape[2]) - (z < 0)
    flat = ((x - cx * shape[0]) * shape[1] + y - cy * shape[1]) * shape[2] + z - cz * shape[2]
    return flat, cx, cy, cz


@numba.njit(cache=True, inline="always")
def _inside(node: tuple[int, int, int], shape: tuple[int, int, int]) -> bool:
    """Return whether all neighbours of a node lie in the home cell, `_strides` away."""
    i, j, k = node
    return 0 < i < shape[0] - 1 and 0 < j < shape[1] - 1 and 0 < k < shape[2] - 1


@numba.njit(cache=True)
def _strides(steps: NDArray[np.int64], shape: tuple[int, int, int]) -> NDArray[np.int64]:
    return (steps[:, 0] * shape[1] + steps[:, 1]) * shape[2] + steps[:, 2]


@numba.njit(cache=True, nogil=True)
def _descent(
    energies: NDArray[np.float64], ceiling: float, steps: NDArray[np.int64], inverse_lengths: NDArray[np.float64]
) -> NDArray[np.int8]:
    """Return the steepest step down from every node; where energies are equal, down is the lower flat index."""
    shape = energies.shape
    flat = energies.ravel()
    strides = _strides(steps, shape)
    descent = np.full(shape, -1, dtype=np.int8)
    for i in range(shape[0]):
        for j in range(shape[1]):
            for k in range(shape[2]):
                here = (i * shape[1] + j) * shape[2] + k
                energy = flat[here]
                if energy >= ceiling:
                    continue
                inside = _inside((i, j, k), shape)
                steepest = -1.0
                for s in range(len(steps)):
                    if inside:
                        there = here + strides[s]
                    else:
                        there, _, _, _ = _neighbour((i, j, k), steps[s], shape)
                    drop = energy - flat[there]
                    if drop > 0 or (drop == 0 and there < here):
                        slope = drop * inverse_lengths[s]
                        if slope > steepest:
                            steepest = slope
                            descent[i, j, k] = s
    return descent


@numba.njit(cache=True, nogil=True)
def _labels(
    descent: NDArray[np.int8], minima: NDArray[np.int64], steps: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
    """Return each node's basin (−1: none) and the cell of the minimum that it descends to."""
    shape = descent.shape
    down = descent.ravel()
    label = np.full(down.size, -1, dtype=np.int32)
    offset = np.zeros((down.size, 3), dtype=np.int16)
    for m in range(len(minima)):
        label[minima[m]] = m
    trail = np.empty(64, dtype=np.int64)
    for start in range(down.size):
        node, length = start, 0
        while label[node] < 0 and down[node] >= 0:
            if length == len(trail):
                trail = np.concatenate((trail, np.empty_like(trail)))
            trail[length] = node
            length += 1
            position = (node // (shape[1] * shape[2]), node // shape[2] % shape[1], node % shape[2])
            node, _, _, _ = _neighbour(position, steps[down[node]], shape)
        for t in range(length - 1, -1, -1):
            above = trail[t]
            position = (above // (shape[1] * shape[2]), above // shape[2] % shape[1], above % shape[2])
            below, cx, cy, cz = _neighbour(position, steps[down[above]], shape)
            label[above] = label[below]
            offset[above, 0] = offset[below, 0] + cx
            offset[above, 1] = offset[below, 1] + cy
            offset[above, 2] = offset[below, 2] + cz
    return label, offset


@numba.njit(cache=True, nogil=True)
def _passes(
    energies: NDArray[np.float64], label: NDArray[np.int32], offset: NDArray[np.int16], steps: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Return the lowest passes between basins: sites (m, 2), translations (m, 3), levels (m,), nodes (m, 2)."""
    shape = energies.shape
    flat = energies.ravel()
    strides = _strides(steps, shape)
    found = numba.typed.Dict.empty(_KEY, numba.int64)
    room = 1024
    level = np.empty(room)
    ends = np.empty((room, 2), dtype=np.int64)
    # neighbouring nodes mostly meet the pass that the node before met by the same step
    last_key = [(-1, -1, 0, 0, 0) for _ in range(len(steps))]
    last_edge = np.zeros(len(steps), dtype=np.int64)
    for i in range(shape[0]):
        for j in range(shape[1]):
            for k in range(shape[2]):
                u = (i * shape[1] + j) * shape[2] + k
                if label[u] < 0:
                    continue
                inside = _inside((i, j, k), shape)
                for s in range(len(steps)):
                    if inside:
                        v, cx, cy, cz = u + strides[s], 0, 0, 0
                    else:
                        v, cx, cy, cz = _neighbour((i, j, k), steps[s], shape)
                    if label[v] < 0:
                        continue
                    x = cx + offset[v, 0] - offset[u, 0]
                    y = cy + offset[v, 1] - offset[u, 1]
                    z = cz + offset[v, 2] - offset[u, 2]
                    if label[u] == label[v] and x == 0 and y == 0 and z == 0:
                        continue
                    # an edge and its reverse are one: the lower site first, or the positive translation
                    forwards = label[u] < label[v] or (label[u] == label[v] and (x, y, z) > (0, 0, 0))
                    a, b = int(label[u]), int(label[v])
                    key = (a, b, x, y, z) if forwards else (b, a, -x, -y, -z)
                    if key == last_key[s]:
                        edge = last_edge[s]
                    else:
                        if key in found:
                            edge = found[key]
                        else:
                            edge = len(found)
                            found[key] = edge
                            if edge == room:
                                room *= 2
                                level = np.concatenate((level, np.empty_like(level)))
                                ends = np.concatenate((ends, np.empty_like(ends)))
                            level[edge] = np.inf
                        last_key[s] = key
                        last_edge[s] = edge
                    height = max(flat[u], flat[v])
                    if height < level[edge]:
                        level[edge] = height
                        ends[edge, 0], ends[edge, 1] = (u, v) if forwards else (v, u)
    sites = np.empty((len(found), 2), dtype=np.int64)
    translations = np.empty((len(found), 3), dtype=np.int64)
    for key, edge in found.items():
        sites[edge, 0], sites[edge, 1] = key[0], key[1]
        translations[edge, 0], translations[edge, 1], translations[edge, 2] = key[2], key[3], key[4]
    return sites, translations, level[: len(found)].copy(), ends[: len(found)].copy()
