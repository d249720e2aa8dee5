"""All that is read off a BVSE landscape: thresholds, sites, hops between them and paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lzc_flows.transport.basins import basins
from lzc_flows.transport.bvse import MAX_ENERGY_EV, EnergyField
from lzc_flows.transport.paths import MigrationPath, Terrain, migration_path
from lzc_flows.transport.percolation import TARGETS, Percolation, Target, percolation
from lzc_flows.transport.sites import MobileSites, mobile_sites

if TYPE_CHECKING:
    from numpy.typing import NDArray

PATH_TARGETS: tuple[Target, ...] = ("1d", "a", "b", "c")
"""The ways of percolating that a single path shows."""


@dataclass(frozen=True, eq=False)
class Landscape:
    """A landscape and what it says of the mobile ion.

    Attributes
    ----------
    field
        Energies on the grid.
    percolation
        The thresholds.
    sites
        Sites of the mobile ion and the hops between them.
    paths
        For those of `PATH_TARGETS` in which the field percolates, the path of least resistance.
    bottlenecks
        For each target in which the field percolates, the fractional position (3,) of its highest point that
        cannot be avoided.
    """

    field: EnergyField
    percolation: Percolation
    sites: MobileSites
    paths: dict[Target, MigrationPath]
    bottlenecks: dict[Target, NDArray[np.float64]]


def analyse(field: EnergyField) -> Landscape:
    """Return what a landscape says of its mobile ion; nothing passes where the field is clipped.

    Raises
    ------
    InputError
        What `lzc_flows.transport.basins.basins` refuses.
    """
    found = basins(field.energies_ev, field.lattice_angstrom, ceiling_ev=MAX_ENERGY_EV)
    thresholds = percolation(found.graph)
    terrain = Terrain(field, found, mobile_sites(found))
    paths = {target: migration_path(terrain, thresholds.thresholds[target], target) for target in PATH_TARGETS}
    return Landscape(
        field=field,
        percolation=thresholds,
        sites=terrain.sites,
        paths={target: path for target, path in paths.items() if path is not None},
        bottlenecks={
            target: _highest(field, found.passes[edge])
            for target in TARGETS
            if (edge := thresholds.thresholds[target].bottleneck) is not None
        },
    )


def _highest(field: EnergyField, nodes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the fractional position of the highest of some nodes."""
    node = nodes[np.argmax(field.energies_ev.ravel()[nodes])]
    return np.array(np.unravel_index(node, field.energies_ev.shape)) / field.energies_ev.shape
