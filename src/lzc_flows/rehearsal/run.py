"""A run: its inputs, forces, files and faults, and how each ionic step is told."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lzc_flows.dynamics.forces import ForceField, Forces
from lzc_flows.rehearsal.electrons import Electrons, electrons_of
from lzc_flows.rehearsal.faults import Faults, When
from lzc_flows.rehearsal.forces import Criteria, Electronic, self_consistent, unconverged
from lzc_flows.rehearsal.inputs import Inputs
from lzc_flows.rehearsal.outputs import Outputs
from lzc_flows.rehearsal.poscar import Arrangement
from lzc_flows.rehearsal.step import BandForces, Heat, IonicStep
from lzc_flows.rehearsal.stopcar import Stop, asked_to_stop

ABORTED = 1
"""Exit status of a run that VASP itself ends early."""


class Aborted(Exception):
    """VASP ends early."""


@dataclass
class Run:
    """A run.

    Attributes
    ----------
    inputs
        What was read.
    force_field
        The engine.
    faults
        What goes wrong.
    arrangement
        Where the atoms are; at the end, what charge densities belong to.
    stop
        Whether it was asked to end.
    """

    inputs: Inputs
    force_field: ForceField
    faults: Faults
    arrangement: Arrangement = field(init=False)
    stop: Stop = Stop.NOT
    _clock: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.arrangement = self.inputs.arrangement

    @cached_property
    def electrons(self) -> Electrons:
        """The bands."""
        return electrons_of(self.inputs)

    @property
    def criteria(self) -> Criteria:
        """When the electrons are converged."""
        most = max(self.inputs.tag("NELM"), 1)  # where none are asked for, an energy is told all the same
        return Criteria(min(self.inputs.tag("NELMIN"), most), most, self.inputs.tag("EDIFF"))

    def evaluate(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> Forces:
        """Return energy and forces, and the virial where ISIF asks for it."""
        if self.inputs.tag("ISIF") == 0:
            return self.force_field.evaluate(positions, cell)
        return self.force_field.evaluate_with_virial(positions, cell)

    def fail_on_demand(self, outputs: Outputs, when: When, number: int) -> None:
        """Let happen what is due.

        Raises
        ------
        Aborted
            VASP ends with a message.
        """
        for message in self.faults.messages(when, number):
            outputs.note(message.text.strip())
            if message.ends:
                raise Aborted
        if when == "ions" and self.faults.begins("kill", number):
            os.kill(os.getpid(), signal.SIGKILL)
        if when == "ions" and self.faults.begins("frozen", number):
            while True:
                time.sleep(60)

    def electronic(self, number: int, energy_ev: float, before_ev: float) -> Electronic:
        """Return the electronic steps of an ionic step; only one if STOPCAR asks for a hard stop."""
        return replace(self._electronic(number, energy_ev), before_ev=before_ev)

    def _electronic(self, number: int, energy_ev: float) -> Electronic:
        self.stop = asked_to_stop(self.inputs.folder) if self.stop is Stop.NOT else self.stop
        atoms = sum(self.inputs.arrangement.counts)
        if self.stop is Stop.AFTER_ELECTRONIC_STEP:
            return Electronic(np.array([energy_ev]), converged=False)
        if self.faults.lasts("nonconverging", number):
            return unconverged(energy_ev, atoms, self.criteria)
        return self_consistent(energy_ev, atoms, number, self.criteria)

    def lap(self) -> float:
        """Return the seconds since the last call."""
        before, self._clock = self._clock, time.perf_counter()
        return self._clock - before


@dataclass
class Teller:
    """Tells the ionic steps of one folder.

    Attributes
    ----------
    run, outputs
        Of what, and where.
    last_ev
        Energy of the step before, eV.
    """

    run: Run
    outputs: Outputs
    last_ev: float = 0.0

    def tell(
        self,
        number: int,
        arrangement: Arrangement,
        forces: Forces,
        heat: Heat | None = None,
        band: BandForces | None = None,
    ) -> None:
        """Write an ionic step.

        Raises
        ------
        Aborted
            A fault was due.
        """
        step = IonicStep(
            number=number,
            cell=arrangement.cell,
            fractional=arrangement.fractional,
            forces=forces,
            electronic=self.run.electronic(number, forces.energy_ev, self.last_ev),
            change_ev=forces.energy_ev - self.last_ev,
            wall_s=self.run.lap(),
            heat=heat,
            band=band,
        )
        self.outputs.electrons(step)
        self.run.fail_on_demand(self.outputs, "electrons", number)
        self.outputs.ions(step)
        self.last_ev = forces.energy_ev


def end_run(run: Run, ended: list[tuple[Outputs, Arrangement]]) -> None:
    """Write what the end of a run brings, in each folder with where its atoms are."""
    for outputs, arrangement in ended:
        if run.stop is not Stop.NOT:
            outputs.note(run.stop.value)
        outputs.end(arrangement)
    if run.faults.begins("truncated", 1):
        ended[0][0].cut_vasprun()
