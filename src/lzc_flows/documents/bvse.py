"""The document of the bvse stage."""

from __future__ import annotations

from pydantic import Field

from lzc_flows.documents.base import Document
from lzc_flows.documents.protocols import BvseProtocol


class BvseDoc(Document):
    """Percolation barriers of the bond-valence site-energy landscape; +inf where the ion never percolates."""

    barrier_1d: float = Field(description="Barrier of percolation in at least one direction, in eV.")
    barrier_2d: float = Field(description="Barrier of percolation in at least two directions, in eV.")
    barrier_3d: float = Field(description="Barrier of percolation in three directions, in eV.")
    component_barrier_1d: float = Field(
        description="As barrier_1d, from the percolating component's own minimum, in eV."
    )
    component_barrier_2d: float = Field(
        description="As barrier_2d, from the percolating component's own minimum, in eV."
    )
    component_barrier_3d: float = Field(
        description="As barrier_3d, from the percolating component's own minimum, in eV."
    )
    minimum_ev: float = Field(description="Lowest site energy of the cell, from which barriers are measured, in eV.")
    grid_shape: tuple[int, int, int] = Field(description="Points along a, b and c; no plane is stored twice.")
    field: dict | None = Field(
        default=None, description="The landscape, packed by `transport.bvse`; kept in the data store."
    )
    protocol: BvseProtocol = Field(description="The numbers used.")
