"""The energy along migration paths, after Supplementary Fig. 23a,d of the doped-LZC paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from lzc_flows.errors import InputError
from lzc_flows.report.figure import INK, SOFT_INK, figure_style
from lzc_flows.report.scene import PATH_COLORS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from lzc_flows.transport.paths import MigrationPath

_EQUAL_EV = 1e-3
_DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.2)), (0, (5, 1.5, 1.2, 1.5)))


def profile_figure(paths_by_label: Mapping[str, MigrationPath]) -> Figure:
    """Draw the energy along each path above the lowest point of that path.

    Each line's highest point is marked, and the barrier stands at the right, once where lines agree to 1 meV.
    Colours are those of the paths in the pictures of the landscape; dashes tell apart lines that symmetry lays on
    each other.

    Parameters
    ----------
    paths_by_label
        Paths by label, such as the axis along which they percolate; energies in eV, distances in Å.

    Returns
    -------
    A figure to be saved with `lzc_flows.report.figure.write_png`.

    Raises
    ------
    InputError
        There is no path.
    """
    if not paths_by_label:
        raise InputError("no migration path: there is no profile to draw")
    with figure_style():
        figure = Figure(figsize=(4.8, 3.4), layout="constrained")
        axes = figure.add_subplot()
        barriers = {label: _draw_path(axes, label, path, i) for i, (label, path) in enumerate(paths_by_label.items())}
        axes.set_xlim(0, max(float(path.distances_angstrom[-1]) for path in paths_by_label.values()))
        axes.set_ylim(0, 1.12 * max(barriers.values()))
        _write_barriers(axes, barriers)
        axes.set_xlabel("Distance along the path (Å)", color=INK)
        axes.set_ylabel("Energy above the path's lowest point (eV)", color=INK)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(SOFT_INK)
        axes.tick_params(colors=SOFT_INK, labelsize=9)
        axes.legend(
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            ncols=min(len(paths_by_label), 6),
            frameon=False,
            fontsize=9,
            handlelength=3,
            labelcolor=INK,
        )
    return figure


def _draw_path(axes: Axes, label: str, path: MigrationPath, index: int) -> float:
    """Draw one line and the mark of its highest point; return that point's energy, the barrier in eV."""
    energies = path.energies_ev - path.energies_ev.min()
    barrier = float(energies.max())
    # the first of the points that symmetry makes the highest
    top = int(np.argmax(energies >= barrier - _EQUAL_EV))
    color, dashes = PATH_COLORS[index % len(PATH_COLORS)], _DASHES[index % len(_DASHES)]
    axes.plot(path.distances_angstrom, energies, color=color, linestyle=dashes, linewidth=2.0, label=label, zorder=2)
    axes.plot(path.distances_angstrom[top], energies[top], "o", markersize=6, color=color, mec="white", zorder=3)
    return barrier


def _write_barriers(axes: Axes, barriers: dict[str, float]) -> None:
    """Write each barrier at the right end of a dotted line, pushed up where it would touch the one below."""
    line_height = 0.07 * axes.get_ylim()[1]
    free = -np.inf
    shared: dict[float, list[str]] = {}
    for label, barrier in sorted(barriers.items(), key=lambda item: item[1]):
        known = next((other for other in shared if barrier - other < _EQUAL_EV), barrier)
        shared.setdefault(known, []).append(label)
    for barrier, labels in shared.items():
        axes.axhline(barrier, color=SOFT_INK, linewidth=0.7, linestyle=":", zorder=1)
        height = max(barrier, free)
        free = height + line_height
        axes.text(
            1.02,
            height,
            f"{', '.join(labels)}: {barrier:.3f} eV",
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=9,
            color=INK,
        )
