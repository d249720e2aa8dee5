"""Energies that are quadratic in what is placed: of point charges, of strained bonds."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from lzc_flows.crystal.orbits import Placement


class QuadraticForm(NamedTuple):
    """The energy of placed ions, base + Σ 2 δᵢ uᵢ + Σ δᵢ Mᵢⱼ δⱼ, in a unit of its own (eV, or valence units squared).

    δᵢ is what the ion placed at site i changes there, 0 where nothing is placed.
    """

    base: float
    """Energy before anything is placed."""
    change: NDArray[np.float64]
    """δ by placement; shape (placements, sites)."""
    potential: NDArray[np.float64]
    """u, before anything is placed; shape (sites,)."""
    matrix: NDArray[np.float64]
    """M, symmetric; shape (sites, sites)."""
    alone: NDArray[np.float64]
    """Cost of an ion with nothing else placed, 2 δ u + δ² M; shape (placements, sites)."""


def quadratic_form(
    base: float, change: NDArray[np.float64], potential: NDArray[np.float64], matrix: NDArray[np.float64]
) -> QuadraticForm:
    """Return the form with the costs of single ions."""
    alone = 2 * change * potential + change**2 * np.diag(matrix)
    return QuadraticForm(base, change, potential, np.ascontiguousarray(matrix), alone)


class PairEnergy(Protocol):
    """What ranks arrangements while they are enumerated."""

    def form(self, placements: list[Placement]) -> QuadraticForm:
        """Return what placing the ions costs; it has the symmetry under which they are enumerated."""
        ...


class Indifferent(NamedTuple):
    """No energy: all arrangements of `n_sites` sites tie at 0."""

    n_sites: int

    def form(self, placements: list[Placement]) -> QuadraticForm:
        """Return a form that is zero."""
        nothing = np.zeros((self.n_sites, self.n_sites))
        return quadratic_form(0.0, np.zeros((len(placements), self.n_sites)), np.zeros(self.n_sites), nothing)
