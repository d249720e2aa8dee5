from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lzc_flows.report.meshes import Mesh, smooth, sphere, tube


def area(triangles: NDArray[np.float64]) -> float:
    sides = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    return float(np.linalg.norm(sides, axis=1).sum() / 2)


def assert_normals_are_unit_and_along(mesh: Mesh, expected: NDArray[np.float64], cosine: float) -> None:
    assert np.linalg.norm(mesh.normals, axis=1) == pytest.approx(np.ones(len(mesh.normals)))
    assert (mesh.normals * expected).sum(axis=1).min() > cosine


def test_sphere() -> None:
    centre = np.array([1.0, -2.0, 3.0])
    mesh = sphere(centre, 1.5)
    assert np.linalg.norm(mesh.triangles - centre, axis=2) == pytest.approx(np.full((1280, 3), 1.5))
    assert area(mesh.triangles) == pytest.approx(4 * np.pi * 1.5**2, rel=0.01)
    outwards = (mesh.triangles.mean(axis=1) - centre) / 1.5
    assert_normals_are_unit_and_along(mesh, outwards, 0.98)


def test_tube_surrounds_its_line_and_leaves_gaps() -> None:
    points = np.array([[0, 0, 0], [2, 0, 0], [2, 0, 0], [np.nan] * 3, [5, 0, 0], [6, 0, 0]], dtype=float)
    mesh = tube(points, 0.1)
    x, distance = mesh.triangles[..., 0], np.hypot(mesh.triangles[..., 1], mesh.triangles[..., 2])
    assert distance.max() == pytest.approx(0.1)
    assert x.min() == pytest.approx(-0.1, abs=1e-2)
    assert x.max() == pytest.approx(6.1, abs=1e-2)
    assert not np.any((x > 2.11) & (x < 4.89))
    walls = np.ptp(x, axis=1) > 0.5
    assert area(mesh.triangles[walls]) == pytest.approx(2 * np.pi * 0.1 * 3, rel=0.02)
    assert np.linalg.norm(mesh.normals, axis=1) == pytest.approx(np.ones(len(mesh.normals)))


def test_smooth_turns_facets_into_a_ball() -> None:
    """An octahedron's faces are cut in four twice, and their normals follow the ball around it."""
    vertices = np.concatenate([np.eye(3), -np.eye(3)])
    faces = np.array([[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2], [1, 0, 5], [3, 1, 5], [4, 3, 5], [0, 4, 5]])
    mesh = smooth(vertices, faces, 8 * 16)
    assert len(mesh.triangles) == 8 * 16
    assert area(mesh.triangles) == pytest.approx(area(vertices[faces]))
    middles = mesh.triangles.mean(axis=1)
    assert_normals_are_unit_and_along(mesh, middles / np.linalg.norm(middles, axis=1, keepdims=True), 0.999)
    assert len(smooth(vertices, faces, 31).triangles) == 8
