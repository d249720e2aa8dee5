"""Sites of the mobile ion: the minima of a landscape that are deep enough to hold an ion, and the hops between them.

A minimum's persistence is the height of the lowest pass to a deeper minimum above it (Edelsbrunner, Letscher &
Zomorodian, Discrete Comput. Geom. 28, 511 (2002)). Shallower ones than the thermal energy, most of them ripples
of the grid, are joined to the basin behind their lowest pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase.units import kB

from lzc_flows.transport.components import Components, Vector
from lzc_flows.transport.sitegraph import SiteGraph

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lzc_flows.transport.basins import Basins

THERMAL_EV = 300.0 * kB
"""kT at 300 K, 0.0259 eV: the least persistence of a site."""


@dataclass(frozen=True, eq=False)
class MobileSites:
    """The sites of a landscape and the hops between them.

    Attributes
    ----------
    fractional
        Shape (n, 3), fractional coordinates in [0, 1), lowest site first.
    graph
        Energies of the sites and the lowest pass of each hop. Its thresholds are those of the landscape's basins
        to within the least persistence.
    minima
        Shape (n,), the index of each site among the minima of the basins.
    """

    fractional: NDArray[np.float64]
    graph: SiteGraph
    minima: NDArray[np.int64]


def mobile_sites(basins: Basins, persistence_ev: float = THERMAL_EV) -> MobileSites:
    """Return the minima of at least this persistence (eV) and the hops between them."""
    graph = basins.graph
    energies = graph.energies_ev.tolist()
    groups = _groups(graph, persistence_ev)
    kept = sorted({groups.lowest(site) for site in range(len(energies))}, key=lambda site: (energies[site], site))
    index = {site: number for number, site in enumerate(kept)}
    lowest: dict[tuple[int, int, Vector], float] = {}
    for (first, second), translation, level in zip(
        graph.sites.tolist(), graph.translations.tolist(), graph.levels_ev.tolist(), strict=True
    ):
        a, b = groups.lowest(first), groups.lowest(second)
        here, there = _cell_of(groups, a, first), _cell_of(groups, b, second)
        x, y, z = (t + v - u for t, v, u in zip(translation, there, here, strict=True))
        hop, back = (index[a], index[b], (x, y, z)), (index[b], index[a], (-x, -y, -z))
        if hop != back:  # equal only within one site and cell
            hop = min(hop, back)
            lowest[hop] = min(level, lowest.get(hop, np.inf))
    hops = sorted(lowest, key=lambda hop: (lowest[hop], hop))
    nodes = np.stack(np.unravel_index(basins.minima[kept], basins.shape), axis=1)
    return MobileSites(
        fractional=nodes / basins.shape,
        graph=SiteGraph(
            graph.energies_ev[kept],
            np.array([hop[:2] for hop in hops], dtype=np.int64).reshape(-1, 2),
            np.array([hop[2] for hop in hops], dtype=np.int64).reshape(-1, 3),
            np.array([lowest[hop] for hop in hops]),
        ),
        minima=np.array(kept),
    )


def _groups(graph: SiteGraph, persistence_ev: float) -> Components:
    """Return the minima joined into sites: the lowest of each component is the site."""
    energies = graph.energies_ev.tolist()
    flooded, groups = Components(energies), Components(energies)
    for edge in np.argsort(graph.levels_ev, kind="stable").tolist():
        first, second = graph.sites[edge].tolist()
        translation = graph.translations[edge].tolist()
        a, b = flooded.lowest(first), flooded.lowest(second)
        shallower = max(energies[a], energies[b])
        # all minima flooded with one that is too shallow are its own group already
        if a != b and float(graph.levels_ev[edge]) - shallower < persistence_ev:
            groups.join(first, second, translation)
        flooded.join(first, second, translation)
    return groups


def _cell_of(groups: Components, site: int, minimum: int) -> Vector:
    """Return the cell of a site seen from one of its minima."""
    _, (x, y, z) = groups.find(minimum)
    _, (u, v, w) = groups.find(site)
    return x - u, y - v, z - w
