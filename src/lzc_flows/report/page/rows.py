"""Figures with a row for each thing that is compared: its name at the left, dots or bars along a scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lzc_flows.report.curves import Curves

ROW_PX = 20


def row_figure(
    stage: str, title: str, names: Sequence[str], data: list[dict[str, Any]], scale: dict[str, Any]
) -> Curves:
    """Return a figure whose traces have the numbers of rows as y; the first name stands at the top.

    Parameters
    ----------
    stage, title
        What it is of.
    names
        Of the rows.
    data
        Plotly's traces.
    scale
        Plotly's x axis.
    """
    places = list(range(len(names)))
    rows = {"tickvals": places, "ticktext": list(names), "range": [len(names) - 0.4, -0.6], "zeroline": False}
    layout = {
        "xaxis": {"zeroline": False, **scale},
        "yaxis": rows,
        "height": 130 + ROW_PX * len(names),
        "showlegend": True,
    }
    return Curves(stage, title, "", data, layout)


def dots(name: str, x: Sequence[float], y: Sequence[float], color: str, symbol: str = "circle") -> dict[str, Any]:
    """Return a trace of dots."""
    marker = {"color": color, "symbol": symbol, "size": 9}
    return {"type": "scatter", "mode": "markers", "name": name, "x": list(x), "y": list(y), "marker": marker}


def bars_between(
    value: Sequence[float], low: Sequence[float], high: Sequence[float], thickness: float
) -> dict[str, Any]:
    """Return error bars from `low` to `high` about a value, so many pixels thick."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [end - at for end, at in zip(high, value, strict=True)],
        "arrayminus": [at - end for at, end in zip(value, low, strict=True)],
        "thickness": thickness,
        "width": 0,
    }


def row_table(curves: Curves) -> list[list[str]]:
    """Return a row figure as a table: its head, then a line for each row with the number of each trace in words."""
    names = curves.layout["yaxis"]["ticktext"]
    head = ["", *(trace["name"] for trace in curves.data)]
    cells = [{round(place): _words(trace, at) for at, place in enumerate(trace["y"])} for trace in curves.data]
    return [head, *([name, *(cell.get(row, "") for cell in cells)] for row, name in enumerate(names))]


def _words(trace: dict[str, Any], at: int) -> str:
    if trace["mode"] == "lines":
        return "–".join(f"{one:.3g}" for one in trace["x"])
    value = trace["x"][at]
    if "error_x" not in trace:
        return f"{value:.3g}"
    below, above = trace["error_x"]["arrayminus"][at], trace["error_x"]["array"][at]
    return f"{value:.3g} ({value - below:.3g}–{value + above:.3g})"
