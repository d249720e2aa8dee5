"""A crystal to turn and to zoom in a page: atoms, bonds of the framework, the cell."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import plotly.graph_objects as go
from ase.data import atomic_numbers, covalent_radii
from pymatgen.core import Structure

from lzc_flows.report.landscape_html import scene_figure
from lzc_flows.report.scene import Scene, structure_scene

DEFAULT_MOBILE = "Li+"

_BOND = 1.15
"""Ions of the framework closer than this many times the sum of their covalent radii are joined."""

_BOND_COLOR = "#8f8ca3"


def structure_json(structure: Structure, mobile: str = DEFAULT_MOBILE) -> str:
    """Return the crystal as a Plotly figure in JSON: atoms, the mobile ones too, bonds of the framework, the cell."""
    scene = structure_scene(structure, mobile)
    figure = scene_figure(scene, 0.0)
    figure.update_traces(visible=True)
    figure.add_trace(_bonds(scene))
    figure.update_layout(
        legend={"orientation": "h", "y": 0, "yanchor": "top"}, scene={"camera": _camera(scene.lattice_angstrom)}
    )
    return figure.to_json(validate=False)


def _bonds(scene: Scene) -> go.Scatter3d:
    framework = [atoms for atoms in scene.atoms if not atoms.is_mobile]
    ends = [np.full((0, 3), np.nan)]
    for first, second in product(framework, repeat=2):
        reach = _BOND * sum(covalent_radii[atomic_numbers[atoms.element]] for atoms in (first, second))
        if first.element >= second.element:  # each pair of elements once, no element with itself
            continue
        here, there = (atoms.fractional @ scene.lattice_angstrom for atoms in (first, second))
        for i, j in np.argwhere(np.linalg.norm(here[:, None] - there[None], axis=2) < reach):
            ends.append(np.stack([here[i], there[j], np.full(3, np.nan)]))
    x, y, z = np.concatenate(ends).T.astype(np.float32)
    line = {"color": _BOND_COLOR, "width": 5}
    return go.Scatter3d(x=x, y=y, z=z, mode="lines", line=line, hoverinfo="skip", name="bonds")


def _camera(lattice: np.ndarray) -> dict[str, Any]:
    """Return a view from in front and above, c upwards, near enough to fill the picture."""
    up = lattice[2] / np.linalg.norm(lattice[2])
    towards = -(2 * lattice[0] + lattice[1])
    towards -= (towards @ up) * up
    eye = 1.15 * towards / np.linalg.norm(towards) + 0.62 * up
    axes = ("x", "y", "z")
    return {
        "eye": {axis: float(value) for axis, value in zip(axes, eye, strict=True)},
        "up": {axis: float(value) for axis, value in zip(axes, up, strict=True)},
        "projection": {"type": "orthographic"},
    }
