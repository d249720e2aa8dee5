"""Which segment of a protocol a step belongs to, and its target temperature."""

from __future__ import annotations

from dataclasses import dataclass

from lzc_flows.documents.aimd_protocol import AimdProtocol, Ensemble
from lzc_flows.dynamics.nose_hoover import Target
from lzc_flows.dynamics.units import BOLTZMANN_EV


@dataclass(frozen=True)
class Stretch:
    """A segment as steps.

    Attributes
    ----------
    number
        Its place in the protocol, from 0.
    ensemble
        ``nve``, ``nvt`` or ``npt``.
    first, stop
        The steps ``first`` to ``stop - 1`` are its own; step i leads from state i to state i + 1.
    time_step_fs
        Time step, fs.
    start_fs
        Time at its start from the start of the run, fs.
    start_k, end_k
        Target temperature at start and end, K; linear between.
    steps_per_frame
        Steps from frame to frame.
    """

    number: int
    ensemble: Ensemble
    first: int
    stop: int
    time_step_fs: float
    start_fs: float
    start_k: float
    end_k: float
    steps_per_frame: int

    def target_k(self, steps: float) -> float:
        """Return the target temperature in K after so many steps of the run; half steps are allowed."""
        return self.start_k + (self.end_k - self.start_k) * (steps - self.first) / (self.stop - self.first)

    def target(self, step: int) -> Target:
        """Return the target of the step that leads on from a state."""
        start, end = self.target_k(step), self.target_k(step + 1)
        return Target(BOLTZMANN_EV * self.target_k(step + 0.5), end / start)

    def time_fs(self, step: int) -> float:
        """Return the time of a state from the start of the run, fs."""
        return self.start_fs + (step - self.first) * self.time_step_fs


@dataclass(frozen=True)
class Schedule:
    """A protocol with all its time steps halved so many times."""

    protocol: AimdProtocol
    stretches: tuple[Stretch, ...]

    @classmethod
    def of(cls, protocol: AimdProtocol, halvings: int = 0) -> Schedule:
        """Return the schedule of a protocol."""
        stretches: list[Stretch] = []
        step, time_fs, parts = 0, 0.0, 2**halvings
        for number, segment in enumerate(protocol.segments):
            stretches.append(
                Stretch(
                    number=number,
                    ensemble=segment.ensemble,
                    first=step,
                    stop=step + parts * segment.steps,
                    time_step_fs=segment.time_step_fs / parts,
                    start_fs=time_fs,
                    start_k=segment.start_k,
                    end_k=segment.end_k,
                    steps_per_frame=parts * round(protocol.frame_interval_fs / segment.time_step_fs),
                )
            )
            step, time_fs = stretches[-1].stop, time_fs + segment.length_fs
        return cls(protocol, tuple(stretches))

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.stretches[-1].stop

    def stretch(self, step: int) -> Stretch:
        """Return the stretch that led to a state; the first one at the start."""
        return next(stretch for stretch in self.stretches if step <= stretch.stop)

    def frame_number(self, stretch: Stretch, step: int) -> int | None:
        """Return the number of the frame that this state of the stretch is, from 0 at the start; None if it is none."""
        whole, rest = divmod(step - stretch.first, stretch.steps_per_frame)
        return None if rest else round(stretch.start_fs / self.protocol.frame_interval_fs) + whole

    def is_checkpoint(self, frame_number: int) -> bool:
        """Return whether a checkpoint is due at a frame."""
        return frame_number % round(self.protocol.checkpoint_interval_fs / self.protocol.frame_interval_fs) == 0
