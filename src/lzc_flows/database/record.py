"""The writing of plans: candidates join a campaign, and leave it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pymongo import UpdateOne

from lzc_flows.database.stores import BUILT, PLAN, Database
from lzc_flows.documents.candidate import PlannedCandidate

MOST_KEYS = 500
"""Keys asked for at a time: with many more MongoDB's `$in` is slow on the embedded server."""


def planned_of(database: Database, campaign: str) -> dict[str, dict[str, Any]]:
    """Return the plan documents of a campaign by their candidates' keys."""
    return {plan["key"]: plan for plan in database.collection(PLAN).find({"campaigns": campaign}, {"_id": False})}


def record_plans(
    database: Database, campaign: str, wanted: list[PlannedCandidate], its_own: dict[str, dict[str, Any]]
) -> int:
    """Write what is not there as wanted; return how many candidates are new to the campaign.

    What is interrupted is made good by the next call.

    Parameters
    ----------
    its_own
        What `planned_of` returns now.
    """
    plans = database.collection(PLAN)
    new = [plan.key for plan in wanted if plan.key not in its_own]
    shared = {plan["key"]: plan for some in _chunks(new) for plan in plans.find({"key": {"$in": some}}, {"_id": False})}
    missing, changed = [], []
    for plan in wanted:
        content = plan.model_dump(mode="json", exclude={"campaigns"})
        there = its_own.get(plan.key) or shared.get(plan.key)
        if there is None:
            missing.append({**content, "campaigns": [campaign]})
        elif any(there.get(name) != value for name, value in content.items()):
            changed.append(UpdateOne({"key": plan.key}, {"$set": content, "$unset": {BUILT: True}}))
    for some in _chunks(missing):
        plans.insert_many(some, ordered=False)
    for some in _chunks(changed):
        plans.bulk_write(some, ordered=False)
    for some in _chunks(list(shared)):
        joined = {"$addToSet": {"campaigns": campaign}, "$unset": {BUILT: True}}
        plans.update_many({"key": {"$in": some}}, joined)
    return len(new)


def let_go(database: Database, campaign: str, keys: list[str]) -> None:
    """Take candidates out of a campaign; plans, results and other campaigns keep them."""
    for some in _chunks(keys):
        left = {"$pull": {"campaigns": campaign}, "$unset": {BUILT: True}}
        database.collection(PLAN).update_many({"key": {"$in": some}}, left)


def _chunks(entries: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(entries), MOST_KEYS):
        yield entries[start : start + MOST_KEYS]
