"""One candidate's summary from its plan and the documents of its stages."""

from __future__ import annotations

from typing import Any

from pymatgen.core import Composition

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
    "aimd": {},
    "cineb": {},
    "electronic": {"electronic_hop": "hop"},
}
"""For each stage, from the summary's field to the document's; a later stage with numbers adds a row here."""

OUTPUT_FIELDS = (
    *sorted({source for sources in _SUMMARY_FIELDS.values() for source in sources.values()}),
    *("corrections", "engine", "stability", "protocol", "barriers_eV", "statuses"),
    *("shortlist.anions_at_dopant", "points.gap_ev", "hops.id"),
    *("diffusion.D_cm2_s", "diffusion.sigma_mS_cm", "diffusion.sigma_interval"),
)
"""What of a document's output a summary can follow from; the rest, crystals above all, is large."""


def summarise(plan: dict[str, Any], tasks: dict[str, dict[str, Any]], origin: list[str]) -> dict[str, Any]:
    """Return the summary as the database holds it.

    Parameters
    ----------
    plan
        The candidate's plan document.
    tasks
        By stage, the task document, of whose output `OUTPUT_FIELDS` are enough.
    origin
        What the summary will say it was built from.
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
    document = CandidateDoc(**planned, **summary, cost_usd_per_kg=_cost(plan["formula"]), built_from=origin)
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
