"""`lzc status`, and how a campaign's status is told."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stdout
from lzc_flows.cli.session import CampaignArgument, Session

if TYPE_CHECKING:
    from lzc_flows.launch.status import CampaignStatus


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("status")(status)


def status(campaign: CampaignArgument, json_output: JsonFlag = False) -> None:
    """Count CAMPAIGN's candidates by stage and state; name what failed and why."""
    from lzc_flows.launch.status import campaign_status

    session = Session(campaign)
    found = campaign_status(session.database, session.launchpad, session.name)
    if json_output:
        emit_json(asdict(found))
    else:
        _print_status(found)


def finish(found: CampaignStatus, json_output: bool) -> None:
    """Print where the campaign stands; a failed stage makes the exit code 1."""
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
