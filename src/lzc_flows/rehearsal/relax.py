"""Static calculations and relaxations.

All of VASP's optimisers, IBRION = 1, 2, 3 and those of VTST, are played by one: L-BFGS on the atoms and, where ISIF
lets the cell change, on the deformation of the cell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lzc_flows.band.lbfgs import Lbfgs
from lzc_flows.dynamics.forces import Forces
from lzc_flows.rehearsal.inputs import Inputs
from lzc_flows.rehearsal.outputs import Outputs
from lzc_flows.rehearsal.poscar import Arrangement
from lzc_flows.rehearsal.run import Run, Teller
from lzc_flows.rehearsal.stopcar import Stop

LONGEST_STEP_ANGSTROM = 0.2
"""No atom moves farther in one step at POTIM = 0.5; at other values in proportion."""

REACHED = "reached required accuracy - stopping structural energy minimisation"


def longest_step_angstrom(inputs: Inputs) -> float:
    """Return how far an atom moves at most in one step, which POTIM scales; of VTST's optimisers it is MAXMOVE."""
    if inputs.tag("IOPT") > 0:
        return float(inputs.tags.get("MAXMOVE", LONGEST_STEP_ANGSTROM))
    return LONGEST_STEP_ANGSTROM * inputs.tag("POTIM") / 0.5


@dataclass(frozen=True)
class Freedom:
    """What may change.

    Attributes
    ----------
    atoms
        Whether each coordinate of the atoms may, (n, 3).
    shape, volume
        Whether shape and volume of the cell may.
    """

    atoms: NDArray[np.bool_]
    shape: bool
    volume: bool

    @classmethod
    def of(cls, inputs: Inputs) -> Freedom:
        """Return what ISIF and selective dynamics leave free."""
        isif = inputs.tag("ISIF")
        atoms = inputs.arrangement.free if isif not in (5, 6, 7) else np.zeros_like(inputs.arrangement.free)
        return cls(atoms, shape=isif in (3, 4, 5, 6), volume=isif in (3, 6, 7, 8))

    def on_cell(self, virial_ev: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the part of a virial that moves the cell."""
        symmetric = 0.5 * (virial_ev + virial_ev.T)
        pressure = symmetric.trace() / 3 * np.eye(3)
        return (symmetric - pressure if self.shape else 0 * pressure) + (pressure if self.volume else 0)


@dataclass
class Deformed:
    """A crystal as one vector: its atoms in the cell it began with, and its cell's deformation times a length.

    Parametrisation: Tadmor et al., Phys. Rev. B 59, 235 (1999), as in ASE's ``UnitCellFilter``. The length, the cube
    root of the volume, makes a step of the cell as long as the way its faces go.
    """

    cell: NDArray[np.float64]
    atoms: NDArray[np.float64]
    deformation: NDArray[np.float64]

    @classmethod
    def of(cls, arrangement: Arrangement) -> Deformed:
        """Return an arrangement that is not deformed."""
        return cls(arrangement.cell, arrangement.positions, np.eye(3))

    @property
    def length(self) -> float:
        """Length by which the deformation is multiplied, Å."""
        return abs(float(np.linalg.det(self.cell))) ** (1 / 3)

    def vector(self) -> NDArray[np.float64]:
        """Return the vector, (n + 3, 3), Å."""
        return np.vstack([self.atoms, self.length * self.deformation])

    def force(self, forces: Forces, freedom: Freedom) -> NDArray[np.float64]:
        """Return minus the derivative of the energy by the vector, (n + 3, 3), eV/Å."""
        on_atoms = np.where(freedom.atoms, forces.forces @ self.deformation, 0.0)
        virial = np.zeros((3, 3)) if forces.virial_ev is None else freedom.on_cell(forces.virial_ev)
        return np.vstack([on_atoms, np.linalg.solve(self.deformation, virial.T).T / self.length])

    def moved(self, step: NDArray[np.float64]) -> Deformed:
        """Return the crystal after a step of the vector."""
        return replace(self, atoms=self.atoms + step[:-3], deformation=self.deformation + step[-3:] / self.length)

    def arrangement(self, like: Arrangement) -> Arrangement:
        """Return the atoms in the deformed cell."""
        return replace(like, cell=self.cell @ self.deformation.T, fractional=self.atoms @ np.linalg.inv(self.cell))


def converged(inputs: Inputs, forces: Forces, freedom: Freedom, change_ev: float, number: int) -> bool:
    """Return whether EDIFFG is reached: by every force and stress where it is negative, by the energy where not."""
    ediffg = inputs.tag("EDIFFG")
    if ediffg >= 0:
        return number > 1 and abs(change_ev) < ediffg
    largest = float(np.linalg.norm(np.where(freedom.atoms, forces.forces, 0.0), axis=1).max())
    if forces.virial_ev is not None and (freedom.shape or freedom.volume):
        largest = max(largest, float(np.abs(freedom.on_cell(forces.virial_ev)).max()) / len(forces.forces))
    return largest < -ediffg


def run_static(run: Run, outputs: Outputs) -> None:
    """Calculate one arrangement."""
    arrangement = run.arrangement
    forces = run.evaluate(arrangement.positions, arrangement.cell)
    Teller(run, outputs).tell(1, arrangement, forces)
    outputs.contcar(arrangement)
    run.fail_on_demand(outputs, "ions", 1)


def run_relaxation(run: Run, outputs: Outputs) -> None:
    """Relax until EDIFFG, NSW or STOPCAR; CONTCAR holds, as VASP's, where the next step would begin."""
    inputs, teller = run.inputs, Teller(run, outputs)
    freedom, crystal = Freedom.of(inputs), Deformed.of(run.arrangement)
    optimiser = Lbfgs(longest_step_angstrom(inputs))
    for number in range(1, inputs.tag("NSW") + 1):
        run.arrangement = crystal.arrangement(run.arrangement)
        forces = run.evaluate(run.arrangement.positions, run.arrangement.cell)
        change_ev = forces.energy_ev - teller.last_ev
        teller.tell(number, run.arrangement, forces)
        slow = run.faults.lasts("unconverged", number)
        done = not slow and converged(inputs, forces, freedom, change_ev, number)
        if done:
            outputs.note(REACHED)
        else:
            step = optimiser.step(crystal.vector(), crystal.force(forces, freedom))
            crystal = crystal.moved(1e-4 * step if slow else step)
        outputs.contcar(crystal.arrangement(run.arrangement))
        run.fail_on_demand(outputs, "ions", number)
        if done or run.stop is not Stop.NOT:
            break
    run.arrangement = crystal.arrangement(run.arrangement)
