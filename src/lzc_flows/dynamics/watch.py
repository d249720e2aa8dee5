"""Whether a run is still physics: not a number, too hot, energy that comes from nowhere, atoms that collide."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from numpy.typing import NDArray

from lzc_flows.dynamics.forces import System
from lzc_flows.dynamics.state import State
from lzc_flows.errors import CalculationError

Reason = Literal["not finite", "too hot", "energy drift", "atoms too close"]


class ExplosionError(CalculationError):
    """The run left physics behind; a shorter time step from the last checkpoint may help."""

    def __init__(self, reason: Reason, step: int, detail: str) -> None:
        super().__init__(f"step {step}: {reason}: {detail}")
        self.reason = reason
        self.step = step


@dataclass(frozen=True)
class Limits:
    """What is still taken for physics.

    Attributes
    ----------
    temperature_factor, temperature_excess_k
        Largest kinetic temperature: so many times the target plus so many K. The excess leaves room for a crystal that
        starts above its minimum.
    drift_ev_per_atom
        Largest change of the conserved quantity since the last checkpoint, eV per atom.
    closeness
        Smallest distance of two atoms, in sums of their covalent radii.
    """

    temperature_factor: float = 3.0
    temperature_excess_k: float = 1000.0
    drift_ev_per_atom: float = 0.05
    closeness: float = 0.5


@dataclass(frozen=True)
class Watch:
    """Checks a run against limits; each check raises `ExplosionError`."""

    system: System
    limits: Limits = Limits()

    def check_temperature(self, step: int, temperature_k: float, target_k: float) -> None:
        """Refuse what is too hot or not a number."""
        largest = self.limits.temperature_factor * target_k + self.limits.temperature_excess_k
        if temperature_k <= largest:
            return
        if np.isfinite(temperature_k):
            raise ExplosionError("too hot", step, f"{temperature_k:.0f} K, up to {largest:.0f} K is allowed")
        raise ExplosionError("not finite", step, "velocities are not numbers")

    def check_drift(self, step: int, conserved_ev: float, reference_ev: float) -> None:
        """Refuse energy that came from nowhere since the last checkpoint."""
        drift = (conserved_ev - reference_ev) / len(self.system.species)
        if not abs(drift) <= self.limits.drift_ev_per_atom:
            raise ExplosionError(
                "energy drift", step, f"{drift:+.3f} eV per atom, up to {self.limits.drift_ev_per_atom:g} is allowed"
            )

    def check_distances(self, state: State) -> None:
        """Refuse atoms that are too close."""
        pair, distance = self._closest(state)
        if not distance >= 1:
            first, second = (f"{self.system.species[index]}{index}" for index in pair)
            raise ExplosionError(
                "atoms too close", state.step, f"{first} and {second} at {distance:.2f} of the smallest distance"
            )

    def _closest(self, state: State) -> tuple[tuple[int, int], float]:
        """Return the pair of atoms closest in units of its smallest distance, and that distance.

        Rounding fractional differences finds every image nearer than half the cell's smallest width, which the
        smallest distances of real cells are far below; a pair farther apart may be reported as farther still.
        """
        first, second = np.triu_indices(len(self.system.species), k=1)
        fractional = state.positions @ np.linalg.inv(state.cell)
        apart = fractional[first] - fractional[second]
        apart -= np.round(apart)
        ratios = np.linalg.norm(apart @ state.cell, axis=1) / self._smallest
        nearest = int(np.argmin(ratios))
        return (int(first[nearest]), int(second[nearest])), float(ratios[nearest])

    @cached_property
    def _smallest(self) -> NDArray[np.float64]:
        """Smallest distance of each pair, Å."""
        radii = covalent_radii[[atomic_numbers[symbol] for symbol in self.system.species]]
        first, second = np.triu_indices(len(radii), k=1)
        return self.limits.closeness * (radii[first] + radii[second])
