"""One ionic step, as all files tell of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lzc_flows.dynamics.forces import Forces
from lzc_flows.dynamics.units import GPA_EV
from lzc_flows.rehearsal.forces import Electronic
from lzc_flows.rehearsal.poscar import wrapped

KILOBAR_EV = GPA_EV / 10
"""One kB in eV/Å³."""


@dataclass(frozen=True)
class Heat:
    """What molecular dynamics adds: temperature in K, energies in eV.

    Attributes
    ----------
    temperature_k
        Kinetic temperature.
    kinetic_ev
        Of the atoms.
    reservoir_ev, thermostat_ev
        Potential and kinetic energy of the thermostat.
    """

    temperature_k: float
    kinetic_ev: float
    reservoir_ev: float
    thermostat_ev: float


@dataclass(frozen=True)
class BandForces:
    """What an elastic band adds for one image.

    Attributes
    ----------
    tangent
        Unit tangent, (n, 3).
    nudged
        Nudged forces, (n, 3), eV/Å.
    along_spring, along_real
        Forces of the springs and of the engine along the tangent, eV/Å.
    to_previous, to_next
        Distances to the neighbouring images, Å.
    angle_deg
        Angle between the ways to them, degrees.
    climbs
        Whether the image climbs.
    """

    tangent: NDArray[np.float64]
    nudged: NDArray[np.float64]
    along_spring: float
    along_real: float
    to_previous: float
    to_next: float
    angle_deg: float
    climbs: bool


@dataclass(frozen=True)
class IonicStep:
    """One ionic step.

    Attributes
    ----------
    number
        From 1.
    cell, fractional
        Lattice vectors (3, 3), Å, and fractional coordinates (n, 3).
    forces
        The engine's answer, with virial.
    electronic
        How the electrons came to its energy.
    change_ev
        Change of the energy since the step before, eV.
    wall_s
        How long it took, s.
    heat, band
        What molecular dynamics and elastic bands add.
    """

    number: int
    cell: NDArray[np.float64]
    fractional: NDArray[np.float64]
    forces: Forces
    electronic: Electronic
    change_ev: float
    wall_s: float
    heat: Heat | None = None
    band: BandForces | None = None

    @cached_property
    def inside(self) -> NDArray[np.float64]:
        """Fractional coordinates within the cell."""
        return wrapped(self.fractional)

    @property
    def volume(self) -> float:
        """Volume of the cell, Å³."""
        return abs(float(np.linalg.det(self.cell)))

    @property
    def reciprocal(self) -> NDArray[np.float64]:
        """Reciprocal lattice vectors without 2π as rows, (3, 3), 1/Å."""
        return np.asarray(np.linalg.inv(self.cell).T)

    @property
    def virial_ev(self) -> NDArray[np.float64]:
        """Minus the derivative of the energy by the strain, symmetric, (3, 3), eV."""
        if self.forces.virial_ev is None:
            return np.zeros((3, 3))
        return 0.5 * (self.forces.virial_ev + self.forces.virial_ev.T)

    @property
    def stress_kilobar(self) -> NDArray[np.float64]:
        """Stress in VASP's sign, positive where the cell pushes outwards, (3, 3), kB."""
        return self.virial_ev / (self.volume * KILOBAR_EV)
