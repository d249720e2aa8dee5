"""The document of the order stage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pymatgen.core import Structure

from lzc_flows.documents.base import Correction, Document, EngineStamp
from lzc_flows.documents.protocols import OrderProtocol, Tier


class ShortlistEntry(Document):
    """One arrangement that was compared."""

    electrostatic_ev: float = Field(description="Point-charge (Ewald) energy of the cell, in eV.")
    instability_vu: float | None = Field(
        description="Global instability index of the unrelaxed cell, in valence units; None if that tier is left out."
    )
    anions_at_dopant: int = Field(description="Isovalent anions bound to dopant cations.")
    multiplicity: int = Field(description="Arrangements in its symmetry orbit.")
    stabiliser: int = Field(description="Symmetry operations of the supercell that leave it unchanged.")
    engine_energy_ev: float | None = Field(
        default=None, description="Engine's energy of the cell, static or relaxed, in eV; None if it was not asked."
    )


class TierResult(Document):
    """What one tier had to choose from, what it left, and by how much."""

    tier: Tier = Field(description="Name of the tier.")
    compared: str = Field(description="Symmetry orbits that entered (a string: it can exceed 64 bits).")
    tied: str = Field(description="How many of them share the best value.")
    margin: float | None = Field(
        default=None,
        description="Distance of the next value from the best one, in eV a cell or in valence units (`unit`); None "
        "where all tie, and for symmetry.",
    )
    unit: Literal["eV", "vu"] | None = Field(default=None, description="Unit of the margin.")
    runs: int | None = Field(
        default=None, description="Monte Carlo runs where there were too many orbits to list; None if all were."
    )
    runs_at_lowest: int | None = Field(default=None, description="How many of the runs found the best value.")


class OrderDoc(Document):
    """The ordered structure of a combination and why it was chosen."""

    structure: Structure = Field(description="Chosen arrangement, unrelaxed, with oxidation states and labels.")
    arrangements: str = Field(
        description="Number of arrangements, symmetry not used (a string: it can exceed 64 bits)."
    )
    exhaustive: bool = Field(
        description="Whether every symmetry orbit was ranked; False where too many were sampled instead, or where more "
        "arrangements of charges tied than isovalent anions were placed on."
    )
    charge_ties: int = Field(description="Arrangements of charges, up to symmetry, that share the lowest energy.")
    charge_states: int = Field(description="How many of these isovalent anions were placed on.")
    tiers: list[TierResult] = Field(description="What each tier compared, in the order in which they were asked.")
    shortlist: list[ShortlistEntry] = Field(
        description="The best ones, or those the engine compared; chosen one first."
    )
    decided_by: Tier = Field(
        description="The first tier that left a single arrangement, symmetry if none did; an engine that was asked "
        "comes before the tiers that made its shortlist."
    )
    margin_ev: float | None = Field(
        description="Engine's energy of the runner-up above the chosen one, in eV a cell; 0 if equal within 1 meV and "
        "symmetry chose; None if no engine was asked."
    )
    engine: EngineStamp | None = Field(description="Engine that was asked; None if none was.")
    protocol: OrderProtocol = Field(description="The numbers used.")
    corrections: list[Correction] = Field(default_factory=list, description="What custodian mended.")
