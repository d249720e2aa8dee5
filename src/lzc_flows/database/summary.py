"""One candidate's summary from its plan and the documents of its stages."""

from __future__ import annotations

from typing import Any

from pymatgen.core import Composition

from lzc_flows.crystal.abundance import scarcest_cation
from lzc_flows.crystal.cost import cost_usd_per_kg
from lzc_flows.documents.aimd_protocol import AimdProtocol
from lzc_flows.documents.bvse import Barriers
from lzc_flows.documents.candidate import CandidateDoc, PlannedCandidate, StageRecord
from lzc_flows.errors import InputError

_SUMMARY_FIELDS = {
    "order": {
        "ordered_by": "decided_by",
        "order_exhaustive": "exhaustive",
        "order_margin_ev": "margin_ev",
    },
    "relax": {
        "energy_per_atom_ev": "energy_per_atom_ev",
        "max_force_ev_per_angstrom": "max_force_ev_per_angstrom",
        "volume_change": "volume_change",
    },
    "bvse": {name: name for name in Barriers.model_fields},
    "stability": {
        "decomposition_ev_per_atom": "decomposition_ev_per_atom",
        "doping_energy_ev": "doping_energy_ev",
    },
    "aimd": {},
    "arrhenius": {},
    "cineb": {},
    "electronic": {"electronic_hop": "hop"},
}
"""For each stage, from the summary's field to the document's; a later stage with numbers adds a row here."""

OUTPUT_FIELDS = (
    *sorted({source for sources in _SUMMARY_FIELDS.values() for source in sources.values()}),
    *("corrections", "engine", "stability", "protocol", "barriers_eV", "statuses"),
    *("shortlist.anions_at_dopant", "points.gap_ev", "hops.id"),
    *("diffusion.D_cm2_s", "diffusion.sigma_mS_cm", "diffusion.sigma_interval"),
    *("line.Ea_eV", "line.Ea_standard_error", "line.sigma_300K_mS_cm", "line.sigma_300K_interval"),
)
"""What of a document's output a summary can follow from; the rest, crystals above all, is large."""


def summarise(plan: dict[str, Any], tasks: dict[str, dict[str, Any]], origin: str) -> dict[str, Any]:
    """Return the summary as the database holds it.

    Parameters
    ----------
    plan
        The candidate's plan document.
    tasks
        By stage, the task document, of whose output `OUTPUT_FIELDS` are enough.
    origin
        The checksum of what it is built from.
    """
    summary: dict[str, Any] = {"engines": {}, "stages": {}, "corrections": []}
    for stage, task in tasks.items():
        output = task["output"]
        summary["stages"][stage] = StageRecord(**{name: task[name] for name in StageRecord.model_fields})
        summary["corrections"] += _corrections(stage, output)
        if output.get("engine"):
            summary["engines"][stage] = f"{output['engine']['name']} ({output['engine']['version']})"
        summary |= _numbers(stage, output)
    planned = {name: plan[name] for name in PlannedCandidate.model_fields}
    of_formula = {"cost_usd_per_kg": _cost(plan["formula"]), **_abundance(plan["formula"])}
    document = CandidateDoc(**planned, **summary, **of_formula, built_from=origin)
    return document.model_dump(mode="json")


def _numbers(stage: str, output: dict[str, Any]) -> dict[str, Any]:
    """Return what a stage adds to the fields of a summary."""
    found = {field: output[source] for field, source in _SUMMARY_FIELDS.get(stage, {}).items()}
    if stage == "order":
        found["anions_at_dopant"] = output["shortlist"][0]["anions_at_dopant"]
    if stage == "relax":
        found["relax_corrections"] = len(output["corrections"])
    if stage == "aimd":
        found |= _transport(output)
    if stage == "arrhenius":
        found |= _line(output)
    if stage == "cineb":
        found |= _hops(output)
    if stage == "electronic":
        found["gap_ev"] = output["points"][0]["gap_ev"]
    return found


def _corrections(stage: str, output: dict[str, Any]) -> list[str]:
    """Return what custodian did in a stage, one line an action; of a handler that only took note, its errors."""
    return [
        f"{stage}: {correction['handler']}: {words}"
        for correction in output.get("corrections") or []
        for words in correction["actions"] or correction["errors"]
    ]


def _transport(output: dict[str, Any]) -> dict[str, Any]:
    """Return what molecular dynamics says; a diffusivity only of a framework that stayed what it is."""
    # a projection leaves out what is below null
    stability, diffusion = output["stability"], output.get("diffusion")
    found: dict[str, Any] = {
        "stability": stability["label"],
        "aimd_temperature_k": AimdProtocol(**output["protocol"]).segments[-1].end_k,
    }
    if stability["intact"] and diffusion is not None:
        low, high = diffusion["sigma_interval"]
        found |= {
            "diffusivity_cm2_s": diffusion["D_cm2_s"],
            "sigma_mS_cm": diffusion["sigma_mS_cm"],
            "sigma_low_mS_cm": low,
            "sigma_high_mS_cm": high,
        }
    return found


def _line(output: dict[str, Any]) -> dict[str, Any]:
    """Return what a line of Arrhenius says, nothing where there is none."""
    line = output.get("line")
    if line is None:
        return {}
    low, high = line["sigma_300K_interval"]
    return {
        "ea_ev": line["Ea_eV"],
        "ea_error_ev": line["Ea_standard_error"],
        "sigma_300k_mS_cm": line["sigma_300K_mS_cm"],
        "sigma_300k_low_mS_cm": low,
        "sigma_300k_high_mS_cm": high,
    }


def _hops(output: dict[str, Any]) -> dict[str, Any]:
    """Return the percolation barriers of the hops, and how many of them have a path."""
    barriers = {f"neb_barrier_{target}": barrier for target, barrier in output["barriers_eV"].items()}
    return {**barriers, "hops": len(output["hops"]), "hops_converged": output["statuses"].get("converged", 0)}


def _cost(formula: str) -> float | None:
    """Return the cost in $/kg, None where an element has no price."""
    try:
        return cost_usd_per_kg(Composition(formula))
    except InputError:
        return None


def _abundance(formula: str) -> dict[str, Any]:
    """Return the scarcest cation and its crustal abundance in mg/kg, nothing where an element has none."""
    try:
        scarcest = scarcest_cation(Composition(formula))
    except InputError:
        return {}
    return {"scarcest_element": scarcest.element, "scarcest_abundance_mg_per_kg": scarcest.mg_per_kg}
