"""Removing a campaign from the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fireworks import LaunchPad

from lzc_flows.database.candidates import build_candidates
from lzc_flows.database.locks import database_lock
from lzc_flows.database.plans import campaign_document
from lzc_flows.database.stores import BUILT, CAMPAIGNS, CANDIDATES, DATA, PLAN, TASKS, Database
from lzc_flows.errors import InputError
from lzc_flows.launch.queued import fireworks_of

_CHUNK = 500
"""Ids asked for at a time: with many thousands the embedded server takes minutes."""


@dataclass(frozen=True)
class Removal:
    """What a campaign alone holds; what it shares with others is left to these.

    Attributes
    ----------
    campaign
        Its name.
    candidates
        Keys of candidates that no other campaign wants.
    shared
        How many candidates others want too.
    fireworks
        Ids of its jobs.
    results
        Ids of its jobs' task documents.
    """

    campaign: str
    candidates: list[str]
    shared: int
    fireworks: list[int]
    results: list[Any]


def plan_removal(database: Database, launchpad: LaunchPad, campaign: str) -> Removal:
    """Return what would be removed; nothing is changed.

    Raises
    ------
    InputError
        There is no such campaign, or its jobs are running.
    """
    campaign_document(database, campaign)
    own: list[str] = []
    shared = 0
    keys: set[str] = set()
    others: set[str] = set()
    fields = {"key": True, "stage_keys": True, "campaigns": True}
    for plan in database.collection(PLAN).find({}, fields):
        wanted = set(plan["stage_keys"].values())
        if campaign not in plan["campaigns"]:
            others |= wanted
        elif plan["campaigns"] == [campaign]:
            own.append(plan["key"])
            keys |= wanted
        else:
            shared += 1
            others |= wanted
    keys -= others  # candidates may share the result of a stage
    fireworks = list(fireworks_of(launchpad, keys))
    fireworks += launchpad.fireworks.find({"spec.stage": "rank", "spec.campaign": campaign}, {"fw_id": 1, "state": 1})
    running = sum(firework["state"] in ("RESERVED", "RUNNING") for firework in fireworks)
    if running:
        raise InputError(
            f"campaign {campaign!r}: {running} of its jobs are running: stop its workers, then `lzc recover`"
        )
    tasks = database.collection(TASKS).find(
        {}, {"metadata.key": True, "metadata.stage": True, "metadata.campaign": True}
    )
    results = [task["_id"] for task in tasks if _is_of(task.get("metadata") or {}, keys, campaign)]
    return Removal(campaign, own, shared, [firework["fw_id"] for firework in fireworks], results)


def remove_campaign(database: Database, launchpad: LaunchPad, removal: Removal) -> None:
    """Remove a campaign, its candidates and its jobs; results stay."""
    with database_lock(database, "submit"):
        for ids in _chunks(removal.fireworks):
            launchpad.workflows.delete_many({"nodes": {"$in": ids}})
            launchpad.fireworks.delete_many({"fw_id": {"$in": ids}})
            launchpad.launches.delete_many({"fw_id": {"$in": ids}})
        for keys in _chunks(removal.candidates):
            database.collection(CANDIDATES).delete_many({"key": {"$in": keys}})
            database.collection(PLAN).delete_many({"key": {"$in": keys}})
        let_go = {"$pull": {"campaigns": removal.campaign}, "$unset": {BUILT: True}}
        database.collection(PLAN).update_many({"campaigns": removal.campaign}, let_go)
        # last, so that a removal that was cut off can be asked for again
        database.collection(CAMPAIGNS).delete_one({"name": removal.campaign})
    build_candidates(database)


def remove_results(database: Database, removal: Removal) -> None:
    """Remove the task documents of a campaign's jobs and their large data."""
    tasks, files = database.collection(TASKS), database.collection(f"{DATA}.files")
    for number in removal.results:
        task = tasks.find_one({"_id": number}, {"uuid": True, "index": True})
        if task is None:
            continue
        tasks.delete_one({"_id": number})
        place = {"metadata.job_uuid": task["uuid"], "metadata.job_index": task["index"]}
        for file in list(files.find(place, {"_id": True})):
            files.delete_one({"_id": file["_id"]})
            database.collection(f"{DATA}.chunks").delete_many({"files_id": file["_id"]})


def _is_of(metadata: dict[str, Any], keys: set[str], campaign: str) -> bool:
    return metadata.get("key") in keys or (metadata.get("stage") == "rank" and metadata.get("campaign") == campaign)


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
