"""What candidates are ranked by: one row per criterion, added to by each stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["lower", "higher"]


@dataclass(frozen=True)
class Criterion:
    """A scalar of a candidate.

    Attributes
    ----------
    name
        Column of the candidates' table.
    label
        The words of figures and reports.
    unit
        Unit of the values.
    direction
        Which values are better.
    stage
        The stage whose result it is.
    """

    name: str
    label: str
    unit: str
    direction: Direction
    stage: str


COST = Criterion("cost_usd_per_kg", "raw-material cost", "$/kg", "lower", "order")

CRITERIA: dict[str, Criterion] = {
    criterion.name: criterion
    for criterion in (
        COST,
        Criterion("barrier_1d", "1D BVSE barrier", "eV", "lower", "bvse"),
        Criterion("barrier_2d", "2D BVSE barrier", "eV", "lower", "bvse"),
        Criterion("barrier_3d", "3D BVSE barrier", "eV", "lower", "bvse"),
        Criterion("barrier_a", "BVSE barrier along a", "eV", "lower", "bvse"),
        Criterion("barrier_b", "BVSE barrier along b", "eV", "lower", "bvse"),
        Criterion("barrier_c", "BVSE barrier along c", "eV", "lower", "bvse"),
        Criterion("barrier_ab", "BVSE barrier within the a–b plane", "eV", "lower", "bvse"),
        Criterion("sigma_mS_cm", "Li conductivity from molecular dynamics", "mS/cm", "higher", "aimd"),
        Criterion("neb_barrier_1d", "1D hop barrier", "eV", "lower", "cineb"),
        Criterion("neb_barrier_2d", "2D hop barrier", "eV", "lower", "cineb"),
        Criterion("neb_barrier_3d", "3D hop barrier", "eV", "lower", "cineb"),
        Criterion("neb_barrier_a", "hop barrier along a", "eV", "lower", "cineb"),
        Criterion("neb_barrier_b", "hop barrier along b", "eV", "lower", "cineb"),
        Criterion("neb_barrier_c", "hop barrier along c", "eV", "lower", "cineb"),
        Criterion("neb_barrier_ab", "hop barrier within the a–b plane", "eV", "lower", "cineb"),
    )
}
"""Every criterion by name. A later stage adds its rows here and nothing else changes."""
