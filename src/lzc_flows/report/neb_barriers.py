"""The barriers of many hops: against the interlayer distance, and how they are distributed."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lzc_flows.documents.protocols import MECHANISMS
from lzc_flows.errors import InputError
from lzc_flows.report.figure import INK, SOFT_INK, figure_style
from lzc_flows.report.neb import COLORS, finish_axes, hop_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from lzc_flows.documents.neb import HopDoc, InterlayerScanDoc

_MARKERS = "osD^v<"  # one fewer than colours, so that both come together again only after 42 paths
_CROSS_LOWEST, _CROSS_STEP = 0.025, 0.035  # of the panel's height
_LEGEND_ROW_IN = 0.19
_BIN_WIDTHS_EV = (0.05, 0.1, 0.2, 0.5, 1.0)
_MOST_BINS = 30


@dataclass(frozen=True)
class ScanPoint:
    """The barrier of one path at one interlayer distance.

    Attributes
    ----------
    path
        Label of the path, such as ``6h → 6g, vacancy, c``.
    distance_A
        Interlayer distance in Å: the length of c over the number of its layers.
    barrier_eV
        In eV; None where the path did not converge.
    """

    path: str
    distance_A: float
    barrier_eV: float | None


def scan_points(scan: InterlayerScanDoc) -> list[ScanPoint]:
    """Return the forward barriers of a scan's hops, a path being named as in ``6h → 6g, vacancy, c``.

    Hops of one name at one distance are numbered, the shortest first: their lengths change with the distance.
    """
    return [
        ScanPoint(path, point.interlayer_angstrom, hop.barrier_forward_eV if hop.status == "converged" else None)
        for point in scan.points
        for path, hop in _named(point.hops)
    ]


def _named(hops: Sequence[HopDoc]) -> list[tuple[str, HopDoc]]:
    names: dict[str, list[HopDoc]] = {}
    for hop in sorted(hops, key=lambda hop: hop.ways_A):
        names.setdefault(f"{hop_label(hop)}, {hop.direction_word}", []).append(hop)
    return [
        (f"{name} ({number})" if len(those) > 1 else name, hop)
        for name, those in names.items()
        for number, hop in enumerate(those, start=1)
    ]


def interlayer_figure(points: Sequence[ScanPoint]) -> Figure:
    """Draw barriers against the interlayer distance, a line for each path, after Supplementary Fig. 4b.

    A path without a barrier at some distance has a gap there and a small cross at the foot of the panel.

    Parameters
    ----------
    points
        In any order; paths stand in the legend in the order in which they come.

    Returns
    -------
    A figure to be saved with `lzc_flows.report.figure.write_png` or `write_svg`.

    Raises
    ------
    InputError
        There is no point, or a path has two at one distance.
    """
    if not points:
        raise InputError("no barrier at any interlayer distance: there is nothing to draw")
    twice = [place for place, count in Counter((point.path, point.distance_A) for point in points).items() if count > 1]
    if twice:
        raise InputError(f"path {twice[0][0]!r}: one barrier at {twice[0][1]:g} Å is allowed, not several")
    with figure_style():
        paths = list(dict.fromkeys(point.path for point in points))
        figure = Figure(figsize=(6.0, 3.4 + _LEGEND_ROW_IN * (len(paths) // 2 + 1)), layout="constrained")
        axes = figure.add_subplot()
        failures: Counter[float] = Counter()
        for number, path in enumerate(paths):
            those = sorted((point for point in points if point.path == path), key=lambda point: point.distance_A)
            _draw_scan(axes, number, those)
            _cross_failures(axes, number, those, failures)
        if failures:
            axes.plot([], [], "x", color=SOFT_INK, markersize=5, label="not converged")
        axes.margins(0.06, 0.12)
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        axes.set_xlabel("Interlayer distance (Å)", color=INK)
        axes.set_ylabel("Barrier (eV)", color=INK)
        finish_axes(axes)
        figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8, handlelength=3, labelcolor=INK)
    return figure


def _draw_scan(axes: Axes, number: int, points: Sequence[ScanPoint]) -> None:
    barriers = [math.nan if point.barrier_eV is None else point.barrier_eV for point in points]
    axes.plot(
        [point.distance_A for point in points],
        barriers,
        marker=_MARKERS[number % len(_MARKERS)],
        color=COLORS[number % len(COLORS)],
        linewidth=1.6,
        markersize=6,
        mec="white",
        mew=0.8,
        label=points[0].path,
        zorder=2,
    )


def _cross_failures(axes: Axes, number: int, points: Sequence[ScanPoint], failures: Counter[float]) -> None:
    """Mark where a path has no barrier, above the crosses that other paths have at the same distance."""
    for distance in (point.distance_A for point in points if point.barrier_eV is None):
        height = _CROSS_LOWEST + _CROSS_STEP * failures[distance]
        failures[distance] += 1
        axes.plot(
            [distance],
            [height],
            "x",
            transform=axes.get_xaxis_transform(),
            color=COLORS[number % len(COLORS)],
            markersize=5,
            zorder=3,
        )


def barriers_figure(hops: Sequence[HopDoc], title: str) -> Figure:
    """Draw how the forward barriers of a batch of hops are distributed, and how many hops ended how.

    Left, a histogram of converged hops, stacked by mechanism; right, the number of hops by status, the converged ones
    first. A hop counts once, whatever its multiplicity.

    Parameters
    ----------
    hops
        The batch.
    title
        What it is of.

    Returns
    -------
    A figure to be saved with `lzc_flows.report.figure.write_png` or `write_svg`.

    Raises
    ------
    InputError
        There is no hop.
    """
    if not hops:
        raise InputError(f"{title}: no hop: there is nothing to count")
    with figure_style():
        figure = Figure(figsize=(7.6, 3.8), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        _draw_histogram(left, hops)
        _draw_statuses(right, hops)
        figure.suptitle(title, fontsize=11, color=INK)
    return figure


def _draw_histogram(axes: Axes, hops: Sequence[HopDoc]) -> None:
    barriers = {
        mechanism: [
            hop.barrier_forward_eV
            for hop in hops
            if hop.mechanism == mechanism and hop.status == "converged" and hop.barrier_forward_eV is not None
        ]
        for mechanism in MECHANISMS
    }
    found = {mechanism: values for mechanism, values in barriers.items() if values}
    axes.set_xlabel("Forward barrier (eV)", color=INK)
    axes.set_ylabel("Hops", color=INK)
    finish_axes(axes)
    if not found:
        axes.text(0.5, 0.5, "no hop converged", transform=axes.transAxes, ha="center", fontsize=9, color=SOFT_INK)
        axes.set_xticks([])
        axes.set_yticks([])
        return
    edges = _bin_edges(np.concatenate(list(found.values())))
    axes.hist(
        list(found.values()),
        bins=edges,
        stacked=True,
        color=[COLORS[MECHANISMS.index(mechanism)] for mechanism in found],
        label=[f"{mechanism} ({len(values)})" for mechanism, values in found.items()],
        edgecolor="white",
        linewidth=0.4,
    )
    axes.margins(y=0.05)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False, fontsize=8, labelcolor=INK)


def _bin_edges(barriers: NDArray[np.float64]) -> list[float]:
    """Return edges at whole multiples of a round width, the finest that needs no more than `_MOST_BINS`."""
    span = np.ptp(barriers)
    width = next((width for width in _BIN_WIDTHS_EV if span <= (_MOST_BINS - 2) * width), span / (_MOST_BINS - 2))
    first, last = math.floor(barriers.min() / width), math.floor(barriers.max() / width)
    return [width * edge for edge in range(first, last + 2)]


def _draw_statuses(axes: Axes, hops: Sequence[HopDoc]) -> None:
    counts = Counter(hop.status for hop in hops)
    statuses = sorted(counts, key=lambda status: (status != "converged", -counts[status], status))
    colors = [COLORS[2] if status == "converged" else COLORS[1] for status in statuses]
    bars = axes.barh(statuses, [counts[status] for status in statuses], color=colors, height=0.6)
    axes.bar_label(bars, padding=3, fontsize=9, color=INK)
    axes.margins(x=0.12)
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel(f"Hops, of {len(hops)}", color=INK)
    finish_axes(axes)
