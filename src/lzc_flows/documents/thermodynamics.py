"""Documents of the stability stage: relaxed reference phases, and what a doped crystal gains or loses against them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pymatgen.core import Structure

from lzc_flows.documents.base import Correction, Document, EngineStamp
from lzc_flows.documents.protocols import RelaxProtocol


class PhaseDoc(Document):
    """A reference phase, relaxed."""

    name: str = Field(description="Formula and structure, such as LiCl (rock salt).")
    formula: str = Field(description="Reduced formula.")
    knowledge: Literal["known", "polymorph", "related", "host"] = Field(
        description="Whether the compound has this structure at room temperature or below, has been found in it, or a "
        "kindred compound has it; host for the undoped host of the campaign."
    )
    source: str = Field(description="Who determined the structure, and what of it is idealised.")
    structure: Structure = Field(description="Relaxed cell with oxidation states.")
    energy_per_atom_ev: float = Field(description="Energy per atom, in eV.")
    steps: int = Field(description="Optimizer steps over all attempts.")
    engine: EngineStamp = Field(description="Engine of the energies.")
    protocol: RelaxProtocol = Field(description="The numbers used.")
    corrections: list[Correction] = Field(default_factory=list, description="What custodian mended.")


class ReactionDoc(Document):
    """A reaction that forms a cell from phases."""

    amounts: dict[str, float] = Field(description="Formula units of each phase for a cell, dimensionless, by its name.")
    energy_ev: float = Field(description="Energy of the cell minus that of the phases, in eV a cell.")


class ComparedPhaseDoc(Document):
    """A phase that a cell was compared with."""

    key: str = Field(description="Key of the phase's own document.")
    name: str = Field(description="Formula and structure.")
    knowledge: str = Field(description="As in the phase's own document.")
    energy_per_atom_ev: float = Field(description="Energy per atom, in eV.")


class ThermodynamicsDoc(Document):
    """What a crystal gains or loses, at 0 K and without vibrations, against the packaged phases of the same engine."""

    formula: str = Field(description="Formula of the cell.")
    energy_per_atom_ev: float = Field(description="Energy of the relaxed cell, in eV per atom.")
    decomposition_ev_per_atom: float | None = Field(
        description="Energy above the lowest combination of all phases, the host among them, in eV per atom; negative: "
        "below it."
    )
    decomposition: ReactionDoc | None = Field(description="That combination; None if there is none.")
    no_decomposition_because: str | None = Field(description="Why there is none, in one line.")
    doping_energy_ev: float | None = Field(
        description="Energy of the reaction of the host with halides of the dopants and of the mobile ion, in eV per "
        "doping cation, or per doping anion where only anions are doped; negative: heat is released."
    )
    doping: ReactionDoc | None = Field(description="That reaction, whose halides are those of lowest energy.")
    no_doping_because: str | None = Field(description="Why there is none, in one line.")
    phases: list[ComparedPhaseDoc] = Field(description="The phases that were compared with.")
    engine: EngineStamp = Field(description="Engine of the energies.")
    protocol: RelaxProtocol = Field(description="How the phases were relaxed.")
    corrections: list[Correction] = Field(default_factory=list, description="What custodian mended.")
