"""The document of the order stage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pymatgen.core import Structure

from lzc_flows.documents.base import Correction, Document, EngineStamp
from lzc_flows.documents.protocols import OrderProtocol

DecidedBy = Literal["electrostatics", "symmetry", "bond valence", "relaxed energy"]


class ShortlistEntry(Document):
    """One arrangement that was compared."""

    electrostatic_ev: float = Field(description="Point-charge (Ewald) energy of the cell, in eV.")
    instability_vu: float | None = Field(
        description="Global instability index of the unrelaxed cell, in valence units; None without isovalent anions."
    )
    anions_at_dopant: int = Field(description="Isovalent anions bound to dopant cations.")
    stabiliser: int = Field(description="Symmetry operations of the supercell that leave it unchanged.")
    relaxed_energy_ev: float | None = Field(
        default=None, description="Energy of the cell after the short relaxation, in eV; None if not relaxed."
    )


class OrderDoc(Document):
    """The ordered structure of a combination and why it was chosen."""

    structure: Structure = Field(description="Chosen arrangement, unrelaxed, with oxidation states and labels.")
    arrangements: str = Field(
        description="Number of arrangements, symmetry not used (a string: it can exceed 64 bits)."
    )
    exhaustive: bool = Field(description="Whether every symmetry orbit was compared; False where the beam cut.")
    charge_orbits: int = Field(description="Orbits of the charged sublattices that electrostatics compared.")
    charge_ties: int = Field(description="Orbits that share the lowest electrostatic energy.")
    shortlist: list[ShortlistEntry] = Field(description="What was compared, the chosen one first.")
    decided_by: DecidedBy = Field(
        description="What chose the arrangement: the engine's relaxed energy if more than one was compared."
    )
    margin_ev: float | None = Field(
        description="Relaxed energy of the runner-up above the chosen one, in eV a cell; 0 if equal within 1 meV and "
        "symmetry chose; None if nothing was compared."
    )
    engine: EngineStamp | None = Field(description="Engine of the short relaxations; None if none ran.")
    protocol: OrderProtocol = Field(description="The numbers used.")
    corrections: list[Correction] = Field(default_factory=list, description="What custodian mended.")
