"""The numbers of a density-functional calculation, for whatever engine does it.

The named ones are those of the sources. What each number becomes in each engine is a table in docs/dft.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from lzc_flows.documents.model import FrozenModel
from lzc_flows.documents.protocols import Protocol
from lzc_flows.errors import InputError


class Kpoints(FrozenModel):
    """A regular mesh of k-points: its divisions, or the length that gives them."""

    mesh: tuple[PositiveInt, PositiveInt, PositiveInt] | None = Field(
        default=None, description="Divisions along the reciprocal vectors."
    )
    length_angstrom: PositiveFloat | None = Field(
        default=None, description="Divisions are this length times the reciprocal lengths 1/d, at least 1; in Å."
    )
    scheme: Literal["gamma", "monkhorst-pack"] = Field(
        default="gamma", description="Whether the mesh holds Γ, or is centred as by Monkhorst and Pack."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Kpoints:
        if (self.mesh is None) == (self.length_angstrom is None):
            raise InputError("either mesh or length_angstrom is allowed")
        return self


IncarValue = bool | int | float | str | list[bool | int | float | str]


class VaspSettings(FrozenModel):
    """What only VASP is told."""

    potcars: dict[str, str] = Field(
        default_factory=dict, description="By element, another POTCAR than the one of data/potcars.yaml."
    )
    incar: dict[str, IncarValue] = Field(
        default_factory=dict, description="Tags that the protocol leaves open, such as NCORE or KPAR."
    )
    climbing: Literal["vtst", "lzc"] = Field(
        default="vtst",
        description="Who climbs: a VASP with the VTST code, or our band on the forces of plain VASP's single points.",
    )


class Cp2kSettings(FrozenModel):
    """What only CP2K is told."""

    basis: Literal["DZVP-MOLOPT-SR-GTH", "TZVP-MOLOPT-PBE-GTH"] = Field(
        default="DZVP-MOLOPT-SR-GTH", description="Gaussian basis; each has its pseudopotentials."
    )
    density_cutoff_ry: PositiveFloat = Field(
        default=350.0, description="Cutoff of the plane waves that hold the density, in Ry; F wants 600."
    )


class DftProtocol(Protocol):
    """How the electrons are treated."""

    functional: Literal["PBE"] = Field(default="PBE", description="Exchange and correlation.")
    cutoff_ev: PositiveFloat = Field(default=500.0, description="Plane-wave cutoff of the wave functions, in eV.")
    kpoints: Kpoints = Field(default=Kpoints(mesh=(2, 2, 2)), description="Mesh of k-points.")
    scf_ev: PositiveFloat = Field(default=1e-5, description="Convergence of the energy, in eV.")
    smearing_ev: PositiveFloat = Field(
        default=0.05,
        description="Width of Gaussian smearing, in eV; the sources do not say, the crystals are insulators.",
    )
    spin: Literal["auto", "none", "polarised"] = Field(
        default="auto",
        description="auto: polarised where an ion has an open shell or the number of electrons is odd.",
    )
    vasp: VaspSettings = Field(default=VaspSettings(), description="What only VASP is told.")
    cp2k: Cp2kSettings = Field(default=Cp2kSettings(), description="What only CP2K is told.")

    @field_validator("scf_ev")
    @classmethod
    def _within_reason(cls, scf_ev: float) -> float:
        if scf_ev > 1e-2:
            raise InputError("at most 0.01 eV is allowed")
        return scf_ev

    @property
    def for_vasp(self) -> dict[str, Any]:
        """All numbers that VASP's result follows from, as JSON."""
        return self.model_dump(mode="json", exclude={"cp2k"})

    @property
    def for_cp2k(self) -> dict[str, Any]:
        """All numbers that CP2K's result follows from, as JSON."""
        return self.model_dump(mode="json", exclude={"vasp", "cutoff_ev"})


LZC = DftProtocol()
"""Section 1.7 of the first source: 500 eV, 2×2×2, 1e-5 eV."""

LZC_AIMD = DftProtocol(cutoff_ev=400.0, kpoints=Kpoints(mesh=(1, 1, 1)))
"""Section 1.8 of the first source: a reduced cutoff of 400 eV and Γ alone."""

LZRC = DftProtocol(cutoff_ev=450.0, scf_ev=5e-6, kpoints=Kpoints(length_angstrom=25.0, scheme="monkhorst-pack"))
"""DFT of the second source: 450 eV, 5e-6 eV, Monkhorst–Pack meshes of 25 times the reciprocal lengths."""

NAMED_DFT = {"lzc": LZC, "lzc-aimd": LZC_AIMD, "lzrc": LZRC}
"""The protocols of the sources by name."""


def checksum(numbers: Mapping[str, Any]) -> str:
    """Return eight characters that differ for other numbers."""
    return hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()[:8]
