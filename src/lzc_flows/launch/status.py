"""What a campaign's fireworks say: counts by stage and state, and why some failed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from lzc_flows.database.plans import planned_results, planned_stages
from lzc_flows.database.stores import Database
from lzc_flows.launch.causes import cause_named, cause_of, reason_of
from lzc_flows.launch.queued import ACTIVE_STATES, Queued, newest_fireworks, newest_launches
from lzc_flows.launch.tries import Tries

MOST_REASONS = 500
"""Failures whose reasons are read, those of the newest jobs; more would keep one waiting."""

NOT_READ = "not read"


@dataclass(frozen=True)
class Failure:
    """A failed stage of a candidate and its cause in one line.

    Attributes
    ----------
    key
        Key of the candidate.
    cause
        Name of the cause, see `causes`.
    given_up
        Whether it is not tried any more, unless one asks for it.
    """

    key: str
    stage: str
    reason: str
    cause: str = "unknown"
    given_up: bool = False


@dataclass(frozen=True)
class FailureGroup:
    """Failures of one cause in one stage, how many of them are given up, one of them, and what helps."""

    cause: str
    stage: str
    count: int
    given_up: int
    example: str
    remedy: str


@dataclass(frozen=True)
class CampaignStatus:
    """Where a campaign stands.

    Attributes
    ----------
    candidates
        Number of candidates.
    counts
        For each stage, the number of candidates by FireWorks state; those not queued yet count as ``TO DO``, but not
        those that the stage's gate will keep out. ``DEFUSED`` ones are given up.
    failures
        What failed and why.
    causes
        The same, grouped.
    """

    campaign: str
    candidates: int
    counts: dict[str, dict[str, int]]
    failures: list[Failure] = field(default_factory=list)
    causes: list[FailureGroup] = field(default_factory=list)

    @property
    def active(self) -> int:
        """Number of fireworks that will still do something by themselves."""
        return sum(states.get(state, 0) for states in self.counts.values() for state in ACTIVE_STATES)

    @property
    def completed(self) -> int:
        """Number of stages that have ended well, over all candidates."""
        return sum(states.get("COMPLETED", 0) for states in self.counts.values())


@dataclass(frozen=True)
class Scan:
    """The newest firework of each result that a campaign wants, and the candidates by these results."""

    results: dict[str, str]
    fireworks: list[dict[str, Any]]


def scan(database: Database, queued: Queued, campaign: str) -> Scan:
    """Read a campaign's fireworks, once."""
    results = planned_results(database, campaign)
    return Scan(results, newest_fireworks(queued, set(results)))


def campaign_status(database: Database, queued: Queued, campaign: str) -> CampaignStatus:
    """Return where a submitted campaign stands; `queued` is its LaunchPad, or stands for it."""
    return status_of(database, queued, campaign, scan(database, queued, campaign))


def status_of(database: Database, queued: Queued, campaign: str, seen: Scan) -> CampaignStatus:
    """Return what a scan says."""
    found = Counter((firework["spec"]["stage"], firework["state"]) for firework in seen.fireworks)
    counts, candidates = {}, len(set(seen.results.values()))
    for stage, planned in planned_stages(database, campaign, candidates).items():
        states = {state: number for (of, state), number in found.items() if of == stage}
        # a gate lets others pass once what was lost is recovered: more may have run than it lets pass
        to_do = max(planned - sum(states.values()), 0)
        counts[stage] = {**states, **({"TO DO": to_do} if to_do else {})}
    failures = _failures(database, queued, seen)
    return CampaignStatus(campaign, candidates, counts, failures, _groups(failures))


def _failures(database: Database, queued: Queued, seen: Scan) -> list[Failure]:
    """Return what has failed or was given up, in the order of stages and keys."""
    ended = [firework for firework in seen.fireworks if firework["state"] in ("FIZZLED", "DEFUSED")]
    tries = Tries(database, (firework["fw_id"] for firework in ended if firework["state"] == "DEFUSED"))
    read = sorted(ended, key=lambda firework: firework["fw_id"])[-MOST_REASONS:]
    launches = newest_launches(queued, (firework for firework in read if firework["state"] == "FIZZLED"))
    shown = {firework["fw_id"] for firework in read}
    failures = []
    for firework in ended:
        fw_id, place = firework["fw_id"], (seen.results[firework["spec"]["key"]], firework["spec"]["stage"])
        if firework["state"] == "DEFUSED":
            decision = tries.given_up(fw_id)
            if decision is not None:  # others were defused by hand: no failures
                failures.append(Failure(*place, decision["words"], decision["cause"], given_up=True))
        elif fw_id in shown:
            reason = reason_of(launches.get(fw_id))
            failures.append(Failure(*place, reason, cause_of(reason).name))
        else:
            failures.append(Failure(*place, f"not read: one of more than {MOST_REASONS}", NOT_READ))
    return sorted(failures, key=lambda failure: (failure.stage, failure.key))


def _groups(failures: list[Failure]) -> list[FailureGroup]:
    """Return the failures by cause and stage, the largest group first."""
    groups: dict[tuple[str, str], list[Failure]] = {}
    for failure in failures:
        groups.setdefault((failure.cause, failure.stage), []).append(failure)
    found = [
        FailureGroup(
            cause, stage, len(group), sum(one.given_up for one in group), group[0].key, cause_named(cause).remedy
        )
        for (cause, stage), group in groups.items()
    ]
    return sorted(found, key=lambda group: (-group.count, group.stage, group.cause))
