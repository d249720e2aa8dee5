from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray
from pymatgen.core import Lattice

from lzc_flows.errors import InputError
from lzc_flows.report.isosurface import Isosurface, area_angstrom2, isosurface, simplified
from lzc_flows.transport.bvse import EnergyField

SLANTED = np.array(Lattice.from_parameters(8, 9, 10, 75, 98, 115).matrix)


def nodes(shape: tuple[int, int, int]) -> NDArray[np.float64]:
    return np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), axis=-1)


def make_field(energies: NDArray[np.float64], lattice: NDArray[np.float64]) -> EnergyField:
    return EnergyField(energies, lattice, "Li+", "bvlain", 10.0)


def distances(centre: NDArray[np.float64], shape: tuple[int, int, int]) -> EnergyField:
    """Energy = distance in Å to the nearest image of a centre."""
    shifts = nodes((3, 3, 3)).reshape(-1, 3) * 3 - 1
    offsets = (nodes(shape)[..., None, :] - centre - shifts) @ SLANTED
    return make_field(np.linalg.norm(offsets, axis=-1).min(axis=-1), SLANTED)


def cosines(n: int) -> EnergyField:
    """cos x + cos y + cos z, whose zero surface is the Schwarz P surface's nodal approximation."""
    return make_field(np.cos(2 * np.pi * nodes((n, n, n))).sum(axis=-1), 10 * np.eye(3))


def volume(surface: Isosurface, lattice: NDArray[np.float64]) -> float:
    a, b, c = (surface.fractional[surface.faces[:, i]] @ lattice for i in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def edges_with_images(surface: Isosurface) -> Counter[tuple[int, int]]:
    """How many faces meet at each edge once vertices that are images of each other are one."""
    wrapped = np.round(surface.fractional, 7) % 1.0
    _, owners = np.unique(wrapped, axis=0, return_inverse=True)
    faces = owners.ravel()[surface.faces]
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return Counter(map(tuple, np.sort(pairs, axis=1).tolist()))


def test_sphere_has_its_area_and_volume() -> None:
    surface = isosurface(distances(np.array([0.5, 0.5, 0.5]), (64, 72, 80)), 2.0)
    assert area_angstrom2(surface, SLANTED) == pytest.approx(4 * np.pi * 2**2, rel=2e-3)
    # positive: the faces look towards higher energy
    assert volume(surface, SLANTED) == pytest.approx(4 / 3 * np.pi * 2**3, rel=3e-3)
    radii = np.linalg.norm((surface.fractional - 0.5) @ SLANTED, axis=1)
    assert radii == pytest.approx(np.full(len(radii), 2.0), abs=2e-3)


@pytest.mark.parametrize("centre", [(0.0, 0.5, 0.5), (0.5, 0.01, 0.98), (0.0, 0.0, 0.0), (0.97, 0.02, 0.0)])
def test_sphere_on_a_face_edge_or_corner_loses_nothing(centre: tuple[float, float, float]) -> None:
    # no node is exactly that far: there vertices of several triangles would fall on one place
    surface = isosurface(distances(np.array(centre), (40, 45, 50)), 2.03)
    assert surface.fractional.min() == pytest.approx(0, abs=1e-12)
    assert surface.fractional.max() == pytest.approx(1, abs=1e-12)
    assert area_angstrom2(surface, SLANTED) == pytest.approx(4 * np.pi * 2.03**2, rel=5e-3)
    assert set(edges_with_images(surface).values()) == {2}


def test_slabs_of_one_cosine_are_planes() -> None:
    surface = isosurface(make_field(np.cos(2 * np.pi * nodes((40, 3, 4)))[..., 0], SLANTED), 0.0)
    assert np.unique(np.round(surface.fractional[:, 0], 6)) == pytest.approx([0.25, 0.75], abs=1e-6)
    plane = np.linalg.norm(np.cross(SLANTED[1], SLANTED[2]))
    assert area_angstrom2(surface, SLANTED) == pytest.approx(2 * plane, rel=1e-6)


def test_three_cosines_give_a_surface_of_genus_three() -> None:
    """By symmetry the level 0 halves the cell; its area is 2.35 edge², that of the minimal P surface 2.3451."""
    surface = isosurface(cosines(40), 1e-4)
    edges = edges_with_images(surface)
    assert set(edges.values()) == {2}
    vertices = len({vertex for edge in edges for vertex in edge})
    assert vertices - len(edges) + len(surface.faces) == -4  # Euler characteristic 2 − 2·3
    assert area_angstrom2(surface, 10 * np.eye(3)) == pytest.approx(100 * 2.3451, rel=0.01)


def test_energy_outside_the_field_is_refused() -> None:
    with pytest.raises(InputError, match=r"iso-surface at 3\.5 eV: the field reaches from -3 to 3 eV"):
        isosurface(cosines(8), 3.5)


@pytest.mark.parametrize("vertices", [2000, 600])
def test_simplified_keeps_shape_and_closure(vertices: int) -> None:
    full = isosurface(cosines(60), 0.4)
    coarse = simplified(full, 10 * np.eye(3), vertices)
    assert 0.4 * vertices < len(coarse.fractional) < 1.6 * vertices
    assert area_angstrom2(coarse, 10 * np.eye(3)) == pytest.approx(area_angstrom2(full, 10 * np.eye(3)), rel=0.04)
    # every vertex that lies on a face has its image on the opposite one
    for axis in range(3):
        others = [other for other in range(3) if other != axis]
        rims = [coarse.fractional[abs(coarse.fractional[:, axis] - end) < 1e-9][:, others] for end in (0, 1)]
        low, high = (rim[np.lexsort(np.round(rim, 6).T)] for rim in rims)
        assert len(low) > 10
        assert low == pytest.approx(high, abs=1e-6)


def test_simplified_cuts_no_bottleneck() -> None:
    """Wells joined by necks of 0.3 Å stay one piece when the boxes are several times as wide."""
    x, y, z = np.moveaxis(nodes((120, 40, 40)), -1, 0)
    radius = np.hypot(y - 0.5, z - 0.5) * 10
    width = 0.15 + 2 * np.sin(2 * np.pi * x) ** 4
    full = isosurface(make_field(radius - width, np.diag([30.0, 10.0, 10.0])), 0.0)
    coarse = simplified(full, np.diag([30.0, 10.0, 10.0]), len(full.fractional) // 40)
    assert len(coarse.fractional) < len(full.fractional) / 20
    assert pieces(coarse) == pieces(full) == 1


def pieces(surface: Isosurface) -> int:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, second = surface.faces.ravel(), np.roll(surface.faces, 1, axis=1).ravel()
    count = len(surface.fractional)
    return int(connected_components(coo_array((np.ones(len(first)), (first, second)), (count, count)))[0])


def test_a_small_surface_is_left_as_it_is() -> None:
    surface = isosurface(cosines(12), 0.4)
    assert simplified(surface, 10 * np.eye(3), len(surface.fractional)) is surface
