"""What molecular dynamics asks of an engine, and what it makes of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lzc_flows.errors import InputError


@dataclass(frozen=True)
class Forces:
    """Energy and forces at one arrangement of atoms.

    Attributes
    ----------
    energy_ev
        Energy of the cell, eV.
    forces
        Forces, (n, 3), eV/Å.
    virial_ev
        Minus the derivative of the energy by the strain, (3, 3), eV; None where it was not asked for.
    """

    energy_ev: float
    forces: NDArray[np.float64]
    virial_ev: NDArray[np.float64] | None = None


class ForceField(Protocol):
    """Energies and forces of one set of atoms.

    The answer depends on the positions and the cell alone, to the last bit: never on what was asked before. Restarts
    that are exact rest on this.
    """

    def evaluate(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> Forces:
        """Return energy and forces at positions (n, 3), wrapped or not, in a cell (3, 3) of rows, both in Å."""
        ...

    def evaluate_with_virial(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> Forces:
        """Return the virial as well, which may take longer."""
        ...

    def evaluate_many(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> list[Forces]:
        """Return energies and forces at several arrangements (m, n, 3) in one cell, together where that is faster."""
        ...


@dataclass(frozen=True)
class System:
    """The atoms of a run, which stay what they are.

    Attributes
    ----------
    species
        Symbol of each atom.
    masses_amu
        Mass of each atom, (n,), amu.
    """

    species: tuple[str, ...]
    masses_amu: NDArray[np.float64]

    def __post_init__(self) -> None:
        if len(self.species) < 2:
            raise InputError(f"{len(self.species)} atoms: at least 2 are allowed, for the centre of mass is held")
        if self.masses_amu.shape != (len(self.species),) or not (self.masses_amu > 0).all():
            raise InputError("masses: one positive number for each atom is allowed, in amu")

    @classmethod
    def of(cls, species: Sequence[str]) -> System:
        """Return the system of these elements with their standard atomic weights (from ASE's tables)."""
        from ase.data import atomic_masses, atomic_numbers

        unknown = sorted(set(species) - set(atomic_numbers))
        if unknown:
            raise InputError(f"species {unknown[0]!r}: symbols of elements are allowed")
        return cls(tuple(species), np.array([atomic_masses[atomic_numbers[symbol]] for symbol in species]))

    @cached_property
    def inertia(self) -> NDArray[np.float64]:
        """Masses for each coordinate, (n, 3), eV fs²/Å²."""
        from lzc_flows.dynamics.units import AMU_EV  # scipy's constants take 0.1 s, which every campaign file would pay

        return np.repeat(self.masses_amu[:, None] * AMU_EV, 3, axis=1)

    @property
    def degrees_of_freedom(self) -> int:
        """Number of degrees of freedom of the momenta: the centre of mass rests, which takes three."""
        return 3 * len(self.species) - 3

    def twice_kinetic_ev(self, velocities: NDArray[np.float64]) -> float:
        """Return twice the kinetic energy in eV of velocities (n, 3) in Å/fs."""
        return float((self.inertia * velocities * velocities).sum())

    def accelerations(self, forces: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return accelerations (n, 3), Å/fs², that leave the centre of mass at rest.

        The net force of an engine is rounding (1e-6 eV/Å in single precision), which would add up over a run.
        """
        return forces / self.inertia - forces.sum(axis=0) / self.inertia[:, 0].sum()
