"""The summary of a candidate, built from the documents of its stages."""

from __future__ import annotations

from pydantic import Field

from lzc_flows.documents.base import SCHEMA, Document

STAGES = ("order", "relax", "bvse", "stability", "aimd", "arrhenius", "cineb", "electronic")
"""Names of all stages that there are, in the order in which they may follow one another."""


class PlannedCandidate(Document):
    """What a campaign wants of a candidate, written when it is submitted."""

    key: str = Field(description="Readable words and a checksum of all that changes the results.")
    stage_keys: dict[str, str] = Field(description="Key of each stage's result.")
    campaigns: list[str] = Field(description="Campaigns that hold the candidate.")
    host: str = Field(description="Name of the host crystal.")
    cation: str | None = Field(description="Doping cation with its charge, such as Ti3+; None without.")
    cation_element: str | None = Field(description="Element of the doping cation.")
    cation_site: str | None = Field(description="Wyckoff labels of its sites, such as 1a or 1a+2d.")
    cation_count: int = Field(description="Doping cations in the supercell.")
    anion: str | None = Field(description="Doping anion with its charge, such as F-; None without.")
    anion_element: str | None = Field(description="Element of the doping anion.")
    anion_site: str | None = Field(description="Wyckoff labels of its sites.")
    anion_count: int = Field(description="Doping anions in the supercell.")
    supercell: tuple[int, int, int] = Field(description="Repeats of the host's unit cell.")
    cation_axis: str = Field(
        description="Cation axis of the heatmap: the dopant, the host's own if only anions are doped, pristine."
    )
    column: str = Field(description="The grid axes other than the cation, as the heatmap labels them.")
    formula: str = Field(description="Formula of the supercell.")
    extra_mobile: int = Field(description="Mobile ions added (negative: removed) for charge neutrality.")
    arrangements: str = Field(description="Number of arrangements, symmetry not used (a string: it can be huge).")
    schema_version: int = Field(default=SCHEMA, description="Version of the database's contents.")


class StageRecord(Document):
    """Where a finished stage's document is."""

    uuid: str = Field(description="jobflow UUID of the task document.")
    index: int = Field(description="jobflow index of the task document.")
    completed_at: str = Field(description="When the job ended, ISO 8601.")


class CandidateDoc(PlannedCandidate):
    """One candidate with all that is known of it; numbers of stages not run yet are None."""

    cost_usd_per_kg: float | None = Field(description="Raw-material cost by mass fractions, in $/kg.")
    scarcest_abundance_mg_per_kg: float | None = Field(
        default=None, description="Crustal abundance of the scarcest cation's element, in mg/kg."
    )
    scarcest_element: str | None = Field(default=None, description="That element.")
    ordered_by: str | None = Field(default=None, description="What decided the arrangement.")
    order_exhaustive: bool | None = Field(default=None, description="Whether every orbit was compared.")
    order_margin_ev: float | None = Field(default=None, description="Runner-up above the chosen one, in eV a cell.")
    anions_at_dopant: int | None = Field(default=None, description="Isovalent anions bound to the dopant.")
    energy_per_atom_ev: float | None = Field(default=None, description="Relaxed energy, in eV per atom.")
    max_force_ev_per_angstrom: float | None = Field(default=None, description="After relaxation, in eV/Å.")
    volume_change: float | None = Field(default=None, description="Relaxed over starting volume, minus 1.")
    relax_corrections: int | None = Field(default=None, description="Errors that custodian mended.")
    barrier_1d: float | None = Field(default=None, description="BVSE barrier, one direction, in eV; +inf: none.")
    barrier_2d: float | None = Field(default=None, description="BVSE barrier, two directions, in eV.")
    barrier_3d: float | None = Field(default=None, description="BVSE barrier, three directions, in eV.")
    barrier_a: float | None = Field(default=None, description="BVSE barrier along a, in eV.")
    barrier_b: float | None = Field(default=None, description="BVSE barrier along b, in eV.")
    barrier_c: float | None = Field(default=None, description="BVSE barrier along c, in eV.")
    barrier_ab: float | None = Field(default=None, description="BVSE barrier along both a and b, in eV.")
    decomposition_ev_per_atom: float | None = Field(
        default=None, description="Above the lowest combination of reference phases, in eV/atom; negative: below."
    )
    doping_energy_ev: float | None = Field(
        default=None, description="Formation from host and halides of the dopant, in eV for a doping ion."
    )
    stability: str | None = Field(default=None, description="What became of the framework in molecular dynamics.")
    aimd_temperature_k: float | None = Field(default=None, description="Its temperature, in K.")
    diffusivity_cm2_s: float | None = Field(
        default=None, description="Tracer diffusivity at that temperature, in cm²/s; None if the framework changed."
    )
    sigma_mS_cm: float | None = Field(default=None, description="Conductivity at that temperature, in mS/cm.")
    sigma_low_mS_cm: float | None = Field(default=None, description="Lower end of its 68 % interval, in mS/cm.")
    sigma_high_mS_cm: float | None = Field(default=None, description="Upper end of its 68 % interval, in mS/cm.")
    ea_ev: float | None = Field(default=None, description="Activation energy of a line of Arrhenius, in eV.")
    ea_error_ev: float | None = Field(default=None, description="Its standard error, in eV.")
    sigma_300k_mS_cm: float | None = Field(default=None, description="Conductivity of that line at 300 K, in mS/cm.")
    sigma_300k_low_mS_cm: float | None = Field(default=None, description="Lower end of its 68 % interval, in mS/cm.")
    sigma_300k_high_mS_cm: float | None = Field(default=None, description="Upper end of its 68 % interval, in mS/cm.")
    neb_barrier_1d: float | None = Field(default=None, description="Barrier of hops, one direction, in eV; +inf: none.")
    neb_barrier_2d: float | None = Field(
        default=None, description="Barrier of hops, two directions, in eV; +inf: none."
    )
    neb_barrier_3d: float | None = Field(
        default=None, description="Barrier of hops, three directions, in eV; +inf: none."
    )
    neb_barrier_a: float | None = Field(default=None, description="Barrier of hops, along a, in eV; +inf: none.")
    neb_barrier_b: float | None = Field(default=None, description="Barrier of hops, along b, in eV; +inf: none.")
    neb_barrier_c: float | None = Field(default=None, description="Barrier of hops, along c, in eV; +inf: none.")
    neb_barrier_ab: float | None = Field(
        default=None, description="Barrier of hops, along both a and b, in eV; +inf: none."
    )
    hops: int | None = Field(default=None, description="Distinct hops whose paths were looked for.")
    hops_converged: int | None = Field(
        default=None, description="Hops with a converged path; all, or barriers are bounds."
    )
    corrections: list[str] = Field(
        default_factory=list,
        description="What custodian did in all stages, such as 'relax: VaspErrorHandler: INCAR: ALGO = Normal'.",
    )
    gap_ev: float | None = Field(default=None, description="Band gap where the limiting hop begins, in eV.")
    electronic_hop: str | None = Field(default=None, description="Hop whose electrons were looked at.")
    engines: dict[str, str] = Field(default_factory=dict, description="Engine and version by stage.")
    stages: dict[str, StageRecord] = Field(default_factory=dict, description="Finished stages.")
    built_from: str = Field(default="", description="Checksum of what the summary was built from.")
