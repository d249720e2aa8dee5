"""Submit a campaign and advance it: what is missing is queued, once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fireworks import LaunchPad
from jobflow import Job
from jobflow.managers.fireworks import flow_to_workflow
from pymongo import UpdateOne

from lzc_flows.crystal.doping import Combination
from lzc_flows.crystal.host import Host
from lzc_flows.crystal.ions import charge_of
from lzc_flows.database.candidates import build_candidates
from lzc_flows.database.locks import database_lock
from lzc_flows.database.queries import candidates
from lzc_flows.database.stores import CAMPAIGNS, PLAN, Database
from lzc_flows.documents.candidate import PlannedCandidate
from lzc_flows.flows.candidate import Campaign, Candidate
from lzc_flows.flows.coverage import require_pairs
from lzc_flows.flows.gates import passed_gates
from lzc_flows.flows.spec import FOLLOWS
from lzc_flows.flows.treatable import require_engines
from lzc_flows.launch.launchpad import add_workflows, stage_states
from lzc_flows.ranking.score import PRISTINE

CHUNK = 500
"""Workflows added at a time: bounds memory, and a kill loses at most this many additions."""


@dataclass(frozen=True)
class SubmitReport:
    """How many candidates a campaign has and how many jobs were queued now."""

    candidates: int
    queued: int


def submit(campaign: Campaign, database: Database, launchpad: LaunchPad) -> SubmitReport:
    """Record the campaign's plan and queue the missing jobs; a second call queues none.

    Raises
    ------
    InputError
        The campaign is not possible, an engine is not installed, or softBV lacks a pair; nothing is written.
    """
    wanted = campaign.candidates
    require_pairs(campaign)
    require_engines(campaign)
    with database_lock(database, "submit"):
        database.ensure_indexes()
        _record(campaign, wanted, database)
    return SubmitReport(len(wanted), advance(campaign, database, launchpad))


def advance(campaign: Campaign, database: Database, launchpad: LaunchPad) -> int:
    """Queue every stage whose stage before has ended well and whose gate is passed; return how many.

    Idempotent: a stage that has a firework, in any state and from any campaign, is not queued again.
    """
    with database_lock(database, "submit"):
        build_candidates(database)
        wanted = {candidate.key: candidate for candidate in campaign.candidates}
        keys = {key for candidate in wanted.values() for key in candidate.stage_keys.values()}
        states = {state.key: state.state for state in sorted(stage_states(launchpad, keys), key=lambda s: s.fw_id)}
        # the database may hold another version of the campaign than this file: not these candidates
        summaries = [entry for entry in candidates(database, campaign.spec.name) if entry["key"] in wanted]
        passed = passed_gates(campaign.spec, summaries, states)
        jobs: list[Job] = []
        fresh: list[Candidate] = []
        for summary in summaries:
            candidate, done = wanted[summary["key"]], summary["stages"]
            for stage, key in candidate.stage_keys.items():
                before = FOLLOWS[stage]
                if stage in done or key in states or candidate.key not in passed[stage]:
                    continue
                if before is None:
                    fresh.append(candidate)
                elif before in done:
                    jobs.append(campaign.next_job(candidate, stage, done[before]["uuid"]))
        _queue(launchpad, campaign.first_jobs(fresh))
        _queue(launchpad, jobs)
    return len(fresh) + len(jobs)


def queue_job(launchpad: LaunchPad, job: Job) -> None:
    """Queue one job as its own workflow."""
    _queue(launchpad, [job])


def _queue(launchpad: LaunchPad, jobs: Iterable[Job]) -> None:
    workflows = []
    for job in jobs:
        workflows.append(flow_to_workflow(job, allow_external_references=True, metadata=job.metadata))
        if len(workflows) == CHUNK:
            add_workflows(launchpad, workflows)
            workflows = []
    add_workflows(launchpad, workflows)


def _record(campaign: Campaign, wanted: list[Candidate], database: Database) -> None:
    """Write the campaign's file and one plan document a candidate; those it no longer holds let it go."""
    name = campaign.spec.name
    plans = database.collection(PLAN)
    updates = []
    for candidate in wanted:
        plan = _plan(candidate, campaign).model_dump(mode="json", exclude={"campaigns"})
        updates.append(UpdateOne({"key": candidate.key}, {"$set": plan, "$addToSet": {"campaigns": name}}, upsert=True))
    if updates:
        plans.bulk_write(updates, ordered=False)
    keys = {candidate.key for candidate in wanted}
    dropped = [plan["key"] for plan in plans.find({"campaigns": name}, {"key": True}) if plan["key"] not in keys]
    for key in dropped:
        plans.update_one({"key": key}, {"$pull": {"campaigns": name}})
    document = {"name": name, "spec": campaign.spec.model_dump(mode="json")}
    database.collection(CAMPAIGNS).replace_one({"name": name}, document, upsert=True)


def _plan(candidate: Candidate, campaign: Campaign) -> PlannedCandidate:
    cell = candidate.cell
    cation, anion = cell.combination.cation, cell.combination.anion
    return PlannedCandidate(
        key=candidate.key,
        stage_keys=candidate.stage_keys,
        campaigns=[campaign.spec.name],
        host=campaign.spec.host.name,
        cation=cation.ion if cation else None,
        cation_element=cation.element if cation else None,
        cation_site=cation.site if cation else None,
        cation_count=cation.count if cation else 0,
        anion=anion.ion if anion else None,
        anion_element=anion.element if anion else None,
        anion_site=anion.site if anion else None,
        anion_count=anion.count if anion else 0,
        supercell=cell.combination.supercell,
        cation_axis=_cation_axis(cell.combination, campaign.spec.host.read()),
        column=cell.combination.column,
        formula=cell.formula,
        extra_mobile=cell.extra_mobile,
        arrangements=str(cell.arrangements),
    )


def _cation_axis(combination: Combination, host: Host) -> str:
    if combination.cation is not None:
        return combination.cation.ion
    if combination.anion is None:
        return PRISTINE
    ions = [str(species) for label in host.site_counts for species in host.species_by_label[label]]
    return max(ions, key=charge_of)
