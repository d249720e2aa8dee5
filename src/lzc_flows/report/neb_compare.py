"""Paths of hops beside each other: by direction, and of doped crystals beside the pristine one."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lzc_flows.errors import InputError
from lzc_flows.report.figure import INK, SOFT_INK, figure_style
from lzc_flows.report.neb import COLORS, DASHES, finish_axes, hop_label, of_hop_doc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from lzc_flows.documents.neb import HopDoc
    from lzc_flows.report.neb import PathProfile

_DIRECTIONS = {"c": "along c", "ab": "in the a–b plane", "oblique": "oblique"}
_EQUAL_EV = 1e-3
_PANEL_IN = (3.7, 3.1)
_LINE_IN = 0.19  # of a legend
_LEGEND_CHARACTERS = 44  # of a line under a panel
_MOST_IN_A_ROW = 3
_PRISTINE_LINE: dict[str, Any] = {"color": "#b3b3b3", "linewidth": 5.0, "solid_capstyle": "butt"}


def directions_figure(hops: Sequence[HopDoc]) -> Figure:
    """Draw the profiles of a crystal's hops side by side, in panels by direction, as in Supplementary Fig. 4b.

    Distances are in Å and all panels share both axes: slopes are forces, the splines keep their shape, and the path of
    a knock-on, along which two ions move, is seen to be longer. Hops of one label in one panel are told apart by how
    far the ions go. Hops without a converged path are counted by what became of them.

    Returns
    -------
    A figure to be saved with `lzc_flows.report.figure.write_png` or `write_svg`.

    Raises
    ------
    InputError
        There is no hop, or a direction that is not c, ab or oblique.
    """
    if not hops:
        raise InputError("no hop: there are no profiles to draw")
    if strange := {hop.direction_word for hop in hops} - _DIRECTIONS.keys():
        raise InputError(f"direction {strange.pop()!r} of a hop: allowed are {', '.join(_DIRECTIONS)}")
    panels = [(word, [hop for hop in hops if hop.direction_word == word]) for word in _DIRECTIONS]
    panels = [(word, those) for word, those in panels if those]
    with figure_style():
        figure = Figure(figsize=(len(panels) * _PANEL_IN[0], _PANEL_IN[1]), layout="constrained")
        row = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
        lines = []
        for axes, (word, those) in zip(row, panels, strict=True):
            lines.append(_draw_direction(axes, those))
            axes.set_title(_DIRECTIONS[word], fontsize=11, color=INK)
            axes.set_xlabel("Distance along the path (Å)", color=INK)
        row[0].set_ylabel("Energy above the initial end (eV)", color=INK)
        row[0].set_xlim(left=0)
        figure.set_figheight(_PANEL_IN[1] + _LINE_IN * max(lines))
    return figure


def _draw_direction(axes: Axes, hops: Sequence[HopDoc]) -> int:
    """Draw a panel and return how many lines its legend has."""
    converged = [hop for hop in hops if hop.status == "converged"]
    for number, (hop, label) in enumerate(zip(converged, _distinct_labels(converged), strict=True)):
        path = of_hop_doc(hop)
        color, dashes = COLORS[number % len(COLORS)], DASHES[number % len(DASHES)]
        axes.plot(
            *path.curve, color=color, linestyle=dashes, linewidth=1.8, label=_wrapped(f"{label}: {_barriers(path)}")
        )
        _mark_saddles(axes, path, path.distances_A, color)
    if failed := Counter(hop.status for hop in hops if hop.status != "converged"):
        named = ", ".join(f"{count} {status}" for status, count in sorted(failed.items()))
        axes.plot([], [], linestyle="none", label=_wrapped(f"no path: {named}"))
    finish_axes(axes)
    legend = axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.17), frameon=False, fontsize=8, handlelength=3, labelcolor=INK
    )
    return sum(text.get_text().count("\n") + 1 for text in legend.get_texts())


def _distinct_labels(hops: Sequence[HopDoc]) -> list[str]:
    """Return labels of hops, with the ways of the ions where labels are equal, and the hops' names where these are."""
    counts = Counter(hop_label(hop) for hop in hops)
    labels = [hop_label(hop) if counts[hop_label(hop)] == 1 else f"{hop_label(hop)}, {_ways(hop)}" for hop in hops]
    counts = Counter(labels)
    return [label if counts[label] == 1 else f"{label} ({hop.id})" for label, hop in zip(labels, hops, strict=True)]


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _LEGEND_CHARACTERS, break_long_words=False)


def _ways(hop: HopDoc) -> str:
    return " + ".join(f"{way:.2f}" for way in hop.ways_A) + " Å"


def _barriers(path: PathProfile) -> str:
    forward, back = path.barrier_forward_eV, path.barrier_reverse_eV
    return f"{forward:.3f} eV" if abs(forward - back) < _EQUAL_EV else f"{forward:.3f} eV, back {back:.3f} eV"


def _mark_saddles(axes: Axes, path: PathProfile, along: Sequence[float], color: str) -> None:
    places = [along[image] for image in path.saddles], [path.energies_eV[image] for image in path.saddles]
    axes.plot(*places, "D", markersize=5, color=color, mec="white", mew=0.8, zorder=3)


