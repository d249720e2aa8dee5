"""The weighted performance–cost heatmap, after Supplementary Fig. 6 of the doped-LZC paper."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch, Rectangle
from pymatgen.core import Element

from lzc_flows.errors import InputError
from lzc_flows.ranking.spec import PRISTINE, SCORES, RankingSpec, Score, describe
from lzc_flows.report.figure import INK, SOFT_INK, drawn_extent, figure_style, write_png, write_svg
from lzc_flows.report.words import ion

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOP = 5
"""How many candidates of each panel are circled."""

MANY = 1000
"""Candidates from which on cells are small and hold no numbers."""

_PANEL_TITLES: dict[Score, str] = {"performance": "Performance", "performance_cost": "Performance–cost"}
_COLORMAP = colormaps["viridis"]
_SCALE = Normalize(0, 1)
_NOT_COMPUTED: dict[str, Any] = {
    "facecolor": "#dedede",
    "edgecolor": "#9a9a9a",
    "hatch": "/////",
    "linewidth": 0.0,
}
_TITLE = "Ranking of the doping combinations"
_PNG_DPI = 200
_GROUP_GAP = 0.3  # between cations of different charge, in cells
_PANEL_GAP_IN = 0.75
_PANEL_TITLE_IN = 1.4  # a narrower panel does not hold its title


def write_heatmap(
    ranking: pd.DataFrame, spec: RankingSpec, destination_stem: Path, title: str = _TITLE
) -> tuple[Path, Path]:
    """Write `draw_heatmap`'s figure as PNG and SVG; the same table gives the same bytes.

    Parameters
    ----------
    ranking, spec, title
        As for `draw_heatmap`.
    destination_stem
        Path without suffix; ".png" and ".svg" are added, and each file is replaced in one step.

    Returns
    -------
    The paths of the PNG and of the SVG.

    Raises
    ------
    InputError
        As for `draw_heatmap`.
    """
    figure = draw_heatmap(ranking, spec, title)
    png, svg = (destination_stem.with_name(f"{destination_stem.name}.{suffix}") for suffix in ("png", "svg"))
    extent = drawn_extent(figure)
    write_png(figure, png, _PNG_DPI, extent)
    write_svg(figure, svg, extent)
    return png, svg


def draw_heatmap(ranking: pd.DataFrame, spec: RankingSpec, title: str = _TITLE) -> Figure:
    """Draw the performance panel above the performance–cost panel.

    Cations run along x by charge, then by atomic number; the `column` labels run down y. A combination
    without a score is hatched, one that the table does not hold is blank. The five best of each panel are
    circled with their ranks. A candidate whose cation is "pristine" stands at the left as "host", across all
    rows.

    Parameters
    ----------
    ranking
        What `lzc_flows.ranking.score.rank` returns, at most one candidate for each cation and column.
    spec
        The weights and the normalisation behind `ranking`, for the caption.
    title
        Heading of the figure.

    Returns
    -------
    A figure to be saved with `bbox_inches="tight"`: its labels stand outside the nominal page.

    Raises
    ------
    InputError
        The table is empty, two candidates share a cell, or a cation is not of the form "Ti3+".
    """
    grid = _lay_out(ranking)
    with figure_style():
        return _draw(grid, spec, title)


@dataclass(frozen=True)
class _Grid:
    """Where everything stands; x and y count cells, y downwards."""

    candidates: pd.DataFrame
    """The ranking with the left edge `x`, the upper edge `y` and the `height` of each candidate's cell."""
    cations: dict[str, float]
    """Left edge of each cation's cells."""
    columns: list[str]

    @property
    def width(self) -> float:
        return max(self.cations.values()) + 1

    @property
    def height(self) -> int:
        return max(len(self.columns), 1)

    @property
    def is_large(self) -> bool:
        """Whether the cells are too many to be read one by one."""
        return len(self.candidates) >= MANY

    @property
    def cell_in(self) -> float:
        """Side of a cell in inches: small grids get large cells."""
        if self.is_large:
            return float(min(0.2, 8 / max(self.width, self.height)))
        return float(np.clip(9 / self.width, 0.40, 0.62))

    @property
    def cell_width_in(self) -> float:
        """Width of a cell in inches: where there are many rows, cells are low, but wide enough for a cation's name."""
        return max(self.cell_in, min(0.25, 20 / self.width)) if self.is_large else self.cell_in

    @property
    def has_blanks(self) -> bool:
        doped = [cation for cation in self.cations if cation != PRISTINE]
        return (self.candidates["cation"] != PRISTINE).sum() < len(doped) * len(self.columns)


