"""Limited-memory BFGS on a field of forces, with a bound on each step and no line search.

On the forces of a whole band (not the gradient of any function) this is the global L-BFGS of Sheppard, Terrell &
Henkelman, J. Chem. Phys. 128, 134106 (2008), the fastest of the optimisers they compare.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

MEMORY = 20
"""Steps that are remembered."""

CURVATURE_EV = 20.0
"""Curvature in eV/Å² before anything is remembered: halides are softer than the 70 that ASE starts from."""

LONGEST_STEP_ANGSTROM = 0.2
"""No atom moves farther in one step."""

FARTHEST = 4.0
"""A step that would be so many times as long shows that what is remembered misleads."""


@dataclass(eq=False)
class Lbfgs:
    """The steps of one optimisation.

    Attributes
    ----------
    longest_step_angstrom
        No atom moves farther in one step.
    pairs
        Steps and the changes of forces that they brought, the last ones.
    last
        Positions and forces before the last step.
    """

    longest_step_angstrom: float = LONGEST_STEP_ANGSTROM
    pairs: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=list)
    last: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None

    def step(self, positions: NDArray[np.float64], forces: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return by how much to move, in Å, given positions (Å) and forces (eV/Å), both of shape (..., 3)."""
        if self.last is not None:
            moved, change = positions - self.last[0], self.last[1] - forces
            if float((moved * change).sum()) > 0:
                self.pairs = [*self.pairs, (moved, change)][-MEMORY:]
            else:  # no curvature that a minimum has: what is remembered misleads
                self.pairs = []
        self.last = positions.copy(), forces.copy()
        step = self._direction(forces)
        if self.pairs and longest(step) > FARTHEST * self.longest_step_angstrom:
            # what is remembered is not of this region: along the forces, lest the band folds
            self.pairs = []
            step = self._direction(forces)
        return shortened(step, self.longest_step_angstrom)

    def of_image(self, image: int) -> Lbfgs:
        """Return the optimisation of one image alone, with what is remembered of it."""
        kept = [(moved[[image]], change[[image]]) for moved, change in self.pairs]
        bent = [(moved, change) for moved, change in kept if float((moved * change).sum()) > 0]
        return Lbfgs(self.longest_step_angstrom, bent)

    def anew(self) -> Lbfgs:
        """Return an optimisation that remembers nothing."""
        return Lbfgs(self.longest_step_angstrom)

    def _direction(self, forces: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the inverse Hessian times the forces (two-loop recursion of Nocedal, Math. Comput. 35, 773 (1980))."""
        direction, weights = forces.copy(), []
        for moved, change in reversed(self.pairs):
            weight = float((moved * direction).sum() / (moved * change).sum())
            direction -= weight * change
            weights.append(weight)
        direction /= CURVATURE_EV
        for (moved, change), weight in zip(self.pairs, reversed(weights), strict=True):
            direction += moved * (weight - float((change * direction).sum() / (moved * change).sum()))
        return direction


def longest(step: NDArray[np.float64]) -> float:
    """Return how far the atom goes that moves farthest in a step (..., 3), in Å."""
    return float(np.linalg.norm(step, axis=-1).max())


def shortened(step: NDArray[np.float64], longest_angstrom: float) -> NDArray[np.float64]:
    """Return a step (..., 3) in which no atom moves farther than `longest_angstrom`."""
    found = longest(step)
    return step * (longest_angstrom / found) if found > longest_angstrom else step
