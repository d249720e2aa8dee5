"""`lzc cost`: the raw-material cost of a formula."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stdout

if TYPE_CHECKING:
    from rich.table import Table

    from lzc_flows.crystal.cost import CostBreakdown


def register(app: typer.Typer) -> None:
    """Add `cost` to `app`."""
    app.command("cost")(cost)


def cost(
    formula: Annotated[str, typer.Argument(help="Elements with amounts, such as Li2.1Zr0.9Ti0.1Cl5.7F0.3.")],
    json_output: JsonFlag = False,
) -> None:
    """Raw-material cost of FORMULA in $/kg, element by element, with the year and source of each price."""
    from dataclasses import asdict

    from lzc_flows.crystal.cost import cost_breakdown

    breakdown = cost_breakdown(formula)
    if json_output:
        emit_json(asdict(breakdown))
    else:
        stdout.print(_table(breakdown))


def _table(breakdown: CostBreakdown) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(f"{breakdown.formula}: {breakdown.cost_usd_per_kg:.2f} $/kg"), title_justify="left")
    table.add_column("Element")
    for heading in ("Mass fraction", "Price\n($/kg)", "Contribution\n($/kg)", "Year"):
        table.add_column(heading, justify="right")
    table.add_column("Source")
    for entry in breakdown.elements:
        table.add_row(
            entry.element,
            f"{entry.mass_fraction:.4f}",
            f"{entry.price_usd_per_kg:.6g}",
            f"{entry.contribution_usd_per_kg:.4f}",
            str(entry.year),
            Text(entry.source),
        )
    return table
