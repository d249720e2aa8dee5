"""Everything that a BVSE run leaves in a folder: grids, pictures, tables and an interactive page."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING

from lzc_flows.files import write_atomically
from lzc_flows.report.figure import write_png
from lzc_flows.report.landscape import isosurface_figure
from lzc_flows.report.landscape_html import landscape_html
from lzc_flows.report.profile import profile_figure
from lzc_flows.transport.volumetric import write_cube, write_grd

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pymatgen.core import Structure

    from lzc_flows.transport.landscape import Landscape
    from lzc_flows.transport.paths import MigrationPath

_DISTINCT_EV = 0.01
"""Iso-surfaces closer than this look the same."""


def write_landscape(folder: Path, landscape: Landscape, structure: Structure) -> list[Path]:
    """Write all files of a landscape into a folder, each replaced in one step; return their paths.

    ``field.cube`` and ``field.grd`` (for VESTA), ``sites.csv``, ``hops.csv``; where the ion percolates also
    ``paths.csv``, ``profile.png`` (energy against distance), ``isosurface.png`` and ``landscape.html``.

    Raises
    ------
    OSError
        The folder or a file cannot be written.
    """
    written = [folder / name for name in ("field.cube", "field.grd", "sites.csv", "hops.csv")]
    write_cube(written[0], landscape.field, structure)
    write_grd(written[1], landscape.field)
    _write_csv(written[2], ("site", "x", "y", "z", "energy_above_minimum_ev"), _site_rows(landscape))
    _write_csv(written[3], ("from_site", "to_site", "cell_a", "cell_b", "cell_c", "barrier_ev"), _hop_rows(landscape))
    if not landscape.paths:
        return written
    more = [folder / name for name in ("paths.csv", "profile.png", "isosurface.png", "landscape.html")]
    header = ("path", "distance_angstrom", "energy_above_minimum_ev", "x", "y", "z")
    _write_csv(more[0], header, _path_rows(landscape))
    levels, paths = surface_levels_ev(landscape), _axis_paths(landscape)
    write_png(profile_figure(paths), more[1])
    write_png(isosurface_figure(landscape.field, structure, levels, paths), more[2])
    title = f"{structure.composition.reduced_formula}: site energy of {landscape.field.mobile}"
    write_atomically(more[3], landscape_html(landscape.field, structure, levels, paths, title).encode())
    return written + more


def surface_levels_ev(landscape: Landscape) -> list[float]:
    """Return the energies above the minimum (eV) whose iso-surfaces tell most.

    Half the 1D barrier, which shows the sites, and the 1D, 2D and 3D barriers, which show the channels.
    """
    thresholds = landscape.percolation.thresholds
    first = thresholds["1d"].barrier_from_cell_minimum_ev
    levels = [first / 2]
    for target in ("1d", "2d", "3d"):
        barrier = thresholds[target].barrier_from_cell_minimum_ev
        if math.isfinite(barrier) and barrier > levels[-1] + _DISTINCT_EV:
            levels.append(barrier)
    return levels


def _axis_paths(landscape: Landscape) -> dict[str, MigrationPath]:
    """Return the paths along a, b and c; where no axis is a way, the one-dimensional path."""
    found: dict[str, MigrationPath] = {str(target): path for target, path in landscape.paths.items()}
    along = {target: path for target, path in found.items() if target in ("a", "b", "c")}
    return along or found


def _site_rows(landscape: Landscape) -> Iterable[tuple]:
    sites, minimum = landscape.sites, landscape.percolation.minimum_ev
    for number, (position, energy) in enumerate(zip(sites.fractional, sites.graph.energies_ev, strict=True)):
        yield number, *(f"{x:.5f}" for x in position), f"{energy - minimum:.6f}"


def _hop_rows(landscape: Landscape) -> Iterable[tuple]:
    """Yield every hop from its lower site, with its barrier from there."""
    graph = landscape.sites.graph
    for (a, b), translation, level in zip(graph.sites, graph.translations, graph.levels_ev, strict=True):
        # sites stand in the order of their energy
        (lower, upper), sign = ((a, b), 1) if a <= b else ((b, a), -1)
        yield lower, upper, *(sign * translation), f"{level - graph.energies_ev[lower]:.6f}"


def _path_rows(landscape: Landscape) -> Iterable[tuple]:
    minimum = landscape.percolation.minimum_ev
    for target, path in landscape.paths.items():
        for distance, energy, position in zip(path.distances_angstrom, path.energies_ev, path.fractional, strict=True):
            yield target, f"{distance:.5f}", f"{energy - minimum:.6f}", *(f"{x:.5f}" for x in position)


def _write_csv(path: Path, header: tuple[str, ...], rows: Iterable[tuple]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())
