"""What a candidate's stages left: fields of their documents, crystals, curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maggma.core import Store
from pymatgen.core import Structure

from lzc_flows.database.stores import TASKS, Database
from lzc_flows.errors import InputError
from lzc_flows.report.curves import STAGE_CURVES, Curves

STRUCTURES = {
    "relax": ("structure", "relaxed"),
    "aimd": ("final_structure", "after molecular dynamics"),
    "order": ("structure", "ordered, not relaxed"),
}
"""For each stage that leaves a crystal, its field and the words for it; the one shown first comes first."""


def read_output(database: Database, summary: dict[str, Any], stage: str, fields: tuple[str, ...]) -> dict[str, Any]:
    """Return these fields (dotted names) of the document of a candidate's stage; empty where there is none."""
    record = summary.get("stages", {}).get(stage)
    if record is None:
        return {}
    wanted = {"_id": False, **{f"output.{name}": True for name in fields}}
    task = database.collection(TASKS).find_one({"uuid": record["uuid"], "index": record["index"]}, wanted)
    return (task or {}).get("output") or {}


def structures_of(summary: dict[str, Any]) -> dict[str, str]:
    """Return the stages of which a candidate has a crystal, with the words for it."""
    return {stage: words for stage, (_, words) in STRUCTURES.items() if stage in summary.get("stages", {})}


def read_structure(database: Database, summary: dict[str, Any], stage: str) -> Structure:
    """Return the crystal that a stage left.

    Raises
    ------
    InputError
        The stage left none, or is not done.
    """
    if stage not in structures_of(summary):
        raise InputError(f"structure {stage!r}: allowed are {', '.join(structures_of(summary)) or 'none yet'}")
    name, _ = STRUCTURES[stage]
    content = read_output(database, summary, stage, (name,)).get(name)
    if content is None:
        raise InputError(f"structure {stage!r}: its document is not in the database")
    return Structure.from_dict(content)


def read_curves(database: Database, summary: dict[str, Any]) -> list[Curves]:
    """Return a figure for each stage of a candidate that left curves, in the order of the stages."""
    found = []
    for stage, (fields, draw) in STAGE_CURVES.items():
        output = read_output(database, summary, stage, fields)
        if stage == "bvse":
            output = _fetched(database, output.get("network"))
        curves = draw(output) if output else None
        if curves is not None:
            found.append(curves)
    return found


def _fetched(database: Database, reference: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a document keeps in the data store; empty where nothing is."""
    if not reference or "blob_uuid" not in reference:
        return {}
    store: Store = database.job_store().additional_stores["data"]  # type: ignore[has-type]
    store.connect()
    try:
        found = store.query_one({"blob_uuid": reference["blob_uuid"]})
    finally:
        store.close()
    return (found or {}).get("data") or {}