@dataclass(frozen=True)
class DopedPath:
    """A hop of a doped crystal.

    Attributes
    ----------
    profile
        The energy along its path.
    dopant_anions
        How many of the anions nearest to its bottleneck are dopants, such as F.
    dopant_shell
        near or far is the nearest dopant cation; none without one.
    """

    profile: PathProfile
    dopant_anions: int
    dopant_shell: str


@dataclass(frozen=True)
class PathGroup:
    """The same hop in the pristine crystal and in doped ones.

    Attributes
    ----------
    title
        Of the panel, such as ``6h → 6g, vacancy, c``.
    pristine
        Profile in the pristine crystal; None where it has none.
    doped
        Profiles in doped crystals, from the same end as the pristine one (see `PathProfile.reversed`).
    """

    title: str
    pristine: PathProfile | None
    doped: tuple[DopedPath, ...]


def of_doped_hop(hop: HopDoc) -> DopedPath:
    """Return a hop of a doped crystal as `pairs_figure` draws it; InputError where it has no converged path."""
    return DopedPath(of_hop_doc(hop), hop.surroundings.dopant_anions, hop.surroundings.dopant_shell)


def pairs_figure(groups: Sequence[PathGroup]) -> Figure:
    """Draw the pristine profile as a broad line and the doped ones thin upon it, a panel for each group.

    Colours are numbers of dopant anions in the bottleneck, dashes tell a far dopant from a near one; the legend has
    one line for each kind with its number of hops, however many there are. Distances are fractions of each path's
    length: relaxation of the neighbours makes one hop's path longer in one crystal than in another, and the saddles
    would not stand over each other.

    Returns
    -------
    A figure to be saved with `lzc_flows.report.figure.write_png` or `write_svg`.

    Raises
    ------
    InputError
        No group has a path.
    """
    if not any(group.pristine or group.doped for group in groups):
        raise InputError("no path, pristine or doped: there is nothing to compare")
    columns = min(len(groups), _MOST_IN_A_ROW)
    rows = -(-len(groups) // columns)
    kinds = sorted(Counter((one.dopant_anions, one.dopant_shell) for group in groups for one in group.doped).items())
    legend_columns = min(len(kinds) + 1, 2 * columns)
    lines = 1 - (-(len(kinds) + 1) // legend_columns)  # and the title
    with figure_style():
        size = (columns * _PANEL_IN[0], rows * _PANEL_IN[1] + lines * _LINE_IN)
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, group in zip(panels[: len(groups)], groups, strict=True):
            _draw_group(axes, group)
        for axes in panels[len(groups) :]:
            axes.remove()
        for axes in panels[::columns]:
            axes.set_ylabel("Energy above the initial end (eV)", color=INK)
        figure.legend(
            handles=[_pristine_line(), *(_doped_line(*kind, count) for kind, count in kinds)],
            title="Dopant anions in the bottleneck, nearest dopant cation (hops)",
            title_fontsize=9,
            loc="outside lower center",
            ncols=legend_columns,
            frameon=False,
            fontsize=9,
            handlelength=3,
            labelcolor=INK,
        )
    return figure


def _draw_group(axes: Axes, group: PathGroup) -> None:
    if group.pristine:
        distances, energies = group.pristine.curve
        axes.plot(distances / distances[-1], energies, **_PRISTINE_LINE, zorder=1)
    for one in group.doped:
        distances, energies = one.profile.curve
        line = _line_of(one.dopant_anions, one.dopant_shell)
        axes.plot(distances / distances[-1], energies, **line, zorder=2)
        along = [distance / distances[-1] for distance in one.profile.distances_A]
        _mark_saddles(axes, one.profile, along, line["color"])
    axes.set_title(f"{group.title}\n", fontsize=10, color=INK)
    axes.text(0.5, 1.02, _summary(group), transform=axes.transAxes, ha="center", fontsize=8, color=SOFT_INK)
    axes.set_xlim(0, 1)
    axes.set_xlabel("Fraction of the path", color=INK)
    axes.tick_params(labelbottom=True)
    finish_axes(axes)


def _line_of(anions: int, shell: str) -> dict[str, Any]:
    return {
        "color": COLORS[anions % len(COLORS)],
        "linestyle": DASHES[1] if shell == "far" else DASHES[0],
        "linewidth": 1.2,
    }


def _pristine_line() -> Line2D:
    return Line2D([], [], **_PRISTINE_LINE, label="pristine")


def _doped_line(anions: int, shell: str, count: int) -> Line2D:
    return Line2D([], [], **_line_of(anions, shell), label=f"{anions}, {shell} ({count})")


def _summary(group: PathGroup) -> str:
    """Return the forward barriers of a group, the doped ones from the lowest to the highest."""
    pristine = f"pristine {group.pristine.barrier_forward_eV:.3f} eV" if group.pristine else "no pristine path"
    if not group.doped:
        return f"{pristine}; no doped path"
    doped = sorted(one.profile.barrier_forward_eV for one in group.doped)
    span = f"{doped[0]:.3f}" if len(doped) == 1 else f"{doped[0]:.3f} to {doped[-1]:.3f}"
    return f"{pristine}; doped {span} eV ({len(doped)})"
