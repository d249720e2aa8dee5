"""Velocity Verlet with a Nosé–Hoover chain.

The chain is propagated by the Trotter factorisation with the fourth-order weights of Suzuki and Yoshida: Martyna,
Tuckerman, Tobias & Klein, Mol. Phys. 87, 1117 (1996), equations 25–31. Its variables are rates ξ̇ (1/fs), and its
masses follow the target: Q₁ = g kT τ² and Qⱼ = kT τ², with g degrees of freedom, so that the time constant τ is the
same all along a ramp.

On a ramp the target changes from step to step, and the friction is ξ̇₁ − Ṫ/T: the second term heats a harmonic crystal
as fast as the target rises, g k Ṫ, and leaves the chain to correct what differs. Without it the chain needs its own
rate to reach −Ṫ/T first, and lags by 100 K and more where the ramp is steep against the temperature. What is
conserved then is

    K + U + ½ Σ Qⱼ ξ̇ⱼ² + ∫ kT (g ξ̇₁ + Σ ξ̇ⱼ) dt − ∫ ½ Σ ξ̇ⱼ² dQⱼ − ∫ 2 K Ṫ/T dt ,

the integrals being `Extended.reservoir_ev`; at constant temperature it is the usual one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lzc_flows.dynamics.forces import Forces
from lzc_flows.dynamics.state import State

_OUTER = 1 / (2 - 2 ** (1 / 3))
_WEIGHTS = (_OUTER, 1 - 2 * _OUTER, _OUTER)
"""Fourth order: Yoshida, Phys. Lett. A 150, 262 (1990)."""


class Target(NamedTuple):
    """What a step aims at: kT in its middle (eV), and the ratio of the temperatures at its end and its start."""

    kt_ev: float
    growth: float = 1.0


@dataclass(frozen=True)
class Bath:
    """What a chain keeps at which temperature: degrees of freedom, kT (eV), time constant (fs)."""

    degrees_of_freedom: int
    kt_ev: float
    time_constant_fs: float

    def kinetic_ev(self, rates: NDArray[np.float64]) -> float:
        """Return the kinetic energy of a chain in eV, from its rates in 1/fs."""
        squares = rates * rates
        total = self.degrees_of_freedom * squares[0] + squares[1:].sum()
        return float(0.5 * self.kt_ev * self.time_constant_fs**2 * total)


def propagate_chain(
    rates: NDArray[np.float64], bath: Bath, twice_kinetic_ev: float, time_fs: float
) -> tuple[float, float]:
    """Propagate a chain in place; return the factor of the velocities that it holds and the heat it took, eV."""
    v = rates.tolist()
    g, inverse = bath.degrees_of_freedom, 1 / bath.time_constant_fs**2
    ratio = twice_kinetic_ev / (g * bath.kt_ev)
    scale, angle = 1.0, 0.0
    last = len(v) - 1

    def kick(j: int, step: float) -> None:
        damping = math.exp(-0.25 * step * v[j + 1]) if j < last else 1.0
        # twice the kinetic energy of what is held, over its degrees of freedom and kT
        held = scale * scale * ratio if j == 0 else (g if j == 1 else 1) * v[j - 1] * v[j - 1] / inverse
        pull = (held - 1) * inverse
        v[j] = (v[j] * damping + 0.5 * step * pull) * damping

    for weight in _WEIGHTS:
        step = weight * time_fs
        for j in range(last, -1, -1):
            kick(j, step)
        scale *= math.exp(-step * v[0])
        angle += step * (g * v[0] + sum(v[1:]))
        for j in range(last + 1):
            kick(j, step)
    rates[:] = v
    return scale, bath.kt_ev * angle


def heat_along(state: State, target: Target) -> None:
    """Apply the friction −Ṫ/T of a ramp for half a step, in place."""
    if target.growth != 1:
        state.extended.reservoir_ev -= state.kinetic_ev * (target.growth - 1)
        state.velocities *= math.sqrt(target.growth)


@dataclass(frozen=True)
class VelocityVerlet:
    """Constant energy."""

    evaluate: Callable[[NDArray[np.float64], NDArray[np.float64]], Forces]

    def step(self, state: State, forces: Forces, target: Target, time_step_fs: float) -> Forces:
        """Advance the state in place by one step from its forces; return the forces at its end.

        The target is ignored.
        """
        half = 0.5 * time_step_fs
        state.velocities += half * state.system.accelerations(forces.forces)
        state.positions += time_step_fs * state.velocities
        forces = self.evaluate(state.positions, state.cell)
        state.velocities += half * state.system.accelerations(forces.forces)
        return forces

    def conserved_ev(self, state: State, forces: Forces) -> float:
        """Return what the equations of motion conserve, eV."""
        return state.kinetic_ev + forces.energy_ev + state.extended.reservoir_ev


@dataclass(frozen=True)
class NoseHooverChain:
    """Constant volume, with a temperature that is constant or follows a schedule."""

    evaluate: Callable[[NDArray[np.float64], NDArray[np.float64]], Forces]
    degrees_of_freedom: int
    thermostat_fs: float

    def step(self, state: State, forces: Forces, target: Target, time_step_fs: float) -> Forces:
        """Advance the state in place by one step from its forces; return the forces at its end."""
        extended, kt_ev = state.extended, target.kt_ev
        # the masses change with the target while the rates stay: the work of that
        old, bath = self._bath(extended.kt_ev), self._bath(kt_ev)
        if kt_ev != extended.kt_ev:
            extended.reservoir_ev += old.kinetic_ev(extended.thermostat) - bath.kinetic_ev(extended.thermostat)
            extended.kt_ev = kt_ev
        heat_along(state, target)
        self._thermostat(state, bath, 0.5 * time_step_fs)
        forces = VelocityVerlet(self.evaluate).step(state, forces, target, time_step_fs)
        self._thermostat(state, bath, 0.5 * time_step_fs)
        heat_along(state, target)
        return forces

    def conserved_ev(self, state: State, forces: Forces) -> float:
        """Return what the equations of motion conserve, eV."""
        moving = self._bath(state.extended.kt_ev).kinetic_ev(state.extended.thermostat)
        return state.kinetic_ev + forces.energy_ev + moving + state.extended.reservoir_ev

    def _bath(self, kt_ev: float) -> Bath:
        return Bath(self.degrees_of_freedom, kt_ev, self.thermostat_fs)

    def _thermostat(self, state: State, bath: Bath, time_fs: float) -> None:
        twice_kinetic = state.system.twice_kinetic_ev(state.velocities)
        scale, heat = propagate_chain(state.extended.thermostat, bath, twice_kinetic, time_fs)
        state.velocities *= scale
        state.extended.reservoir_ev += heat
