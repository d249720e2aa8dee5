"""`lzc doctor`: whether this machine has what is needed."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stdout
from lzc_flows.cli.session import Session

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
    json_output: JsonFlag = False,
) -> None:
    """Look for what is needed here, one line each: ok, missing (needed), or warning (not needed, or not known).

    Starts and changes nothing. Exits with 1 if something is missing.
    """
    from lzc_flows.launch.doctor import is_well

    found = _look(campaign)
    if json_output:
        emit_json([asdict(finding) for finding in found])
    else:
        _print(found)
    if not is_well(found):
        raise typer.Exit(1)


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
