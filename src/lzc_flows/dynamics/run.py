"""Molecular dynamics step by step: from a state, by a protocol, with an engine's forces.

What a step does depends on the state and the protocol alone. A run that is cut at any step and goes on from its state
is therefore the uncut run, bit for bit, as long as the engine's forces are a function of the positions and the cell.
"""

from __future__ import annotations

from typing import Protocol

from numpy.linalg import LinAlgError

from lzc_flows.documents.aimd_protocol import AimdProtocol
from lzc_flows.dynamics.forces import ForceField, Forces
from lzc_flows.dynamics.mtk import MartynaTobiasKlein
from lzc_flows.dynamics.nose_hoover import NoseHooverChain, VelocityVerlet
from lzc_flows.dynamics.schedule import Schedule, Stretch
from lzc_flows.dynamics.state import State
from lzc_flows.dynamics.units import GPA_EV
from lzc_flows.dynamics.watch import ExplosionError, Limits, Watch
from lzc_flows.trajectory.model import Frame

Integrator = VelocityVerlet | NoseHooverChain | MartynaTobiasKlein


class Observer(Protocol):
    """Who is told what a run does."""

    def frame(self, frame: Frame) -> None:
        """Take a frame."""
        ...

    def checkpoint(self, state: State) -> None:
        """Keep the state, now, from which the run can go on; all frames up to it have been given before."""
        ...

    def stop_requested(self) -> bool:
        """Return whether the run should stop before its next step."""
        ...


class Dynamics:
    """A run: a state that advances.

    The observer is not told of the state that a run starts from: of a new run, `frame` is its first frame.

    Parameters
    ----------
    state
        Where to start, the beginning or a checkpoint; it is advanced in place.
    protocol
        What to do.
    force_field
        The engine's forces on these atoms.
    limits
        Beyond which the run has failed.
    """

    _stretch: Stretch
    _integrator: Integrator
    _forces: Forces

    def __init__(
        self, state: State, protocol: AimdProtocol, force_field: ForceField, limits: Limits | None = None
    ) -> None:
        self.state = state
        self.schedule = Schedule.of(protocol, state.halvings)
        self._force_field = force_field
        self._watch = Watch(state.system, limits or Limits())
        self._start(self.schedule.stretch(state.step))
        self._reference_ev = self._conserved_ev()

    @property
    def finished(self) -> bool:
        """Whether the protocol is done."""
        return self.state.step >= self.schedule.steps

    def run(self, observer: Observer) -> bool:
        """Advance to the end of the protocol, or until the observer wants to stop; return whether it is the end.

        The last thing that the observer is told is a checkpoint, also of a run that stops.

        Raises
        ------
        ExplosionError
            The run left physics behind; what is told before is good.
        """
        while not self.finished:
            if observer.stop_requested():
                self._checkpoint(observer)
                return False
            self.advance()
            number = self.schedule.frame_number(self._stretch, self.state.step)
            if number is None:
                continue
            frame = self.frame()
            self._watch.check_drift(self.state.step, frame.conserved_ev, self._reference_ev)
            due = self.schedule.is_checkpoint(number) or self.finished
            if due:
                self._watch.check_distances(self.state)
            observer.frame(frame)
            if due:
                self._reference_ev = frame.conserved_ev
                observer.checkpoint(self.state)
        return True

    def advance(self) -> None:
        """Do one step.

        Raises
        ------
        ExplosionError
            The atoms are too hot, or nowhere.
        """
        state = self.state
        if state.step == self._stretch.stop:
            self._turn_to(self.schedule.stretches[self._stretch.number + 1])
        stretch = self._stretch
        target = stretch.target(state.step)
        try:
            self._forces = self._integrator.step(state, self._forces, target, stretch.time_step_fs)
        except (OverflowError, LinAlgError) as error:
            raise ExplosionError("not finite", state.step + 1, str(error)) from None
        state.step += 1
        if stretch.ensemble == "npt" and 2 * state.step > stretch.first + stretch.stop:
            state.cell_sum += state.cell
            state.cell_count += 1
        self._watch.check_temperature(state.step, state.temperature_k, stretch.target_k(state.step))

    def frame(self) -> Frame:
        """Return the present moment, with arrays of its own.

        Its step counts the protocol's own time steps, whatever the present one; `conserved_ev` is continuous over
        the segments of the run.
        """
        state = self.state
        return Frame(
            step=state.protocol_step,
            time_ps=self._stretch.time_fs(state.step) / 1000,
            positions=state.positions.copy(),
            cell=state.cell.copy(),
            temperature_k=state.temperature_k,
            potential_ev=self._forces.energy_ev,
            kinetic_ev=state.kinetic_ev,
            conserved_ev=self._conserved_ev(),
        )

    def _conserved_ev(self) -> float:
        return self._integrator.conserved_ev(self.state, self._forces)

    def _checkpoint(self, observer: Observer) -> None:
        self._watch.check_drift(self.state.step, self._conserved_ev(), self._reference_ev)
        self._watch.check_distances(self.state)
        observer.checkpoint(self.state)

    def _turn_to(self, stretch: Stretch) -> None:
        """Take over from the stretch before."""
        before, extended, energy = self._stretch.ensemble, self.state.extended, self._conserved_ev()
        if before != stretch.ensemble:
            extended.strain_rate[:] = 0
            extended.barostat[:] = 0
        if before == "npt" != stretch.ensemble:
            self.state.take_mean_cell()
        if stretch.ensemble == "nve":
            extended.thermostat[:] = 0
        self._start(stretch)
        # what ends here, such as a barostat, leaves its energy in the books
        extended.reservoir_ev += energy - self._conserved_ev()

    def _start(self, stretch: Stretch) -> None:
        self._stretch = stretch
        self._integrator = self._integrator_of(stretch)
        # afresh, even where forces are known: an engine may round them differently with and without virial
        self._forces = self._integrator.evaluate(self.state.positions, self.state.cell)

    def _integrator_of(self, stretch: Stretch) -> Integrator:
        protocol, freedom = self.schedule.protocol, self.state.system.degrees_of_freedom
        if stretch.ensemble == "nve":
            return VelocityVerlet(self._force_field.evaluate)
        if stretch.ensemble == "nvt":
            return NoseHooverChain(self._force_field.evaluate, freedom, protocol.thermostat_fs)
        return MartynaTobiasKlein(
            self._force_field.evaluate_with_virial,
            freedom,
            protocol.thermostat_fs,
            protocol.barostat_fs,
            GPA_EV * protocol.pressure_gpa,
        )
