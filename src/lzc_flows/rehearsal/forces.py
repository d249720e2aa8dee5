"""Where the stand-in's energies and forces come from: a machine-learned engine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lzc_flows.dynamics.forces import ForceField
from lzc_flows.engines.base import Ions
from lzc_flows.engines.mlip import MLIPS

ENGINE = "nep"
"""The engine that plays the electrons."""


def force_field(species: tuple[str, ...]) -> ForceField:
    """Return the engine's forces on these atoms.

    Raises
    ------
    InputError
        The engine is not installed, or does not know an element.
    """
    return MLIPS[ENGINE].force_field(Ions(species))


@dataclass(frozen=True)
class Electronic:
    """How the electrons came to their energy.

    Attributes
    ----------
    energies_ev
        Energy after each electronic step, (s,), eV; the last one is the engine's.
    converged
        Whether EDIFF was reached.
    before_ev
        Energy before the first, eV.
    """

    energies_ev: NDArray[np.float64]
    converged: bool
    before_ev: float = 0.0

    @property
    def changes_ev(self) -> NDArray[np.float64]:
        """Change of the energy by each electronic step, (s,), eV."""
        return np.diff(self.energies_ev, prepend=self.before_ev)


@dataclass(frozen=True)
class Criteria:
    """When electrons are converged: NELMIN, NELM and EDIFF, eV."""

    fewest: int
    most: int
    change_ev: float


_FIRST_EV = 10.0
_LATER_EV = 0.002
_DAMPING = 0.1


def self_consistent(energy_ev: float, atoms: int, number: int, criteria: Criteria) -> Electronic:
    """Return electronic steps as of a well-behaved insulator: each leaves a tenth of the error.

    The first ionic step begins 10 eV an atom above, the others, whose wave functions are extrapolated, 0.002 eV.
    """
    error = atoms * (_FIRST_EV if number == 1 else _LATER_EV)
    energies: list[float] = []
    while len(energies) < criteria.most:
        energies.append(energy_ev + error)
        # the last one takes what is left of the error before it
        if len(energies) >= criteria.fewest and error / _DAMPING < criteria.change_ev:
            energies[-1] = energy_ev
            return Electronic(np.array(energies), converged=True)
        error *= _DAMPING
    energies[-1] = energy_ev
    return Electronic(np.array(energies), converged=False)


def unconverged(energy_ev: float, atoms: int, criteria: Criteria) -> Electronic:
    """Return electronic steps that go up and down until NELM."""
    swings = 0.01 * atoms * np.array([(-1.0) ** number for number in range(criteria.most)])
    swings[-1] = 0
    return Electronic(energy_ev + swings, converged=False)
