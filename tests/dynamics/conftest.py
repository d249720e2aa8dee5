from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes

from lzc_flows.dynamics.forces import ForceField, Forces, System
from lzc_flows.dynamics.state import Crystal, State, thermal_state
from lzc_flows.trajectory.model import Frame

ARGON = 39.948


@dataclass(frozen=True)
class LennardJones:
    """Argon with all pairs in their nearest images; energy and force go to zero at the cutoff."""

    epsilon_ev: float = 0.0104
    sigma: float = 3.4
    cutoff: float = 5.0

    def evaluate(self, positions: np.ndarray, cell: np.ndarray) -> Forces:
        return self.evaluate_with_virial(positions, cell)

    def evaluate_with_virial(self, positions: np.ndarray, cell: np.ndarray) -> Forces:
        first, second = np.triu_indices(len(positions), k=1)
        apart = (positions[first] - positions[second]) @ np.linalg.inv(cell)
        apart = (apart - np.round(apart)) @ cell
        distance = np.sqrt((apart**2).sum(axis=1))
        near = distance < self.cutoff
        apart, distance = apart[near], distance[near]
        energy, slope = self._pair(distance)
        at_cutoff, slope_there = self._pair(np.array(self.cutoff))
        total = (energy - at_cutoff - slope_there * (distance - self.cutoff)).sum()
        push = (-(slope - slope_there) / distance)[:, None] * apart
        forces = np.zeros_like(positions)
        np.add.at(forces, first[near], push)
        np.add.at(forces, second[near], -push)
        return Forces(float(total), forces, apart.T @ push)

    def evaluate_many(self, positions: np.ndarray, cell: np.ndarray) -> list[Forces]:
        return [self.evaluate(each, cell) for each in positions]

    def _pair(self, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sixth = (self.sigma / distance) ** 6
        return 4 * self.epsilon_ev * (sixth**2 - sixth), -24 * self.epsilon_ev * (2 * sixth**2 - sixth) / distance


@dataclass(frozen=True)
class Springs:
    """Each atom on a spring of its own to its place; eV/Å²."""

    places: np.ndarray
    stiffness: np.ndarray

    def evaluate(self, positions: np.ndarray, cell: np.ndarray) -> Forces:
        forces = -self.stiffness * (positions - self.places)
        return Forces(float(0.5 * (self.stiffness * (positions - self.places) ** 2).sum()), forces)

    def evaluate_with_virial(self, positions: np.ndarray, cell: np.ndarray) -> Forces:
        raise NotImplementedError

    def evaluate_many(self, positions: np.ndarray, cell: np.ndarray) -> list[Forces]:
        return [self.evaluate(each, cell) for each in positions]


class AseCalculator(Calculator):
    """Our forces as an ASE calculator, so that ASE's integrators run on the same ones."""

    implemented_properties = ("energy", "free_energy", "forces", "stress")

    def __init__(self, force_field: ForceField) -> None:
        super().__init__()
        self.force_field = force_field

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        found = self.force_field.evaluate_with_virial(atoms.positions, atoms.cell.array)
        stress = -found.virial_ev / atoms.get_volume()
        self.results = {
            "energy": found.energy_ev,
            "free_energy": found.energy_ev,
            "forces": found.forces,
            "stress": stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]],
        }


@dataclass
class Recorder:
    """An observer that keeps everything, and stops before a step."""

    stop_before: Callable[[], bool] = field(default=lambda: False)
    frames: list[Frame] = field(default_factory=list)
    checkpoints: list[int] = field(default_factory=list)

    def frame(self, frame: Frame) -> None:
        self.frames.append(frame)

    def checkpoint(self, state: State) -> None:
        self.checkpoints.append(state.step)

    def stop_requested(self) -> bool:
        return self.stop_before()


def argon_crystal(repeats: int = 2, edge: float = 5.35) -> Crystal:
    """fcc argon."""
    basis = np.array([(0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)])
    corners = np.array(list(itertools.product(range(repeats), repeat=3)))
    positions = edge * (corners[:, None, :] + basis).reshape(-1, 3)
    return Crystal(System.of(["Ar"] * len(positions)), positions, repeats * edge * np.eye(3))


@pytest.fixture(scope="session")
def argon() -> Callable[..., Crystal]:
    return argon_crystal


@pytest.fixture(scope="session")
def lennard_jones() -> LennardJones:
    return LennardJones()


@pytest.fixture(scope="session")
def springs() -> type[Springs]:
    return Springs


@pytest.fixture(scope="session")
def ase_calculator() -> type[AseCalculator]:
    return AseCalculator


@pytest.fixture
def recorder() -> type[Recorder]:
    return Recorder


@pytest.fixture
def warm() -> Callable[..., State]:
    """Argon at a temperature, with all extended variables in motion."""

    def state(temperature_k: float = 60.0, seed: int = 0) -> State:
        state = thermal_state(argon_crystal(), temperature_k, seed)
        generator = np.random.default_rng(seed + 1000)
        state.positions += generator.normal(scale=0.1, size=state.positions.shape)
        state.extended.thermostat[:] = [1e-3, -4e-3, 2e-3]
        strain = generator.normal(scale=1e-5, size=(3, 3))
        state.extended.strain_rate[:] = strain + strain.T
        state.extended.barostat[:] = [4e-4, 3e-4, -2e-4]
        return state

    return state
