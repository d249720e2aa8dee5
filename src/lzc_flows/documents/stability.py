"""Documents of what became of a framework, and of where the mobile ions were, in molecular dynamics."""

from __future__ import annotations

from pydantic import Field

from lzc_flows.documents.base import Document


class SpeciesMotionDoc(Document):
    """How the framework atoms of one species moved."""

    atoms: int = Field(description="Number of atoms.")
    left: int = Field(description="Number of atoms that left their sites.")
    vibration_A2: tuple[float, float] = Field(
        description="Mean square distance from the mean place over the first and the second half, in Å²."
    )
    drift_A2: float = Field(description="Mean square distance between the mean places of the halves, in Å².")
    neighbour_angstrom: float = Field(description="Mean distance to the nearest framework neighbour, in Å.")
    lindemann: float = Field(description="Root mean square vibration over that distance, dimensionless.")


class CoordinationDoc(Document):
    """Bonds of the framework's cations of one element."""

    cations: int = Field(description="Number of cations.")
    exchanged: int = Field(description="Cations whose shell of anions exchanged, gained or lost members for good.")
    changed: int = Field(description="Cations whose mean coordination number changed by 1 or more.")
    first: float = Field(description="Mean coordination number over the first quarter, dimensionless.")
    last: float = Field(description="Mean coordination number over the last quarter, dimensionless.")


class StabilityDoc(Document):
    """Whether the framework stayed a crystal; the rules are in transport/stability.py."""

    label: str = Field(description="stable, anion rotation, framework hops, anion diffusion, ..., melted.")
    intact: bool = Field(description="Whether diffusivities are those of the crystal.")
    motion: dict[str, SpeciesMotionDoc] = Field(description="For each species of the framework.")
    coordination: dict[str, CoordinationDoc] = Field(description="For each element of its cations.")
    notes: list[str] = Field(description="What to know besides.")


class DensityDoc(Document):
    """How the probability density of the mobile ions is connected."""

    resolution_angstrom: float = Field(description="Largest distance of its nodes, in Å.")
    fraction: float = Field(
        description="Where the iso-surface lies, of the highest density, dimensionless: 1/50 in the source."
    )
    percolates: dict[str, bool] = Field(description="Along a, b, c, within ab, in 1, 2 and 3 dimensions (1d, 2d, 3d).")
    levels: dict[str, float] = Field(
        description="Fraction of the highest density at which it connects so, dimensionless; 0 where it never does."
    )
    samples_per_node: float = Field(
        description="Independent samples that a node of the iso-surface is from, dimensionless."
    )
    notes: list[str] = Field(description="What to know before using the numbers.")
