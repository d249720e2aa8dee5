"""A still picture of an energy landscape: iso-surfaces, framework atoms and migration paths in one cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lzc_flows.report.figure import INK, SOFT_INK, figure_style
from lzc_flows.report.meshes import Mesh, smooth, sphere, tube
from lzc_flows.report.scene import CORNERS, EDGES, Scene, landscape_scene

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from lzc_flows.transport.bvse import EnergyField
    from lzc_flows.transport.paths import MigrationPath

_VERTICES = 80_000  # of all surfaces: finer than the eye sees on a printed page
_TRIANGLES = 100_000  # to which the shading of a surface may be refined
_SEAM_PT = 0.3  # closes the seams that smoothed edges leave between opaque triangles
_PAGE_IN = np.array([6.5, 8.0])  # largest width and height of the cell
_LEGEND_IN = 0.75
_ELEVATION_DEG = 18.0
_TWIST_DEG = 14.0  # away from looking straight at the origin's edge
_PATH_RADIUS_ANGSTROM = 0.10
_AMBIENT = 0.45  # brightness of a face that the light only grazes
_LIGHT = np.array([-0.4, 0.6, 1.0]) / np.linalg.norm([-0.4, 0.6, 1.0])  # from the upper left, over the shoulder


def isosurface_figure(
    field: EnergyField, structure: Structure, levels_ev: Sequence[float], paths: Mapping[str, MigrationPath]
) -> Figure:
    """Draw iso-surfaces of the energy in the cell, with the framework atoms and the migration paths.

    After Supplementary Fig. 23b,c of the doped-LZC paper. The cell has its true angles, c points up, and the
    origin is the nearest lower corner. The projection is orthographic. Surfaces end at the faces of the cell.

    Parameters
    ----------
    field
        The energies.
    structure
        The crystal that the field was computed for.
    levels_ev
        Energies of the surfaces above the minimum of the field, eV, such as the percolation barriers.
    paths
        Migration paths by label; those that leave the cell are wrapped into it.

    Returns
    -------
    A figure to be saved with `lzc_flows.report.figure.write_png`.

    Raises
    ------
    InputError
        As for `lzc_flows.report.scene.landscape_scene`.
    """
    scene = landscape_scene(field, structure, levels_ev, paths, _VERTICES)
    frame = _viewed(scene.lattice_angstrom)
    corners = CORNERS @ frame
    # the atoms on the faces stand out
    margin = max(atoms.radius_angstrom for atoms in scene.atoms)
    low, high = corners[:, :2].min(axis=0) - margin, corners[:, :2].max(axis=0) + margin
    width_in, height_in = (high - low) * min(_PAGE_IN / (high - low))
    with figure_style():
        figure = Figure(figsize=(width_in, height_in + _LEGEND_IN))
        bottom = _LEGEND_IN / (height_in + _LEGEND_IN)
        axes = figure.add_axes((0, bottom, 1, 1 - bottom), xlim=(low[0], high[0]), ylim=(low[1], high[1]))
        axes.set_axis_off()
        _draw_cell(axes, corners)
        _draw_meshes(axes, scene, frame)
        _name_axes(axes, corners)
        _draw_legend(figure, scene, bottom)
    return figure


def _viewed(lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the lattice (3, 3) turned to the viewer: x to the right, y up, z towards the eye; Å.

    c stands upright, and the eye is above the corner of the origin, a little beside the middle between a and b.
    """
    up = lattice[2] / np.linalg.norm(lattice[2])
    level_a, level_b = (vector - (vector @ up) * up for vector in lattice[:2])
    towards = -(level_a / np.linalg.norm(level_a) + level_b / np.linalg.norm(level_b))
    towards /= np.linalg.norm(towards)
    twist, elevation = np.radians([_TWIST_DEG, _ELEVATION_DEG])
    towards = np.cos(twist) * towards + np.sin(twist) * np.cross(up, towards)
    eye = np.cos(elevation) * towards + np.sin(elevation) * up
    right = np.cross(up, towards)
    return lattice @ np.array([right, np.cross(eye, right), eye]).T


