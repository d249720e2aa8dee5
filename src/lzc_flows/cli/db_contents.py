"""`lzc db migrate | backup | restore | drop-campaign | clean`: what works on the database as a whole."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stderr, stdout
from lzc_flows.errors import InputError

if TYPE_CHECKING:
    from lzc_flows.database.backup import Progress, Summary
    from lzc_flows.database.stores import Database

MeantOption = Annotated[
    str | None, typer.Option("--yes-i-mean", metavar="NAME", help="The name, instead of typing it on a terminal.")
]
DryRunFlag = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


def register(group: typer.Typer) -> None:
    """Add the commands to the group `db`."""
    group.command("migrate")(migrate)
    group.command("backup")(backup)
    group.command("restore")(restore)
    group.command("drop-campaign")(drop_campaign)
    group.command("clean")(clean)


def migrate(dry_run: DryRunFlag = False, meant: MeantOption = None, json_output: JsonFlag = False) -> None:
    """Bring the database of an older lzc-flows to this version; asks for its name. Make a backup first."""
    from lzc_flows.database.schema import migrate as migrate_database
    from lzc_flows.database.schema import steps_needed

    database = _database()
    steps = steps_needed(database)
    for step in steps:
        stderr.print(step, highlight=False, markup=False, soft_wrap=True)
    migrates = bool(steps) and not dry_run
    if migrates:
        _require_name(database.name, meant, "migrate database")
        migrate_database(database)
    if json_output:
        emit_json({"database": database.name, "steps": steps, "migrated": migrates})
    else:
        stdout.print("migrated" if migrates else f"{len(steps)} steps to do", highlight=False)


def backup(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="File to write, or a folder for a file named by date.")],
    json_output: JsonFlag = False,
) -> None:
    """Write all that the database holds into one file; jobs may run meanwhile."""
    from lzc_flows.database.backup import write_backup

    with _progress("backup") as progress:
        summary = write_backup(_database(), path, progress)
    _tell(summary, "wrote", json_output)


def restore(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="What `lzc db backup` wrote.")],
    into: Annotated[
        str | None, typer.Option(metavar="DATABASE", help="Another database of the same server, which is empty.")
    ] = None,
    replaces: Annotated[
        bool, typer.Option("--replace", help="Lose what the database holds; asks for its name.")
    ] = False,
    meant: MeantOption = None,
    json_output: JsonFlag = False,
) -> None:
    """Fill an empty database from a backup, after all of it has been checked; cut off, it is run again."""
    from lzc_flows.database.backup import replace_by_backup, restore_backup

    database = _database()
    if into is not None:
        database = replace(database, name=into)
    if replaces:
        _require_name(database.name, meant, "replace all that is in database")
    with _progress("restore") as progress:
        fill = replace_by_backup if replaces else restore_backup
        summary = fill(database, path, progress)
    _tell(summary, "restored", json_output)


def drop_campaign(
    name: Annotated[str, typer.Argument(metavar="CAMPAIGN", help="Name of the campaign.")],
    results: Annotated[
        bool, typer.Option("--results", help="Remove the results that no other campaign wants too.")
    ] = False,
    dry_run: DryRunFlag = False,
    meant: MeantOption = None,
    json_output: JsonFlag = False,
) -> None:
    """Remove CAMPAIGN: its candidates and jobs that no other campaign holds; asks for its name. Results stay."""
    from lzc_flows.database.stores import connect
    from lzc_flows.launch.launchpad import open_launchpad
    from lzc_flows.launch.removal import plan_removal, remove_campaign, remove_results

    database = connect()
    launchpad = open_launchpad(database)
    removal = plan_removal(database, launchpad, name)
    document = {
        "campaign": name,
        "candidates": len(removal.candidates),
        "candidates_kept_for_other_campaigns": removal.shared,
        "jobs": len(removal.fireworks),
        "results": len(removal.results) if results else 0,
        "dropped": not dry_run,
    }
    for what, count in document.items():
        if what not in ("campaign", "dropped"):
            stderr.print(f"{what.replace('_', ' ')}: {count}", highlight=False)
    if not dry_run:
        _require_name(name, meant, "drop campaign")
        if results:
            remove_results(database, removal)
        remove_campaign(database, launchpad, removal)
    if json_output:
        emit_json(document)
    else:
        stdout.print(f"{name}: nothing was changed" if dry_run else f"{name}: dropped", highlight=False, markup=False)


def clean(dry_run: DryRunFlag = False, meant: MeantOption = None, json_output: JsonFlag = False) -> None:
    """Remove large data of repeated or interrupted jobs that no result names, a day old or more; asks for the name."""
    from lzc_flows.database.orphans import find_orphans, remove_orphans
    from lzc_flows.database.stores import connect

    database = connect()
    orphans = find_orphans(database)
    cleans = not dry_run and bool(orphans.files or orphans.pieces)
    stderr.print(f"files that no result names: {len(orphans.files)}, pieces of files: {len(orphans.pieces)}")
    if cleans:
        _require_name(database.name, meant, "clean database")
        remove_orphans(database, orphans)
    if json_output:
        emit_json({"files": len(orphans.files), "pieces": len(orphans.pieces), "removed": cleans})
    else:
        stdout.print("removed" if cleans else "nothing was changed")


def _database() -> Database:
    """Return the database of the settings, of whatever version."""
    from lzc_flows.database.address import mongo_uri
    from lzc_flows.database.stores import Database
    from lzc_flows.settings import get_settings

    return Database(mongo_uri(), get_settings().mongo_database)


def _require_name(name: str, meant: str | None, what: str) -> None:
    """Go on only if the name has been given.

    Raises
    ------
    InputError
        Another name, or none where there is no terminal to ask on.
    """
    if meant is None:
        if not sys.stdin.isatty():
            raise InputError(f"to {what} {name!r} without a terminal, add --yes-i-mean {name}")
        meant = typer.prompt(f"Type the name to {what} {name!r}", err=True)
    if meant != name:
        raise InputError(f"{meant!r} is not {name!r}: nothing was changed")


@contextmanager
def _progress(what: str) -> Iterator[Progress]:
    """Show which collection is at work and how far it is, on a terminal."""
    from rich.progress import Progress as Bar
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}: {task.completed:.0f} documents"), TimeElapsedColumn())
    with Bar(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        task = bar.add_task(what)
        yield lambda name, done: bar.update(task, description=f"{what} {name}", completed=done)


def _tell(summary: Summary, verb: str, json_output: bool) -> None:
    if json_output:
        emit_json({**asdict(summary), "path": str(summary.path)})
    else:
        documents = sum(summary.documents.values())
        stdout.print(
            f"{verb} {summary.path}: {documents} documents of {len(summary.documents)} collections, "
            f"schema {summary.schema}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
