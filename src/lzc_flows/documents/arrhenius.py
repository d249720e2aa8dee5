"""The document of the arrhenius stage."""

from __future__ import annotations

from pydantic import Field
from pymatgen.core import Structure

from lzc_flows.documents.aimd import AimdDoc
from lzc_flows.documents.base import Correction, Document, EngineStamp
from lzc_flows.documents.diffusion import ArrheniusDoc


class ArrheniusStageDoc(Document):
    """Molecular dynamics at several temperatures, and the line of Arrhenius through them."""

    structure: Structure = Field(description="Where each run started, with oxidation states and Wyckoff labels.")
    runs: list[AimdDoc] = Field(
        description="The runs in their order, as the aimd stage has them; their trajectories are in the data store."
    )
    left_out: dict[str, str] = Field(
        description="Why a temperature, such as 900 K, is not in the line: the framework changed, or no diffusivity."
    )
    line: ArrheniusDoc | None = Field(description="The line; None if too few temperatures are left.")
    no_line_because: str | None = Field(description="Why there is none, in one line.")
    wall_s: float = Field(description="Time of all runs, in s.")
    engine: EngineStamp = Field(description="Engine of the forces.")
    corrections: list[Correction] = Field(default_factory=list, description="What custodian mended in all runs.")
