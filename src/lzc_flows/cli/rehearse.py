"""`lzc rehearse`: a whole campaign on this machine with a stand-in for VASP."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stderr, stdout
from lzc_flows.cli.session import Session, WorkersOption

if TYPE_CHECKING:
    from lzc_flows.launch.rehearse import StageTally
    from lzc_flows.launch.status import CampaignStatus


def register(app: typer.Typer) -> None:
    """Add `rehearse` to `app`."""
    app.command("rehearse")(rehearse)


def rehearse(
    campaign: Annotated[Path, typer.Argument(help="A campaign file.")],
    engine: Annotated[str, typer.Option(help="Whose part is played: vasp.")] = "vasp",
    cations: Annotated[int | None, typer.Option(min=1, help="Only the first so many cations of the grid.")] = None,
    faults: Annotated[Path | None, typer.Option(help="JSON file of faults that the stand-in makes.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget all earlier rehearsals first.")] = False,
    workers: WorkersOption = None,
    json_output: JsonFlag = False,
) -> None:
    """Rehearse CAMPAIGN: its jobs, inputs, folders, documents and restarts, with a stand-in for VASP.

    The stages relax, aimd and cineb run VASP's part, whatever their engine; energies and forces are NEP89's. Nothing
    touches the real database. Can be stopped at any moment; the same command goes on.
    """
    from lzc_flows.errors import InputError
    from lzc_flows.launch.rehearse import enter_rehearsal, forget, potcars_at_hand, tally

    if engine != "vasp":
        raise InputError(f"engine {engine!r}: vasp is allowed; the others run here as they are")
    if faults is not None and not faults.is_file():
        raise InputError(f"--faults {faults}: no such file")
    folder = enter_rehearsal(faults)
    if fresh:
        forget(folder)
    from lzc_flows.flows.candidate import Campaign
    from lzc_flows.flows.rehearsed import of_first_cations, rehearsed
    from lzc_flows.flows.spec import load_campaign
    from lzc_flows.launch.run import run_campaign

    spec = rehearsed(load_campaign(campaign), "vasp")
    if cations is not None:
        spec = of_first_cations(spec, cations)
    session = Session.of(Campaign(spec))
    with potcars_at_hand(folder / "potcars") as stand_ins:
        if stand_ins:
            stderr.print("no POTCAR library is set up: stand-ins of the headers serve", soft_wrap=True)
        outcome = run_campaign(session.setting(workers or os.cpu_count() or 1))
    found = tally(session.database, session.name, session.folder)
    if json_output:
        emit_json(
            {
                **asdict(outcome.status),
                "folder": str(session.folder),
                "stages": {k: asdict(v) for k, v in found.items()},
            }
        )
    else:
        _print(session, outcome.status, found)
    if outcome.status.failures:
        raise typer.Exit(1)


def _print(session: Session, status: CampaignStatus, found: dict[str, StageTally]) -> None:
    from rich.table import Table

    from lzc_flows.launch.rehearse import StageTally

    table = Table(title=f"{session.name}, rehearsed: {status.candidates} candidates", title_justify="left")
    table.add_column("Stage")
    for heading in ("Documents", "Launches", "VASP runs", "Corrections", "MiB"):
        table.add_column(heading, justify="right")
    for name in status.counts:
        stage = found.get(name, StageTally())
        numbers = (stage.documents, stage.launches, stage.calculations, sum(stage.corrections.values()))
        table.add_row(name, *map(str, numbers), f"{stage.megabytes:.0f}")
    stdout.print(table)
    for name, stage in found.items():
        for handler, number in stage.corrections.items():
            stdout.print(f"{name}: {handler} mended {number} errors", highlight=False)
    for failure in status.failures:
        stdout.print(f"failed: {failure.stage} {failure.key}: {failure.reason}", soft_wrap=True, markup=False)
    stdout.print(f"folders: {session.folder}", highlight=False, soft_wrap=True)
