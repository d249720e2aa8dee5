"""Iso-surfaces of a periodic energy field, by marching cubes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from skimage.measure import marching_cubes

from lzc_flows.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lzc_flows.transport.bvse import EnergyField

_VERTICES_PER_SQUARE = 1.5  # a surface that runs aslant touches more boxes than one along them


@dataclass(frozen=True, eq=False)
class Isosurface:
    """A triangle mesh inside one cell.

    Attributes
    ----------
    fractional
        Vertices, shape (v, 3), fractional coordinates between 0 and 1.
    faces
        Vertex indices, shape (f, 3). Seen from the higher energy they run counterclockwise in a right-handed
        lattice.
    """

    fractional: NDArray[np.float64]
    faces: NDArray[np.int64]


def isosurface(field: EnergyField, energy_ev: float) -> Isosurface:
    """Return the surface of one energy inside the cell.

    Where the surface leaves the cell through a face, its rim is that of the image that enters through the
    opposite face: with the images the surface has no border.

    Parameters
    ----------
    field
        The energies.
    energy_ev
        Energy of the surface in eV, on the scale of the field.

    Raises
    ------
    InputError
        No node or every node lies below the energy.
    """
    lowest, highest = float(field.energies_ev.min()), float(field.energies_ev.max())
    if not lowest < energy_ev < highest:
        raise InputError(f"iso-surface at {energy_ev:g} eV: the field reaches from {lowest:g} to {highest:g} eV")
    # the last voxel along an axis lies between the last node and the first one's image
    energies = np.pad(field.energies_ev, (0, 1), mode="wrap")
    # the level becomes 0 in double precision, as marching cubes works in single precision
    vertices, faces, _, _ = marching_cubes(
        energies - energy_ev, 0.0, gradient_direction="descent", allow_degenerate=False
    )
    fractional = vertices.astype(np.float64) / field.energies_ev.shape
    return Isosurface(fractional, faces.astype(np.int64))


def area_angstrom2(surface: Isosurface, lattice_angstrom: NDArray[np.float64]) -> float:
    """Return the area inside the cell in Å²; the rows of the lattice (3, 3) are its vectors in Å."""
    corners = surface.fractional[surface.faces] @ lattice_angstrom
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return float(np.linalg.norm(normals, axis=1).sum() / 2)


def vertex_normals(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return unit normals (v, 3): means over the triangles around each vertex, weighted by area.

    Marching cubes leaves slivers whose own normals are noise.

    Parameters
    ----------
    vertices
        Cartesian coordinates, shape (v, 3).
    faces
        Vertex indices, shape (f, 3), all running the same way round.
    """
    a, b, c = (vertices[corner] for corner in faces.T)
    weighted = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for corner in faces.T:
        np.add.at(normals, corner, weighted)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return normals / np.where(lengths > 0, lengths, 1.0)


def simplified(surface: Isosurface, lattice_angstrom: NDArray[np.float64], vertices: int) -> Isosurface:
    """Return a coarser mesh of about the wanted number of vertices, or the surface itself if it has no more.

    The vertices in each box of a grid become one, at their mean (Rossignac & Borrel, "Multi-resolution 3D
    approximations for rendering complex scenes", 1993), apart by the octant that their normals point to: so the
    sides of a bottleneck thinner than a box do not fall on each other, as they would with a coarser energy grid.
    Vertices on a face of the cell merge only with others on it, so that rims stay there and alike on opposite
    faces.
    """
    if len(surface.fractional) <= vertices:
        return surface
    edge = np.sqrt(_VERTICES_PER_SQUARE * area_angstrom2(surface, lattice_angstrom) / vertices)
    boxes = np.ceil(np.linalg.norm(lattice_angstrom, axis=1) / edge)
    on_faces = (surface.fractional < 1e-6).astype(int) + 2 * (surface.fractional > 1 - 1e-6)
    octants = vertex_normals(surface.fractional @ lattice_angstrom, surface.faces) > 0
    # the normals of a rim know only one of its sides
    octants[on_faces.any(axis=1)] = False
    keys = np.column_stack([np.floor(surface.fractional * boxes), on_faces, octants])
    _, owners, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    owners = owners.ravel()
    means = np.column_stack([np.bincount(owners, column) / counts for column in surface.fractional.T])
    faces = owners[surface.faces]
    a, b, c = faces.T
    faces = faces[(a != b) & (b != c) & (c != a)]
    # two sheets may still fall on each other
    _, first = np.unique(np.sort(faces, axis=1), axis=0, return_index=True)
    faces = faces[np.sort(first)]
    used, renumbered = np.unique(faces, return_inverse=True)
    return Isosurface(means[used], renumbered.reshape(-1, 3))
