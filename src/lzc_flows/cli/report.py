"""`lzc report`: a campaign as one HTML file, and its figures for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stderr, stdout
from lzc_flows.cli.session import CampaignArgument, Session
from lzc_flows.errors import InputError


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("report")(report)


def report(
    campaign: CampaignArgument,
    out: Annotated[
        Path | None, typer.Option(help="The HTML file; by default report/report.html in the campaign's folder.")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Also write the figures into this folder, as PDF, PNG and SVG for a paper.")
    ] = None,
    best: Annotated[int, typer.Option(min=0, max=100, help="How many candidates are shown in detail.")] = 12,
    json_output: JsonFlag = False,
) -> None:
    """Write CAMPAIGN as one HTML file that needs no network: decision, heatmaps, table, curves, crystals, method."""
    from lzc_flows.api.report import read_report
    from lzc_flows.report.page.document import MOST_BYTES, write_html

    session = Session(campaign)
    path = out or session.folder / "report" / "report.html"
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out {path}: a file that ends in .html is allowed")
    content = read_report(session.database, session.name, best)
    size = write_html(content, path)
    if size > MOST_BYTES:
        words = f"lzc: {path} has {size / 1e6:.1f} MB; a smaller --best makes it smaller"
        stderr.print(words, style="yellow", highlight=False, markup=False, soft_wrap=True)
    drawn = []
    if figures is not None:
        from lzc_flows.report.paper import write_figures

        drawn = write_figures(content, figures)
    if json_output:
        emit_json(
            {
                "campaign": session.name,
                "html": str(path),
                "bytes": size,
                "candidates": len(content.table.rows),
                "ranked": content.table.ranked,
                "detailed": [detail.key for detail in content.details],
                "figures": [str(one) for one in drawn],
            }
        )
        return
    stdout.print(f"wrote {path} ({size / 1e6:.1f} MB)", highlight=False, markup=False, soft_wrap=True)
    for one in drawn:
        stdout.print(f"wrote {one}", highlight=False, markup=False, soft_wrap=True)
