"""One candidate: what is known of it, where that came from, and what failed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lzc_flows.database.stores import CANDIDATES, PLAN, Database
from lzc_flows.errors import InputError
from lzc_flows.launch.queued import QueuedIn
from lzc_flows.launch.tries import history
from lzc_flows.report.numbers import Number, numbers_of


@dataclass(frozen=True)
class Try:
    """One launch of a stage's firework.

    Attributes
    ----------
    started, ended
        ISO 8601, UTC; empty where not known.
    seconds
        How long it ran, in s.
    trace
        Traceback of what it raised; empty if nothing.
    """

    launch_id: int
    fw_id: int
    state: str
    host: str
    worker: str
    folder: str
    started: str
    ended: str
    seconds: float | None
    trace: str


@dataclass(frozen=True)
class StageView:
    """A stage of a candidate: its firework's state, its result and its tries, the first one first."""

    stage: str
    key: str
    state: str
    engine: str
    task: dict[str, Any] | None
    tries: list[Try] = field(default_factory=list)


@dataclass(frozen=True)
class CandidateView:
    """A candidate with all that the page shows of it.

    Attributes
    ----------
    summary
        The fields of its summary; of its plan alone before the first one is built.
    stages
        Its stages, in their order.
    recoveries
        What `lzc recover` has decided about its lost and failed jobs, the oldest first.
    """

    summary: dict[str, Any]
    stages: list[StageView]
    recoveries: list[dict[str, Any]]

    @property
    def known(self) -> list[Number]:
        """The numbers that are there."""
        return [number for number in numbers_of(self.summary) if number.value is not None]

    @property
    def unknown(self) -> list[Number]:
        """Those that are not yet."""
        return [number for number in numbers_of(self.summary) if number.value is None]

    @property
    def traces(self) -> list[tuple[str, int, Try]]:
        """The tries that raised something: stage, number of the try, from 1, and the try."""
        return [
            (stage.stage, number, one)
            for stage in self.stages
            for number, one in enumerate(stage.tries, start=1)
            if one.trace
        ]


def read_summary(database: Database, key: str) -> dict[str, Any]:
    """Return a candidate's summary, its plan where none was built yet.

    Raises
    ------
    InputError
        No such candidate.
    """
    for collection in (CANDIDATES, PLAN):
        found = database.collection(collection).find_one({"key": key}, {"_id": False})
        if found is not None:
            return found
    raise InputError(f"candidate {key!r}: not in the database")


def read_candidate(database: Database, campaign: str, key: str) -> CandidateView:
    """Return a candidate of a campaign.

    Raises
    ------
    InputError
        The campaign has no such candidate.
    """
    summary = read_summary(database, key)
    if campaign not in summary.get("campaigns", []):
        raise InputError(f"candidate {key!r}: not in campaign {campaign!r}")
    stages = [
        _stage(QueuedIn.of(database), summary, stage, stage_key) for stage, stage_key in summary["stage_keys"].items()
    ]
    recoveries = history(database, set(summary["stage_keys"].values()), key)
    return CandidateView(summary, stages, recoveries)


def _stage(queued: QueuedIn, summary: dict[str, Any], stage: str, key: str) -> StageView:
    names = ("fw_id", "state", "launches", "archived_launches")
    found = queued.fireworks.find({"spec.key": key}, {"_id": False, **dict.fromkeys(names, True)})
    fireworks = sorted(found, key=lambda firework: firework["fw_id"])
    record = summary.get("stages", {}).get(stage)
    engine = summary.get("engines", {}).get(stage, "")
    state = fireworks[-1]["state"] if fireworks else ("COMPLETED" if record else "TO DO")
    tries = [one for firework in fireworks for one in _tries(queued, firework)]
    return StageView(stage, key, state, engine, record, sorted(tries, key=lambda one: one.launch_id))


def _tries(queued: QueuedIn, firework: dict[str, Any]) -> list[Try]:
    ids = [*firework.get("archived_launches", []), *firework.get("launches", [])]
    return [_try(firework["fw_id"], launch) for launch in queued.launches.find({"launch_id": {"$in": ids}})]


def _try(fw_id: int, launch: dict[str, Any]) -> Try:
    stored = (launch.get("action") or {}).get("stored_data") or {}
    return Try(
        launch_id=launch["launch_id"],
        fw_id=fw_id,
        state=str(launch.get("state")),
        host=str(launch.get("host") or ""),
        worker=str((launch.get("fworker") or {}).get("name") or ""),
        folder=str(launch.get("launch_dir") or ""),
        started=str(launch.get("time_start") or ""),
        ended=str(launch.get("time_end") or ""),
        seconds=launch.get("runtime_secs"),
        trace=str((stored.get("_exception") or {}).get("_stacktrace") or "").strip(),
    )
