"""`lzc doctor`: whether this machine has what is needed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stdout
from lzc_flows.cli.session import Session
from lzc_flows.errors import InputError

if TYPE_CHECKING:
    from lzc_flows.launch.findings import Finding

_STYLES = {"ok": "green", "warning": "yellow", "missing": "bold red"}


def register(app: typer.Typer) -> None:
    """Add `doctor` to `app`."""
    app.command("doctor")(doctor)


def doctor(
    campaign: Annotated[
        str | None, typer.Argument(help="Campaign file or name: look for what it needs; by default the usual engines.")
    ] = None,
    launchpad: Annotated[
        Path | None, typer.Option(help="Folder of `lzc init`: look as if its env.sh had been sourced.")
    ] = None,
    json_output: JsonFlag = False,
) -> None:
    """Look for what is needed here, one line each: ok, missing (needed), or warning (not needed, or not known).

    Starts nothing and leaves nothing behind: what it writes to the database to see whether that works, it removes.
    Exits with 1 if something is missing.
    """
    if launchpad is not None:
        raise typer.Exit(_look_as_after(launchpad / "env.sh", campaign, ["--json"] if json_output else []))
    from lzc_flows.launch.doctor import is_well

    found = _look(campaign)
    if json_output:
        emit_json([asdict(finding) for finding in found])
    else:
        _print(found)
    if not is_well(found):
        raise typer.Exit(1)


def _look_as_after(env_file: Path, campaign: str | None, options: list[str]) -> int:
    """Run a doctor in a shell that has sourced a file; return its exit code."""
    if not env_file.is_file():
        raise InputError(f"--launchpad {env_file.parent}: no env.sh in it; `lzc init {env_file.parent}` writes it")
    words = [sys.executable, "-c", "from lzc_flows.cli.main import main; main()", "doctor", *options]
    if campaign is not None:
        words += ["--", campaign]
    shell = ["/bin/sh", "-c", '. "$0" && exec "$@"', str(env_file.resolve())]
    return subprocess.run([*shell, *words], check=False).returncode


def _look(reference: str | None) -> list[Finding]:
    from lzc_flows.launch.doctor import machine_findings

    if reference is None:
        return machine_findings()
    campaign = Session(reference).campaign
    _ = campaign.cells  # a bad file is refused before anything is looked for
    from lzc_flows.launch.doctor_campaign import campaign_findings, engine_names

    return [*machine_findings(engine_names(campaign)), *campaign_findings(campaign)]


def _print(found: list[Finding]) -> None:
    for finding in found:
        style = _STYLES[finding.status]
        stdout.print(f"{finding.status:8}", style=style, end="")
        words = "; ".join(filter(None, (finding.found, finding.hint)))
        stdout.print(f" {finding.name}: {words}", highlight=False, markup=False, soft_wrap=True)
