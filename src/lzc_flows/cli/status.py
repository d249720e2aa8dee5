"""`lzc status`, and how a campaign's status is told."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stdout
from lzc_flows.cli.session import CampaignArgument, Session

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from lzc_flows.launch.outlook import Outlook
    from lzc_flows.launch.status import CampaignStatus

EXAMPLES = 20
"""Failures that are named one by one."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("status")(status)


def status(
    campaign: CampaignArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Show it live until Ctrl-C.")] = False,
    interval: Annotated[float, typer.Option(min=0.5, help="With --watch: time between two looks, in s.")] = 3.0,
    tries: Annotated[str | None, typer.Option(metavar="KEY", help="Print the tries of a candidate or result.")] = None,
    json_output: JsonFlag = False,
) -> None:
    """Count CAMPAIGN's candidates by stage and state; say how fast it goes and what failed and why."""
    session = Session(campaign)
    if tries is not None:
        from lzc_flows.cli.recover import print_history

        print_history(session, tries, json_output)
    elif watch:
        _watch(session, interval)
    else:
        found, outlook = look(session)
        if json_output:
            emit_json({**asdict(found), **asdict(outlook)})
        else:
            stdout.print(_picture(found, outlook), soft_wrap=True)


def look(session: Session) -> tuple[CampaignStatus, Outlook]:
    """Return where a campaign stands and how it goes on."""
    from lzc_flows.launch.outlook import outlook_of
    from lzc_flows.launch.queued import QueuedIn
    from lzc_flows.launch.status import scan, status_of

    name, queued = session.name, QueuedIn.of(session.database)
    seen = scan(session.database, queued, name)
    found = status_of(session.database, queued, name, seen)
    return found, outlook_of(session.database, queued, found, seen)


def finish(found: CampaignStatus, json_output: bool) -> None:
    """Print where the campaign stands; a failed stage makes the exit code 1."""
    if json_output:
        emit_json(asdict(found))
    else:
        stdout.print(_picture(found, None), soft_wrap=True)
    if found.failures:
        raise typer.Exit(1)


def _watch(session: Session, interval_s: float) -> None:
    """Show the status until Ctrl-C; where no terminal is, print a line for each change."""
    from rich.live import Live

    try:
        if not stdout.is_terminal:
            last = ""
            while True:
                line = _line(*look(session))
                if line != last:
                    stdout.print(line, highlight=False, markup=False)
                last = line
                time.sleep(interval_s)
        with Live(console=stdout, auto_refresh=False) as live:
            while True:
                live.update(_picture(*look(session)), refresh=True)
                time.sleep(interval_s)
    except KeyboardInterrupt:
        pass


def _line(found: CampaignStatus, outlook: Outlook) -> str:
    counts = ", ".join(f"{stage} {of.get('COMPLETED', 0)}/{sum(of.values())}" for stage, of in found.counts.items())
    failed = f", {len(found.failures)} failed" if found.failures else ""
    return f"{found.campaign}: {counts}{failed}, {outlook.workers['alive']} workers"


def _picture(found: CampaignStatus, outlook: Outlook | None) -> Group:
    from rich.console import Group
    from rich.text import Text

    parts: list[Any] = [_table(found, outlook)]
    if outlook is not None:
        parts.append(Text(_outlook_words(outlook)))
    for group in found.causes:
        given_up = f", {group.given_up} given up" if group.given_up else ""
        parts.append(Text(f"{group.cause}: {group.count} of {group.stage}{given_up}: {group.remedy}"))
    for failure in found.failures[:EXAMPLES]:
        what = "given up" if failure.given_up else "failed"
        parts.append(Text(f"{what}: {failure.stage} {failure.key}: {failure.reason}"))
    if len(found.failures) > EXAMPLES:
        parts.append(Text(f"and {len(found.failures) - EXAMPLES} more; --json names all"))
    return Group(*parts)


def _table(found: CampaignStatus, outlook: Outlook | None) -> Table:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    states = sorted({state for counts in found.counts.values() for state in counts})
    table = Table(title=f"{found.campaign}: {found.candidates} candidates", title_justify="left")
    table.add_column("Stage", no_wrap=True)
    table.add_column("Done", min_width=5, max_width=20)  # alone gives way where the terminal is narrow
    for state in (*states, "per hour", "mean run"):
        table.add_column(state, justify="right", no_wrap=True)
    for stage, counts in found.counts.items():
        bar = ProgressBar(total=sum(counts.values()) or 1, completed=counts.get("COMPLETED", 0))
        rate = outlook.throughput_per_h.get(stage) if outlook else None
        run_s = outlook.mean_run_s.get(stage) if outlook else None
        speed = (f"{rate.per_h:.3g}" if rate else "-", _duration(run_s) if run_s is not None else "-")
        table.add_row(stage, bar, *(str(counts.get(state, 0)) for state in states), *speed)
    return table


def _outlook_words(outlook: Outlook) -> str:
    hosts = outlook.workers["hosts"]
    where = ", ".join(f"{number} on {host}" for host, number in hosts.items()) if isinstance(hosts, dict) else ""
    lost = f", {outlook.workers['lost']} lost (`lzc recover`)" if outlook.workers["lost"] else ""
    workers = f"workers: {outlook.workers['alive']}{f' ({where})' if where else ''}{lost}"
    if outlook.remaining_s is None:
        return f"{workers}; end: not known, {outlook.estimate}"
    if outlook.remaining_s == 0:
        return f"{workers}; {outlook.estimate}"
    return f"{workers}; end: in {_duration(outlook.remaining_s)}, {outlook.ends_at} ({outlook.estimate})"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes / 60:.1f} h"
