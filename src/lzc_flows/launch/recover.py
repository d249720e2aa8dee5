"""Find what was lost and what failed, decide about each, and put it back into the queue, or give it up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

from fireworks import LaunchPad

from lzc_flows.database.locks import database_lock
from lzc_flows.database.plans import planned_results
from lzc_flows.database.stores import WORKERS, Database
from lzc_flows.launch.acts import give_up, put_back, retry, settle
from lzc_flows.launch.batch import AskQueue, ask_nobody
from lzc_flows.launch.causes import CONTINUING_STAGES, END_NOT_RECORDED, LOST, Cause, cause_of, reason_of
from lzc_flows.launch.held import Holders, Loss
from lzc_flows.launch.queued import ended_unnoticed, fireworks_of, holder_of, newest_launches
from lzc_flows.launch.tries import Action, Decision, Tries, record
from lzc_flows.launch.workers import announced_workers, end_process

CHUNK = 50
"""Decisions carried out under one hold of the lock, which must end well before it expires."""

_ENDED = ("COMPLETED", "FIZZLED")


@dataclass(frozen=True)
class Patience:
    """After how many tries a job is given up: those that failed, and those that were lost with their worker."""

    failed: int = 3
    lost: int = 20


@dataclass(frozen=True)
class Why:
    """The name of a cause, its kind, and what is known of it in this case."""

    cause: str
    kind: str
    words: str


@dataclass(frozen=True)
class Plan:
    """What a recovery will do, and whom it ends first."""

    decisions: list[Decision]
    losses: dict[int, Loss] = field(default_factory=dict)


@dataclass(frozen=True)
class Recovery:
    """What puts a campaign's jobs back.

    Attributes
    ----------
    database, launchpad
        Where they are.
    campaign
        Name of the campaign.
    ask_queue
        Tells of SLURM's jobs.
    patience
        When a job is given up.
    """

    database: Database
    launchpad: LaunchPad
    campaign: str
    ask_queue: AskQueue = ask_nobody
    patience: Patience = Patience()

    @cached_property
    def results(self) -> dict[str, str]:
        """Candidates by the keys of their results."""
        return planned_results(self.database, self.campaign)

    def lost(self) -> Plan:
        """Return what to do about jobs whose worker is gone."""
        held = [*self._fireworks("RUNNING", "RESERVED"), *ended_unnoticed(self.launchpad, set(self.results))]
        launches = newest_launches(self.launchpad, held)
        # asked after the jobs were read: of a holder who came later nothing is known, and nothing is held
        holders = Holders(announced_workers(self.database), self.ask_queue) if held else Holders({})
        losses = {}
        for firework in held:
            launch = launches.get(firework["fw_id"])
            loss = holders.loss(firework, launch)
            if loss is not None:
                losses[firework["fw_id"]] = _ended(launch, loss)
        tries = Tries(self.database, losses)
        decisions = [
            self._decide(firework, launches.get(firework["fw_id"]), LOST[loss.cause], loss.words, tries)
            for firework in held
            if (loss := losses.get(firework["fw_id"])) is not None
        ]
        return Plan(decisions, losses)

    def failed(self) -> Plan:
        """Return what to do about jobs that failed."""
        failed = self._fireworks("FIZZLED")
        launches = newest_launches(self.launchpad, failed)
        tries = Tries(self.database, (firework["fw_id"] for firework in failed))
        decisions = []
        for firework in failed:
            launch = launches.get(firework["fw_id"])
            reason = reason_of(launch)
            decisions.append(self._decide(firework, launch, cause_of(reason), reason, tries))
        return Plan(decisions)

    def given_up(self) -> Plan:
        """Return the jobs that were given up here, to be tried anew; not those that somebody defused by hand."""
        defused = self._fireworks("DEFUSED")
        launches = newest_launches(self.launchpad, defused)
        tries = Tries(self.database, (firework["fw_id"] for firework in defused))
        decisions = []
        for firework in defused:
            entry = tries.given_up(firework["fw_id"])
            if entry is not None:
                why = Why(entry["cause"], entry["kind"], entry["words"])
                decisions.append(self._decision(firework, launches.get(firework["fw_id"]), why, "retry"))
        return Plan(decisions)

    def carry_out(self, plan: Plan) -> Iterator[Decision]:
        """Do what a plan says and yield each decision that was carried out.

        What has changed since it was made is left alone, so that two who recover at the same time, or one that goes on
        after another was killed, do each thing once.
        """
        for start in range(0, len(plan.decisions), CHUNK):
            chunk = plan.decisions[start : start + CHUNK]
            for name in {loss.ends for decision in chunk if (loss := plan.losses.get(decision.fw_id)) and loss.ends}:
                end_process(name)
            with database_lock(self.database, "recover"):
                for decision in chunk:
                    if self._is_as_decided(decision):
                        record(self.database, self.campaign, decision)
                        _ACTS[decision.action](self.launchpad, decision.fw_id)
                        yield decision
        self._forget_the_dead()

    def _fireworks(self, *states: str) -> list[dict[str, Any]]:
        return list(fireworks_of(self.launchpad, set(self.results), states))

    def _decide(
        self, firework: dict[str, Any], launch: dict[str, Any] | None, cause: Cause, words: str, tries: Tries
    ) -> Decision:
        """Return what to do about a job that ended by this cause."""
        why = Why(cause.name, cause.kind, words)
        if cause.name == END_NOT_RECORDED:
            return self._decision(firework, launch, why, "settle")
        goes_on = launch is not None and firework["spec"]["stage"] in CONTINUING_STAGES
        decision = self._decision(firework, launch, why, "continue" if goes_on else "rerun")
        decision = replace(decision, attempt=tries.attempt(decision))
        most = self.patience.lost if cause.kind == "lost" else self.patience.failed
        if not cause.again:
            return replace(decision, action="give up", words=f"{words} (a rerun does not mend it)")
        if decision.attempt >= most:
            return replace(decision, action="give up", words=f"{words} (after {decision.attempt} tries)")
        return decision

    def _decision(self, firework: dict[str, Any], launch: dict[str, Any] | None, why: Why, action: Action) -> Decision:
        spec = firework["spec"]
        return Decision(
            fw_id=firework["fw_id"],
            key=spec["key"],
            candidate=self.results[spec["key"]],
            stage=spec["stage"],
            state=firework["state"],
            cause=why.cause,
            kind=why.kind,
            action=action,
            words=why.words,
            attempt=1,
            launch_id=launch["launch_id"] if launch else None,
            worker=holder_of(firework, launch),
        )

    def _is_as_decided(self, decision: Decision) -> bool:
        """Return whether a firework is still where it was when it was decided about."""
        names = ("state", "launches", "claimed_by")
        firework = self.launchpad.fireworks.find_one({"fw_id": decision.fw_id}, dict.fromkeys(names, True))
        if firework is None or firework["state"] != decision.state:
            return False
        if decision.launch_id is None:
            return not firework["launches"] and firework.get("claimed_by", "") == decision.worker
        return bool(firework["launches"]) and max(firework["launches"]) == decision.launch_id

    def _forget_the_dead(self) -> None:
        """Take lost workers of the campaign out of the list: they hold nothing any more."""
        workers = announced_workers(self.database)
        ask = cache(self.ask_queue)
        for name, worker in workers.items():
            if worker.campaign == self.campaign and worker.loss(ask) is not None:
                self.database.collection(WORKERS).delete_one({"_id": name})


def whole_plan(recovery: Recovery) -> Plan:
    """Return what to do about all that was lost or has failed."""
    lost = recovery.lost()
    return Plan([*lost.decisions, *recovery.failed().decisions], lost.losses)


def carry_out(recovery: Recovery, plan: Plan) -> list[Decision]:
    """Do what a plan says; return what was done.

    A job that had failed, without its worker being able to say so, is seen as failed only then: it is dealt with too.
    """
    done = list(recovery.carry_out(plan))
    settled = {decision.fw_id for decision in done if decision.action == "settle"}
    if settled:
        failed = [decision for decision in recovery.failed().decisions if decision.fw_id in settled]
        done += recovery.carry_out(Plan(failed))
    return done


def recover_lost(
    database: Database, launchpad: LaunchPad, campaign: str, ask_queue: AskQueue = ask_nobody
) -> list[int]:
    """Put fireworks of lost workers back into the queue while a campaign runs; return their ids.

    Orphans that live are left to end what they do. Where SLURM is not asked, what batch jobs elsewhere hold is lost
    only by the silence of their workers, and a reservation never.
    """
    recovery = Recovery(database, launchpad, campaign, ask_queue)
    plan = recovery.lost()
    dead = replace(plan, decisions=[decision for decision in plan.decisions if decision.cause != "orphan"])
    return [decision.fw_id for decision in recovery.carry_out(dead)]


def _ended(launch: dict[str, Any] | None, loss: Loss) -> Loss:
    """Return the loss of a job that ended just before its worker died: all but its last word is there."""
    if launch is None or launch["state"] not in _ENDED:
        return loss
    return replace(loss, cause=END_NOT_RECORDED, words=f"the job has ended, {loss.words}")


_ACTS = {"continue": put_back, "rerun": put_back, "settle": settle, "give up": give_up, "retry": retry}
