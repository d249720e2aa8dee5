"""The document of the bvse stage."""

from __future__ import annotations

from pydantic import Field

from lzc_flows.documents.base import Document
from lzc_flows.documents.protocols import BvseProtocol


class Barriers(Document):
    """Percolation barriers of a bond-valence site-energy landscape, in eV; +inf where the ion never percolates."""

    barrier_1d: float = Field(description="Barrier of percolation in at least one dimension, in eV.")
    barrier_2d: float = Field(description="Barrier of percolation in at least two dimensions, in eV.")
    barrier_3d: float = Field(description="Barrier of percolation in three dimensions, in eV.")
    barrier_a: float = Field(description="Barrier of percolation along a, in eV.")
    barrier_b: float = Field(description="Barrier of percolation along b, in eV.")
    barrier_c: float = Field(description="Barrier of percolation along c, in eV.")
    barrier_ab: float = Field(description="Barrier of percolation along both a and b, in eV.")


class BvseDoc(Barriers):
    """What a bond-valence site-energy landscape says; barriers are from the cell's lowest energy."""

    from_component_minimum: Barriers = Field(
        description="The barriers from the lowest energy of the component that percolates."
    )
    minimum_ev: float = Field(description="Lowest site energy of the cell, in eV.")
    grid: tuple[int, int, int] = Field(description="Points along a, b and c; no plane is stored twice.")
    bottlenecks: dict[str, tuple[float, float, float]] = Field(
        description="By dimension or direction (1d, ..., a, ..., ab), fractional position of the highest point on the "
        "way; none where the ion never percolates."
    )
    sites: int = Field(description="Sites of the mobile ion: minima at least kT at 300 K deep.")
    field: dict | None = Field(
        default=None, description="The landscape, as `transport.packing.pack_field` gives it; kept in the data store."
    )
    network: dict | None = Field(
        default=None,
        description="Sites, hops and paths, as `transport.packing.pack_network` gives them; kept in the data store.",
    )
    protocol: BvseProtocol = Field(description="The numbers used.")
