"""Sites and the hops between them in a periodic crystal, as a graph of one cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lzc_flows.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class SiteGraph:
    """Sites of one cell with their energies, and the passes to sites of this and other cells.

    Every edge stands once and is passable both ways: from site A in any cell to site B, `translation` cells
    further. The graph of a BVSE field comes from `lzc_flows.transport.basins`; one of NEB barriers is built from
    the hops' end points and saddle energies.

    Attributes
    ----------
    energies_ev
        Shape (sites,), eV.
    sites
        Shape (edges, 2), indices of the two sites A and B of each edge.
    translations
        Shape (edges, 3), integers: the cell of B seen from the cell of A, in lattice vectors.
    levels_ev
        Shape (edges,), eV: energy of the saddle on the same scale as the sites'.

    Raises
    ------
    InputError
        On shapes that do not fit, a site index out of range, a number that is not finite, or a saddle below one
        of its sites.
    """

    energies_ev: NDArray[np.float64]
    sites: NDArray[np.int64]
    translations: NDArray[np.int64]
    levels_ev: NDArray[np.float64]

    def __post_init__(self) -> None:
        n, m = len(self.energies_ev), len(self.levels_ev)
        if n == 0:
            raise InputError("site graph: expected at least one site")
        if self.sites.shape != (m, 2) or self.translations.shape != (m, 3):
            raise InputError(
                f"site graph of {m} edges: expected sites of shape ({m}, 2) and translations of shape ({m}, 3), "
                f"found {self.sites.shape} and {self.translations.shape}"
            )
        if m and not (self.sites.min() >= 0 and self.sites.max() < n):
            raise InputError(f"site graph of {n} sites: edges may name sites 0 to {n - 1}")
        if not (np.isfinite(self.energies_ev).all() and np.isfinite(self.levels_ev).all()):
            raise InputError("site graph: expected finite energies of sites and saddles")
        below = np.flatnonzero(self.levels_ev < self.energies_ev[self.sites].max(axis=1, initial=-np.inf))
        if below.size:
            a, b = self.sites[below[0]]
            raise InputError(f"site graph: the saddle between sites {a} and {b} lies below one of them")
