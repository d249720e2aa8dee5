"""Questions to the plan: what campaigns want. Light to import, for what must answer at once."""

from __future__ import annotations

from typing import Any

from lzc_flows.database.stores import CAMPAIGNS, PLAN, Database
from lzc_flows.errors import InputError


def campaign_document(database: Database, name: str) -> dict[str, Any]:
    """Return a submitted campaign's document; raise `InputError` naming the known ones."""
    found = database.collection(CAMPAIGNS).find_one({"name": name}, {"_id": False})
    if found is None:
        known = sorted(entry["name"] for entry in database.collection(CAMPAIGNS).find({}, {"name": True}))
        raise InputError(f"campaign {name!r}: not in the database; it holds {', '.join(known) or 'none'}")
    return found


def planned_results(database: Database, campaign: str) -> dict[str, str]:
    """Return the keys of all results that a campaign wants, one a candidate and stage, with the candidate's key."""
    plans = database.collection(PLAN).find({"campaigns": campaign}, {"key": True, "stage_keys": True})
    return {key: plan["key"] for plan in plans for key in plan["stage_keys"].values()}


def planned_keys(database: Database, campaign: str) -> set[str]:
    """Return the keys of all results that a campaign wants."""
    return set(planned_results(database, campaign))


def planned_candidates(database: Database, campaign: str) -> int:
    """Return the number of a campaign's candidates."""
    return database.collection(PLAN).count_documents({"campaigns": campaign})


def planned_stages(database: Database, campaign: str, candidates: int | None = None) -> dict[str, int]:
    """Return how many candidates are to run each stage, all or what its gate lets pass; empty before a submission.

    `candidates` is their number, which is counted where it is not given.
    """
    found = database.collection(CAMPAIGNS).find_one({"name": campaign}, {"spec.stages": True})
    candidates = planned_candidates(database, campaign) if candidates is None else candidates
    there = {name: stage for name, stage in found["spec"]["stages"].items() if stage is not None} if found else {}
    return {name: min(stage.get("top") or candidates, candidates) for name, stage in there.items()}
