"""Diffusivities over inverse temperature, after Supplementary Fig. 4a of the doped-LZC paper."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from lzc_flows.errors import InputError
from lzc_flows.report.figure import INK, SOFT_INK, figure_style
from lzc_flows.report.powers import ten_to
from lzc_flows.transport.conductivity import BOLTZMANN_EV, nernst_einstein

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from lzc_flows.transport.arrhenius import Arrhenius, ArrheniusPoint

ROOM_TEMPERATURE_K = 300.0

_COLOR = "#0072B2"
_PUBLISHED_COLOR = "#D55E00"
_PER_K = 1000.0  # the axis is 1000/T
_LINE_POINTS = 101
_KELVIN = (200, 250, 300, 400, 500, 700, 1000, 2000)  # of the upper axis, about evenly spaced there


@dataclass(frozen=True)
class PublishedLine:
    """A line of Arrhenius from elsewhere.

    Attributes
    ----------
    label
        For the legend.
    Ea_ev
        Activation energy, eV.
    sigma_mS_cm
        Conductivity at 300 K, mS/cm, which is turned to a diffusivity by the fit's carriers.
    """

    label: str
    Ea_ev: float
    sigma_mS_cm: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.sigma_mS_cm) and self.sigma_mS_cm > 0 and math.isfinite(self.Ea_ev)):
            raise InputError(f"published line {self.label!r}: a finite Ea and a positive conductivity are allowed")


def arrhenius_figure(
    fit: Arrhenius, points: Sequence[ArrheniusPoint], published: PublishedLine | None = None
) -> Figure:
    """Draw diffusivities with their 68 % intervals, the fitted line with its 68 % band, and what it is at 300 K.

    Parameters
    ----------
    fit
        The line.
    points
        What it was fitted to, in any order.
    published
        A line to draw beside it.

    Returns
    -------
    A figure to be saved with `lzc_flows.report.figure.write_png`.

    Raises
    ------
    InputError
        There are no points.
    """
    if not points:
        raise InputError("no diffusivity: there is no Arrhenius plot to draw")
    hottest = max(ROOM_TEMPERATURE_K, *(point.temperature_k for point in points))
    coldest = min(ROOM_TEMPERATURE_K, *(point.temperature_k for point in points))
    margin = 0.04 * _PER_K * (1 / coldest - 1 / hottest)
    ends = (_PER_K / hottest - margin, _PER_K / coldest + margin)
    with figure_style():
        figure = Figure(figsize=(5.4, 4.0), layout="constrained")
        axes = figure.add_subplot()
        axes.set_yscale("log")
        axes.set_xlim(*ends)
        _draw_fit(axes, fit, np.linspace(*ends, _LINE_POINTS))
        if published:
            _draw_published(axes, fit, published, np.array(ends))
        _draw_points(axes, points)
        _draw_extrapolation(axes, fit)
        _finish(axes)
    return figure


def _draw_fit(axes: Axes, fit: Arrhenius, inverse: np.ndarray) -> None:
    found = [fit.diffusivity(_PER_K / one) for one in inverse]
    label = f"Ea = {fit.Ea_ev:.3f} ± {fit.Ea_standard_error:.3f} eV, band: 68 %"
    axes.plot(inverse, [one.value for one in found], color=_COLOR, linewidth=1.6, label=label, zorder=2)
    low, high = np.transpose([one.interval for one in found])
    axes.fill_between(inverse, low, high, color=_COLOR, alpha=0.18, linewidth=0, zorder=1)


def _draw_published(axes: Axes, fit: Arrhenius, line: PublishedLine, inverse: np.ndarray) -> None:
    at_room = line.sigma_mS_cm / nernst_einstein(fit.carriers_per_cm3, fit.charge, ROOM_TEMPERATURE_K)
    away = (inverse / _PER_K - 1 / ROOM_TEMPERATURE_K) / BOLTZMANN_EV
    label = f"{line.label}: {line.Ea_ev:.3f} eV, {line.sigma_mS_cm:.3g} mS/cm at {ROOM_TEMPERATURE_K:g} K"
    diffusivity = at_room * np.exp(-line.Ea_ev * away)
    axes.plot(inverse, diffusivity, color=_PUBLISHED_COLOR, linestyle=(0, (5, 2)), label=label, zorder=2)


def _draw_points(axes: Axes, points: Sequence[ArrheniusPoint]) -> None:
    value = np.array([point.D_cm2_s for point in points])
    low, high = np.transpose([point.D_interval for point in points])
    axes.errorbar(
        [_PER_K / point.temperature_k for point in points],
        value,
        yerr=(value - low, high - value),
        fmt="o",
        color=INK,
        markersize=5,
        elinewidth=1.2,
        capsize=3,
        label="simulated, 68 %",
        zorder=4,
    )


def _draw_extrapolation(axes: Axes, fit: Arrhenius) -> None:
    """Mark the fit at 300 K with its interval, and write the conductivity there."""
    found = fit.diffusivity(ROOM_TEMPERATURE_K)
    sigma = fit.conductivity(ROOM_TEMPERATURE_K)
    low, high = found.interval
    interval = f"{sigma.interval[0]:.3g}–{sigma.interval[1]:.3g}"
    axes.errorbar(
        [_PER_K / ROOM_TEMPERATURE_K],
        [found.value],
        yerr=([found.value - low], [high - found.value]),
        fmt="D",
        markersize=6,
        color=_COLOR,
        mfc="white",
        elinewidth=1.2,
        capsize=3,
        label=f"σ({ROOM_TEMPERATURE_K:g} K) = {sigma.value:.3g} ({interval}) mS/cm",
        zorder=4,
    )


def _finish(axes: Axes) -> None:
    axes.set_xlabel("1000/T (1/K)", color=INK)
    axes.set_ylabel("Diffusivity (cm²/s)", color=INK)
    axes.yaxis.set_major_formatter(lambda value, _: ten_to(round(math.log10(value))))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.spines["right"].set_visible(False)
    axes.spines[["left", "bottom", "top"]].set_color(SOFT_INK)
    axes.tick_params(colors=SOFT_INK, labelsize=9, which="both")
    low, high = axes.get_xlim()
    kelvin = [t for t in _KELVIN if low <= _PER_K / t <= high]
    top = axes.twiny()
    top.set_xlim(low, high)
    top.set_xticks([_PER_K / t for t in kelvin], [f"{t}" for t in kelvin])
    top.set_xlabel("T (K)", color=INK)
    top.spines["right"].set_visible(False)
    top.spines[["left", "bottom", "top"]].set_color(SOFT_INK)
    top.tick_params(colors=SOFT_INK, labelsize=9)
    axes.legend(loc="upper right", frameon=False, fontsize=8, handlelength=3, labelcolor=INK)
