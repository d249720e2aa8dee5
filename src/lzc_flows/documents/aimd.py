"""The document of the aimd stage."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from pymatgen.core import Structure

from lzc_flows.documents.aimd_protocol import AimdProtocol
from lzc_flows.documents.base import Correction, Document, EngineStamp
from lzc_flows.documents.diffusion import DiffusionDoc
from lzc_flows.documents.stability import DensityDoc, StabilityDoc


class Kinetics(Document):
    """How long a run was, and how well it kept what it had to keep."""

    ps: float = Field(description="Length of the whole run, in ps.")
    production_ps: float = Field(
        description="Length of the production part, in ps: the last segment, which is what is analysed."
    )
    frames: int = Field(description="Frames in the trajectory.")
    temperature_k: float = Field(description="Mean kinetic temperature of the production part, in K.")
    temperature_deviation_k: float = Field(description="Its standard deviation from frame to frame, in K.")
    drift_ev_per_atom: float = Field(
        description="Largest change of the conserved quantity over the production part, in eV per atom."
    )


class AimdDoc(Document):
    """Molecular dynamics and what it says of the mobile ion."""

    structure: Structure = Field(description="Where the run started, with oxidation states and Wyckoff labels.")
    final_structure: Structure = Field(description="Where it ended.")
    kinetics: Kinetics = Field(description="Length, temperature and drift.")
    stability: StabilityDoc = Field(
        description="Whether the framework stayed a crystal; where that was refused the label is unknown, and a note "
        "says why."
    )
    density: DensityDoc | None = Field(
        description="Where the mobile ions were, and how that is connected; None if that was refused."
    )
    no_density_because: str | None = Field(description="Why there is no density, in one line.")
    diffusion: DiffusionDoc | None = Field(description="How the mobile ion diffuses; None if that was refused.")
    no_diffusion_because: str | None = Field(description="Why there is no diffusivity, in one line.")
    halvings: int = Field(description="How often custodian halved the time step.")
    launches: int = Field(description="Launches that ended in order, the last one included.")
    wall_s: float = Field(description="Time of these launches, in s.")
    engine: EngineStamp = Field(description="Engine of the forces.")
    protocol: AimdProtocol = Field(description="The numbers used.")
    seed: int = Field(description="Seed of the starting velocities.")
    corrections: list[Correction] = Field(default_factory=list, description="What custodian mended.")
    trajectory: dict[str, Any] | None = Field(
        default=None, description="In the data store: the HDF5 file of the trajectory, base64."
    )
