"""Campaigns: `lzc submit | advance | work | run | status | recover | query | rank`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stderr, stdout
from lzc_flows.cli.session import CampaignArgument, Session, WorkersOption

if TYPE_CHECKING:
    from lzc_flows.documents.ranking import RankingDoc
    from lzc_flows.launch.status import CampaignStatus


def register(app: typer.Typer) -> None:
    """Add the campaign commands to `app`."""
    for command in (submit, advance, work, run, status, recover, query, rank):
        app.command(command.__name__)(command)


def submit(campaign: CampaignArgument, json_output: JsonFlag = False) -> None:
    """Queue what is missing of CAMPAIGN; a second submit queues nothing."""
    from lzc_flows.launch.submit import submit as submit_campaign

    session = Session(campaign)
    session.require_runnable()
    report = submit_campaign(session.campaign, session.database, session.launchpad)
    if json_output:
        emit_json({"campaign": session.name, "candidates": report.candidates, "queued": report.queued})
    else:
        stdout.print(f"{session.name}: {report.candidates} candidates, {report.queued} jobs queued")


def advance(campaign: CampaignArgument, json_output: JsonFlag = False) -> None:
    """Queue the next stage of every candidate of CAMPAIGN whose stage before has ended well. Idempotent."""
    from lzc_flows.launch.submit import advance as advance_campaign

    session = Session(campaign)
    session.require_runnable()
    queued = advance_campaign(session.campaign, session.database, session.launchpad)
    if json_output:
        emit_json({"campaign": session.name, "queued": queued})
    else:
        stdout.print(f"{session.name}: {queued} jobs queued")


def work(
    campaign: CampaignArgument,
    workers: WorkersOption = None,
    json_output: JsonFlag = False,
) -> None:
    """Run the queued jobs of CAMPAIGN on this machine until none is left; does not queue further stages."""
    from lzc_flows.launch.run import work_off

    session = Session(campaign)
    _finish(work_off(session.setting(_workers(workers))), json_output)


def run(
    campaign: CampaignArgument,
    workers: WorkersOption = None,
    json_output: JsonFlag = False,
) -> None:
    """Run all of CAMPAIGN on this machine: submit, work, advance, rank, report.

    Can be stopped at any moment; the same command goes on.
    """
    from lzc_flows.launch.run import run_campaign

    session = Session(campaign)
    outcome = run_campaign(session.setting(_workers(workers)))
    _report(session, outcome.ranking)
    _finish(outcome.status, json_output)


def status(campaign: CampaignArgument, json_output: JsonFlag = False) -> None:
    """Count CAMPAIGN's candidates by stage and state; name what failed and why."""
    from dataclasses import asdict

    from lzc_flows.launch.status import campaign_status

    session = Session(campaign)
    found = campaign_status(session.database, session.launchpad, session.name)
    if json_output:
        emit_json(asdict(found))
    else:
        _print_status(found)


def recover(campaign: CampaignArgument, json_output: JsonFlag = False) -> None:
    """Put CAMPAIGN's failed jobs, and those of dead workers on this machine, back into the queue."""
    from lzc_flows.database.queries import planned_keys
    from lzc_flows.launch.recover import recover_failed, recover_lost

    session = Session(campaign)
    keys = planned_keys(session.database, session.name)
    lost, failed = recover_lost(session.launchpad, keys), recover_failed(session.launchpad, keys)
    if json_output:
        emit_json({"campaign": session.name, "lost": len(lost), "failed": len(failed)})
    else:
        stdout.print(f"{session.name}: {len(lost)} lost and {len(failed)} failed jobs queued again")


def query(
    campaign: CampaignArgument,
    where: Annotated[str, typer.Option(help="Conditions joined by commas, such as 'cation=Ti, barrier_3d<0.6'.")] = "",
    json_output: JsonFlag = False,
) -> None:
    """List CAMPAIGN's candidates with what is known of them."""
    from lzc_flows.database.candidates import build_candidates
    from lzc_flows.database.queries import candidates

    session = Session(campaign)
    build_candidates(session.database)
    found = candidates(session.database, session.name, where)
    if json_output:
        emit_json(found)
    else:
        _print_candidates(found)


def rank(campaign: CampaignArgument, json_output: JsonFlag = False) -> None:
    """Rank CAMPAIGN's candidates from the database; write heatmap and table into its report folder."""
    from lzc_flows.database.candidates import build_candidates
    from lzc_flows.jobs.rank import rank_campaign

    session = Session(campaign)
    build_candidates(session.database)
    document = rank_campaign(session.database, session.name, session.campaign.spec.ranking)
    _report(session, document)
    if json_output:
        emit_json(document.rows)
    else:
        _print_ranking(document)


def _workers(wanted: int | None) -> int:
    return wanted or os.cpu_count() or 1


def _report(session: Session, document: RankingDoc) -> None:
    from lzc_flows.jobs.rank import ranked_table
    from lzc_flows.report.campaign import write_report

    files = write_report(
        ranked_table(document), session.campaign.spec.ranking, f"Campaign {session.name}", session.folder / "report"
    )
    for path in (files.heatmap_png, files.heatmap_svg, files.table_csv):
        stderr.print(f"wrote {path}", highlight=False, soft_wrap=True)


def _finish(found: CampaignStatus, json_output: bool) -> None:
    """Print where the campaign stands; a failed stage makes the exit code 1."""
    from dataclasses import asdict

    if json_output:
        emit_json(asdict(found))
    else:
        _print_status(found)
    if found.failures:
        raise typer.Exit(1)


def _print_status(found: CampaignStatus) -> None:
    from rich.table import Table

    states = sorted({state for counts in found.counts.values() for state in counts})
    table = Table(title=f"{found.campaign}: {found.candidates} candidates", title_justify="left")
    table.add_column("Stage")
    for state in states:
        table.add_column(state, justify="right")
    for stage, counts in found.counts.items():
        table.add_row(stage, *(str(counts.get(state, 0)) for state in states))
    stdout.print(table)
    for failure in found.failures:
        stdout.print(f"failed: {failure.stage} {failure.key}: {failure.reason}", soft_wrap=True, markup=False)


def _print_candidates(found: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table(title=f"{len(found)} candidates", title_justify="left")
    for heading in ("Key", "Formula"):
        table.add_column(heading, overflow="fold")
    for heading in ("1D / eV", "2D / eV", "3D / eV", "$/kg"):
        table.add_column(heading, justify="right")
    for entry in found:
        numbers = [entry[name] for name in ("barrier_1d", "barrier_2d", "barrier_3d", "cost_usd_per_kg")]
        table.add_row(entry["key"], entry["formula"], *map(_number, numbers))
    stdout.print(table)


def _print_ranking(document: RankingDoc) -> None:
    from rich.table import Table

    table = Table(title=f"{document.campaign}: ranked by performance and cost", title_justify="left")
    for heading in ("Rank", "Cation", "Grid", "Performance", "Performance–cost", "Missing"):
        table.add_column(heading)
    for row in document.rows:
        table.add_row(
            str(row["rank_performance_cost"] or "-"),
            row["cation"],
            row["column"],
            _number(row["performance"]),
            _number(row["performance_cost"]),
            row["missing"],
        )
    stdout.print(table)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
