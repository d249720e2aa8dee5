"""Constant pressure after Martyna, Tobias & Klein, with a fully flexible cell.

Equations of motion: J. Chem. Phys. 101, 4177 (1994), section II C; factorisation: Martyna et al., Mol. Phys. 87, 1117
(1996), with chains of their own for atoms and cell. Each of the six strains of the cell is free, for the crystals
here expand differently along a and c. The internal pressure enters symmetrised and the strain rate is symmetric, so
that nothing turns the cell; six degrees of freedom, not nine, are what its chain holds at the target.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import exprel

from lzc_flows.dynamics.forces import Forces
from lzc_flows.dynamics.nose_hoover import Bath, Target, heat_along, propagate_chain
from lzc_flows.dynamics.state import State
from lzc_flows.errors import CalculationError

STRAINS = 6
"""Degrees of freedom of a cell that does not turn."""


class _Strain(NamedTuple):
    """Eigenvalues (1/fs) and eigenvectors (columns) of the strain rate."""

    rates: NDArray[np.float64]
    axes: NDArray[np.float64]


@dataclass(frozen=True)
class MartynaTobiasKlein:
    """Constant pressure and a temperature that is constant or follows a schedule.

    `pressure_ev` is in eV/Å³; `evaluate` must return the virial.
    """

    evaluate: Callable[[NDArray[np.float64], NDArray[np.float64]], Forces]
    degrees_of_freedom: int
    thermostat_fs: float
    barostat_fs: float
    pressure_ev: float

    def step(self, state: State, forces: Forces, target: Target, time_step_fs: float) -> Forces:
        """Advance the state in place by one step from its forces; return the forces at its end."""
        extended, half, kt_ev = state.extended, 0.5 * time_step_fs, target.kt_ev
        if kt_ev != extended.kt_ev:
            # the masses change with the target while the rates stay: the work of that
            before = self._moving_ev(state)
            extended.kt_ev = kt_ev
            extended.reservoir_ev += before - self._moving_ev(state)
        heat_along(state, target)
        self._chains(state, half)
        self._kick_cell(state, forces, half)
        # it stays until the cell is kicked again
        strain = _Strain(*np.linalg.eigh(extended.strain_rate))
        self._kick_atoms(state, forces, strain, half)
        _drift(state, strain, time_step_fs)
        forces = self.evaluate(state.positions, state.cell)
        self._kick_atoms(state, forces, strain, half)
        self._kick_cell(state, forces, half)
        self._chains(state, half)
        heat_along(state, target)
        return forces

    def conserved_ev(self, state: State, forces: Forces) -> float:
        """Return what the equations of motion conserve, eV."""
        enthalpy = state.kinetic_ev + forces.energy_ev + self.pressure_ev * state.volume_angstrom3
        return enthalpy + self._moving_ev(state) + state.extended.reservoir_ev

    @property
    def _mass(self) -> float:
        """Mass of a strain over kT, fs²."""
        return (self.degrees_of_freedom + 3) / 3 * self.barostat_fs**2

    def _baths(self, kt_ev: float) -> tuple[Bath, Bath]:
        return (
            Bath(self.degrees_of_freedom, kt_ev, self.thermostat_fs),
            Bath(STRAINS, kt_ev, self.barostat_fs),
        )

    def _moving_ev(self, state: State) -> float:
        """Kinetic energy of the cell and the chains."""
        extended = state.extended
        atoms, cell = self._baths(extended.kt_ev)
        strain = 0.5 * self._twice_kinetic_cell(state)
        return strain + atoms.kinetic_ev(extended.thermostat) + cell.kinetic_ev(extended.barostat)

    def _twice_kinetic_cell(self, state: State) -> float:
        rate = state.extended.strain_rate
        return self._mass * state.extended.kt_ev * float((rate * rate).sum())

    def _chains(self, state: State, time_fs: float) -> None:
        # the two act on different variables: their order does not matter
        extended = state.extended
        atoms, cell = self._baths(extended.kt_ev)
        scale, heat = propagate_chain(extended.barostat, cell, self._twice_kinetic_cell(state), time_fs)
        extended.strain_rate *= scale
        extended.reservoir_ev += heat
        twice_kinetic = state.system.twice_kinetic_ev(state.velocities)
        scale, heat = propagate_chain(extended.thermostat, atoms, twice_kinetic, time_fs)
        state.velocities *= scale
        extended.reservoir_ev += heat

    def _kick_cell(self, state: State, forces: Forces, time_fs: float) -> None:
        if forces.virial_ev is None:
            raise CalculationError("constant pressure needs an engine that returns the virial")
        momenta = state.system.inertia * state.velocities
        flow = momenta.T @ state.velocities
        pull = flow + forces.virial_ev
        pull = 0.5 * (pull + pull.T)
        twice_kinetic = flow.trace()
        outside = self.pressure_ev * state.volume_angstrom3
        pull[np.diag_indices(3)] += twice_kinetic / self.degrees_of_freedom - outside
        state.extended.strain_rate += time_fs / (self._mass * state.extended.kt_ev) * pull

    def _kick_atoms(self, state: State, forces: Forces, strain: _Strain, time_fs: float) -> None:
        """Solve v̇ = a − (ε̇ + tr ε̇ / g) v exactly for constant strain rate and accelerations."""
        rates, axes = strain.rates, strain.axes
        x = -(rates + rates.sum() / self.degrees_of_freedom) * time_fs
        push = state.system.accelerations(forces.forces) @ axes
        state.velocities[:] = ((state.velocities @ axes) * np.exp(x) + time_fs * exprel(x) * push) @ axes.T


def _drift(state: State, strain: _Strain, time_fs: float) -> None:
    """Solve ṙ = v + ε̇ r and ḣ = ε̇ h exactly for constant strain rate and velocities."""
    axes = strain.axes
    x = strain.rates * time_fs
    grown = np.exp(x)
    moved = (state.positions @ axes) * grown + time_fs * exprel(x) * (state.velocities @ axes)
    state.positions[:] = moved @ axes.T
    state.cell[:] = ((state.cell @ axes) * grown) @ axes.T