def _lay_out(ranking: pd.DataFrame) -> _Grid:
    if ranking.empty:
        raise InputError("the ranking has no candidates: there is nothing to draw")
    pristine = ranking["cation"] == PRISTINE
    cells = ranking[["cation", "column"]].assign(column=ranking["column"].mask(pristine, ""))
    if (shared := cells[cells.duplicated()]).size:
        cation, column = shared.iloc[0]
        raise InputError(f"two candidates share the cell of cation {cation!r} and column {column!r}: keep one")
    columns = sorted(set(ranking.loc[~pristine, "column"]), key=natural_order)
    cations: dict[str, float] = {}
    edge, charge = 0.0, None
    for cation in sorted(set(ranking["cation"]), key=cation_order):
        if cations and cation_order(cation)[0] != charge:
            edge += _GROUP_GAP
        cations[cation], charge = edge, cation_order(cation)[0]
        edge += 1
    rows = {column: row for row, column in enumerate(columns)}
    candidates = ranking.assign(
        x=ranking["cation"].map(cations),
        y=ranking["column"].map(rows).mask(pristine, 0).astype(float),
        height=np.where(pristine, max(len(columns), 1), 1),
    )
    return _Grid(candidates, cations, columns)


def cation_order(cation: str) -> tuple[int, int]:
    """Return a cation's charge and atomic number, to sort by; the pristine reference comes first.

    Raises
    ------
    InputError
        It is not of the form "Ti3+".
    """
    if cation == PRISTINE:
        return (0, 0)
    match = re.fullmatch(r"([A-Z][a-z]?)(\d*)\+", cation)
    if match is None or not Element.is_valid_symbol(match[1]):
        raise InputError(f"cation {cation!r}: write an element with its charge, such as 'Ti3+', or {PRISTINE!r}")
    return int(match[2] or 1), Element(match[1]).Z


def natural_order(label: str) -> list[tuple[float, str]]:
    """Return a key to sort by that puts 2 before 10 and 0.05 before 0.1 inside a label."""
    parts = re.split(r"(\d+(?:\.\d+)?)", label)
    return [(float(part), "") if index % 2 else (0.0, part) for index, part in enumerate(parts)]


def _draw(grid: _Grid, spec: RankingSpec, title: str) -> Figure:
    """Place the parts in inches from the lower left corner of the lower panel; saving fits the page."""
    width, height = grid.width * grid.cell_width_in, grid.height * grid.cell_in
    total = 2 * height + _PANEL_GAP_IN
    figure = Figure(figsize=(width, total))
    for score, bottom in zip(SCORES, (height + _PANEL_GAP_IN, 0.0), strict=True):
        axes = figure.add_axes((0, bottom / total, 1, height / total))
        _draw_panel(axes, grid, score)
    right = max(width, _PANEL_TITLE_IN)
    bar = figure.add_axes(((right + 0.25) / width, 0, 0.16 / width, 1))
    figure.colorbar(ScalarMappable(_SCALE, _COLORMAP), cax=bar)
    bar.set_ylabel("Score (1 = best of the table)", fontsize=9, color=INK)
    bar.tick_params(labelsize=8, colors=INK)
    text_width = max(right + 0.4, 5.0)
    heading = _wrap(title, text_width, 12)
    figure.text(0, 1 + 0.4 / total, heading, fontsize=12, fontweight="bold", color=INK, va="bottom")
    _draw_key(figure, grid, top=-0.42 / total)
    caption = "\n".join(_wrap(line, text_width, 8) for line in _caption_lines(grid, spec))
    figure.text(0, -0.78 / total, caption, fontsize=8, color=SOFT_INK, va="top", linespacing=1.35)
    return figure


def _caption_lines(grid: _Grid, spec: RankingSpec) -> list[str]:
    formulas = describe(spec)
    lines = [f"{title} = {formulas[score]}" for score, title in _PANEL_TITLES.items()]
    lines.append(f"Each term is normalised: {formulas['normalisation']}")
    counts = [f"{grid.candidates[score].count()} by {title.lower()}" for score, title in _PANEL_TITLES.items()]
    lines.append(f"Of {len(grid.candidates)} candidates, ranked: {', '.join(counts)}")
    return lines


