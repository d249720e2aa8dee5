"""`lzc recover`."""

from __future__ import annotations

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stdout
from lzc_flows.cli.session import CampaignArgument, Session


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("recover")(recover)


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
