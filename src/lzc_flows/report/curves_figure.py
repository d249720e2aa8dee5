"""Curves as a figure for paper: what a page's script draws with Plotly, drawn by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from lzc_flows.report.figure import INK, figure_style
from lzc_flows.report.neb import DASHES, finish_axes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from lzc_flows.report.curves import Curves

_SIZE_IN = (5.6, 3.9)
_MARKERS = {"circle": "o", "diamond": "D"}
_OFFSETS = {"top center": ((0, 5), "center"), "bottom right": ((4, -9), "left")}
_PX_PER_IN = 96
_THICK = 4
"""Lines that are thicker, in points, are bars and have no dashes."""
_MOST_LABELS = 12
"""Entries of a legend beyond which it stands at the side."""


def curves_figure(curves: Curves) -> Figure:
    """Return lines, dots or bars as a figure, with their labels and axes.

    Returns
    -------
    A figure to be saved with `lzc_flows.report.figure.write_pdf`, `write_png` or `write_svg`.
    """
    layout = curves.layout
    width, height = _SIZE_IN
    if "ticktext" in layout["yaxis"]:  # a row a thing
        width, height = 7.0, layout["height"] / _PX_PER_IN
    with figure_style():
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.add_subplot()
        for number, trace in enumerate(curves.data):
            _draw(axes, trace, number)
        for shape in layout.get("shapes", ()):
            axes.axvspan(shape["x0"], shape["x1"], color="#e6e6e6", linewidth=0, zorder=0)
        _set_axes(axes, layout)
        finish_axes(axes)
        _add_legend(figure, curves)
    return figure


def _draw(axes: Axes, trace: Mapping[str, Any], number: int) -> None:
    label = trace["name"] if trace.get("showlegend", True) else None
    y = np.array([np.nan if value is None else value for value in trace["y"]], dtype=float)
    if trace["type"] == "bar":
        axes.bar(trace["x"], y, width=trace["width"], color=trace["marker"]["color"], label=label)
        return
    if trace["mode"] == "lines":
        width = 0.9 * trace["line"]["width"]
        dashes = DASHES[number % len(DASHES)] if width < _THICK else "-"
        axes.plot(trace["x"], y, color=trace["line"]["color"], linewidth=width, linestyle=dashes, label=label)
        return
    marker = trace["marker"]
    axes.errorbar(
        trace["x"],
        y,
        xerr=_errors(trace.get("error_x")),
        yerr=_errors(trace.get("error_y")),
        fmt=_MARKERS[marker.get("symbol", "circle")],
        color=marker["color"],
        markersize=5,
        elinewidth=0.6 * _bars(trace).get("thickness", 0),
        label=label,
        zorder=3,
    )
    if "text" in trace["mode"]:
        for x, height, text, side in zip(trace["x"], y, trace["text"], trace["textposition"], strict=True):
            above, align = _OFFSETS[side]
            axes.annotate(text, (x, height), above, textcoords="offset points", ha=align, fontsize=7, color=INK)


def _bars(trace: Mapping[str, Any]) -> Mapping[str, Any]:
    return trace.get("error_x") or trace.get("error_y") or {}


def _errors(bars: Mapping[str, Any] | None) -> tuple[list[float], list[float]] | None:
    return None if bars is None else (bars["arrayminus"], bars["array"])


def _set_axes(axes: Axes, layout: Mapping[str, Any]) -> None:
    for name, axis in (("x", layout["xaxis"]), ("y", layout["yaxis"])):
        if axis.get("type") == "log":
            getattr(axes, f"set_{name}scale")("log")
            getattr(axes, f"{name}axis").set_major_formatter(lambda value, _: f"{value:g}")
            getattr(axes, f"{name}axis").set_minor_formatter(NullFormatter())
        if "title" in axis:
            getattr(axes, f"set_{name}label")(axis["title"]["text"], color=INK)
        if "ticktext" in axis:
            getattr(axes, f"set_{name}ticks")(axis["tickvals"], axis["ticktext"], fontsize=8)
            getattr(axes, f"set_{name}lim")(axis["range"])
            getattr(axes, f"{name}axis").grid(True, color="#e6e6e6", linewidth=0.6)


def _add_legend(figure: Figure, curves: Curves) -> None:
    labels = [trace["name"] for trace in curves.data if trace.get("showlegend", True)]
    if len(labels) < 2:
        return
    style: dict[str, Any] = {"frameon": False, "fontsize": 8, "handlelength": 3, "labelcolor": INK}
    if len(labels) <= _MOST_LABELS:
        figure.legend(loc="outside upper center", ncols=2, **style)
    else:
        figure.legend(loc="outside right upper", **style)
