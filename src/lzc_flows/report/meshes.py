"""Triangle meshes for still pictures: spheres, tubes, and the normals that make them look smooth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from lzc_flows.report.isosurface import vertex_normals

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TUBE_SIDES = 12


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles, shape (f, 3, 3) by corner and coordinate, with a unit normal of either sense for each, (f, 3)."""

    triangles: NDArray[np.float64]
    normals: NDArray[np.float64]


def smooth(vertices: NDArray[np.float64], faces: NDArray[np.int64], at_most: int) -> Mesh:
    """Return a mesh whose shading hides its facets.

    Normals are interpolated between those of the vertices. As the picture has one shade for each triangle,
    triangles are cut in four as long as there are at most `at_most` of them afterwards.

    Parameters
    ----------
    vertices
        Cartesian coordinates, shape (v, 3).
    faces
        Vertex indices, shape (f, 3), all running the same way round.
    at_most
        Largest number of triangles that cutting may lead to.
    """
    triangles = vertices[faces]
    normals = vertex_normals(vertices, faces)[faces]
    while 0 < 4 * len(triangles) <= at_most:
        triangles, normals = _quartered(triangles), _quartered(normals)
    return Mesh(triangles, _unit(normals.sum(axis=1)))


def sphere(centre: NDArray[np.float64], radius: float) -> Mesh:
    """Return a sphere of 1280 triangles: an icosahedron whose faces are cut in four three times."""
    unit = _unit_sphere(3)
    return Mesh(centre + radius * unit, _unit(unit.sum(axis=1)))


def tube(points: NDArray[np.float64], radius: float) -> Mesh:
    """Return a tube along a line of points (p, 3), with balls at the points; a row of NaN interrupts the line."""
    angles = 2 * np.pi * np.arange(_TUBE_SIDES + 1) / _TUBE_SIDES
    ball = _unit_sphere(1)
    triangles = [radius * ball + point for point in points[~np.isnan(points).any(axis=1)]]
    normals = [_unit(ball.sum(axis=1))] * len(triangles)
    for start, end in pairwise(points):
        length = np.linalg.norm(end - start)
        if not length > 0:  # also where an end is NaN
            continue
        along = (end - start) / length
        first = _unit(np.cross(along, np.eye(3)[np.argmin(np.abs(along))]))
        ring = np.outer(np.cos(angles), first) + np.outer(np.sin(angles), np.cross(along, first))
        near, far = start + radius * ring, end + radius * ring
        triangles += [
            np.stack([near[:-1], near[1:], far[1:]], axis=1),
            np.stack([near[:-1], far[1:], far[:-1]], axis=1),
        ]
        normals += [_unit(ring[:-1] + ring[1:])] * 2
    return Mesh(np.concatenate(triangles), np.concatenate(normals))


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)


@cache
def _unit_sphere(cuts: int) -> NDArray[np.float64]:
    golden = (1 + 5**0.5) / 2
    corners = np.array([np.roll([0.0, y, z * golden], k) for k in range(3) for y in (-1, 1) for z in (-1, 1)])
    # the edges of this icosahedron have the length 2: three corners that far from each other are a face
    joined = np.abs(np.linalg.norm(corners[:, None] - corners, axis=2) - 2) < 1e-9
    i, j, k = np.nonzero(joined[:, :, None] & joined[None, :, :] & joined[:, None, :])
    once = (i < j) & (j < k)
    faces = corners[np.column_stack([i[once], j[once], k[once]])]
    for _ in range(cuts):
        faces = _quartered(faces)
    return _unit(faces)


def _quartered(triangles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return four triangles for each, cut at the middles of the sides."""
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
    parts = ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))
    return np.concatenate([np.stack(part, axis=1) for part in parts])
