"""The documents of hops: one path, and a crystal's network of them."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from pymatgen.core import Structure

from lzc_flows.documents.base import Correction, Document, EngineStamp
from lzc_flows.documents.protocols import HopProtocol, NebProtocol


class LegDoc(Document):
    """An elementary step of a path: from one minimum to the next."""

    first_image: int = Field(description="Index of its first minimum among all images of the path.")
    last_image: int = Field(description="Index of its last minimum.")
    saddle_image: int | None = Field(
        description="Index of the climbing image; None where the energy only rises or falls."
    )
    barrier_forward_eV: float = Field(description="Saddle above the first minimum, in eV.")
    barrier_reverse_eV: float = Field(description="Saddle above the last minimum, in eV.")
    fmax_climbing: float = Field(description="Largest force on an atom of the climbing image, in eV/Å.")
    fmax_band: float = Field(description="Largest nudged force on an atom of the other images, in eV/Å.")
    steps: int = Field(description="Steps of the band.")


class NebDoc(Document):
    """A converged path between two relaxed ends. One that did not converge is a failure, never a document."""

    barrier_forward_eV: float = Field(description="Highest saddle above the initial end, in eV.")
    barrier_reverse_eV: float = Field(description="Highest saddle above the final end, in eV.")
    converged: bool = Field(description="Whether every leg met its limits: always true here.")
    fmax: float = Field(description="Largest force on an atom of a climbing image, in eV/Å.")
    fmax_band: float = Field(description="Largest nudged force on an atom of any other image, in eV/Å.")
    energies_eV: list[float] = Field(description="Of all images, the ends included, above the initial end, in eV.")
    distances_A: list[float] = Field(description="How far each image is along the path, all atoms' ways, in Å.")
    slopes_eV_A: list[float] = Field(description="Slope of the energy along the path at each image, in eV/Å.")
    legs: list[LegDoc] = Field(description="The elementary steps.")
    initial_energy_eV: float = Field(description="Energy of the initial end's cell, in eV.")
    moved_atoms: list[int] = Field(description="Atoms that move by more than half the longest way.")
    reordered: bool = Field(description="Whether atoms of the final end were matched in another order than given.")
    longest_way_A: float = Field(description="How far the ends of the atom that moves most are apart, in Å.")
    evaluations: int = Field(description="Force evaluations of images, those of relaxed ends not counted.")
    evaluations_ends: int = Field(description="Force evaluations of the ends' relaxation.")
    attempts: int = Field(description="How often the band was begun or continued with other settings.")
    wall_s: float = Field(description="Time of the engine's worker, in s.")
    charge_e: float | None = Field(
        description="Charge of the cell if every ion keeps its own, in elementary charges; None where it is not known."
    )
    charge_note: str = Field(description="What the engine makes of that charge.")
    engine: EngineStamp = Field(description="Engine of the forces.")
    protocol: NebProtocol = Field(description="The numbers used.")
    corrections: list[Correction] = Field(default_factory=list, description="What custodian mended.")
    initial: Structure = Field(description="The relaxed initial end.")
    path: dict[str, Any] | None = Field(
        default=None, description="In the data store: positions of all images, as `jobs.neb.pack_path` gives them."
    )


class SurroundingsDoc(Document):
    """What stands around a hop in a doped crystal."""

    dopant_distances_angstrom: dict[str, float] = Field(
        description="From the bottleneck to the nearest dopant of each element, in Å."
    )
    anions_in_bottleneck: dict[str, int] = Field(
        description="The anions of the bottleneck, three of a face or two of an edge, by element."
    )
    dopant_anions: int = Field(description="How many of these are dopants.")
    dopant_shell: str = Field(description="near, far, or none without a dopant.")


class MoveDoc(Document):
    """The ion at a site of the home cell goes to another site, some cells away."""

    site: int = Field(description="Index of the site.")
    to: int = Field(description="Index of the other site.")
    translation: tuple[int, int, int] = Field(description="Its cell.")


class HopDoc(Document):
    """A hop, one of all that symmetry makes equal, and what became of its path."""

    id: str = Field(description="Name of the hop in its crystal.")
    mechanism: str = Field(description="vacancy, interstitial, interstitialcy or frenkel.")
    labels: list[str] = Field(description="Wyckoff labels of the sites on its way.")
    vacancy: str | None = Field(
        description="Label of the vacancy beside which an ion takes an empty site; None for other hops."
    )
    moves: list[MoveDoc] = Field(description="The ions that move.")
    ways_A: list[float] = Field(description="How far each ion goes, in Å.")
    direction: list[float] = Field(description="Unit vector of the net displacement, Cartesian, dimensionless.")
    direction_word: str = Field(description="c, ab or oblique.")
    multiplicity: int = Field(description="Equal hops in the cell.")
    charge_e: float | None = Field(
        description="Charge of the cell that a DFT engine must compensate, in elementary charges."
    )
    surroundings: SurroundingsDoc = Field(description="Dopants and anions around it.")
    status: str = Field(description="converged, or what failed: see docs/neb.md.")
    reason: str | None = Field(default=None, description="Of a failure: why, in one line.")
    barrier_forward_eV: float | None = Field(
        default=None, description="Highest saddle above that end, in eV; None unless converged."
    )
    barrier_reverse_eV: float | None = Field(
        default=None, description="Highest saddle above that end, in eV; None unless converged."
    )
    fmax: float | None = Field(default=None, description="Largest force at a saddle, in eV/Å; None unless converged.")
    energies_eV: list[float] = Field(default_factory=list, description="Of all images above the initial end, in eV.")
    distances_A: list[float] = Field(default_factory=list, description="Of all images along the path, in Å.")
    slopes_eV_A: list[float] = Field(default_factory=list, description="Of the energy along the path, in eV/Å.")
    legs: list[LegDoc] = Field(default_factory=list, description="The elementary steps.")
    evaluations: int = Field(default=0, description="Force evaluations of images.")
    attempts: int = Field(default=0, description="How often the band was begun or continued with other settings.")
    initial_energy_eV: float | None = Field(default=None, description="Energy of the initial state's cell, in eV.")
    final_energy_eV: float | None = Field(default=None, description="Energy of the final state's cell, in eV.")


class CarrierDoc(Document):
    """How one kind of carrier gets through the crystal by its hops."""

    carrier: str = Field(description="vacancy (one ion too few), interstitial (one too many) or frenkel (none).")
    hops: int = Field(description="Distinct hops of the carrier.")
    converged: int = Field(
        description="Of these, hops with a converged path; barriers are upper bounds unless all are."
    )
    barriers_eV: dict[str, float] = Field(
        description="By 1d, 2d, 3d, a, b, c and ab: the least highest saddle above the lowest state on the way, in eV; "
        "+inf where the hops lead nowhere."
    )
    spread_eV: float = Field(description="Largest disagreement of hops on the energy of a state, in eV.")
    D_cm2_s: dict[str, dict[str, float]] = Field(
        description="By temperature in K, and total, a, b, c, ab: diffusivity of one carrier, in cm²/s."
    )
    activation_eV: dict[str, dict[str, float]] = Field(description="Likewise: its activation energy there, in eV.")


class HopNetworkDoc(Document):
    """All hops of a crystal and what follows from their barriers."""

    structure: Structure = Field(description="The crystal, in the supercell of the hops.")
    symmetry: str = Field(description="Space group that tells which hops are equal.")
    sites: dict[str, int] = Field(description="Sites by label, occupied and empty.")
    hops: list[HopDoc] = Field(description="The distinct hops.")
    carriers: list[CarrierDoc] = Field(description="What follows for each kind of carrier.")
    barriers_eV: dict[str, float] = Field(description="The lowest over all carriers, as in each of them, in eV.")
    statuses: dict[str, int] = Field(description="How many hops ended how.")
    evaluations: int = Field(description="Force evaluations, relaxed states included.")
    wall_s: float = Field(description="Time of the engine's workers, in s.")
    charge_note: str = Field(description="What the engine makes of a charged cell.")
    engine: EngineStamp = Field(description="Engine of the forces.")
    hop_protocol: HopProtocol = Field(description="Which hops were looked for.")
    protocol: NebProtocol = Field(description="How their paths were found.")
    corrections: list[Correction] = Field(default_factory=list, description="What custodian mended.")
    paths: dict[str, Any] | None = Field(
        default=None, description="In the data store: by hop, positions of all images."
    )


class InterlayerPoint(Document):
    """A crystal with its layers at one distance."""

    c_angstrom: float = Field(description="Length of c, in Å.")
    interlayer_angstrom: float = Field(description="Distance of cation layers: c over their number, in Å.")
    barriers_eV: dict[str, float] = Field(description="Lowest percolation barriers, by target, in eV; +inf: none.")
    hops: list[HopDoc] = Field(description="The distinct hops.")


class InterlayerScanDoc(Document):
    """Barriers against the distance of layers, in-plane lattice fixed: Supplementary Fig. 4b."""

    points: list[InterlayerPoint] = Field(description="By growing distance.")
    engine: EngineStamp = Field(description="Engine of the forces.")
