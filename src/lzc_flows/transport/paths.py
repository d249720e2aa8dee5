"""Paths of least resistance through a BVSE landscape, from a site to its own image.

A path climbs from site to site over the passes between their basins and descends from each pass along the
steepest way: the discrete minimum-energy path. Of the many chains of hops that stay at or below the threshold,
the one of least resistance at 300 K counts: a hop over a saddle of energy E resists as exp(E/kT), whatever its
end points (Ambegaokar, Halperin & Langer, Phys. Rev. B 4, 2612 (1971)), and resistances in series add.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import count, pairwise, product
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np

from lzc_flows.transport.components import Vector, winding_basis
from lzc_flows.transport.percolation import Target, Threshold
from lzc_flows.transport.sites import THERMAL_EV

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lzc_flows.transport.basins import Basins
    from lzc_flows.transport.bvse import EnergyField
    from lzc_flows.transport.sitegraph import SiteGraph
    from lzc_flows.transport.sites import MobileSites

EQUAL_EV = 1e-3
"""A path may pass this far above the threshold: saddles that symmetry makes equal differ by rounding, and those
of a relaxed crystal by little more; without it a path would make detours for the sake of 1e-16 eV."""


@dataclass(frozen=True, eq=False)
class MigrationPath:
    """A path from a site to its image `winding` cells away, node by node.

    Attributes
    ----------
    fractional
        Shape (p, 3), fractional coordinates, not wrapped into the cell.
    energies_ev
        Shape (p,), eV.
    distances_angstrom
        Shape (p,), Å, length of the path up to each node; starts at 0.
    sites, saddles
        Shapes (hops + 1,) and (hops,), indices of the path's nodes at sites of the mobile ion, and of the highest
        node between two of them: the end points and the middle of each hop, for NEB.
    winding
        The path's end seen from its start, in lattice vectors.
    """

    fractional: NDArray[np.float64]
    energies_ev: NDArray[np.float64]
    distances_angstrom: NDArray[np.float64]
    sites: NDArray[np.int64]
    saddles: NDArray[np.int64]
    winding: Vector


_Station = tuple[int, Vector]  # a site and its cell


@dataclass(frozen=True)
class Hop:
    """An edge of a graph as it is walked: forwards, or backwards, from a site in some cell."""

    edge: int
    forwards: bool
    cell: Vector


@dataclass(frozen=True, eq=False)
class Terrain:
    """A landscape with what was found in it: its basins and the sites of the mobile ion."""

    field: EnergyField
    basins: Basins
    sites: MobileSites


def migration_path(terrain: Terrain, threshold: Threshold, target: Target) -> MigrationPath | None:
    """Return the path from a component's lowest site along `target`, None where the field never percolates so.

    Parameters
    ----------
    terrain
        The landscape.
    threshold
        The threshold of `target`, of `lzc_flows.transport.percolation.percolation` of its basins.
    target
        ``"1d"``, ``"a"``, ``"b"`` or ``"c"``: the ways that a single path can show.
    """
    if threshold.lowest_site is None:
        return None
    energies, lattice = terrain.field.energies_ev, terrain.field.lattice_angstrom
    winding = _path_winding(threshold.windings, target, lattice)
    hops = least_resistance(terrain.basins.graph, threshold, winding)
    nodes, ends = _nodes(terrain.basins, threshold.lowest_site, hops)
    fractional = nodes / energies.shape
    steps = np.linalg.norm(np.diff(fractional, axis=0) @ lattice, axis=1)
    along = energies[tuple((nodes % energies.shape).T)]
    # the path starts and ends at a site by definition; in between, minima too shallow for an ion are no stops
    holding = set(terrain.sites.minima.tolist())
    stops = [0, *(end for end, minimum in ends[:-1] if minimum in holding), len(nodes) - 1]
    return MigrationPath(
        fractional=fractional,
        energies_ev=along,
        distances_angstrom=np.concatenate([[0.0], np.cumsum(steps)]),
        sites=np.array(stops),
        saddles=np.array([first + int(np.argmax(along[first:last])) for first, last in pairwise(stops)]),
        winding=winding,
    )


def _nodes(basins: Basins, start: int, hops: list[Hop]) -> tuple[NDArray[np.int64], list[tuple[int, int]]]:
    """Return the nodes (p, 3) of a chain of hops, and for each hop the index of its last node and its minimum."""
    graph = basins.graph
    home = np.stack(np.unravel_index(basins.minima, basins.shape), axis=1)
    ways, length, ends = [home[start][None]], 1, []
    for hop in hops:
        order = slice(None) if hop.forwards else slice(None, None, -1)
        (here, there), (first, second) = graph.sites[hop.edge][order], basins.passes[hop.edge][order]
        cell = np.array(hop.cell)
        step = graph.translations[hop.edge] * (1 if hop.forwards else -1)
        up = _ending_at(basins.way_down(first), home[here] + basins.shape * cell)[::-1]
        down = _ending_at(basins.way_down(second), home[there] + basins.shape * (cell + step))
        ways += [up[1:], down]
        length += len(up) - 1 + len(down)
        ends.append((length - 1, int(there)))
    return np.concatenate(ways), ends


def least_resistance(graph: SiteGraph, threshold: Threshold, winding: Vector) -> list[Hop]:
    """Return the hops of least resistance from a component's lowest site to its image `winding` cells away.

    No hop passes a saddle more than `EQUAL_EV` above the threshold. The path stays within one cell of the box
    that its ends span, or, where no such path exists, within the fewest cells that hold one.

    Raises
    ------
    ValueError
        If `winding` is not one of the component's winding vectors.
    """
    if winding_basis((*threshold.windings, winding)) != threshold.windings:
        raise ValueError(f"{winding} is no winding vector of the component, whose basis is {threshold.windings}")
    start, goal = (threshold.lowest_site, (0, 0, 0)), (threshold.lowest_site, winding)
    for margin in count(1):
        a, b, c = (range(min(0, w) - margin, max(0, w) + margin + 1) for w in winding)
        stations = _stations(graph, threshold.level_ev, set(product(a, b, c)))
        try:
            path = nx.dijkstra_path(stations, start, goal, weight="resistance")
        except nx.NetworkXNoPath:
            continue
        return [_hop(stations.edges[here, there]["edge"], graph, here, there) for here, there in pairwise(path)]
    raise AssertionError("unreachable: a winding vector has a path within finitely many cells")


def _stations(graph: SiteGraph, level_ev: float, cells: set[Vector]) -> nx.Graph:
    """Return the sites of some cells, as nodes (site, cell), and the passable edges between them."""
    stations = nx.Graph()
    for edge in np.flatnonzero(graph.levels_ev <= level_ev + EQUAL_EV).tolist():
        first, second = graph.sites[edge].tolist()
        u, v, w = graph.translations[edge].tolist()
        resistance = math.exp((float(graph.levels_ev[edge]) - level_ev) / THERMAL_EV)
        for x, y, z in cells:
            if (there := (x + u, y + v, z + w)) in cells:
                stations.add_edge((first, (x, y, z)), (second, there), edge=edge, resistance=resistance)
    return stations


def _hop(edge: int, graph: SiteGraph, here: _Station, there: _Station) -> Hop:
    """Return an edge as it is walked from one station to another."""
    step = tuple(b - a for a, b in zip(here[1], there[1], strict=True))
    forwards = (here[0], there[0], step) == (*graph.sites[edge].tolist(), tuple(graph.translations[edge].tolist()))
    return Hop(edge, forwards, here[1])


def _path_winding(windings: tuple[Vector, ...], target: Target, lattice: NDArray[np.float64]) -> Vector:
    """Return the winding vector that a path of `target` shows: the shortest, or the shortest along an axis."""
    if target == "1d":
        return min(windings, key=lambda winding: float(np.linalg.norm(np.array(winding) @ lattice)))
    x, y, z = np.eye(3, dtype=int)["abc".index(target)].tolist()
    multiples = ((n * x, n * y, n * z) for n in count(1))
    return next(vector for vector in multiples if winding_basis((*windings, vector)) == windings)


def _ending_at(way: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the way moved by whole cells so that it ends at `end`."""
    return way + (end - way[-1])
