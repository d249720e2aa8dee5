"""The history of tries: one document a decision about a job that was lost or has failed."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from pymongo.errors import DuplicateKeyError

from lzc_flows.database.stores import RECOVERIES, Database
from lzc_flows.launch.workers import server_clock

Action = Literal["continue", "rerun", "settle", "give up", "retry"]

_TRIES = ("continue", "rerun", "give up")
"""Actions that answer a try which did not end well."""


@dataclass(frozen=True)
class Decision:
    """What is done about a job that was lost, has failed, or was given up.

    Attributes
    ----------
    fw_id
        Its firework.
    key
        Of the result that it makes.
    candidate
        Key of its candidate.
    stage
        Its stage.
    state
        FireWorks' state of it, when this was decided.
    cause
        Name of the cause, see `causes`.
    kind
        Whether it was lost or has failed.
    action
        ``continue`` from what an earlier launch left, ``rerun``, ``settle`` what has ended but was not recorded,
        ``give up``, or ``retry`` one that was given up.
    words
        Why, in one line.
    attempt
        Number of this try among those lost, or failed, since the job was queued or retried.
    launch_id
        Of the launch that did not end well; None for a claim without one.
    worker
        Who ran it.
    """

    fw_id: int
    key: str
    candidate: str
    stage: str
    state: str
    cause: str
    kind: str
    action: Action
    words: str
    attempt: int
    launch_id: int | None
    worker: str

    @property
    def name(self) -> str:
        """What tells it from other decisions: the same one is recorded once."""
        held = f"{self.fw_id}:{self.worker if self.launch_id is None else self.launch_id}"
        return f"{held}:{self.action}" if self.action in ("retry", "settle") else held


class Tries:
    """What has been decided before about some fireworks."""

    def __init__(self, database: Database, fw_ids: Iterable[int]) -> None:
        wanted = set(fw_ids)
        names = ("fw_id", "cause", "kind", "action", "when", "words")
        self.of: dict[int, list[dict[str, Any]]] = {}
        # scanned: the embedded server is slow with many values of $in
        for entry in database.collection(RECOVERIES).find({}, dict.fromkeys(names, True)) if wanted else ():
            if entry["fw_id"] in wanted:
                self.of.setdefault(entry["fw_id"], []).append(entry)
        for entries in self.of.values():
            entries.sort(key=_when)

    def attempt(self, decision: Decision) -> int:
        """Return the number of the try that a decision answers: of its kind, and since the last retry."""
        number = 1
        for entry in self.of.get(decision.fw_id, ()):
            if entry["action"] == "retry":
                number = 1
            # the same decision was recorded by one that was killed before it could act
            elif entry["kind"] == decision.kind and entry["action"] in _TRIES and entry["_id"] != decision.name:
                number += 1
        return number

    def given_up(self, fw_id: int) -> dict[str, Any] | None:
        """Return the decision by which a firework was given up; None for one that was not, or was retried since."""
        entries = self.of.get(fw_id)
        return entries[-1] if entries and entries[-1]["action"] == "give up" else None


def record(database: Database, campaign: str, decision: Decision) -> None:
    """Write a decision into the history; one that is there already stays as it is."""
    now, _ = server_clock(database)
    entry = {"_id": decision.name, "campaign": campaign, "when": now, **asdict(decision)}
    with suppress(DuplicateKeyError):  # recorded by one that was killed before it could act
        database.collection(RECOVERIES).insert_one(entry)


def history(database: Database, keys: set[str], key: str | None = None) -> list[dict[str, Any]]:
    """Return the recorded decisions about these results, the oldest first; `key` limits them to a candidate's."""
    query = {} if key is None else {"$or": [{"key": key}, {"candidate": key}]}
    found = database.collection(RECOVERIES).find(query, {"_id": False})
    return sorted((entry for entry in found if entry["key"] in keys), key=_when)


def _when(entry: dict[str, Any]) -> datetime:
    return entry["when"]