def _draw_cell(axes: Axes, corners: NDArray[np.float64]) -> None:
    """Draw the edges that meet in the farthest corner behind everything, the others in front."""
    farthest = int(np.argmin(corners[:, 2]))
    hidden = [corners[list(edge), :2] for edge in EDGES if farthest in edge]
    seen = [corners[list(edge), :2] for edge in EDGES if farthest not in edge]
    axes.add_collection(LineCollection(hidden, colors="#a0a0a0", linewidths=0.7, zorder=1))
    axes.add_collection(LineCollection(seen, colors=SOFT_INK, linewidths=0.9, capstyle="round", zorder=3))


def _draw_meshes(axes: Axes, scene: Scene, frame: NDArray[np.float64]) -> None:
    """Draw all surfaces, atoms and paths as one collection of triangles, the farthest first."""
    meshes = [
        (smooth(level.surface.fractional @ frame, level.surface.faces, _TRIANGLES), level.color, level.opacity)
        for level in scene.surfaces
    ]
    meshes += [
        (sphere(centre, atoms.radius_angstrom), atoms.color, 1.0)
        for atoms in scene.atoms
        if not atoms.is_mobile
        for centre in atoms.fractional @ frame
    ]
    meshes += [(tube(path.fractional @ frame, _PATH_RADIUS_ANGSTROM), path.color, 1.0) for path in scene.paths]
    triangles = np.concatenate([mesh.triangles for mesh, _, _ in meshes])
    colors = np.concatenate([_shaded(mesh, color, opacity) for mesh, color, opacity in meshes])
    order = np.argsort(triangles[:, :, 2].mean(axis=1), kind="stable")
    colors = colors[order]
    # a stroke over a translucent triangle would show as a net
    widths = np.where(colors[:, 3] < 1, 0.0, _SEAM_PT)
    flat: Any = triangles[order, :, :2]  # matplotlib's stubs want a list, which takes seconds
    axes.add_collection(PolyCollection(flat, facecolors=colors, edgecolors=colors, linewidths=widths, zorder=2))


def _shaded(mesh: Mesh, color: str, opacity: float) -> NDArray[np.float64]:
    """Return RGBA colours (f, 4), lit alike from both sides."""
    lit = np.abs(mesh.normals @ _LIGHT)[:, None]
    gloss = 0.35 * lit**24
    shaded = np.array(to_rgb(color)) * (_AMBIENT + (1 - _AMBIENT) * lit) * (1 - gloss) + gloss
    return np.column_stack([shaded, np.full(len(shaded), opacity)])


def _name_axes(axes: Axes, corners: NDArray[np.float64]) -> None:
    """Write a and b beside their edges at the origin, and c beside the leftmost edge that runs along it."""
    origin, at_c, at_b, at_a = (corners[index, :2] for index in (0, 1, 2, 4))
    foot = min((corners[index, :2] for index in (0, 2, 4, 6)), key=lambda corner: float(corner[0]))
    centre = corners[:, :2].mean(axis=0)
    for name, start, vector in (("a", origin, at_a), ("b", origin, at_b), ("c", foot, at_c)):
        along = vector - origin
        middle = start + along / 2
        outwards = np.array([-along[1], along[0]]) / np.linalg.norm(along)
        outwards *= np.sign(outwards @ (middle - centre))
        axes.annotate(
            name,
            tuple(middle),
            xytext=tuple(13 * outwards),
            textcoords="offset points",
            color=INK,
            fontsize=12,
            fontstyle="italic",
            ha="center",
            va="center",
            zorder=4,
        )


def _draw_legend(figure: Figure, scene: Scene, top: float) -> None:
    """Draw two rows of keys below the cell: the levels, then the atoms and the paths."""
    levels: dict[str, Artist] = {
        level.label: Patch(facecolor=level.color, alpha=max(level.opacity, 0.5)) for level in scene.surfaces
    }
    others: dict[str, Artist] = {
        atoms.element: Line2D(
            [], [], linestyle="", marker="o", markersize=8, color=atoms.color, markeredgecolor=SOFT_INK
        )
        for atoms in scene.atoms
        if not atoms.is_mobile
    }
    others |= {f"path {path.label}": Line2D([], [], color=path.color, linewidth=3) for path in scene.paths}
    title = f"Site energy of {scene.mobile} above its minimum"
    for entries, place, heading in ((levels, top, title), (others, 0.46 * top, None)):
        figure.legend(
            list(entries.values()),
            list(entries),
            title=heading,
            loc="upper center",
            bbox_to_anchor=(0.5, place),
            ncols=len(entries),
            frameon=False,
            fontsize=9,
            title_fontsize=9,
            labelcolor=INK,
        )
