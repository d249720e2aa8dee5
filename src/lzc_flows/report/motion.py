"""Mean squared displacements along the axes, after Supplementary Fig. 3a,b of the doped-LZC paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from lzc_flows.errors import InputError
from lzc_flows.report.figure import INK, SOFT_INK, figure_style
from lzc_flows.report.powers import ten_to

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from lzc_flows.transport.diffusion import Diffusion
    from lzc_flows.transport.msd import Direction

_SHOWN = 0.5  # of the lags: beyond, few origins are left
_PANEL_IN = (4.2, 3.5)
_MOST_IN_A_ROW = 3
_LINES: tuple[tuple[Direction, str, str | tuple[int, tuple[float, ...]]], ...] = (
    ("a", "#0072B2", "-"),
    ("b", "#D55E00", (0, (5, 2))),
    ("c", "#009E73", (0, (5, 1.5, 1.2, 1.5))),
)
"""Direction, colour of Okabe and Ito, dashes: a and b may lie on each other."""


def msd_figure(results: Sequence[Diffusion]) -> Figure:
    """Draw the mean squared displacements along a, b and c, one panel for each temperature, the lowest first.

    Lags up to half the trajectory are shown. The shaded band is where the slope is taken (τ to 2τ); the diffusivity of
    each direction with its 68 % interval stands in the legend.

    Parameters
    ----------
    results
        One for each panel, in any order.

    Returns
    -------
    A figure to be saved with `lzc_flows.report.figure.write_png`.

    Raises
    ------
    InputError
        There is no result.
    """
    if not results:
        raise InputError("no diffusivity: there are no mean squared displacements to draw")
    columns = min(len(results), _MOST_IN_A_ROW)
    rows = -(-len(results) // columns)
    with figure_style():
        figure = Figure(figsize=(columns * _PANEL_IN[0], rows * _PANEL_IN[1]), layout="constrained")
        for number, result in enumerate(sorted(results, key=lambda one: one.temperature_k)):
            _draw_panel(figure.add_subplot(rows, columns, number + 1), result)
    return figure


def _draw_panel(axes: Axes, result: Diffusion) -> None:
    shown = result.curves.lag_ps <= _SHOWN * result.length_ps
    lags = result.curves.lag_ps[shown]
    axes.axvspan(*result.window_ps, color="#e6e6e6", linewidth=0, zorder=0)
    for direction, color, dashes in _LINES:
        found = result.by_direction[direction]
        label = f"{direction}: {_with_interval(found.D_cm2_s, found.D_interval)} cm²/s"
        msd = result.curves.msd_A2[direction][shown]
        axes.plot(lags, msd, color=color, linestyle=dashes, linewidth=1.8, label=label, zorder=2)
    axes.set_xlim(0, lags[-1])
    axes.set_ylim(bottom=0)
    axes.set_title(f"{result.species}, {result.temperature_k:g} K", color=INK, fontsize=11)
    axes.set_xlabel("Lag (ps)", color=INK)
    axes.set_ylabel("Mean squared displacement (Å²)", color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(SOFT_INK)
    axes.tick_params(colors=SOFT_INK, labelsize=9)
    axes.legend(loc="upper left", frameon=False, fontsize=8, handlelength=3, labelcolor=INK)


def _with_interval(value: float, interval: tuple[float, float]) -> str:
    """Return a number with its interval in parentheses, with the power of ten of the value: 1.2 (0.9–1.6)×10⁻⁵."""
    power = int(f"{value:e}".partition("e")[2])
    low, high = (bound / 10.0**power for bound in interval)
    return f"{value / 10.0**power:.1f} ({low:.1f}–{high:.1f})×{ten_to(power)}"
