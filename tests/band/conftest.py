from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator

from lzc_flows.band.path import linear
from lzc_flows.band.search import PathSearch, Potential, SearchState, new_leg
from lzc_flows.documents.protocols import NebProtocol
from lzc_flows.dynamics.forces import ForceField, Forces

CELL = 20.0 * np.eye(3)

Surface = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""Energy (eV) and gradient (n, 3) of positions (n, 3)."""


@dataclass
class Analytic:
    """A closed form as the forces of an engine."""

    surface: Surface
    evaluations: int = 0

    def evaluate(self, positions: np.ndarray, cell: np.ndarray) -> Forces:
        self.evaluations += 1
        energy, gradient = self.surface(positions)
        return Forces(float(energy), -gradient)

    def evaluate_with_virial(self, positions: np.ndarray, cell: np.ndarray) -> Forces:
        raise NotImplementedError

    def evaluate_many(self, positions: np.ndarray, cell: np.ndarray) -> list[Forces]:
        return [self.evaluate(each, cell) for each in positions]


@dataclass(frozen=True)
class MuellerBrown:
    """The surface of Müller & Brown, Theor. Chim. Acta 53, 75 (1979), 2 Å a unit and 10 meV a unit of energy.

    The third coordinate of the atom is on a spring. Stationary points, found by Newton's method from those that the
    paper gives, are the class's attributes: (x, y) in the paper's units and the energy there.
    """

    angstrom: float = 2.0
    ev: float = 0.01

    minima = (
        (-0.5582236346, 1.4417258418, -146.69951721),
        (-0.0500108230, 0.4666941049, -80.76781812),
        (0.6234994050, 0.0280377585, -108.16672412),
    )
    saddles = ((-0.8220015587, 0.6243128028, -40.66484351), (0.2124865820, 0.2929883251, -72.24894011))

    def __call__(self, positions: np.ndarray) -> tuple[float, np.ndarray]:
        heights = np.array([-200.0, -100.0, -170.0, 15.0])
        xx, xy, yy = np.array([-1, -1, -6.5, 0.7]), np.array([0, 0, 11, 0.6]), np.array([-10, -10, -6.5, 0.7])
        x = positions[0, 0] / self.angstrom - np.array([1, 0, -0.5, -1])
        y = positions[0, 1] / self.angstrom - np.array([0, 0.5, 1.5, 1])
        terms = self.ev * heights * np.exp(xx * x * x + xy * x * y + yy * y * y)
        gradient = np.zeros_like(positions)
        gradient[0] = [
            (terms * (2 * xx * x + xy * y)).sum() / self.angstrom,
            (terms * (xy * x + 2 * yy * y)).sum() / self.angstrom,
            4.0 * positions[0, 2],
        ]
        return float(terms.sum() + 2.0 * positions[0, 2] ** 2), gradient

    def at(self, point: tuple[float, float, float]) -> tuple[np.ndarray, float]:
        """Positions of the atom at a stationary point, and the energy there in eV."""
        return self.angstrom * np.array([[point[0], point[1], 0.0]]), self.ev * point[2]


@dataclass(frozen=True)
class DoubleWell:
    """Symmetric quartic double well along a curved channel.

    height·((x/half)² − 1)² + ½·stiffness·((y − bend·(1 − (x/half)²))² + z²): minima at (±half, 0, 0) with energy 0, the
    saddle at (0, bend, 0) with the height.
    """

    height: float = 0.4
    half: float = 1.8
    bend: float = 0.6
    stiffness: float = 5.0

    def __call__(self, positions: np.ndarray) -> tuple[float, np.ndarray]:
        x, y, z = positions[0]
        well, off = (x / self.half) ** 2 - 1, y + self.bend * ((x / self.half) ** 2 - 1)
        gradient = np.zeros_like(positions)
        slope = 2 * x / self.half**2
        gradient[0] = [
            2 * self.height * well * slope + self.stiffness * off * self.bend * slope,
            self.stiffness * off,
            self.stiffness * z,
        ]
        return self.height * well**2 + 0.5 * self.stiffness * (off**2 + z**2), gradient

    @property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        return np.array([[-self.half, 0, 0]]), np.array([[self.half, 0, 0]])


@dataclass(frozen=True)
class Waves:
    """height·(1 − cos(2π x/period))/2 along x + tilt·x, springs across: minima at each period of x."""

    height: float = 0.3
    period: float = 2.0
    tilt: float = 0.0
    stiffness: float = 4.0

    def __call__(self, positions: np.ndarray) -> tuple[float, np.ndarray]:
        x, y, z = positions[0]
        k = 2 * np.pi / self.period
        gradient = np.zeros_like(positions)
        gradient[0] = [0.5 * self.height * k * np.sin(k * x) + self.tilt, self.stiffness * y, self.stiffness * z]
        energy = 0.5 * self.height * (1 - np.cos(k * x)) + self.tilt * x + 0.5 * self.stiffness * (y * y + z * z)
        return float(energy), gradient


@dataclass
class Keeper:
    """An observer that keeps a copy of each state."""

    states: list[SearchState] = field(default_factory=list)

    def step(self, state: SearchState) -> None:
        self.states.append(copy.deepcopy(state))


def search_between(
    force_field: ForceField, initial: np.ndarray, final: np.ndarray, protocol: NebProtocol, cell: np.ndarray = CELL
) -> PathSearch:
    """A search from the straight path between two relaxed ends."""
    potential = Potential(force_field, cell)
    energies = (force_field.evaluate(initial, cell).energy_ev, force_field.evaluate(final, cell).energy_ev)
    path = linear(initial, final, protocol.images or 5)
    return PathSearch(SearchState([new_leg(path, energies, potential)]), potential, protocol)


@pytest.fixture(scope="session")
def analytic() -> type[Analytic]:
    return Analytic


@pytest.fixture(scope="session")
def mueller_brown() -> MuellerBrown:
    return MuellerBrown()


@pytest.fixture(scope="session")
def double_well() -> type[DoubleWell]:
    return DoubleWell


@pytest.fixture(scope="session")
def waves() -> type[Waves]:
    return Waves


@pytest.fixture(scope="session")
def keeper() -> type[Keeper]:
    return Keeper


@pytest.fixture(scope="session")
def between() -> Callable[..., PathSearch]:
    return search_between


@dataclass
class OfAse:
    """An ASE calculator as the forces of an engine."""

    atoms: Atoms
    calculator: Calculator
    evaluations: int = 0

    def evaluate(self, positions: np.ndarray, cell: np.ndarray) -> Forces:
        self.evaluations += 1
        atoms = Atoms(self.atoms.get_chemical_symbols(), positions=positions, cell=cell, pbc=True)
        atoms.calc = self.calculator
        return Forces(float(atoms.get_potential_energy()), atoms.get_forces())

    def evaluate_with_virial(self, positions: np.ndarray, cell: np.ndarray) -> Forces:
        raise NotImplementedError

    def evaluate_many(self, positions: np.ndarray, cell: np.ndarray) -> list[Forces]:
        return [self.evaluate(each, cell) for each in positions]


@pytest.fixture(scope="session")
def of_ase() -> type[OfAse]:
    return OfAse
