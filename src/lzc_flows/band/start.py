"""The path that a band starts from: past what is in the way, on its better side.

A straight path often runs where symmetry makes every force sideways vanish, such as over the edge that two octahedra
share, while the ion really goes through a tetrahedron on either side of it. A band that starts there stays there, on a
ridge. So the middle of the path is bent to both sides, away from the nearest atoms, relaxed in the plane across the
path, and the lower side is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lzc_flows.band.idpp import idpp
from lzc_flows.band.lbfgs import Lbfgs
from lzc_flows.band.path import linear

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lzc_flows.band.search import Potential

BEND_ANGSTROM = 0.5
"""How far the hopping ions are moved sideways; the middle of a tetrahedron is 0.8 to 1 Å from the edges."""

SKEW_ANGSTROM = 0.05
"""How far across that too, so that no mirror plane is left."""

CROWD_ANGSTROM = 4.0
"""Atoms within this distance crowd an ion."""

FMAX_EV_PER_ANGSTROM = 0.15
MOST_STEPS = 20
"""The middle is relaxed roughly: the band does the rest."""

HOPPING = 0.5
"""Atoms that go at least this part of the longest way hop."""


@dataclass(frozen=True, eq=False)
class Start:
    """A path of images, the ends included, (images + 2, atoms, 3), Å, and the force evaluations that it took."""

    path: NDArray[np.float64]
    evaluations: int


def bent_start(ends: NDArray[np.float64], images: int, potential: Potential) -> Start:
    """Return the interpolated path between two ends (2, atoms, 3), Å, bent to its lower side."""
    path = idpp(linear(ends[0], ends[1], images), potential.cell)
    middle = path[(images + 1) // 2]
    bend = _bend(ends, middle, potential.cell)
    sides = [_relaxed_across(middle + side * bend, ends[1] - ends[0], potential) for side in (1, -1)]
    lower = min(sides, key=lambda side: side.energy_ev)
    # the middle goes where it belongs, the ends stay, the images between follow
    share = np.sin(np.linspace(0.0, np.pi, images + 2))[:, None, None]
    share /= share[(images + 1) // 2]
    return Start(path + share * (lower.positions - middle), sum(side.evaluations for side in sides))


@dataclass(frozen=True, eq=False)
class _Side:
    positions: NDArray[np.float64]
    energy_ev: float
    evaluations: int


def _relaxed_across(positions: NDArray[np.float64], way: NDArray[np.float64], potential: Potential) -> _Side:
    """Return the middle relaxed in the plane across the way between the ends."""
    normal, optimiser = way / np.linalg.norm(way), Lbfgs()
    for step in range(MOST_STEPS):
        found = potential.force_field.evaluate(positions, potential.cell)
        forces = found.forces - (found.forces * normal).sum() * normal
        if step == MOST_STEPS - 1 or np.linalg.norm(forces, axis=1).max() < FMAX_EV_PER_ANGSTROM:
            break
        positions = positions + optimiser.step(positions, forces)
    return _Side(positions, found.energy_ev, step + 1)


def _bend(ends: NDArray[np.float64], middle: NDArray[np.float64], cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by how much each atom of the middle is moved to one side, (atoms, 3), Å."""
    ways = ends[1] - ends[0]
    lengths = np.linalg.norm(ways, axis=1)
    bend = np.zeros_like(middle)
    for atom in np.flatnonzero(lengths >= HOPPING * lengths.max()):
        along = ways[atom] / lengths[atom]
        apart = _nearest_images(np.delete(middle, atom, axis=0) - middle[atom], cell)
        distances = np.linalg.norm(apart, axis=1)
        near = distances < CROWD_ANGSTROM
        across = apart[near] - np.outer(apart[near] @ along, along)
        # the crowd's second moment across the way: least along the direction in which there is room
        crowd = (across / distances[near, None] ** 6).T @ across
        room = np.linalg.eigh(crowd + 1e6 * np.outer(along, along))[1][:, 0]
        bend[atom] = BEND_ANGSTROM * room + SKEW_ANGSTROM * np.cross(along, room)
    return bend


def _nearest_images(vectors: NDArray[np.float64], cell: NDArray[np.float64]) -> NDArray[np.float64]:
    fractional = vectors @ np.linalg.inv(cell)
    return (fractional - np.round(fractional)) @ cell
