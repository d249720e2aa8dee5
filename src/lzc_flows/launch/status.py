"""What a campaign's fireworks say: counts by stage and state, and why some failed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from fireworks import LaunchPad

from lzc_flows.database.queries import planned_candidates, planned_results, planned_stages
from lzc_flows.database.stores import Database
from lzc_flows.launch.launchpad import ACTIVE_STATES, StageState, last_launch, stage_states


@dataclass(frozen=True)
class Failure:
    """A failed stage of a candidate and its cause in one line."""

    key: str
    stage: str
    reason: str


@dataclass(frozen=True)
class CampaignStatus:
    """Where a campaign stands.

    Attributes
    ----------
    candidates
        Number of candidates.
    counts
        For each stage, the number of candidates by FireWorks state; those not queued yet count as ``TO DO``, but not
        those that the stage's gate will keep out.
    failures
        What failed and why.
    """

    campaign: str
    candidates: int
    counts: dict[str, dict[str, int]]
    failures: list[Failure] = field(default_factory=list)

    @property
    def active(self) -> int:
        """Number of fireworks that will still do something by themselves."""
        return sum(states.get(state, 0) for states in self.counts.values() for state in ACTIVE_STATES)

    @property
    def completed(self) -> int:
        """Number of stages that have ended well, over all candidates."""
        return sum(states.get("COMPLETED", 0) for states in self.counts.values())


def campaign_status(database: Database, launchpad: LaunchPad, campaign: str) -> CampaignStatus:
    """Return where a submitted campaign stands."""
    candidates = planned_candidates(database, campaign)
    results = planned_results(database, campaign)
    # a run that goes on in a further firework has several: the last one tells where it stands
    newest = {state.key: state for state in sorted(stage_states(launchpad, set(results)), key=_age)}
    states = list(newest.values())
    counts = {}
    for stage, planned in planned_stages(database, campaign).items():
        found = Counter(state.state for state in states if state.stage == stage)
        # a gate lets others pass once what was lost is recovered: more may have run than it lets pass
        to_do = max(planned - sum(found.values()), 0)
        counts[stage] = {**found, **({"TO DO": to_do} if to_do else {})}
    failed = [state for state in states if state.state == "FIZZLED"]
    failures = [Failure(results[state.key], state.stage, _reason(launchpad, state)) for state in failed]
    return CampaignStatus(campaign, candidates, counts, sorted(failures, key=lambda f: (f.stage, f.key)))


def _age(state: StageState) -> int:
    return state.fw_id


def _reason(launchpad: LaunchPad, state: StageState) -> str:
    """Return the last line of the exception of a fizzled firework's last launch."""
    firework = launchpad.fireworks.find_one({"fw_id": state.fw_id}, {"launches": True})
    launch = last_launch(launchpad, firework["launches"]) or {}
    stored = (launch.get("action") or {}).get("stored_data", {})
    trace = str(stored.get("_exception", {}).get("_stacktrace", "")).strip()
    return trace.splitlines()[-1] if trace else "no exception recorded"
