"""The electrostatic energies of all arrangements, after Supplementary Fig. 21 of the doped-LZC paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from lzc_flows.errors import InputError
from lzc_flows.report.figure import INK, SOFT_INK, figure_style
from lzc_flows.report.scene import SURFACE_COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lzc_flows.crystal.histogram import Histogram

MOST_BARS = 160
"""Bins of the histogram are joined, a whole number to a bar, until there are no more bars than this."""

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def histogram_figure(histogram: Histogram, title: str) -> Figure:
    """Draw how many arrangements have which energy, the lowest energy at 0 and the highest at 1.

    The scale above tells how far that is in eV. The weights are numbers of arrangements, not of orbits; the vertical
    axis names the width of a bar in eV.

    Parameters
    ----------
    histogram
        Energies of all arrangements.
    title
        What the arrangements are of, such as the formula.

    Returns
    -------
    A figure to be saved with `lzc_flows.report.figure.write_png`.

    Raises
    ------
    InputError
        All energies share one bin, so that there is no range to normalise by.
    """
    first, last = int(histogram.bins[0]), int(histogram.bins[-1])
    if first == last:
        raise InputError(
            f"{title}: all arrangements have the energy {first * histogram.bin_ev:.2f} eV; nothing to draw"
        )
    joined = -(-(last - first + 1) // MOST_BARS)
    bars, row = np.unique((histogram.bins - first) // joined, return_inverse=True)
    heights = np.zeros(len(bars), dtype=np.int64)
    np.add.at(heights, row, histogram.weights)
    span = last - first
    with figure_style():
        figure = Figure(figsize=(4.8, 3.4), layout="constrained")
        axes = figure.add_subplot()
        # a bin reaches half its width to either side of its energy
        left, width = (bars * joined - 0.5) / span, joined / span
        axes.bar(left, heights, width, align="edge", color=SURFACE_COLORS[0], edgecolor="white", linewidth=0.2)
        axes.set_xlim(min(-0.02, left[0]), max(1.02, left[-1] + width))
        axes.set_title(title, fontsize=10, color=INK)
        axes.set_xlabel("Normalised electrostatic energy", color=INK)
        axes.set_ylabel(f"Arrangements in {joined * histogram.bin_ev:g} eV", color=INK)
        _scale_by_thousands(axes, int(heights.max()))
        range_ev = span * histogram.bin_ev
        above = axes.secondary_xaxis(
            "top", functions=(lambda place: np.multiply(place, range_ev), lambda energy: np.divide(energy, range_ev))
        )
        above.set_xlabel("Energy above the lowest (eV a cell)", fontsize=9, color=SOFT_INK)
        above.spines["top"].set_color(SOFT_INK)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(SOFT_INK)
        for scale in (axes, above):
            scale.tick_params(colors=SOFT_INK, labelsize=9)
    return figure


def _scale_by_thousands(axes: Axes, highest: int) -> None:
    """Write the vertical scale in powers of 1,000, which its label names."""
    power = (len(str(highest)) - 1) // 3 * 3
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 10**power:g}"))
    if power:
        axes.set_ylabel(f"{axes.get_ylabel()} (10{str(power).translate(_SUPERSCRIPTS)})")
