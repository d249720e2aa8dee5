"""The state of a run: all that the next step depends on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lzc_flows.documents.aimd_protocol import AimdProtocol
from lzc_flows.dynamics.forces import System
from lzc_flows.dynamics.units import BOLTZMANN_EV
from lzc_flows.errors import InputError


@dataclass
class Extended:
    """Variables of thermostat and barostat.

    Attributes
    ----------
    thermostat
        Rates of the atoms' Nosé–Hoover chain, (m,), 1/fs.
    strain_rate
        Rate at which the cell strains, (3, 3), symmetric, 1/fs.
    barostat
        Rates of the cell's Nosé–Hoover chain, (m,), 1/fs.
    kt_ev
        Target temperature of the last step times Boltzmann's constant, eV, to which the masses of these variables
        are proportional.
    reservoir_ev
        Energy that left the atoms, the cell and the moving parts of the thermostats, eV: the heat of the chains and
        the work of a changing target.
    """

    thermostat: NDArray[np.float64]
    strain_rate: NDArray[np.float64]
    barostat: NDArray[np.float64]
    kt_ev: float
    reservoir_ev: float = 0.0

    @classmethod
    def at_rest(cls, chain_length: int, temperature_k: float) -> Extended:
        """Return variables at rest."""
        return cls(np.zeros(chain_length), np.zeros((3, 3)), np.zeros(chain_length), BOLTZMANN_EV * temperature_k)


@dataclass
class State:
    """Atoms, cell and what moves them, after a number of steps; with the protocol it decides the rest of the run.

    Forces are not part of it: they follow from positions and cell.

    Attributes
    ----------
    system
        The atoms.
    positions
        Unwrapped positions, (n, 3), Å.
    velocities
        Velocities, (n, 3), Å/fs; the total momentum is zero.
    cell
        Lattice vectors as rows, (3, 3), Å.
    extended
        Variables of thermostat and barostat.
    seed
        Seed of the starting velocities.
    step
        Steps done; of the present time step, from the start of the run.
    halvings
        How often the protocol's time steps have been halved.
    cell_sum, cell_count
        Sum of the cell over the second half of the present npt segment, (3, 3), Å, and how many are in it.
    """

    system: System
    positions: NDArray[np.float64]
    velocities: NDArray[np.float64]
    cell: NDArray[np.float64]
    extended: Extended
    seed: int
    step: int = 0
    halvings: int = 0
    cell_sum: NDArray[np.float64] = field(default_factory=lambda: np.zeros((3, 3)))
    cell_count: int = 0

    @property
    def kinetic_ev(self) -> float:
        """Kinetic energy of the atoms, eV."""
        return 0.5 * self.system.twice_kinetic_ev(self.velocities)

    @property
    def temperature_k(self) -> float:
        """Kinetic temperature in K: of 3 n − 3 degrees of freedom."""
        return 2 * self.kinetic_ev / (self.system.degrees_of_freedom * BOLTZMANN_EV)

    @property
    def volume_angstrom3(self) -> float:
        """Volume of the cell, Å³."""
        return abs(float(np.linalg.det(self.cell)))

    @property
    def protocol_step(self) -> int:
        """Whole steps of the protocol's own time step that are done: independent of halvings."""
        return self.step >> self.halvings

    def take_mean_cell(self) -> None:
        """Give the cell its mean over the second half of the npt segment that ends here, atoms scaled along.

        One moment's cell is off by the fluctuations of a small crystal; the mean is what constant pressure was for.
        """
        if self.cell_count:
            mean = self.cell_sum / self.cell_count
            self.positions = self.positions @ np.linalg.solve(self.cell, mean)
            self.cell = mean
        self.cell_sum = np.zeros((3, 3))
        self.cell_count = 0

    def halved(self) -> State:
        """Return this state as one of a run whose time step is half as long."""
        return replace(self, step=2 * self.step, halvings=self.halvings + 1)


@dataclass(frozen=True)
class Crystal:
    """Where a run starts: positions (n, 3) and cell (3, 3) in Å."""

    system: System
    positions: NDArray[np.float64]
    cell: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.positions.shape != (len(self.system.species), 3) or not np.isfinite(self.positions).all():
            raise InputError("positions: three finite numbers for each atom are allowed")
        if self.cell.shape != (3, 3) or not abs(np.linalg.det(self.cell)) > 0:
            raise InputError("cell: three lattice vectors that span a volume are allowed")


def thermal_state(crystal: Crystal, temperature_k: float, seed: int, chain_length: int = 3) -> State:
    """Return the start of a run: Maxwell–Boltzmann velocities whose total momentum is zero.

    The velocities are a sample, not scaled to the temperature: their kinetic temperature scatters by
    √(2/(3 n − 3)), as it does in the run.
    """
    system = crystal.system
    generator = np.random.default_rng(seed)
    spread = np.sqrt(BOLTZMANN_EV * temperature_k / system.inertia)
    velocities = spread * generator.standard_normal(spread.shape)
    velocities -= (system.inertia * velocities).sum(axis=0) / system.inertia[:, 0].sum()
    extended = Extended.at_rest(chain_length, temperature_k)
    return State(system, crystal.positions.astype(float), velocities, crystal.cell.astype(float), extended, seed)


def starting_state(crystal: Crystal, protocol: AimdProtocol, seed: int) -> State:
    """Return the start of a run from a crystal near its minimum of energy.

    Its atoms hold no potential energy of vibration yet. The velocities are therefore drawn at twice the protocol's
    first temperature: half of that energy goes to the potential within the first vibration (equipartition), and the
    crystal is at the temperature asked for. Drawn at that temperature it would fall to half of it.
    """
    temperature_k = protocol.segments[0].start_k
    state = thermal_state(crystal, 2 * temperature_k, seed, protocol.chain_length)
    state.extended.kt_ev = BOLTZMANN_EV * temperature_k
    return state
