"""The builder of candidate summaries: plan and task documents in, one summary a candidate out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from maggma.core import Builder
from pymatgen.core import Composition

from lzc_flows.crystal.cost import cost_usd_per_kg
from lzc_flows.database.stores import CANDIDATES, PLAN, TASKS, Database
from lzc_flows.documents.aimd_protocol import AimdProtocol
from lzc_flows.documents.bvse import Barriers
from lzc_flows.documents.candidate import CandidateDoc, StageRecord
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

_FORM = hashlib.sha256(" ".join(CandidateDoc.model_fields).encode()).hexdigest()[:8]
"""Changes with the fields of a summary: those of an older version are built again."""


class CandidateBuilder(Builder):
    """Builds the summaries that are missing or out of date.

    A summary names the task documents and the plan that it was built from, and its own fields; it is built again when
    these change, so that a second run without news writes nothing.
    """

    def __init__(self, database: Database, **settings: Any) -> None:
        self.tasks = database.store(TASKS, "uuid")
        self.plan = database.store(PLAN, "key")
        self.candidates = database.store(CANDIDATES, "key")
        super().__init__(sources=[self.tasks, self.plan], targets=[self.candidates], **settings)

    def get_items(self) -> Iterator[dict[str, Any]]:
        """Yield plan and newest task documents of each candidate that needs building."""
        newest: dict[str, dict[str, Any]] = {}
        fields = ["uuid", "index", "completed_at", "metadata.key"]
        # a run that was replaced by its continuation left a document without output
        finished = {"metadata.key": {"$exists": True}, "output": {"$ne": None}}
        for task in self.tasks.query(finished, properties=fields):
            key = task["metadata"]["key"]
            if key not in newest or _age(newest[key]) < _age(task):
                newest[key] = task
        built = {
            summary["key"]: summary["built_from"]
            for summary in self.candidates.query({}, properties=["key", "built_from"])
        }
        for plan in self.plan.query({}):
            tasks = {stage: newest[key] for stage, key in plan["stage_keys"].items() if key in newest}
            origin = _origin(plan, tasks)
            if built.get(plan["key"]) != origin:
                yield {"plan": plan, "tasks": tasks, "origin": origin}

    def process_item(self, item: dict[str, Any]) -> dict[str, Any]:
        """Return the summary of one candidate."""
        plan = {name: value for name, value in item["plan"].items() if name != "_id"}
        summary: dict[str, Any] = {"engines": {}, "stages": {}, "corrections": []}
        for stage, task in item["tasks"].items():
            record = StageRecord(uuid=task["uuid"], index=task["index"], completed_at=task["completed_at"])
            summary["stages"][stage] = record
            output = self._output(task)
            for field, source in _SUMMARY_FIELDS.get(stage, {}).items():
                summary[field] = output[source]
            summary["corrections"] += _corrections(stage, output)
            if output.get("engine"):
                summary["engines"][stage] = f"{output['engine']['name']} ({output['engine']['version']})"
            if stage == "order":
                summary["anions_at_dopant"] = output["shortlist"][0]["anions_at_dopant"]
            if stage == "relax":
                summary["relax_corrections"] = len(output["corrections"])
            if stage == "aimd":
                summary |= _transport(output)
            if stage == "cineb":
                summary |= _hops(output)
            if stage == "electronic":
                summary["gap_ev"] = output["points"][0]["gap_ev"]
        document = CandidateDoc(**plan, **summary, cost_usd_per_kg=_cost(plan["formula"]), built_from=item["origin"])
        return document.model_dump(mode="json")

    def update_targets(self, items: list[dict[str, Any]]) -> None:
        """Write the summaries."""
        if items:
            self.candidates.update(items, key="key")

    def _output(self, task: dict[str, Any]) -> dict[str, Any]:
        criteria = {"uuid": task["uuid"], "index": task["index"]}
        found = self.tasks.query_one(criteria, properties=["output"])
        return found["output"]


def build_candidates(database: Database) -> None:
    """Bring the summaries up to date."""
    builder = CandidateBuilder(database)
    builder.connect()
    try:
        builder.update_targets([builder.process_item(item) for item in builder.get_items()])
    finally:
        for store in (*builder.sources, *builder.targets):
            store.close()


def _corrections(stage: str, output: dict[str, Any]) -> list[str]:
    """Return what custodian did in a stage, one line an action; of a handler that only took note, its errors."""
    return [
        f"{stage}: {correction['handler']}: {words}"
        for correction in output.get("corrections") or []
        for words in correction["actions"] or correction["errors"]
    ]


def _transport(output: dict[str, Any]) -> dict[str, Any]:
    """Return what molecular dynamics says; a diffusivity only of a framework that stayed what it is."""
    stability, diffusion = output["stability"], output["diffusion"]
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


def _age(task: dict[str, Any]) -> tuple[str, int]:
    return task["completed_at"], task["index"]


def _origin(plan: dict[str, Any], tasks: dict[str, dict]) -> list[str]:
    # a job that runs again writes under the same UUID and index: only the time tells its documents apart
    documents = [
        f"{stage}:{task['uuid']}:{task['index']}:{task['completed_at']}" for stage, task in sorted(tasks.items())
    ]
    return [f"fields:{_FORM}", *documents, *(f"campaign:{name}" for name in sorted(plan["campaigns"]))]


def _cost(formula: str) -> float | None:
    """Return the cost in $/kg, None where an element has no price."""
    try:
        return cost_usd_per_kg(Composition(formula))
    except InputError:
        return None
