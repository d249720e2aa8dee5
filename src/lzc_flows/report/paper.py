"""The figures of a report as files for a paper: each as PDF, PNG and SVG."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from lzc_flows.errors import InputError
from lzc_flows.ranking.spec import RankingSpec
from lzc_flows.report.curves_figure import curves_figure
from lzc_flows.report.figure import drawn_extent, write_pdf, write_png, write_svg
from lzc_flows.report.heatmap import draw_heatmap
from lzc_flows.report.page.certainty import certainty_figures
from lzc_flows.report.page.comparison import comparisons
from lzc_flows.report.page.pareto import fronts_of
from lzc_flows.report.pareto_figure import pareto_figure

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from lzc_flows.report.page.content import ReportContent

DRAWN_STAGES = ("aimd", "arrhenius", "cineb")
"""Stages whose curves of the best candidates become figures."""

_WRITERS: dict[str, Callable[..., None]] = {"pdf": write_pdf, "png": write_png, "svg": write_svg}


def write_figures(content: ReportContent, folder: Path) -> list[Path]:
    """Write all figures that the campaign has something for into a folder; each file whole or not at all.

    Returns
    -------
    The files: ``heatmap``, ``pareto``, ``conductivity``, ``cost-conductivity``, and ``STAGE-KEY`` of the best.

    Raises
    ------
    InputError
        The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [path for name, figure in _figures(content) for path in _write(figure, folder, name)]
    except (PermissionError, NotADirectoryError, FileExistsError, IsADirectoryError) as error:
        raise InputError(f"{folder}: a folder that can be written is allowed ({error.strerror})") from None


def _figures(content: ReportContent) -> Iterator[tuple[str, Figure]]:
    table = content.table
    if table.ranked:
        yield "heatmap", draw_heatmap(table.rows, RankingSpec(**content.spec["ranking"]), f"Campaign {table.campaign}")
    for front in fronts_of(content)[-1:]:  # of the deepest tier
        yield "pareto", pareto_figure(table.rows, front)
    yield from ((name, curves_figure(curves)) for name, curves in certainty_figures(content).items())
    for name, curves in zip(("conductivity", "cost-conductivity"), comparisons(content.conductivities), strict=True):
        yield name, curves_figure(curves)
    for detail in content.details:
        for curves in detail.curves:
            if curves.stage in DRAWN_STAGES:
                yield f"{curves.stage}-{re.sub(r'[^A-Za-z0-9_.+-]', '_', detail.key)}", curves_figure(curves)


def _write(figure: Figure, folder: Path, name: str) -> list[Path]:
    extent = drawn_extent(figure)
    paths = {folder / f"{name}.{suffix}": write for suffix, write in _WRITERS.items()}
    for path, write in paths.items():
        write(figure, path, extent=extent)
    return list(paths)
