"""`lzc recover`."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stdout
from lzc_flows.cli.session import CampaignArgument, Session

if TYPE_CHECKING:
    from lzc_flows.launch.tries import Decision

EXAMPLES = 3
"""Jobs named of each cause."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("recover")(recover)


def recover(
    campaign: CampaignArgument,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, do nothing.")] = False,
    tries: Annotated[int, typer.Option(min=1, help="Give a job up after so many tries that failed.")] = 3,
    retry_given_up: Annotated[bool, typer.Option("--retry-given-up", help="Try anew what was given up.")] = False,
    history: Annotated[bool, typer.Option("--history", help="Print what was decided so far, do nothing.")] = False,
    key: Annotated[str | None, typer.Option(help="With --history: of this candidate, or of this result.")] = None,
    json_output: JsonFlag = False,
) -> None:
    """Put CAMPAIGN's lost and failed jobs back into the queue, each in the right way, or give it up with a reason."""
    from lzc_flows.launch.batch import batch_queue
    from lzc_flows.launch.recover import Patience, Recovery, carry_out, whole_plan

    session = Session(campaign)
    if history:
        print_history(session, key, json_output)
        return
    recovery = Recovery(session.database, session.launchpad, session.name, batch_queue, Patience(failed=tries))
    plan = whole_plan(recovery)
    if retry_given_up:
        plan = replace(plan, decisions=[*plan.decisions, *recovery.given_up().decisions])
    if not json_output:
        _print_plan(plan.decisions)
    done = plan.decisions if dry_run else carry_out(recovery, plan)
    back = Counter(decision.kind for decision in done if decision.action != "give up")
    given_up = sum(decision.action == "give up" for decision in done)
    if json_output:
        counts = {"lost": back["lost"], "failed": back["failed"], "given_up": given_up}
        emit_json({"campaign": session.name, **counts, "decisions": [asdict(decision) for decision in done]})
    else:
        would = "would be " if dry_run else ""
        words = f"{back['lost']} lost and {back['failed']} failed jobs {would}queued again"
        stdout.print(f"{session.name}: {words}" + (f", {given_up} {would}given up" if given_up else ""))


def print_history(session: Session, key: str | None, json_output: bool) -> None:
    """Print what was decided so far about a campaign's jobs, or about those of one candidate."""
    from lzc_flows.database.plans import planned_keys
    from lzc_flows.launch.tries import history

    found = history(session.database, planned_keys(session.database, session.name), key)
    if json_output:
        emit_json({"campaign": session.name, "history": found})
        return
    for entry in found:
        stdout.print(_history_line(entry), soft_wrap=True, markup=False, highlight=False)
    stdout.print(f"{session.name}: {len(found)} decisions")


def _history_line(entry: dict[str, Any]) -> str:
    when = entry["when"].strftime("%Y-%m-%d %H:%M:%S UTC")
    what = f"{entry['stage']} {entry['candidate']}: try {entry['attempt']}"
    return f"{when} {what} {entry['kind']}, {entry['cause']}: {entry['action']}: {entry['words']}"


def _print_plan(decisions: list[Decision]) -> None:
    """Print what will be done, by cause."""
    groups: dict[tuple[str, str], list[Decision]] = {}
    for decision in decisions:
        groups.setdefault((decision.cause, decision.action), []).append(decision)
    for (cause, action), group in sorted(groups.items()):
        stdout.print(f"{cause}: {len(group)} {group[0].kind}: {action}", markup=False, highlight=False)
        for decision in group[:EXAMPLES]:
            line = f"  {decision.stage} {decision.candidate} (try {decision.attempt}): {decision.words}"
            stdout.print(line, soft_wrap=True, markup=False, highlight=False)
        if len(group) > EXAMPLES:
            stdout.print(f"  and {len(group) - EXAMPLES} more")
