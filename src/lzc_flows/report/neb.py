"""The energy along the path of a hop, and how all figures of such paths look."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from lzc_flows.band.profile import Profile
from lzc_flows.documents.neb import LegDoc
from lzc_flows.errors import InputError
from lzc_flows.report.figure import INK, SOFT_INK, figure_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from lzc_flows.documents.neb import HopDoc, NebDoc

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Of Okabe and Ito: one for each path, and from the start again."""

DASHES: tuple[str | tuple[int, tuple[float, ...]], ...] = ("-", (0, (5, 2)), (0, (1.5, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
"""They tell apart lines that lie on each other."""

_SADDLE_COLOR, _MINIMUM_COLOR = COLORS[1], COLORS[2]
_MARGIN = 0.2  # of the path's length, at either end: where the barriers stand
_ARROW = 0.1


@dataclass(frozen=True)
class PathProfile:
    """The energy along one converged path, as documents hold it.

    Attributes
    ----------
    label
        What the path is, for titles and legends.
    distances_A
        How far each image is along the path, the ends included, in Å.
    energies_eV
        Of each image above the initial end, in eV.
    slopes_eV_A
        Slope of the energy along the path at each image, in eV/Å.
    legs
        The elementary steps, from the initial to the final end.

    Raises
    ------
    InputError
        Numbers of images that differ, distances that do not grow, or legs that do not join to one path.
    """

    label: str
    distances_A: tuple[float, ...]
    energies_eV: tuple[float, ...]
    slopes_eV_A: tuple[float, ...]
    legs: tuple[LegDoc, ...]

    def __post_init__(self) -> None:
        counts = {len(self.distances_A), len(self.energies_eV), len(self.slopes_eV_A)}
        if len(counts) > 1 or min(counts) < 2:
            raise InputError(f"path {self.label!r}: one distance, energy and slope for each of two or more images")
        if not (np.diff(self.distances_A) > 0).all():
            raise InputError(f"path {self.label!r}: distances must grow from image to image")
        starts = [0, *(leg.last_image for leg in self.legs)]
        stops = [*(leg.first_image for leg in self.legs), len(self.energies_eV) - 1]
        if starts != stops:
            raise InputError(
                f"path {self.label!r}: legs must lead from the first image to the last, each from the last"
            )

    @cached_property
    def curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Distances (Å) and energies (eV) of the spline through energies and slopes, the images among its points."""
        return Profile(np.array(self.distances_A), np.array(self.energies_eV), np.array(self.slopes_eV_A)).curve

    @property
    def saddles(self) -> list[int]:
        """The climbing images."""
        return [leg.saddle_image for leg in self.legs if leg.saddle_image is not None]

    @property
    def minima(self) -> list[int]:
        """The images in minima between the ends."""
        return [leg.last_image for leg in self.legs[:-1]]

    @property
    def highest_eV(self) -> float:
        """Energy of the highest image above the initial end, in eV: a saddle unless an end lies higher."""
        return max(self.energies_eV)

    @property
    def barrier_forward_eV(self) -> float:
        """Highest saddle above the initial end, in eV."""
        return self.highest_eV - self.energies_eV[0]

    @property
    def barrier_reverse_eV(self) -> float:
        """Highest saddle above the final end, in eV."""
        return self.highest_eV - self.energies_eV[-1]

    def reversed(self) -> PathProfile:
        """Return the path from its final end to its initial one, energies above the new initial end.

        A hop and its reverse are one, so that two crystals may have the same hop in either direction.
        """
        last = len(self.energies_eV) - 1
        return PathProfile(
            self.label,
            tuple(self.distances_A[-1] - distance for distance in self.distances_A[::-1]),
            tuple(energy - self.energies_eV[-1] for energy in self.energies_eV[::-1]),
            tuple(-slope for slope in self.slopes_eV_A[::-1]),
            tuple(_reversed_leg(leg, last) for leg in self.legs[::-1]),
        )


def _reversed_leg(leg: LegDoc, last: int) -> LegDoc:
    return leg.model_copy(
        update={
            "first_image": last - leg.last_image,
            "last_image": last - leg.first_image,
            "saddle_image": None if leg.saddle_image is None else last - leg.saddle_image,
            "barrier_forward_eV": leg.barrier_reverse_eV,
            "barrier_reverse_eV": leg.barrier_forward_eV,
        }
    )


def of_neb_doc(path: NebDoc, label: str) -> PathProfile:
    """Return the profile of one path's document."""
    return _of(path, label)


def of_hop_doc(hop: HopDoc) -> PathProfile:
    """Return the profile of a hop, labelled as in ``6h → 6g, vacancy``.

    Raises
    ------
    InputError
        The hop has no converged path.
    """
    if hop.status != "converged":
        raise InputError(f"hop {hop.id}: {hop.status}, so that it has no profile; converged hops are allowed")
    return _of(hop, hop_label(hop))


def hop_label(hop: HopDoc) -> str:
    """Return the sites on a hop's way and its mechanism, as in ``6h → 6g, vacancy`` or ``6h → 1b, vacancy at 6h``."""
    return f"{' → '.join(hop.labels)}, {hop.mechanism}" + (f" at {hop.vacancy}" if hop.vacancy else "")


def _of(path: NebDoc | HopDoc, label: str) -> PathProfile:
    return PathProfile(
        label, tuple(path.distances_A), tuple(path.energies_eV), tuple(path.slopes_eV_A), tuple(path.legs)
    )


def path_figure(path: PathProfile) -> Figure:
    """Draw the energy along a path: its images, and the spline through their energies and slopes.

    The arrows at the sides are the barriers, from either end to the highest saddle. Where the path has several legs,
    the barriers of each stand above its saddle, forward above reverse, and energies of the minima below these.

    Returns
    -------
    A figure to be saved with `lzc_flows.report.figure.write_png` or `write_svg`.
    """
    with figure_style():
        figure = Figure(figsize=(5.6, 3.9), layout="constrained")
        axes = figure.add_subplot()
        _set_limits(axes, path)
        axes.plot(*path.curve, color=COLORS[0], linewidth=2.0, zorder=2)
        _draw_images(axes, path)
        length = path.distances_A[-1]
        axes.axhline(path.highest_eV, color=SOFT_INK, linewidth=0.7, linestyle=":", zorder=1)
        _draw_barrier(axes, (0.0, -_ARROW * length), path.energies_eV[0], path.highest_eV, "forward")
        _draw_barrier(axes, (length, (1 + _ARROW) * length), path.energies_eV[-1], path.highest_eV, "reverse")
        if len(path.legs) > 1:
            _write_legs(axes, path)
        axes.set_title(path.label, fontsize=11, color=INK, pad=28)
        axes.set_xlabel("Distance along the path (Å)", color=INK)
        axes.set_ylabel("Energy above the initial end (eV)", color=INK)
        finish_axes(axes)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize=9, labelcolor=INK)
    return figure


def finish_axes(axes: Axes) -> None:
    """Give axes the look of all figures: no frame above and at the right, quiet lines and numbers."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(SOFT_INK)
    axes.tick_params(colors=SOFT_INK, labelsize=9)


def _set_limits(axes: Axes, path: PathProfile) -> None:
    """Leave room for the barriers at the sides and above, and for energies of minima below."""
    length, energies = path.distances_A[-1], path.curve[1]
    span = np.ptp(energies) or 1.0
    axes.set_xlim(-_MARGIN * length, (1 + _MARGIN) * length)
    axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= length])
    axes.set_ylim(energies.min() - 0.1 * span, energies.max() + 0.18 * span)


def _draw_images(axes: Axes, path: PathProfile) -> None:
    special = {*path.saddles, *path.minima}
    groups = (
        ("image", [image for image in range(len(path.energies_eV)) if image not in special], "o", COLORS[0], "white"),
        ("climbing image", path.saddles, "D", _SADDLE_COLOR, _SADDLE_COLOR),
        ("minimum", path.minima, "s", _MINIMUM_COLOR, _MINIMUM_COLOR),
    )
    for label, images, marker, edge, face in groups:
        if images:
            places = [path.distances_A[image] for image in images], [path.energies_eV[image] for image in images]
            axes.plot(*places, marker, markersize=6, mec=edge, mfc=face, mew=1.4, label=label, zorder=3)


def _draw_barrier(axes: Axes, between: tuple[float, float], low: float, high: float, name: str) -> None:
    """Draw the arrow of a barrier beside an end of the path: `between` are the distances of the end and the arrow."""
    place = between[1]
    axes.plot(between, [low, low], color=SOFT_INK, linewidth=0.7, linestyle=":", zorder=1)
    if high > low:
        shape = {"arrowstyle": "<->", "color": SOFT_INK, "shrinkA": 0, "shrinkB": 0, "linewidth": 1.0}
        axes.annotate("", (place, high), (place, low), arrowprops=shape)
    text = f"{name}\n{high - low:.3f} eV"
    axes.annotate(
        text, (place, high), (0, 3), textcoords="offset points", ha="center", va="bottom", fontsize=9, color=INK
    )


def _write_legs(axes: Axes, path: PathProfile) -> None:
    for leg in path.legs:
        if leg.saddle_image is not None:
            text = f"→ {leg.barrier_forward_eV:.3f}\n← {leg.barrier_reverse_eV:.3f}"
            _write(axes, path, leg.saddle_image, text, above=7)
    for image in path.minima:
        _write(axes, path, image, f"{path.energies_eV[image]:.3f}".replace("-", "−"), above=-7)


def _write(axes: Axes, path: PathProfile, image: int, text: str, above: float) -> None:
    """Write a text so many points above an image, below it where negative."""
    axes.annotate(
        text,
        (path.distances_A[image], path.energies_eV[image]),
        (0, above),
        textcoords="offset points",
        ha="center",
        va="bottom" if above > 0 else "top",
        fontsize=8,
        color=INK,
        # the line of the highest saddle does not strike it through, and it hides no curve
        bbox={"facecolor": "white", "linewidth": 0, "pad": 0.5},
        zorder=1.5,
    )
