"""Exact percolation thresholds of a periodic graph of sites, in one pass.

Edges are added in the order of their saddle energies and join their sites by a union-find whose links carry
integer lattice translations. An edge inside a component closes a loop; where the loop's net translation is not
zero it is a winding vector. The winding vectors of a component form a lattice, kept as its Hermite normal form:
its rank is the number of dimensions in which the component percolates, its span says along which directions. No
bisection, and channels that close only after several cells are seen. Adding in order is the idea of Newman &
Ziff, Phys. Rev. E 64, 016706 (2001); the displacement vectors are those of Machta et al., Phys. Rev. E 54, 1332
(1996), here extended from wrapping to dimension and direction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, get_args

import numpy as np

from lzc_flows.transport.components import Components, Vector, winding_basis
from lzc_flows.transport.sitegraph import SiteGraph

Target = Literal["1d", "2d", "3d", "a", "b", "c", "ab"]
TARGETS: tuple[Target, ...] = get_args(Target)
"""Percolation in one, two, three dimensions whatever their directions; along a lattice vector, that is from a
site to its own image some cells further along this vector alone; along both a and b."""

_AXES: dict[str, tuple[Vector, ...]] = {
    "a": ((1, 0, 0),),
    "b": ((0, 1, 0),),
    "c": ((0, 0, 1),),
    "ab": ((1, 0, 0), (0, 1, 0)),
}


@dataclass(frozen=True)
class Threshold:
    """Where a graph first percolates in some way.

    Attributes
    ----------
    level_ev
        Energy of the threshold in eV: saddles at or below it are passed; +inf where the graph never percolates so.
    barrier_ev
        The level above the percolating component's own lowest site, eV (+inf likewise). Where several components
        percolate at the same level, the deepest counts.
    barrier_from_cell_minimum_ev
        The level above the lowest site of the whole graph, eV (+inf likewise); what bvlain reports.
    windings
        Basis of the lattice of the component's winding vectors at this level, in lattice vectors (Hermite normal
        form): every translation by which the component is its own image. Empty where it never percolates.
    lowest_site
        Index of the component's lowest site; None where the graph never percolates so.
    bottleneck
        Index of an edge at the level by which this component came to percolate; None likewise.
    """

    level_ev: float
    barrier_ev: float
    barrier_from_cell_minimum_ev: float
    windings: tuple[Vector, ...] = ()
    lowest_site: int | None = None
    bottleneck: int | None = None


@dataclass(frozen=True)
class Percolation:
    """Percolation thresholds of a graph.

    Attributes
    ----------
    minimum_ev
        Lowest site energy, eV.
    thresholds
        One for each of `TARGETS`. Levels never fall from 1d to 2d to 3d, from a or b to ab, from ab to 3d.
    """

    minimum_ev: float
    thresholds: dict[Target, Threshold]


def percolation(graph: SiteGraph) -> Percolation:
    """Return the percolation thresholds of a periodic graph of sites."""
    energies = graph.energies_ev.tolist()
    minimum = min(energies)
    found: dict[Target, Threshold] = {}
    components = Components(energies)
    order = np.argsort(graph.levels_ev, kind="stable").tolist()
    levels = graph.levels_ev.tolist()
    # edges of equal energy count as one level, so that their order does not matter
    for level, edges in groupby(order, key=levels.__getitem__):
        grown: dict[int, int] = {}
        for edge in edges:
            first, second = graph.sites[edge].tolist()
            if components.join(first, second, graph.translations[edge].tolist()):
                grown[first] = edge
        candidates = sorted((energies[components.lowest(site)], site, edge) for site, edge in grown.items())
        for target in TARGETS:
            if target in found:
                continue
            for energy, site, edge in candidates:
                windings = components.windings(site)
                if percolates(windings, target):
                    found[target] = Threshold(
                        level, level - energy, level - minimum, windings, components.lowest(site), edge
                    )
                    break
        if len(found) == len(TARGETS):
            break
    never = Threshold(math.inf, math.inf, math.inf)
    return Percolation(minimum, {target: found.get(target, never) for target in TARGETS})


def percolates(windings: tuple[Vector, ...], target: Target) -> bool:
    """Return whether a component with these winding vectors (a basis) percolates in the way of `target`."""
    if target in _AXES:
        # the axes lie in the span if they add no dimension to it
        return len(winding_basis(windings + _AXES[target])) == len(windings)
    return len(windings) >= int(target[0])
