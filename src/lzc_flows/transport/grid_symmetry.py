"""Symmetry operations that map the nodes of a grid onto nodes, and the orbits of the nodes under them.

An operation is kept only where it maps the framework onto itself far more tightly than any symmetry search asks: the
energies of the nodes of one orbit are then equal to less than 0.1 meV.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba
import numpy as np
import spglib
from scipy.spatial import cKDTree

from lzc_flows.transport.framework import Framework

if TYPE_CHECKING:
    from numpy.typing import NDArray

SITE_TOLERANCE_ANGSTROM = 1e-7
"""A checked operation maps a site onto one of its kind within this, a product of two within twice this. Forces are
at most some 500 eV/Å where the energy is not clipped."""

_METRIC_TOLERANCE = 1e-8  # of the lattice, relative to the lengths of its vectors
_SEARCH_TOLERANCE_ANGSTROM = 1e-5  # of spglib, which only proposes
_NODE_TOLERANCE = 1e-2  # of a translation, in nodes, before it is rounded and checked with the sites

_UNSEEN = 2  # mark of a node in `representatives`, besides 1 for representatives and 0 for their images


@dataclass(frozen=True, eq=False)
class GridOperations:
    """Operations on the nodes of a grid, the identity left out.

    Attributes
    ----------
    matrices
        Shape (m, 3, 3), integers: node v goes to ``matrix @ v + translation``, modulo the shape of the grid.
    translations
        Shape (m, 3), integers, in nodes.
    """

    matrices: NDArray[np.int64]
    translations: NDArray[np.int64]


NO_OPERATIONS = GridOperations(np.zeros((0, 3, 3), dtype=np.int64), np.zeros((0, 3), dtype=np.int64))


def grid_operations(framework: Framework, shape: tuple[int, int, int]) -> GridOperations:
    """Return the symmetry operations of a framework that map the nodes of a grid onto nodes."""
    found = _proposed_operations(framework)
    if found is None:
        return NO_OPERATIONS
    rotations, translations = found
    nodes = np.array(shape)
    # x' = W x + w with x = v/n is v' = (n W/n) v + n w
    scaled = rotations * nodes[:, None]
    shifts = translations * nodes
    steps = np.rint(shifts).astype(np.int64)
    fits = np.all(scaled % nodes == 0, axis=(1, 2)) & np.all(np.abs(shifts - steps) <= _NODE_TOLERANCE, axis=1)
    rotations, steps = rotations[fits], steps[fits] % nodes
    kept = _verified(framework, rotations, steps, nodes)
    matrices = rotations * nodes[:, None] // nodes
    return GridOperations(np.ascontiguousarray(matrices[kept]), np.ascontiguousarray(steps[kept]))


def _proposed_operations(framework: Framework) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """Return spglib's rotations (m, 3, 3) and translations (m, 3), fractional; None where it finds none."""
    cell = (framework.lattice_angstrom.tolist(), framework.fractional.tolist(), framework.kinds.tolist())
    try:
        found = spglib.get_symmetry(cell, symprec=_SEARCH_TOLERANCE_ANGSTROM)
    except spglib.error.SpglibError:
        return None
    return None if found is None else (found["rotations"].astype(np.int64), found["translations"])


def _verified(
    framework: Framework, rotations: NDArray[np.int64], steps: NDArray[np.int64], nodes: NDArray[np.int64]
) -> list[int]:
    """Return the indices of the operations, the identity left out, that keep the lattice and the sites.

    One operation of each rotation is checked with the sites; the others of that rotation must differ from it by a
    translation that was checked. Supercells have thousands of operations.
    """
    of_rotation: dict[bytes, list[int]] = {np.eye(3, dtype=np.int64).tobytes(): []}  # the translations come first
    for index, rotation in enumerate(rotations):
        of_rotation.setdefault(rotation.tobytes(), []).append(index)
    pure, *others = of_rotation.values()
    trees = _site_trees(framework)
    kept = [
        index
        for index in pure
        if steps[index].any() and _keeps_sites(framework, trees, rotations[index], steps[index] / nodes)
    ]
    translations = {(0, 0, 0), *(tuple(steps[index]) for index in kept)}
    for group in others:
        if not _keeps_lattice(framework.lattice_angstrom, rotations[group[0]]):
            continue
        checked = (index for index in group if _keeps_sites(framework, trees, rotations[index], steps[index] / nodes))
        first = next(checked, None)
        if first is not None:
            kept += [index for index in group if tuple((steps[index] - steps[first]) % nodes) in translations]
    return kept


