from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from lzc_flows.errors import InputError
from lzc_flows.report.scene import CORNERS, EDGES, SURFACE_COLORS, Scene, landscape_scene
from lzc_flows.transport.bvse import EnergyField

LATTICE = Lattice.from_parameters(8, 9, 10, 75, 98, 115)
STRUCTURE = Structure(
    LATTICE,
    [{"Li+": 0.5}, "Zr4+", {"Cl-": 0.957, "F-": 0.043}],
    [[0.3, 0.3, 0.3], [1.0, -1e-9, 0.5], [0.25, 0.75, -0.4]],
)


@dataclass(frozen=True)
class Path:
    fractional: NDArray[np.float64]
    energies_ev: NDArray[np.float64]
    distances_angstrom: NDArray[np.float64]


def make_path(*points: tuple[float, float, float]) -> Path:
    """Energy and distance of the path are 10 and 1 times its length so far."""
    fractional = np.array(points, dtype=float)
    steps = np.linalg.norm(np.diff(fractional, axis=0) @ LATTICE.matrix, axis=1)
    lengths = np.concatenate([[0.0], np.cumsum(steps)])
    return Path(fractional, 10 * lengths, lengths)


def make_field() -> EnergyField:
    grid = np.stack(np.meshgrid(*(np.arange(n) / n for n in (20, 22, 24)), indexing="ij"))
    return EnergyField(np.cos(2 * np.pi * grid).sum(axis=0) - 7, np.array(LATTICE.matrix), "Li+", "bvlain", 10.0)


def make_scene(levels: tuple[float, ...] = (0.5,), vertices: int = 10**6, **paths: Path) -> Scene:
    return landscape_scene(make_field(), STRUCTURE, levels, paths, vertices)


def test_levels_count_from_the_minimum_of_the_field() -> None:
    scene = make_scene((3.0, 0.5))
    assert [level.label for level in scene.surfaces] == ["0.50 eV", "3.00 eV"]
    assert [level.color for level in scene.surfaces] == [SURFACE_COLORS[1], SURFACE_COLORS[0]]
    for level in scene.surfaces:
        energies = np.cos(2 * np.pi * level.surface.fractional).sum(axis=1) + 3
        assert energies == pytest.approx(np.full(len(energies), level.level_ev), abs=0.03)


def test_only_the_innermost_of_several_surfaces_is_opaque() -> None:
    assert [level.opacity == 1 for level in make_scene((0.5, 1.0, 2.0)).surfaces] == [True, False, False]
    assert [level.opacity == 1 for level in make_scene((0.5,)).surfaces] == [False]


def test_surfaces_share_the_vertices() -> None:
    full = sum(len(level.surface.fractional) for level in make_scene((1.0, 3.0)).surfaces)
    few = [len(level.surface.fractional) for level in make_scene((1.0, 3.0), vertices=800).surfaces]
    assert full > 2000
    assert max(few) < 700


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ((), r"0 iso-surface levels: 1 to 4"),
        ((0.1, 0.2, 0.3, 0.4, 0.5), r"5 iso-surface levels: 1 to 4"),
        ((0.5, 6.0), r"level 6 eV: allowed is between 0 and 6 eV above the minimum"),
        ((-1.0,), r"level -1 eV"),
        ((float("inf"),), r"level inf eV"),
        ((float("nan"),), r"level nan eV"),
    ],
)
def test_levels_that_cannot_be_drawn_are_refused(levels: tuple[float, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_scene(levels)


def test_cell_has_twelve_edges_along_three_vectors() -> None:
    directions = [tuple(CORNERS[j] - CORNERS[i]) for i, j in EDGES]
    assert sorted(directions) == sorted([(1, 0, 0), (0, 1, 0), (0, 0, 1)] * 4)


def test_atoms_on_faces_are_repeated_and_mixed_sites_are_told() -> None:
    atoms = {group.element: group for group in make_scene().atoms}
    assert list(atoms) == ["Cl", "Zr", "Li"]
    assert [group.is_mobile for group in atoms.values()] == [False, False, True]
    edge = [[0, 0, 0.5], [0, 1, 0.5], [1, 0, 0.5], [1, 1, 0.5]]
    assert atoms["Zr"].fractional == pytest.approx(np.array(edge), abs=1e-6)
    assert atoms["Zr"].occupants == ("Zr4+ 1",) * 4
    assert atoms["Cl"].fractional == pytest.approx(np.array([[0.25, 0.75, 0.6]]))
    assert atoms["Cl"].occupants == ("Cl- 0.957, F- 0.043",)
    assert atoms["Li"].occupants == ("Li+ 0.5",)
    assert atoms["Zr"].color == "#94e0e0"  # Jmol's


def test_a_path_is_cut_where_it_leaves_the_cell() -> None:
    path = make_path((0.5, 0.5, 0.5), (1.5, 0.5, 0.5))
    (wrapped,) = make_scene(a=path).paths
    nan = [np.nan] * 3
    expected = [[0.5, 0.5, 0.5], [1.0, 0.5, 0.5], nan, [0.0, 0.5, 0.5], [0.5, 0.5, 0.5]]
    assert wrapped.fractional == pytest.approx(np.array(expected), nan_ok=True)
    assert wrapped.distances_angstrom == pytest.approx([0, 4, np.nan, 4, 8], nan_ok=True)
    assert wrapped.energies_ev == pytest.approx([0, 40, np.nan, 40, 80], nan_ok=True)


def test_a_path_through_an_edge_of_the_cell_is_cut_once() -> None:
    (wrapped,) = make_scene(a=make_path((0.75, 0.75, 0.5), (1.25, 1.25, 0.5))).paths
    assert np.isnan(wrapped.energies_ev).sum() == 1
    assert len(wrapped.energies_ev) == 5


def test_a_path_along_a_face_stays_on_one() -> None:
    points = [(1e-12 * (-1) ** k, k / 10, 0.5) for k in range(10)]
    (wrapped,) = make_scene(b=make_path(*points)).paths
    assert not np.isnan(wrapped.energies_ev).any()
    assert wrapped.fractional[:, 0] == pytest.approx(np.zeros(10), abs=1e-9)


@given(arrays(np.float64, st.tuples(st.integers(2, 6), st.just(3)), elements=st.floats(-2, 2)))
def test_wrapping_keeps_the_length_and_the_direction(points: NDArray[np.float64]) -> None:
    path = make_path(*points)
    (wrapped,) = make_scene(p=path).paths
    inside = wrapped.fractional[~np.isnan(wrapped.energies_ev)]
    assert inside.min() >= 0
    assert inside.max() <= 1
    steps = np.diff(wrapped.fractional, axis=0)
    total = np.nansum(np.linalg.norm(steps @ LATTICE.matrix, axis=1))
    assert total == pytest.approx(path.distances_angstrom[-1], rel=1e-4, abs=1e-4)
    assert np.nansum(steps, axis=0) == pytest.approx(points[-1] - points[0], abs=1e-4)
    assert np.nanmax(wrapped.distances_angstrom) == path.distances_angstrom[-1]
