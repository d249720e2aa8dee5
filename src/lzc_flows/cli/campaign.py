"""Campaigns: `lzc submit | advance | work | run | rank`."""

from __future__ import annotations

import gc
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stderr, stdout
from lzc_flows.cli.ranking import print_explanation, print_ranking
from lzc_flows.cli.session import CampaignArgument, Session, WorkersOption
from lzc_flows.cli.status import finish

if TYPE_CHECKING:
    from lzc_flows.documents.ranking import RankingDoc
    from lzc_flows.launch.submit import Submission

ExplainOption = Annotated[
    str | None,
    typer.Option(metavar="KEY", help="Say what this candidate's scores are made of; writes no files."),
]
ReplaceFlag = Annotated[
    bool,
    typer.Option("--replace", help="Let candidates go that the campaign of this name held before; results stay."),
]


def register(app: typer.Typer) -> None:
    """Add the campaign commands to `app`."""
    for command in (submit, advance, work, run, rank):
        app.command(command.__name__)(command)


def submit(campaign: CampaignArgument, replace: ReplaceFlag = False, json_output: JsonFlag = False) -> None:
    """Queue what is missing of CAMPAIGN; a second submit queues nothing."""
    session = Session(campaign)
    session.require_runnable()
    report = _submission(replace)(session.campaign, session.database, session.launchpad)
    if json_output:
        emit_json({"campaign": session.name, **asdict(report)})
    else:
        grown = f", {report.new} candidates new" if 0 < report.new < report.candidates else ""
        shrunk = f", {report.dropped} candidates let go" if report.dropped else ""
        stdout.print(f"{session.name}: {report.candidates} candidates, {report.queued} jobs queued{grown}{shrunk}")


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
    finish(work_off(session.setting(_workers(workers))), json_output)


def run(
    campaign: CampaignArgument,
    workers: WorkersOption = None,
    replace: ReplaceFlag = False,
    json_output: JsonFlag = False,
) -> None:
    """Run all of CAMPAIGN on this machine: submit, work, advance, rank, report.

    Can be stopped at any moment; the same command goes on.
    """
    from lzc_flows.launch.run import run_campaign

    session = Session(campaign)
    outcome = run_campaign(session.setting(_workers(workers)), _submission(replace))
    _report(session, outcome.ranking)
    finish(outcome.status, json_output)


def rank(campaign: CampaignArgument, explain: ExplainOption = None, json_output: JsonFlag = False) -> None:
    """Rank CAMPAIGN's candidates from the database; write heatmap and table into its report folder."""
    from lzc_flows.database.candidates import build_candidates
    from lzc_flows.jobs.rank import rank_campaign

    gc.freeze()  # modules stay: with thousands of rows the collector would look through them again and again
    session = Session(campaign)
    build_candidates(session.database)
    document = rank_campaign(session.database, session.name, session.campaign.spec.ranking)
    if explain is not None:
        _explain(session, document, explain, json_output)
        return
    _report(session, document)
    if json_output:
        emit_json(document.model_dump())
    else:
        print_ranking(document)


def _explain(session: Session, document: RankingDoc, name: str, json_output: bool) -> None:
    from lzc_flows.database.lookup import find_candidate
    from lzc_flows.jobs.rank import explain_candidate
    from lzc_flows.ranking.spec import SCORES

    summary = find_candidate(session.database, name, session.name)
    parts = {score: explain_candidate(document, score, summary) for score in SCORES}
    row = next(row for row in document.rows if row["key"] == summary["key"])
    if json_output:
        emit_json({**row, "parts": {score: [asdict(part) for part in some] for score, some in parts.items()}})
    else:
        print_explanation(row, parts)


def _submission(replacing: bool) -> Submission:
    from lzc_flows.launch.submit import replace, submit

    return replace if replacing else submit


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
