"""Relaxation of atoms in a fixed cell: the ends of a band, and minima on the way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lzc_flows.band.lbfgs import LONGEST_STEP_ANGSTROM, Lbfgs
from lzc_flows.dynamics.forces import ForceField
from lzc_flows.errors import CalculationError


class ExplodedError(CalculationError):
    """An engine gave energies or forces that are no numbers."""


@dataclass(frozen=True, eq=False)
class Settled:
    """Relaxed atoms.

    Attributes
    ----------
    positions
        (atoms, 3), Å.
    energy_ev
        Energy of the cell, eV.
    fmax
        Largest force on an atom, eV/Å.
    converged
        Whether that is within the limit.
    evaluations
        Force evaluations.
    """

    positions: NDArray[np.float64]
    energy_ev: float
    fmax: float
    converged: bool
    evaluations: int


@dataclass(frozen=True)
class SettleLimits:
    """When a relaxation ends: by its largest force, eV/Å, or after so many steps of at most this length, Å."""

    fmax_ev_per_angstrom: float
    max_steps: int
    longest_step_angstrom: float = LONGEST_STEP_ANGSTROM


def settle(
    positions: NDArray[np.float64], cell: NDArray[np.float64], force_field: ForceField, limits: SettleLimits
) -> Settled:
    """Return the minimum that L-BFGS finds from `positions` (atoms, 3), in Å.

    Raises
    ------
    ExplodedError
        Energy or forces are no numbers.
    """
    optimiser, positions = Lbfgs(limits.longest_step_angstrom), positions.copy()
    for evaluations in range(1, limits.max_steps + 2):
        found = force_field.evaluate(positions, cell)
        if not (np.isfinite(found.energy_ev) and np.isfinite(found.forces).all()):
            raise ExplodedError(f"relaxation, step {evaluations - 1}: energy or forces are not finite")
        fmax = float(np.linalg.norm(found.forces, axis=1).max())
        if fmax <= limits.fmax_ev_per_angstrom or evaluations > limits.max_steps:
            break
        positions += optimiser.step(positions, found.forces)
    return Settled(positions, found.energy_ev, fmax, fmax <= limits.fmax_ev_per_angstrom, evaluations)
