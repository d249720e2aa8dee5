"""The document of the relax stage."""

from __future__ import annotations

from pydantic import Field
from pymatgen.core import Structure

from lzc_flows.documents.base import Correction, Document, EngineStamp
from lzc_flows.documents.protocols import RelaxProtocol


class RelaxDoc(Document):
    """A relaxed structure with what it took."""

    structure: Structure = Field(description="Relaxed cell with oxidation states and Wyckoff labels.")
    energy_ev: float = Field(description="Energy of the cell, in eV.")
    energy_per_atom_ev: float = Field(description="Energy per atom, in eV.")
    max_force_ev_per_angstrom: float = Field(description="Largest atomic force at the end, in eV/Å.")
    volume_change: float = Field(description="Relaxed volume over the starting volume, minus 1.")
    max_displacement_angstrom: float = Field(
        description="Largest displacement of a framework ion in scaled coordinates, mean drift removed, in Å."
    )
    steps: int = Field(description="Optimizer steps over all attempts.")
    wall_s: float = Field(description="Time of the optimizer over all attempts, in s.")
    engine: EngineStamp = Field(description="Engine of the forces.")
    protocol: RelaxProtocol = Field(description="The numbers used.")
    corrections: list[Correction] = Field(default_factory=list, description="What custodian mended.")
