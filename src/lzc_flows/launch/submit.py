"""Submit a campaign and advance it: what is missing is queued, once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice

from fireworks import LaunchPad
from jobflow import Job
from jobflow.managers.fireworks import flow_to_workflow

from lzc_flows.crystal.doping import Combination
from lzc_flows.crystal.host import Host
from lzc_flows.crystal.ions import charge_of
from lzc_flows.database.candidates import build_candidates
from lzc_flows.database.locks import HeldLock, database_lock
from lzc_flows.database.queries import candidates
from lzc_flows.database.record import let_go, planned_of, record_plans
from lzc_flows.database.stores import CAMPAIGNS, Database
from lzc_flows.documents.base import SCHEMA
from lzc_flows.documents.candidate import PlannedCandidate
from lzc_flows.errors import InputError
from lzc_flows.flows.candidate import Campaign, Candidate
from lzc_flows.flows.coverage import require_pairs
from lzc_flows.flows.gates import passed_gates
from lzc_flows.flows.spec import FOLLOWS
from lzc_flows.flows.treatable import require_engines
from lzc_flows.launch.launchpad import add_workflows, stage_states
from lzc_flows.ranking.spec import PRISTINE

LOCK = "submit"
"""Name of the lock in the database: one queues at a time."""

CHUNK = 500
"""Workflows added at a time: bounds memory, and a kill loses at most this many additions."""


@dataclass(frozen=True)
class SubmitReport:
    """How many candidates a campaign has, and what a submission changed.

    Attributes
    ----------
    candidates
        Number of candidates of the campaign.
    queued
        Jobs queued now.
    new, dropped
        Candidates that the campaign did not hold before, and those that it let go.
    """

    candidates: int
    queued: int
    new: int
    dropped: int


Submission = Callable[[Campaign, Database, LaunchPad], SubmitReport]
"""`submit` or `replace`."""


def submit(campaign: Campaign, database: Database, launchpad: LaunchPad) -> SubmitReport:
    """Record the campaign's plan and queue the missing jobs; a second call queues none, and one cut off is continued.

    Raises
    ------
    InputError
        The campaign is not possible, an engine is not installed, softBV lacks a pair, or a campaign of this name
        holds candidates that this one does not; nothing is written.
    """
    return _submit(campaign, database, launchpad, _refuse_to_drop)


def replace(campaign: Campaign, database: Database, launchpad: LaunchPad) -> SubmitReport:
    """Submit, and let candidates go that the campaign of this name held before; their results stay.

    Raises
    ------
    InputError
        The campaign is not possible, an engine is not installed, or softBV lacks a pair; nothing is written.
    """
    return _submit(campaign, database, launchpad, let_go)


def _submit(
    campaign: Campaign, database: Database, launchpad: LaunchPad, drop: Callable[[Database, str, list[str]], None]
) -> SubmitReport:
    wanted = campaign.candidates
    require_pairs(campaign)
    require_engines(campaign)
    name = campaign.spec.name
    with database_lock(database, LOCK) as lock:
        keys = {candidate.key for candidate in wanted}
        planned = planned_of(database, name)
        dropped = [key for key in planned if key not in keys]
        if dropped:
            drop(database, name, dropped)
        database.ensure_indexes()
        new = record_plans(database, name, _plans(campaign), planned)
        document = {"name": name, "spec": campaign.spec.model_dump(mode="json"), "schema_version": SCHEMA}
        database.collection(CAMPAIGNS).replace_one({"name": name}, document, upsert=True)
        queued = _advance(campaign, database, launchpad, lock)
    return SubmitReport(len(wanted), queued, new, len(dropped))


def _refuse_to_drop(_: Database, campaign: str, dropped: list[str]) -> None:
    raise InputError(
        f"campaign {campaign!r}: {len(dropped)} of its candidates in the database, such as {dropped[0]}, are not in "
        "this file: give it another name, or let them go with --replace (their results stay)"
    )


def advance(campaign: Campaign, database: Database, launchpad: LaunchPad) -> int:
    """Queue every stage whose stage before has ended well and whose gate is passed; return how many.

    Idempotent: a stage that has a firework, in any state and from any campaign, is not queued again.
    """
    with database_lock(database, LOCK) as lock:
        return _advance(campaign, database, launchpad, lock)


def _advance(campaign: Campaign, database: Database, launchpad: LaunchPad, lock: HeldLock) -> int:
    build_candidates(database)
    lock.keep()
    wanted = {candidate.key: candidate for candidate in campaign.candidates}
    keys = {key for candidate in wanted.values() for key in candidate.stage_keys.values()}
    states = {state.key: state.state for state in sorted(stage_states(launchpad, keys), key=lambda s: s.fw_id)}
    # the database may hold another version of the campaign than this file: not these candidates
    summaries = [entry for entry in candidates(database, campaign.spec.name) if entry["key"] in wanted]
    passed = passed_gates(campaign.spec, summaries, states)
    later: list[tuple[Candidate, str, str]] = []
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
                later.append((candidate, stage, done[before]["uuid"]))
    jobs = chain(campaign.first_jobs(fresh), (campaign.next_job(*job) for job in later))
    _queue(launchpad, jobs, lock.keep)
    return len(fresh) + len(later)


def queue_job(launchpad: LaunchPad, job: Job) -> None:
    """Queue one job as its own workflow."""
    _queue(launchpad, [job], lambda: None)


def _queue(launchpad: LaunchPad, jobs: Iterable[Job], added_some: Callable[[], None]) -> None:
    workflows = (flow_to_workflow(job, allow_external_references=True, metadata=job.metadata) for job in jobs)
    with ThreadPoolExecutor(1) as writer:  # the server stores some while the next are made
        stored: Future[None] | None = None
        while some := list(islice(workflows, CHUNK)):
            if stored is not None:
                stored.result()
                added_some()
            stored = writer.submit(add_workflows, launchpad, some)
        if stored is not None:
            stored.result()


def _plans(campaign: Campaign) -> list[PlannedCandidate]:
    host = campaign.spec.host.read()
    return [_plan(candidate, campaign, host) for candidate in campaign.candidates]


def _plan(candidate: Candidate, campaign: Campaign, host: Host) -> PlannedCandidate:
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
        cation_axis=_cation_axis(cell.combination, host),
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
