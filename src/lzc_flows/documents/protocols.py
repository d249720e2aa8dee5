"""Protocols: the numbers of a calculation, named and versioned.

A protocol's values are part of a candidate's key, so a changed number is a new candidate.
"""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from lzc_flows.documents.model import FrozenModel


class Protocol(FrozenModel):
    """Numbers that change a result; frozen, extra keys refused."""


SYMPREC_ANGSTROM = 1e-3
"""Symmetry tolerance in Å: the host's coordinates are exact, its symmetric sites agree far better."""

Tier = Literal["electrostatics", "bond-valence", "static-energy", "relaxed-energy", "symmetry"]
"""What tells arrangements apart, in the order in which they may be asked: point charges, the global instability index
of the unrelaxed cell, an engine's energy of the unrelaxed or of the shortly relaxed cell, the larger stabiliser."""

TIERS: tuple[Tier, ...] = get_args(Tier)

ENGINE_TIERS = frozenset(("static-energy", "relaxed-energy"))


class OrderProtocol(Protocol):
    """How the ordered structure of a combination is chosen."""

    tiers: tuple[Tier, ...] = Field(
        default=("electrostatics", "bond-valence", "relaxed-energy", "symmetry"),
        description="What decides, one after the other; see crystal/ordering.py.",
    )
    shortlist: int = Field(
        default=8,
        ge=1,
        description="Arrangements that the engine compares; 1 asks no engine.",
    )
    fmax_ev_per_angstrom: float = Field(
        default=0.1, gt=0, description="Largest force at the end of a short relaxation, in eV/Å."
    )
    max_steps: int = Field(default=150, ge=2, description="Most steps of a short relaxation.")
    symprec_angstrom: float = Field(default=SYMPREC_ANGSTROM, gt=0, description="Symmetry tolerance in Å.")
    seed: int = Field(default=0, ge=0, description="Of the random numbers where there are too many orbits to list.")

    @field_validator("tiers")
    @classmethod
    def _in_order(cls, tiers: tuple[Tier, ...]) -> tuple[Tier, ...]:
        in_order = list(tiers) == sorted(set(tiers), key=TIERS.index)
        if not in_order or {"electrostatics", "symmetry"} - set(tiers) or len(ENGINE_TIERS & set(tiers)) > 1:
            raise ValueError(
                "electrostatics, then bond-valence, then static-energy or relaxed-energy, then symmetry is allowed; "
                "those in the middle may be left out"
            )
        return tiers

    @property
    def engine_tier(self) -> Tier | None:
        """The tier that asks an engine, None without one."""
        return next((tier for tier in self.tiers if tier in ENGINE_TIERS), None)


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


class NebProtocol(Protocol):
    """How the path of a hop is found: climbing-image nudged elastic band at fixed cell."""

    images: int | None = Field(
        default=None, description="Images between the ends, odd; by default one in about 0.7 Å of the longest way."
    )
    fmax_ends_ev_per_angstrom: float = Field(
        default=0.01, gt=0, description="Largest force on an atom of a relaxed end, in eV/Å."
    )
    fmax_climbing_ev_per_angstrom: float = Field(
        default=0.01, gt=0, description="Largest force on an atom of the climbing image, in eV/Å."
    )
    fmax_band_ev_per_angstrom: float = Field(
        default=0.05, gt=0, description="Largest nudged force on an atom of the other images, in eV/Å."
    )
    spring_ev_per_angstrom2: float = Field(default=1.0, gt=0, description="Spring constant, in eV/Å².")
    split_ev: float = Field(
        default=0.02, gt=0, description="A minimum between the ends that is so deep splits the path, in eV."
    )
    max_steps: int = Field(default=200, ge=2, description="Most steps of a band, or of an end's relaxation.")

    @field_validator("images")
    @classmethod
    def _odd(cls, images: int | None) -> int | None:
        if images is not None and (images < 1 or images % 2 == 0):
            raise ValueError("an odd number of at least 1 is allowed, so that one can climb in the middle")
        return images


Mechanism = Literal["vacancy", "interstitial", "interstitialcy", "frenkel"]
"""An ion goes to a vacancy; an extra ion goes to an empty site; an extra ion knocks an ion of the crystal on and takes
its site; an ion of the crystal as it is goes to an empty site."""

MECHANISMS: tuple[Mechanism, ...] = get_args(Mechanism)


class HopProtocol(Protocol):
    """Which hops of a crystal are looked for."""

    mobile: str = Field(default="Li", description="Element of the mobile ion.")
    mechanisms: tuple[Mechanism, ...] = Field(
        default=("vacancy", "interstitial", "interstitialcy"), min_length=1, description="How ions hop."
    )
    supercell: tuple[PositiveInt, PositiveInt, PositiveInt] = Field(
        default=(1, 1, 1), description="Repeats of the relaxed cell, so that hops do not meet their own images."
    )
    symprec_angstrom: float = Field(default=0.01, gt=0, description="Symmetry tolerance of equal hops, in Å.")
    temperatures_k: tuple[PositiveFloat, ...] = Field(default=(300.0,), description="For diffusivities, in K.")
    most: int | None = Field(
        default=None, ge=1, description="Most hops, mechanism by mechanism and the shortest first; null for all."
    )
    attempt_thz: float = Field(default=10.0, gt=0, description="Attempt frequency of every hop, in THz; an assumption.")
