"""The document of the electronic stage: electrons at the extreme points of a hop (sections 1.11 and 1.12)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from pymatgen.core import Structure

from lzc_flows.documents.base import Correction, Document, EngineStamp
from lzc_flows.documents.dft import DftProtocol
from lzc_flows.documents.protocols import Protocol

Point = Literal["initial", "saddle", "final"]


class ElectronicProtocol(Protocol):
    """Of which hop, and where on its path, the electrons are looked at."""

    target: Literal["a", "b", "c", "ab", "1d", "2d", "3d"] = Field(
        default="ab", description="The hop is the one that limits the way through the crystal in these directions."
    )
    hop: str | None = Field(default=None, description="Name of a hop, instead of the limiting one.")
    points: tuple[Point, ...] = Field(
        default=("initial", "saddle"), min_length=1, description="Extreme points of the path."
    )
    grid_angstrom: float = Field(
        default=0.2, gt=0, description="Spacing, at most, of the densities that are kept, in Å; each is a mean."
    )


class DosDoc(Document):
    """Densities of states, in states per eV and cell, both spins together."""

    energies_eV: list[float] = Field(description="Above the Fermi energy, in eV.")
    total: list[float] = Field(description="All states, in states per eV and cell.")
    by_element: dict[str, list[float]] = Field(description="Projected on the ions of an element, likewise.")


class PointDoc(Document):
    """The electrons at one point of a path."""

    point: Point = Field(description="Which one of the path.")
    image: int = Field(description="Index of the image on the path.")
    structure: Structure = Field(description="The ions there.")
    energy_ev: float = Field(description="Energy of the cell, in eV.")
    gap_ev: float = Field(description="Gap between occupied and empty bands, in eV; 0 for a metal.")
    fermi_ev: float = Field(description="Fermi energy, in eV.")
    electrons: float = Field(description="Valence electrons of the cell, in electrons.")
    moment_mu_b: float = Field(description="Magnetic moment of the cell, in μB.")
    displaced_electrons: float = Field(
        description="What bonding displaces from superposed atoms, in electrons: half the integral of the absolute "
        "charge density difference."
    )
    dos: DosDoc = Field(description="Densities of states.")
    directory: str = Field(description="Where the calculation ran: CHGCAR, ELFCAR and vasprun.xml are there.")


class ElectronicDoc(Document):
    """Charge density, its difference from superposed atoms, localisation and densities of states along a hop."""

    hop: str = Field(description="Name of the hop.")
    barrier_forward_eV: float = Field(description="Its barrier as the cineb stage found it, in eV.")
    points: list[PointDoc] = Field(description="The points looked at.")
    wall_s: float = Field(description="Time of all calculations, in s.")
    engine: EngineStamp = Field(description="Engine of the electrons.")
    dft: DftProtocol = Field(description="How they are treated.")
    protocol: ElectronicProtocol = Field(description="The numbers used.")
    corrections: list[Correction] = Field(default_factory=list, description="What custodian mended.")
    grids: dict[str, Any] | None = Field(
        default=None,
        description="In the data store, by point: charge density and its difference (e/Å³) and localisation function, "
        "as `transport.grid_packing.unpack_grids` gives them.",
    )
