"""Molecular dynamics: VASP's constant energy, and its thermostats of Nosé and of Nosé and Hoover.

In VASP the two thermostats, MDALGO = 0 and 2, are one: a single variable with the mass SMASS. VASP's own value,
SMASS = 0, gives it a period of 40 time steps at TEBEG: Q = 2 g k T (40 Δt / 2π)², with g degrees of freedom (Nosé,
J. Chem. Phys. 81, 511 (1984), equation 2.33). SMASS is in units of amu times the square of the first lattice vector's
length.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from lzc_flows.dynamics.forces import Forces, System
from lzc_flows.dynamics.nose_hoover import NoseHooverChain, Target, VelocityVerlet
from lzc_flows.dynamics.state import Crystal, Extended, State, thermal_state
from lzc_flows.dynamics.units import AMU_EV, BOLTZMANN_EV
from lzc_flows.rehearsal.inputs import Inputs
from lzc_flows.rehearsal.outputs import Outputs
from lzc_flows.rehearsal.poscar import Motion
from lzc_flows.rehearsal.run import Run, Teller
from lzc_flows.rehearsal.step import Heat
from lzc_flows.rehearsal.stopcar import Stop

_PERIOD_STEPS = 40


class _Propagator(Protocol):
    """Advances a state by one step."""

    def advance(self, state: State, forces: Forces, kt_ev: float) -> Forces:
        """Advance the state in place; return the forces at the end."""
        ...

    def thermostat_ev(self, state: State) -> float:
        """Return the thermostat's kinetic energy, eV."""
        ...


@dataclass(frozen=True)
class _Free:
    """Constant energy."""

    run: Run

    def advance(self, state: State, forces: Forces, kt_ev: float) -> Forces:
        time_step_fs = self.run.inputs.tag("POTIM")
        return VelocityVerlet(self.run.evaluate).step(state, forces, Target(kt_ev), time_step_fs)

    def thermostat_ev(self, state: State) -> float:
        return 0.0


@dataclass(frozen=True)
class _Nose:
    """A thermostat of constant mass, in eV fs²."""

    run: Run
    mass: float

    def advance(self, state: State, forces: Forces, kt_ev: float) -> Forces:
        degrees = state.system.degrees_of_freedom
        # the mass is the same at all temperatures: no work is done on it by a target that changes
        state.extended.kt_ev = kt_ev
        chain = NoseHooverChain(self.run.evaluate, degrees, math.sqrt(self.mass / (degrees * kt_ev)))
        return chain.step(state, forces, Target(kt_ev), self.run.inputs.tag("POTIM"))

    def thermostat_ev(self, state: State) -> float:
        return 0.5 * self.mass * float(state.extended.thermostat[0]) ** 2


def run_dynamics(run: Run, outputs: Outputs) -> None:
    """Run NSW steps, or until STOPCAR; CONTCAR holds, as VASP's, where the next step begins."""
    inputs, teller = run.inputs, Teller(run, outputs)
    state = starting_state(inputs)
    propagator = _propagator(run, state.system)
    forces = run.evaluate(state.positions, state.cell)
    steps = inputs.tag("NSW")
    for number in range(1, steps + 1):
        teller.tell(number, run.arrangement, forces, _heat(state, propagator))
        kt_ev = BOLTZMANN_EV * target_k(inputs, number - 0.5)
        forces = propagator.advance(state, forces, kt_ev)
        run.arrangement = replace(run.arrangement, fractional=state.positions @ np.linalg.inv(state.cell))
        outputs.contcar(run.arrangement, _motion(state, forces, kt_ev, inputs))
        run.fail_on_demand(outputs, "ions", number)
        if run.stop is not Stop.NOT:
            break


def target_k(inputs: Inputs, steps: float) -> float:
    """Return the temperature that the thermostat aims at after so many steps, K: linear from TEBEG to TEEND."""
    start, end = inputs.tag("TEBEG"), inputs.tag("TEEND")
    return float(start + (end - start) * steps / inputs.tag("NSW"))


def nose_mass(inputs: Inputs, degrees_of_freedom: int) -> float:
    """Return the mass of the thermostat's variable, eV fs²."""
    if inputs.tag("SMASS") > 0:
        length = float(np.linalg.norm(inputs.arrangement.cell[0]))
        return float(inputs.tag("SMASS")) * AMU_EV * length**2
    period = _PERIOD_STEPS * inputs.tag("POTIM") / (2 * math.pi)
    return float(2 * degrees_of_freedom * BOLTZMANN_EV * inputs.tag("TEBEG") * period**2)


def starting_state(inputs: Inputs) -> State:
    """Return where a run begins: with the velocities of POSCAR, or with random ones of exactly TEBEG.

    The seed is RANDOM_SEED, or follows from POSCAR: the same files give the same run.
    """
    arrangement = inputs.arrangement
    system = System(arrangement.species, inputs.masses_amu)
    crystal = Crystal(system, arrangement.positions, arrangement.cell)
    state = thermal_state(crystal, inputs.tag("TEBEG"), _seed(inputs), chain_length=1)
    if arrangement.velocities is not None:
        state.velocities = arrangement.velocities.copy()
    elif inputs.tag("TEBEG") > 0:
        state.velocities *= math.sqrt(inputs.tag("TEBEG") / state.temperature_k)
    if arrangement.thermostat is not None:
        reservoir, rate, *_ = arrangement.thermostat
        kt_ev = BOLTZMANN_EV * inputs.tag("TEBEG")
        state.extended = Extended(np.array([rate]), np.zeros((3, 3)), np.zeros(1), kt_ev, reservoir)
    return state


def _seed(inputs: Inputs) -> int:
    if "RANDOM_SEED" in inputs.tags:
        return abs(int(inputs.tags["RANDOM_SEED"][0]))
    arrangement = inputs.arrangement
    content = " ".join(arrangement.species).encode() + arrangement.fractional.tobytes() + arrangement.cell.tobytes()
    return int.from_bytes(hashlib.sha256(content).digest()[:4], "big")


def _propagator(run: Run, system: System) -> _Propagator:
    inputs = run.inputs
    if inputs.tag("MDALGO") == 1 or inputs.tag("SMASS") == -3:
        return _Free(run)
    return _Nose(run, nose_mass(inputs, system.degrees_of_freedom))


def _heat(state: State, propagator: _Propagator) -> Heat:
    return Heat(
        temperature_k=state.temperature_k,
        kinetic_ev=state.kinetic_ev,
        reservoir_ev=state.extended.reservoir_ev,
        thermostat_ev=propagator.thermostat_ev(state),
    )


def _motion(state: State, forces: Forces, kt_ev: float, inputs: Inputs) -> Motion:
    return Motion(
        velocities=state.velocities,
        accelerations=state.system.accelerations(forces.forces),
        time_step_fs=inputs.tag("POTIM"),
        thermostat=(state.extended.reservoir_ev, float(state.extended.thermostat[0]), kt_ev, 0.0),
    )
