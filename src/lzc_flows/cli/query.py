"""`lzc query`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stderr, stdout
from lzc_flows.cli.session import CampaignArgument, Session
from lzc_flows.errors import InputError

if TYPE_CHECKING:
    from lzc_flows.database.queries import Query

DEFAULT_FIELDS = ("key", "formula", "barrier_1d", "barrier_2d", "barrier_3d", "cost_usd_per_kg")
"""What the table shows where nothing is selected."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("query")(query)


def _print_fields(asked: bool) -> None:
    """Print all fields with their descriptions and leave, where that is asked."""
    if not asked:
        return
    from rich.table import Table

    from lzc_flows.database.fields import all_fields

    table = Table("Field", "Description", box=None)
    for field in all_fields():
        table.add_row(f"{field.name}.STAGE" if field.is_dict else field.name, field.description)
    stdout.print(table, markup=False)
    raise typer.Exit


def query(
    campaign: CampaignArgument,
    where: Annotated[str, typer.Option(help="Conditions, such as 'cation=Ti and barrier_3d<0.6'.")] = "",
    select: Annotated[str, typer.Option(help="Fields, such as 'formula,barrier_3d,engines.relax'.")] = "",
    sort: Annotated[str, typer.Option(help="Fields, such as '-sigma_mS_cm,key'; missing values come last.")] = "",
    limit: Annotated[int | None, typer.Option(help="At most so many candidates.", show_default=False)] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write: .csv, .parquet or .json.", show_default=False)
    ] = None,
    count: Annotated[bool, typer.Option("--count", help="Only how many there are.")] = False,
    _fields: Annotated[
        bool,
        typer.Option("--fields", help="List all fields and leave.", is_eager=True, callback=_print_fields),
    ] = False,
    json_output: JsonFlag = False,
) -> None:
    """List CAMPAIGN's candidates with what is known of them; the language of conditions is in docs/query.md."""
    from lzc_flows.database.fields import names_in
    from lzc_flows.database.queries import Query

    asked = Query(where, names_in(select), names_in(sort), limit)
    if count and out is not None:
        raise InputError(f"--count --out {out}: one of them is allowed")
    if out is not None:
        from lzc_flows.database.table import require_writable  # pandas, which only files need

        require_writable(out)
    if count:
        _count(campaign, asked, json_output)
    else:
        _list(campaign, asked, out, json_output)


def _count(campaign: str, asked: Query, json_output: bool) -> None:
    from lzc_flows.database.queries import count

    session = _up_to_date(campaign)
    number = count(session.database, session.name, asked.where)
    if json_output:
        emit_json({"campaign": session.name, "count": number})
    else:
        stdout.print(number, highlight=False)


def _list(campaign: str, asked: Query, out: Path | None, json_output: bool) -> None:
    from lzc_flows.database.queries import select

    is_for_reading = out is None and not json_output
    if is_for_reading and not asked.fields:
        from dataclasses import replace

        asked = replace(asked, fields=DEFAULT_FIELDS)
    session = _up_to_date(campaign)
    found = select(session.database, session.name, asked)
    if out is not None:
        from lzc_flows.database.table import write_table

        write_table(found, asked.fields, out)
        stderr.print(f"wrote {out}: {len(found)} candidates", highlight=False, markup=False, soft_wrap=True)
    if json_output:
        emit_json(found)
    elif is_for_reading:
        _print_candidates(found, asked.fields)


def _up_to_date(campaign: str) -> Session:
    """Return the session of a campaign whose summaries are up to date."""
    from lzc_flows.database.candidates import build_candidates

    session = Session(campaign)
    _ = session.name  # an unknown campaign is refused before anything is built
    build_candidates(session.database)
    return session


def _print_candidates(found: list[dict[str, Any]], names: tuple[str, ...]) -> None:
    from rich.table import Table
    from rich.text import Text

    from lzc_flows.database.fields import field_of
    from lzc_flows.database.queries import value_of

    table = Table(title=f"{len(found)} candidates", title_justify="left")
    shown = [field_of(name) for name in dict.fromkeys(("key", *names))]
    for field in shown:
        table.add_column(Text(field.heading), overflow="fold", justify="right" if field.is_number else "left")
    for entry in found:
        table.add_row(*(Text(_cell(value_of(entry, field.name))) for field in shown))
    stdout.print(table)


def _cell(value: Any) -> str:
    """Return a value for reading: numbers with three decimals, or three digits where they are small or large."""
    if value is None or value in ([], {}):
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        is_plain = value == 0 or 1e-2 <= abs(value) < 1e6
        return f"{value:.3f}" if is_plain or abs(value) == float("inf") else f"{value:.2e}"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_cell(entry)}" for name, entry in value.items())
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    return str(value)