def _draw_panel(axes: Axes, grid: _Grid, score: Score) -> None:
    axes.set_xlim(0, grid.width)
    axes.set_ylim(grid.height, 0)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=4, labelcolor=INK)
    size = min(10, 20 * grid.cell_width_in)
    axes.tick_params(axis="x", pad=4 + size)
    axes.set_xticks(
        [edge + 0.5 for edge in grid.cations.values()],
        ["host" if cation == PRISTINE else ion(cation) for cation in grid.cations],
        fontsize=size,
        va="baseline",
    )
    every = max(1, round(0.15 / grid.cell_in))  # rows to a label, so that labels do not overlap
    axes.set_yticks(np.arange(len(grid.columns))[::every] + 0.5, grid.columns[::every], fontsize=8.5)
    axes.set_title(_PANEL_TITLES[score], loc="left", fontsize=10, fontweight="bold", color=INK)
    scored = grid.candidates[score].notna()
    best = grid.candidates[scored].sort_values([f"rank_{score}", "key"]).head(TOP)
    if grid.is_large:
        _draw_many(axes, grid.candidates, score, best)
        return
    for row in grid.candidates.itertuples():
        value = getattr(row, score)
        if np.isnan(value):
            axes.add_patch(Rectangle((row.x, row.y), 1, row.height, **_NOT_COMPUTED))
            # the white edge goes on top: a hatch takes the colour of its own edge
            axes.add_patch(Rectangle((row.x, row.y), 1, row.height, fill=False, edgecolor="white", linewidth=1))
        else:
            rank = int(getattr(row, f"rank_{score}")) if row.Index in best.index else None
            _draw_cell(axes, grid, (row.x, row.y, row.height), value, rank)


def _draw_many(axes: Axes, candidates: pd.DataFrame, score: Score, best: pd.DataFrame) -> None:
    """Draw all cells as one mesh, without numbers, and a badge on each of the best."""
    left, top = candidates["x"].to_numpy(), candidates["y"].to_numpy()
    bottom = top + candidates["height"].to_numpy()
    across = np.unique(np.concatenate([left, left + 1]))
    values = candidates[score].to_numpy()
    found = _COLORMAP(_SCALE(values))
    found[np.isnan(values)] = to_rgba(_NOT_COMPUTED["facecolor"])
    colors = np.zeros((int(bottom.max()), across.size - 1, 4))  # transparent where nothing is
    for place, first, last, color in zip(np.searchsorted(across, left), top, bottom, found, strict=True):
        colors[int(first) : int(last), place] = color
    axes.pcolormesh(across, np.arange(len(colors) + 1), colors, rasterized=True)
    for row in best.itertuples():
        badge = {"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": "black", "linewidth": 0.6}
        place = (row.x + 0.5, row.y + row.height / 2)
        axes.text(*place, str(getattr(row, f"rank_{score}")), fontsize=7, ha="center", va="center", bbox=badge)


def _draw_cell(axes: Axes, grid: _Grid, place: tuple[float, float, float], value: float, rank: int | None) -> None:
    """Draw a value on its colour, circled and numbered if it has a `rank`."""
    x, y, height = place
    color = _COLORMAP(_SCALE(value))
    ink, paper = ("black", "white") if _luminance(color) > 0.179 else ("white", "black")
    axes.add_patch(Rectangle((x, y), 1, height, facecolor=color, edgecolor="white", linewidth=1))
    centre = (x + 0.5, y + height / 2)
    axes.text(*centre, f"{value:.2f}", fontsize=17 * grid.cell_in, color=ink, ha="center", va="center_baseline")
    if rank is None:
        return
    axes.add_patch(Circle(centre, 0.40, fill=False, edgecolor=ink, linewidth=1.4))
    badge = (centre[0] + 0.31, centre[1] - 0.31)
    axes.add_patch(Circle(badge, 0.17, facecolor=ink, edgecolor=color, linewidth=0.6))
    axes.text(
        *badge,
        str(rank),
        fontsize=14 * grid.cell_in,
        fontweight="bold",
        color=paper,
        ha="center",
        va="center",
    )


def _draw_key(figure: Figure, grid: _Grid, top: float) -> None:
    ring = Line2D([], [], linestyle="", marker="o", markersize=11, markerfacecolor="none", markeredgecolor=INK)
    entries = {f"best {TOP}, with rank": ring, "not computed": Patch(**_NOT_COMPUTED)}
    if grid.has_blanks:
        entries["blank: not in the grid"] = Patch(facecolor="white", edgecolor="#c0c0c0", linewidth=0.6)
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="upper left",
        bbox_to_anchor=(0, top),
        ncols=len(entries),
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        fontsize=8,
        labelcolor=SOFT_INK,
        handleheight=1.4,
        columnspacing=1.6,
    )


def _luminance(color: tuple[float, float, float, float]) -> float:
    """Relative luminance of an sRGB colour, 0 to 1 (WCAG 2.1); black and white contrast equally at 0.179."""
    channels = np.asarray(color[:3])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def _wrap(text: str, width_in: float, size_pt: float) -> str:
    """Break lines for `width_in` inches: a character of DejaVu Sans is 0.6 em wide on average."""
    return textwrap.fill(text, width=int(width_in * 72 / (0.6 * size_pt)))
