"""`lzc query`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, number_text, stdout
from lzc_flows.cli.session import CampaignArgument, Session


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("query")(query)


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


def _print_candidates(found: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table(title=f"{len(found)} candidates", title_justify="left")
    for heading in ("Key", "Formula"):
        table.add_column(heading, overflow="fold")
    for heading in ("1D / eV", "2D / eV", "3D / eV", "$/kg"):
        table.add_column(heading, justify="right")
    for entry in found:
        numbers = [entry[name] for name in ("barrier_1d", "barrier_2d", "barrier_3d", "cost_usd_per_kg")]
        table.add_row(entry["key"], entry["formula"], *map(number_text, numbers))
    stdout.print(table)
