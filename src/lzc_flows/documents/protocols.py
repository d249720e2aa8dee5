"""Protocols: the numbers of a calculation, named and versioned.

A protocol's values are part of a candidate's key, so a changed number is a new candidate.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lzc_flows.documents.model import FrozenModel


class Protocol(FrozenModel):
    """Numbers that change a result; frozen, extra keys refused."""


class OrderProtocol(Protocol):
    """How the ordered structure of a combination is chosen."""

    shortlist: int = Field(
        default=8,
        ge=1,
        description="Arrangements that the engine relaxes to choose between; 1 asks no engine.",
    )
    fmax_ev_per_angstrom: float = Field(
        default=0.1, gt=0, description="Largest force at the end of a short relaxation, in eV/Å."
    )
    max_steps: int = Field(default=150, ge=2, description="Most steps of a short relaxation.")


class RelaxProtocol(Protocol):
    """How a structure is relaxed: cell and positions."""

    fmax_ev_per_angstrom: float = Field(
        default=0.02,
        gt=0,
        description="Largest force (and cell force) at the end, in eV/Å; section 1.7 has 0.02.",
    )
    max_steps: int = Field(
        default=600, ge=2, description="Most optimizer steps of one attempt; atomate2 takes 1 for a single point."
    )
    optimizer: Literal["FIRE", "LBFGS", "BFGS"] = Field(default="FIRE", description="ASE optimizer.")
    relax_cell: bool = Field(default=True, description="Whether the cell relaxes with the positions.")


class BvseProtocol(Protocol):
    """How a bond-valence site-energy landscape is computed."""

    mobile: str = Field(default="Li+", description="The mobile ion.")
    resolution_angstrom: float = Field(
        default=0.1, gt=0, description="Largest distance of grid points, in Å; section 1.13 has 0.1."
    )
    cutoff_angstrom: float = Field(default=10.0, gt=0, description="Range of the interactions, in Å.")
    convention: str = Field(default="softbv", description="Named form of the potential; see transport/conventions.py.")
