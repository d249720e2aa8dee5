"""Curves as a figure for paper: what a page's script draws with Plotly, drawn by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from lzc_flows.report.curves import PAGE_DASHES
from lzc_flows.report.figure import INK, figure_style
from lzc_flows.report.neb import DASHES, finish_axes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from lzc_flows.report.curves import Curves

_SIZE_IN = (5.6, 3.9)
_SIZE_WITH_LABELS_IN = (9.0, 4.4)
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
    width, height = _SIZE_IN if len(_labels(curves)) <= _MOST_LABELS else _SIZE_WITH_LABELS_IN
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
        dashes = _dashes(trace["line"], number) if width < _THICK else "-"
        axes.plot(trace["x"], y, color=trace["line"]["color"], linewidth=width, linestyle=dashes, label=label)
        return
    marker = trace["marker"]
    shape = _MARKERS[marker.get("symbol", "circle")]
    axes.plot(trace["x"], y, shape, color=marker["color"], markersize=5, label=label, zorder=3)
    _draw_bars(axes, trace, y)
    if "text" in trace["mode"]:
        for x, height, text, side in zip(trace["x"], y, trace["text"], trace["textposition"], strict=True):
            above, align = _OFFSETS[side]
            axes.annotate(text, (x, height), above, textcoords="offset points", ha=align, fontsize=7, color=INK)


def _dashes(line: Mapping[str, Any], number: int) -> str | tuple[int, tuple[float, ...]]:
    """Return the dashes that a line has in the page; where all are solid there, others for each line."""
    return DASHES[PAGE_DASHES.index(line["dash"]) if "dash" in line else number % len(DASHES)]


def _draw_bars(axes: Axes, trace: Mapping[str, Any], y: NDArray[np.float64]) -> None:
    """Draw error bars from end to end: a rank may be outside its own interval, where matplotlib's would not go."""
    for name, at in (("error_x", np.array(trace["x"], dtype=float)), ("error_y", y)):
        if bars := trace.get(name):
            ends = at - np.array(bars["arrayminus"], dtype=float), at + np.array(bars["array"], dtype=float)
            look = {"colors": trace["marker"]["color"], "linewidths": 0.6 * bars.get("thickness", 0), "zorder": 2.5}
            if name == "error_x":
                axes.hlines(y, *ends, **look)
            else:
                axes.vlines(trace["x"], *ends, **look)


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


def _labels(curves: Curves) -> list[str]:
    return [trace["name"] for trace in curves.data if trace.get("showlegend", True)]


def _add_legend(figure: Figure, curves: Curves) -> None:
    labels = _labels(curves)
    if len(labels) < 2:
        return
    style: dict[str, Any] = {"frameon": False, "fontsize": 8, "handlelength": 3, "labelcolor": INK}
    if len(labels) <= _MOST_LABELS:
        figure.legend(loc="outside upper center", ncols=2, **style)
    else:
        figure.legend(loc="outside right upper", **style)