def _keeps_lattice(lattice: NDArray[np.float64], rotation: NDArray[np.int64]) -> bool:
    metric = lattice @ lattice.T
    lengths = np.sqrt(np.diag(metric))
    difference = np.abs(rotation.T @ metric @ rotation - metric)
    return bool(np.all(difference <= _METRIC_TOLERANCE * np.outer(lengths, lengths)))


def _site_trees(framework: Framework) -> list[cKDTree]:
    """Return a periodic tree of the fractional positions of each kind's sites."""
    positions = _wrapped(framework.fractional)
    return [cKDTree(positions[framework.kinds == kind], boxsize=1) for kind in range(len(framework.ions))]


def _wrapped(fractional: NDArray[np.float64]) -> NDArray[np.float64]:
    # the remainder of a tiny negative number rounds to 1, which the trees refuse
    return fractional % 1 % 1


def _keeps_sites(
    framework: Framework, trees: list[cKDTree], rotation: NDArray[np.int64], translation: NDArray[np.float64]
) -> bool:
    """Whether an operation permutes the sites of every kind."""
    mapped = _wrapped(framework.fractional @ rotation.T + translation)
    for kind, tree in enumerate(trees):
        images = mapped[framework.kinds == kind]
        _, target = tree.query(images)
        offsets = images - tree.data[target]
        distances = np.linalg.norm((offsets - np.rint(offsets)) @ framework.lattice_angstrom, axis=1)
        if distances.max() > SITE_TOLERANCE_ANGSTROM or len(np.unique(target)) < len(images):
            return False
    return True


def representatives(shape: tuple[int, int, int], operations: GridOperations) -> NDArray[np.uint8]:
    """Return an array of the grid's shape, one on a single node of every orbit and zero on the others."""
    marks = np.full(shape, _UNSEEN, dtype=np.uint8)
    _mark_orbits(marks, operations.matrices, operations.translations)
    return marks


def spread(energies_ev: NDArray[np.float64], representative: NDArray[np.uint8], operations: GridOperations) -> None:
    """Copy the energies of the representatives to all nodes of their orbits, in place."""
    _copy_to_orbits(energies_ev, representative, operations.matrices, operations.translations)


@numba.njit(cache=True, nogil=True, inline="always")
def _image(
    node: tuple[int, int, int], matrix: NDArray[np.int64], translation: NDArray[np.int64], shape: tuple[int, int, int]
) -> tuple[int, int, int]:
    i, j, k = node
    a = matrix[0, 0] * i + matrix[0, 1] * j + matrix[0, 2] * k + translation[0]
    b = matrix[1, 0] * i + matrix[1, 1] * j + matrix[1, 2] * k + translation[1]
    c = matrix[2, 0] * i + matrix[2, 1] * j + matrix[2, 2] * k + translation[2]
    return a % shape[0], b % shape[1], c % shape[2]


@numba.njit(cache=True, nogil=True)
def _mark_orbits(marks: NDArray[np.uint8], matrices: NDArray[np.int64], translations: NDArray[np.int64]) -> None:
    for node in np.ndindex(marks.shape):
        if marks[node] == _UNSEEN:
            marks[node] = 1
            for m in range(len(matrices)):
                image = _image(node, matrices[m], translations[m], marks.shape)
                if marks[image] == _UNSEEN:
                    marks[image] = 0


@numba.njit(cache=True, nogil=True)
def _copy_to_orbits(
    energies: NDArray[np.float64],
    representative: NDArray[np.uint8],
    matrices: NDArray[np.int64],
    translations: NDArray[np.int64],
) -> None:
    for node in np.ndindex(energies.shape):
        if representative[node]:
            for m in range(len(matrices)):
                energies[_image(node, matrices[m], translations[m], energies.shape)] = energies[node]
