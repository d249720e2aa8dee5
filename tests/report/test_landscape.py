from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import matplotlib
import matplotlib.image
import numpy as np
import pytest
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from pymatgen.core import Lattice, Structure

from lzc_flows.report.figure import write_png
from lzc_flows.report.landscape import isosurface_figure
from lzc_flows.report.scene import EDGES, PATH_COLORS
from lzc_flows.transport.bvse import EnergyField

LATTICE = Lattice.from_parameters(8, 8, 5, 90, 90, 120)
STRUCTURE = Structure(LATTICE, ["Li+", "Zr4+", "Cl-"], [[0.5, 0.5, 0.5], [0, 0, 0], [0.4, 0.7, 0.3]])
STRAIGHT = SimpleNamespace(
    fractional=np.array([[0.5, 0.5, 0.5], [0.5, 0.5, 1.5]]),
    energies_ev=np.array([-5.0, -5.0]),
    distances_angstrom=np.array([0.0, 5.0]),
)


def make_field(lattice: Lattice = LATTICE) -> EnergyField:
    """One spherical well of 1 eV/Å around the middle of the cell."""
    grid = np.stack(np.meshgrid(*(np.arange(n) / n for n in (32, 32, 20)), indexing="ij"), axis=-1)
    energies = np.linalg.norm((grid - 0.5) @ LATTICE.matrix, axis=-1) - 5
    return EnergyField(energies, np.array(lattice.matrix), "Li+", "bvlain", 10.0)


def draw(levels: tuple[float, ...] = (1.0, 2.0), lattice: Lattice = LATTICE) -> Figure:
    return isosurface_figure(make_field(lattice), STRUCTURE, levels, {"c": STRAIGHT})


def triangles(figure: Figure) -> tuple[np.ndarray, np.ndarray]:
    """The corners on the page, (n, 3, 2), and the colours of all triangles."""
    (collection,) = (item for item in figure.axes[0].collections if type(item) is PolyCollection)
    return np.array([path.vertices[:3] for path in collection.get_paths()]), collection.get_facecolor()


def segments(figure: Figure) -> list[np.ndarray]:
    groups = [item.get_segments() for item in figure.axes[0].collections if isinstance(item, LineCollection)]
    return [segment for group in groups for segment in group]


def legend_texts(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_legend_names_levels_framework_and_paths() -> None:
    figure = draw()
    assert legend_texts(figure) == ["1.00 eV", "2.00 eV", "Cl", "Zr", "path c"]
    assert figure.legends[0].get_title().get_text() == "Site energy of Li⁺ above its minimum"


def test_axes_are_named_and_the_scale_is_the_same_both_ways() -> None:
    figure = draw()
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["a", "b", "c"]
    box = axes.get_position()
    per_angstrom = [
        figure.get_figwidth() * box.width / np.ptp(axes.get_xlim()),
        figure.get_figheight() * box.height / np.ptp(axes.get_ylim()),
    ]
    assert per_angstrom[0] == pytest.approx(per_angstrom[1])


def test_the_cell_is_seen_under_an_orthographic_projection() -> None:
    """Twelve edges of three kinds; the Gram matrix of a projection is the metric less the part along the eye."""
    edges = segments(draw())
    assert len(edges) == len(EDGES)
    vectors = np.unique(np.round([end - start for start, end in edges], 6), axis=0)
    assert len(vectors) == 3
    lengths = sorted(np.linalg.norm(vectors, axis=1))
    assert lengths[0] == pytest.approx(5 * np.cos(np.radians(18)), abs=1e-5)  # c upright, the eye 18° above
    assert np.abs(vectors[:, 0]).min() == pytest.approx(0, abs=1e-6)
    foreshortened = LATTICE.matrix @ LATTICE.matrix.T - vectors_by_axis(vectors) @ vectors_by_axis(vectors).T
    eigenvalues = np.linalg.eigvalsh(foreshortened)
    assert eigenvalues[:2] == pytest.approx([0, 0], abs=1e-4)  # one direction is lost, no more


def vectors_by_axis(vectors: np.ndarray) -> np.ndarray:
    """Put c, the upright one, last; a runs to the right and b to the left of the nearest corner."""
    c = vectors[np.argmin(np.abs(vectors[:, 0]))]
    a, b = sorted((v for v in vectors if not np.array_equal(v, c)), key=lambda v: -v[0])
    return np.array([a, b, c])


def test_a_turned_crystal_gives_the_same_picture() -> None:
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    corners, _ = triangles(draw())
    turned, _ = triangles(draw(lattice=Lattice(LATTICE.matrix @ turn)))
    assert np.sort(turned.mean(axis=1), axis=0) == pytest.approx(np.sort(corners.mean(axis=1), axis=0), abs=1e-5)


def test_spheres_of_the_field_are_discs_of_their_radius() -> None:
    for radius in (1.0, 2.0):
        figure = draw((radius,))
        corners, colors = triangles(figure)
        centre = np.mean(np.concatenate(segments(figure)), axis=0)
        translucent = corners[colors[:, 3] < 1]
        assert np.linalg.norm(translucent - centre, axis=2).max() == pytest.approx(radius, rel=0.02)


def test_a_path_is_a_tube_of_its_colour_across_the_whole_cell() -> None:
    figure = draw()
    corners, colors = triangles(figure)
    red = np.array(to_rgb(PATH_COLORS[0]))
    direction = colors[:, :3] / np.linalg.norm(colors[:, :3], axis=1, keepdims=True)
    chosen = (direction @ red / np.linalg.norm(red) > 0.999) & (colors[:, 3] == 1)
    assert np.ptp(corners[chosen][..., 0]) == pytest.approx(0.2, rel=0.05)
    assert np.ptp(corners[chosen][..., 1]) == pytest.approx(5 * np.cos(np.radians(18)) + 0.2, rel=0.02)


def test_the_mobile_ions_are_not_drawn() -> None:
    without = Structure.from_sites(list(STRUCTURE)[1:])
    some, _ = triangles(draw())
    same, _ = triangles(isosurface_figure(make_field(), without, (1.0, 2.0), {"c": STRAIGHT}))
    assert len(some) == len(same)


def test_same_bytes_whatever_the_user_prefers(tmp_path: Path) -> None:
    write_png(draw(), tmp_path / "one.png", dpi=80)
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30, "savefig.facecolor": "green"}):
        write_png(draw(), tmp_path / "two.png", dpi=80)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    pixels = matplotlib.image.imread(tmp_path / "one.png")
    assert tuple(pixels[0, 0, :3]) == (1, 1, 1)
    green = (pixels[..., 1] > 0.7) & (pixels[..., 0] < 0.4) & (pixels[..., 2] < 0.4)
    assert green.sum() > 50  # the chlorine
