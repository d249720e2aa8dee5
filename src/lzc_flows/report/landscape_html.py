"""An energy landscape as a page to turn and to look into: iso-surfaces, atoms and migration paths."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from lzc_flows.report.figure import INK, SOFT_INK
from lzc_flows.report.scene import CORNERS, EDGES, Atoms, LevelSurface, Scene, WrappedPath, landscape_scene

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from lzc_flows.transport.bvse import EnergyField
    from lzc_flows.transport.paths import MigrationPath

DIV_ID = "landscape"
"""The id of the picture's element in the page."""

_VERTICES = 20_000  # of all surfaces, about: 1 MB of the page; plotly.js has 5
_MARKER_PX_PER_ANGSTROM = 22.0

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
html, body {{ height: 100%; margin: 0; font-family: "DejaVu Sans", Verdana, sans-serif; color: {ink}; }}
body {{ display: flex; flex-direction: column; }}
header {{ padding: 0.8rem 1.2rem 0; }}
h1 {{ font-size: 1.1rem; margin: 0; }}
p {{ font-size: 0.85rem; margin: 0.3rem 0 0; color: {soft_ink}; }}
main {{ flex: 1; min-height: 0; }}
main > div {{ height: 100%; }}
</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p>{caption}</p>
</header>
<main>{picture}</main>
</body>
</html>
"""


def landscape_html(
    field: EnergyField,
    structure: Structure,
    levels_ev: Sequence[float],
    paths: Mapping[str, MigrationPath],
    title: str,
) -> str:
    """Return a page that shows a landscape interactively, without a network: plotly.js is in it.

    The legend switches each surface, element and path on and off; the mobile ions are off at first. Hovering
    tells the place of an atom and who sits there, and the energy and distance along a path. The same input
    gives the same text.

    Parameters
    ----------
    field
        The energies.
    structure
        The crystal that the field was computed for.
    levels_ev
        Energies of the surfaces above the minimum of the field, eV.
    paths
        Migration paths by label; those that leave the cell are wrapped into it.
    title
        Heading of the page, plain text.

    Returns
    -------
    The HTML, less than 6 MB.

    Raises
    ------
    InputError
        As for `lzc_flows.report.scene.landscape_scene`.
    """
    scene = landscape_scene(field, structure, levels_ev, paths, _VERTICES)
    caption = (
        f"Bond-valence site energy of {scene.mobile} above its minimum "
        f"(convention {field.convention}, cutoff {field.cutoff_angstrom:g} Å). "
        "Drag to turn, scroll to zoom, click the legend to hide and show."
    )
    picture = scene_figure(scene, float(field.energies_ev.min())).to_html(
        full_html=False,
        include_plotlyjs=True,
        div_id=DIV_ID,
        default_height="100%",
        config={"displaylogo": False, "responsive": True},
    )
    return _PAGE.format(title=escape(title), caption=escape(caption), picture=picture, ink=INK, soft_ink=SOFT_INK)


def scene_figure(scene: Scene, minimum_ev: float) -> go.Figure:
    """Return a scene as a Plotly figure; energies along paths are told above `minimum_ev` (eV)."""
    lattice = scene.lattice_angstrom
    traces = [_surface(level, lattice) for level in scene.surfaces]
    traces += [_atoms(atoms, lattice) for atoms in scene.atoms]
    traces += [_path(path, lattice, minimum_ev) for path in scene.paths]
    traces += [_cell(lattice), _axis_names(lattice)]
    hidden = {"visible": False}
    figure = go.Figure(traces)
    figure.update_layout(
        template="none",
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        legend={"itemsizing": "constant", "font": {"color": INK}},
        scene={
            "xaxis": hidden,
            "yaxis": hidden,
            "zaxis": hidden,
            "aspectmode": "data",
            "camera": {"projection": {"type": "orthographic"}} | _camera(lattice),
        },
    )
    return figure


def _camera(lattice: NDArray[np.float64]) -> dict[str, dict[str, float]]:
    """Return the view that the still picture has, without its twist: c up, the origin in front."""
    up = lattice[2] / np.linalg.norm(lattice[2])
    towards = -sum(vector / np.linalg.norm(vector) for vector in lattice[:2])
    towards -= (towards @ up) * up
    eye = 1.8 * towards / np.linalg.norm(towards) + 0.6 * up
    return {"eye": _xyz(eye), "up": _xyz(up)}


def _xyz(vector: NDArray[np.float64]) -> dict[str, float]:
    return {axis: round(float(component), 6) for axis, component in zip("xyz", vector, strict=True)}


def _columns(points: NDArray[np.float64]) -> dict[str, NDArray[np.float32]]:
    # single precision is a 1e-6 Å here and half the page
    return dict(zip("xyz", points.T.astype(np.float32), strict=True))


def _surface(level: LevelSurface, lattice: NDArray[np.float64]) -> go.Mesh3d:
    corners = dict(zip("ijk", level.surface.faces.T.astype(_smallest(len(level.surface.fractional))), strict=True))
    return go.Mesh3d(
        **_columns(level.surface.fractional @ lattice),
        **corners,
        color=level.color,
        opacity=level.opacity,
        name=level.label,
        showlegend=True,
        hoverinfo="skip",  # or the surface would hide the atoms and the paths inside it from the mouse
        lighting={"ambient": 0.55, "diffuse": 0.7, "specular": 0.2, "roughness": 0.6},
    )


def _smallest(count: int) -> type[np.unsignedinteger[Any]]:
    return np.uint16 if count <= np.iinfo(np.uint16).max else np.uint32


def _atoms(atoms: Atoms, lattice: NDArray[np.float64]) -> go.Scatter3d:
    places = ["(" + ", ".join(f"{x:.4f}" for x in position) + ")" for position in atoms.fractional]
    return go.Scatter3d(
        **_columns(atoms.fractional @ lattice),
        mode="markers",
        marker={
            "size": _MARKER_PX_PER_ANGSTROM * atoms.radius_angstrom,
            "color": atoms.color,
            "opacity": 1.0,
            "line": {"color": SOFT_INK, "width": 1},
        },
        name=atoms.element,
        visible="legendonly" if atoms.is_mobile else True,
        text=[
            f"<b>{atoms.element}</b><br>fractional {place}<br>occupancy {occupants}"
            for place, occupants in zip(places, atoms.occupants, strict=True)
        ],
        hovertemplate="%{text}<extra></extra>",
    )


def _path(path: WrappedPath, lattice: NDArray[np.float64], minimum_ev: float) -> go.Scatter3d:
    return go.Scatter3d(
        **_columns(path.fractional @ lattice),
        mode="lines",
        line={"color": path.color, "width": 7},
        name=escape(f"path {path.label}"),
        customdata=np.column_stack([path.energies_ev - minimum_ev, path.distances_angstrom]).astype(np.float32),
        hovertemplate="%{customdata[0]:.3f} eV above the minimum<br>%{customdata[1]:.2f} Å along the path"
        f"<extra>{escape(path.label)}</extra>",
    )


def _cell(lattice: NDArray[np.float64]) -> go.Scatter3d:
    gap = np.full((1, 3), np.nan)
    edges = np.concatenate([part for edge in EDGES for part in (CORNERS[list(edge)], gap)])
    return go.Scatter3d(
        **_columns(edges @ lattice),
        mode="lines",
        line={"color": SOFT_INK, "width": 2},
        hoverinfo="skip",
        name="cell",
    )


def _axis_names(lattice: NDArray[np.float64]) -> go.Scatter3d:
    outwards = lattice / 2 - lattice.sum(axis=0) / 2
    return go.Scatter3d(
        **_columns(lattice / 2 + 0.09 * outwards),
        mode="text",
        text=[f"<i>{name}</i>" for name in "abc"],
        textfont={"size": 18, "color": INK},
        hoverinfo="skip",
        showlegend=False,
    )
