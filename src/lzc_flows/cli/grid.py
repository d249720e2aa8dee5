"""`lzc grid`: what a campaign would run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stdout


def register(app: typer.Typer) -> None:
    """Add `grid` to `app`."""
    app.command("grid")(grid)


def grid(
    file: Annotated[Path, typer.Argument(help="Campaign file (YAML).")],
    json_output: JsonFlag = False,
) -> None:
    """List the combinations of a campaign FILE: formulas, compensation, number of arrangements. Runs nothing."""
    from rich.table import Table

    from lzc_flows.flows.candidate import Campaign
    from lzc_flows.flows.spec import load_campaign

    campaign = Campaign(load_campaign(file))
    if json_output:
        emit_json(
            {
                "campaign": campaign.spec.name,
                "host": campaign.spec.host.name,
                "count": len(campaign.cells),
                "combinations": [
                    {
                        "combination": cell.combination.slug,
                        "cation": cell.combination.cation.ion if cell.combination.cation else None,
                        "cation_site": cell.combination.cation.site if cell.combination.cation else None,
                        "anion": cell.combination.anion.ion if cell.combination.anion else None,
                        "column": cell.combination.column,
                        "formula": cell.formula,
                        "extra_mobile": cell.extra_mobile,
                        "arrangements": cell.arrangements,
                    }
                    for cell in campaign.cells
                ],
            }
        )
        return
    table = Table(title=f"{campaign.spec.name}: {len(campaign.cells)} combinations", title_justify="left")
    for heading in ("Combination", "Formula"):
        table.add_column(heading)
    for heading in ("Extra Li", "Arrangements"):
        table.add_column(heading, justify="right")
    for cell in campaign.cells:
        table.add_row(cell.combination.slug, cell.formula, f"{cell.extra_mobile:+d}", f"{cell.arrangements:,}")
    stdout.print(table)
