"""Where a campaign stands, in the words and the bars of the page."""

from __future__ import annotations

from dataclasses import dataclass

from lzc_flows.launch.status import CampaignStatus, Failure

STATES = {
    "COMPLETED": ("done", "done"),
    "RUNNING": ("running", "running"),
    "RESERVED": ("claimed", "running"),
    "READY": ("ready", "waiting"),
    "WAITING": ("waiting", "waiting"),
    "FIZZLED": ("failed", "failed"),
    "DEFUSED": ("given up", "failed"),
    "TO DO": ("not queued yet", "todo"),
}
"""FireWorks' states in words, each with the kind of its colour; the order of a bar."""

SHOWN_FAILURES = 20
"""How many failed stages of one cause are named."""


@dataclass(frozen=True)
class Part:
    """A part of a bar: candidates in one state."""

    label: str
    kind: str
    count: int
    percent: float


@dataclass(frozen=True)
class StageProgress:
    """How far one stage is."""

    stage: str
    total: int
    done: int
    parts: list[Part]

    @property
    def words(self) -> str:
        """The bar in words, for those who do not see it."""
        return f"{self.stage}: " + ", ".join(f"{part.count} {part.label}" for part in self.parts)


@dataclass(frozen=True)
class FailureGroup:
    """Stages that failed for one cause, and what helps."""

    cause: str
    remedy: str
    failures: list[Failure]

    @property
    def shown(self) -> list[Failure]:
        """The first of them."""
        return self.failures[:SHOWN_FAILURES]


def stage_progress(status: CampaignStatus) -> list[StageProgress]:
    """Return a bar a stage, in the order of the stages."""
    return [_progress(stage, counts) for stage, counts in status.counts.items()]


def failure_groups(status: CampaignStatus) -> list[FailureGroup]:
    """Return what failed, grouped by cause, the most frequent first."""
    remedies = {group.cause: group.remedy for group in status.causes}
    groups: dict[str, list[Failure]] = {}
    for failure in status.failures:
        groups.setdefault(failure.cause, []).append(failure)
    found = [FailureGroup(cause, remedies.get(cause, ""), failures) for cause, failures in groups.items()]
    return sorted(found, key=lambda group: (-len(group.failures), group.cause))


def _progress(stage: str, counts: dict[str, int]) -> StageProgress:
    total = sum(counts.values())
    order = [*STATES, *sorted(set(counts) - set(STATES))]
    parts = [_part(state, counts[state], total) for state in order if counts.get(state)]
    return StageProgress(stage, total, counts.get("COMPLETED", 0), parts)


def _part(state: str, count: int, total: int) -> Part:
    label, kind = STATES.get(state, (state.lower(), "waiting"))
    return Part(label, kind, count, round(100 * count / total, 3))
