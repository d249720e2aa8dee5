"""What the fireworks and launches in a database say, read without FireWorks: light to import, for a quick status."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from pymongo.collection import Collection

from lzc_flows.database.stores import Database

ACTIVE_STATES = ("WAITING", "READY", "RESERVED", "RUNNING")
"""States of a firework that will still do something by itself."""

MOST_IDS = 500
"""Ids asked for at a time: with many thousands the embedded server takes minutes."""

_UNSETTLED = ("RESERVED", "RUNNING", "FIZZLED", "DEFUSED", "PAUSED")
"""States of fireworks of which there are few, and that a workflow may not have heard of yet."""

_OF_FIREWORKS = ("fw_id", "state", "launches", "claimed_by", "updated_on", "spec.key", "spec.stage")
_OF_LAUNCHES = ("launch_id", "state", "host", "fworker.name", "fworker.env", "state_history", "runtime_secs")
_TRACE = "action.stored_data._exception._stacktrace"


class Queued(Protocol):
    """Where fireworks, launches and workflows are; a LaunchPad is one."""

    @property
    def fireworks(self) -> Collection:
        """The fireworks."""

    @property
    def launches(self) -> Collection:
        """The launches."""

    @property
    def workflows(self) -> Collection:
        """The workflows."""


@dataclass(frozen=True)
class QueuedIn:
    """The fireworks, launches and workflows of a database."""

    fireworks: Collection
    launches: Collection
    workflows: Collection

    @classmethod
    def of(cls, database: Database) -> QueuedIn:
        """Return those of `database`."""
        return cls(*(database.collection(name) for name in ("fireworks", "launches", "workflows")))


def fireworks_of(queued: Queued, keys: set[str], states: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Yield what is needed of these candidates' fireworks: id, state, launches, claim, time, key and stage.

    `states` limits them to these FireWorks states; none is all.
    """
    query: dict[str, Any] = {"spec.key": {"$exists": True}}
    if states:
        query["state"] = {"$in": list(states)}
    for firework in queued.fireworks.find(query, {"_id": False, **dict.fromkeys(_OF_FIREWORKS, True)}):
        if firework["spec"]["key"] in keys:
            yield firework


def newest_fireworks(queued: Queued, keys: set[str]) -> list[dict[str, Any]]:
    """Return the newest firework of each of these results: id, state, time, key and stage, launches of some.

    Read from the workflows, whose documents are small. Where FireWorks was killed between its two writes, and where a
    job is claimed, they lag behind: the states that may be behind are those of the fireworks themselves.
    """
    unsettled = {firework["fw_id"]: firework for firework in fireworks_of(queued, keys, _UNSETTLED)}
    newest: dict[str, dict[str, Any]] = {}
    behind = []
    names = ("fw_states", "updated_on", "metadata.key", "metadata.stage")
    for workflow in queued.workflows.find({}, {"_id": False, **dict.fromkeys(names, True)}):
        key = (workflow.get("metadata") or {}).get("key")
        if key not in keys:
            continue
        # a run that goes on in a further firework has several: the last one tells where it stands
        fw_id = max(map(int, workflow["fw_states"]))
        state = workflow["fw_states"][str(fw_id)]
        if fw_id not in unsettled and state in _UNSETTLED:
            behind.append(fw_id)
        found = {"fw_id": fw_id, "state": state, "updated_on": workflow["updated_on"], "spec": workflow["metadata"]}
        if key not in newest or newest[key]["fw_id"] < fw_id:
            newest[key] = found
    for firework in (*unsettled.values(), *fireworks_by_id(queued, behind)):
        key = firework["spec"]["key"]
        if key not in newest or newest[key]["fw_id"] <= firework["fw_id"]:
            newest[key] = firework
    return list(newest.values())


def fireworks_by_id(queued: Queued, fw_ids: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield these fireworks, with the fields of `fireworks_of`."""
    for start in range(0, len(fw_ids), MOST_IDS):
        wanted = {"fw_id": {"$in": list(fw_ids[start : start + MOST_IDS])}}
        yield from queued.fireworks.find(wanted, {"_id": False, **dict.fromkeys(_OF_FIREWORKS, True)})


def ended_unnoticed(queued: Queued, keys: set[str]) -> list[dict[str, Any]]:
    """Return fireworks that have ended well, of which their workflow or what they go on in does not know.

    FireWorks' writes were cut short, or are being made just now. With the fields of `fireworks_of`.
    """
    names = ("fw_states", "links", "metadata.key")
    waiting = {firework["fw_id"] for firework in fireworks_of(queued, keys, ["WAITING"])}
    ended = []
    for workflow in queued.workflows.find({"state": "RUNNING"}, {"_id": False, **dict.fromkeys(names, True)}):
        if (workflow.get("metadata") or {}).get("key") not in keys:
            continue
        states = workflow["fw_states"]
        for fw_id, state in states.items():
            is_kept = any(child in waiting and states[str(child)] == "READY" for child in workflow["links"][fw_id])
            if state == "RUNNING" or is_kept:
                ended.append(int(fw_id))
    return [firework for firework in fireworks_by_id(queued, ended) if firework["state"] == "COMPLETED"]


def newest_launches(queued: Queued, fireworks: Iterable[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Return the newest launch of each of these fireworks that has one, by the firework's id; without its task."""
    ids = {max(firework["launches"]): firework["fw_id"] for firework in fireworks if firework["launches"]}
    found: dict[int, dict[str, Any]] = {}
    for start in range(0, len(ids), MOST_IDS):
        wanted = {"launch_id": {"$in": list(ids)[start : start + MOST_IDS]}}
        entries = queued.launches.find(wanted, dict.fromkeys((*_OF_LAUNCHES, _TRACE), True))
        found |= {ids[launch["launch_id"]]: launch for launch in entries}
    return found


def holder_of(firework: dict[str, Any], launch: dict[str, Any] | None) -> str:
    """Return the name of who holds a firework, given its newest launch; empty where it is not known."""
    return launch["fworker"]["name"] if launch else firework.get("claimed_by", "")


def moment(text: str | datetime) -> datetime:
    """Return one of FireWorks' times, which are in UTC, said or not."""
    found = text if isinstance(text, datetime) else datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
