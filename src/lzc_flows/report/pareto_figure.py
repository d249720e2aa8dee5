"""Performance over cost with the Pareto front, for paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from lzc_flows.report.figure import INK, figure_style
from lzc_flows.report.neb import COLORS, finish_axes
from lzc_flows.report.words import ion

if TYPE_CHECKING:
    import pandas as pd

    from lzc_flows.report.page.pareto import Front


def pareto_figure(rows: pd.DataFrame, shown: Front) -> Figure:
    """Draw all candidates, and those on the front joined and named by their cations.

    Parameters
    ----------
    rows
        A campaign's table.
    shown
        Those that can be compared, and the front among them.
    """
    costs, gains = rows["cost_usd_per_kg"].iloc[shown.rows], shown.performance
    best = rows.iloc[shown.front].assign(performance=rows[f"performance_at_{shown.tier}"])
    with figure_style():
        figure = Figure(figsize=(5.6, 3.9), layout="constrained")
        axes = figure.add_subplot()
        axes.set_xscale("log")
        axes.plot(
            costs, gains, "o", color=COLORS[0], markersize=4.5, mec="white", mew=0.5, label="candidates", zorder=2
        )
        axes.plot(
            best["cost_usd_per_kg"],
            best["performance"],
            "D-",
            drawstyle="steps-post",
            color=COLORS[1],
            markersize=6,
            label="Pareto front",
            zorder=3,
        )
        axes.margins(x=0.1)  # room for the names
        for cation, cost, gain in best[["cation", "cost_usd_per_kg", "performance"]].itertuples(index=False):
            # beside the front, where no candidates are; the dearest, which may be close to the next, on the other side
            offset, align = ((7, 0), "left") if gain == best["performance"].max() else ((-7, 0), "right")
            style: dict[str, Any] = {"ha": align, "va": "center", "fontsize": 8, "color": INK}
            axes.annotate(ion(cation), (cost, gain), offset, textcoords="offset points", **style)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:g}"[0] in "25" else "")
        axes.set_xlabel("Raw-material cost ($/kg)", color=INK)
        axes.set_ylabel("Performance", color=INK)
        finish_axes(axes)
        axes.legend(loc="lower right", frameon=False, fontsize=8, labelcolor=INK)
    return figure
