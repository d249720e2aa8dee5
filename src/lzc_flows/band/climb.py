"""A climbing-image nudged elastic band on its way to the saddle, step by step.

The whole band moves by L-BFGS, first without a climbing image, then with one. Once all other images are good enough,
they rest, and the climbing image alone goes on to its stricter limit. What a step does depends on the state alone: a
run that is cut and goes on from a saved state is the uncut run, as long as the engine's forces are a function of the
positions.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from lzc_flows.band.forces import band_forces, tangents
from lzc_flows.band.lbfgs import LONGEST_STEP_ANGSTROM, Lbfgs
from lzc_flows.band.path import distances_angstrom
from lzc_flows.band.profile import Profile
from lzc_flows.band.settle import ExplodedError
from lzc_flows.documents.protocols import NebProtocol
from lzc_flows.dynamics.forces import ForceField

CLIMB_BELOW_EV_PER_ANGSTROM = 0.2
"""An image climbs once no nudged force is larger: before, the highest image may be far from the saddle."""

HIGHER_EV = 1e-3
"""Another image takes over the climbing when it is so much higher: no more than that, or two equal ones take turns."""


@dataclass(eq=False)
class BandState:
    """All that the next step follows from.

    Attributes
    ----------
    path
        Positions of all images, the ends included, (images + 2, atoms, 3), Å.
    energies_ev
        Of all images, shape (images + 2,); of those between the ends at the places of `forces`.
    forces
        True forces on the images between the ends, (images, atoms, 3), eV/Å.
    climbing
        Which of the images between the ends climbs; None before one does.
    alone
        Whether the climbing image moves alone.
    steps, evaluations
        Steps done, and force evaluations of images between the ends.
    optimiser
        What it remembers.
    """

    path: NDArray[np.float64]
    energies_ev: NDArray[np.float64]
    forces: NDArray[np.float64]
    climbing: int | None = None
    alone: bool = False
    steps: int = 0
    evaluations: int = 0
    optimiser: Lbfgs = field(default_factory=Lbfgs)


class ClimbingBand:
    """A band that advances.

    Parameters
    ----------
    state
        Where to go on; it is advanced in place.
    cell
        Rows are the lattice vectors, (3, 3), Å.
    protocol
        When it is done.
    force_field
        The engine's forces on these atoms.
    """

    def __init__(
        self, state: BandState, cell: NDArray[np.float64], protocol: NebProtocol, force_field: ForceField
    ) -> None:
        self.state = state
        self._cell = cell
        self._protocol = protocol
        self._force_field = force_field
        self._measure()

    @property
    def fmax_climbing(self) -> float:
        """Largest force on an atom of the climbing image, its part along the path reversed, eV/Å; 0 if none climbs."""
        return 0.0 if self.state.climbing is None else float(self._largest[self.state.climbing])

    @property
    def fmax_band(self) -> float:
        """Largest nudged force on an atom of the images that do not climb, eV/Å."""
        return float(
            np.delete(self._largest, [] if self.state.climbing is None else self.state.climbing).max(initial=0)
        )

    @property
    def has_saddle(self) -> bool:
        """Whether an image between the ends lies above both."""
        energies = self.state.energies_ev
        return bool(energies[1:-1].max() > max(energies[0], energies[-1]))

    @property
    def converged(self) -> bool:
        """Whether all limits are met, by a climbing image too if there is anything to climb."""
        if self.fmax_band > self._protocol.fmax_band_ev_per_angstrom:
            return False
        if self.state.climbing is None:
            return not self.has_saddle
        return self._climbs_highest and self.fmax_climbing <= self._protocol.fmax_climbing_ev_per_angstrom

    @property
    def profile(self) -> Profile:
        """The energy along the band as it is."""
        slopes = np.zeros(len(self.state.energies_ev))
        slopes[1:-1] = -(self.state.forces * self._tangents).sum(axis=(1, 2))
        return Profile(distances_angstrom(self.state.path), self.state.energies_ev, slopes)

    @property
    def settled(self) -> bool:
        """Whether the band is near enough to its path for an image to climb, or for its minima to be believed."""
        return bool(self._largest.max() < CLIMB_BELOW_EV_PER_ANGSTROM)

    def advance(self) -> None:
        """Do one step of the whole band, or of the climbing image alone.

        Raises
        ------
        ExplodedError
            The engine gave energies or forces that are no numbers.
        """
        state = self.state
        self._choose_what_moves()
        moving = [state.climbing] if state.alone and state.climbing is not None else list(range(len(state.forces)))
        moved = [image + 1 for image in moving]  # the path has an end before them
        state.path[moved] += state.optimiser.step(state.path[moved], self._nudged[moving])
        _evaluate(state, moving, self._cell, self._force_field)
        state.steps += 1
        self._measure()

    @property
    def _climbs_highest(self) -> bool:
        """Whether no image lies above the climbing one."""
        inner, climbing = self.state.energies_ev[1:-1], self.state.climbing
        return climbing is not None and bool(inner.max() <= inner[climbing] + HIGHER_EV)

    def climb_higher(self) -> bool:
        """Let an image go on from where the profile peaks between images; return whether the energy there is higher.

        A band that converged may hold its climbing image in a shallow minimum between two saddles, by symmetry, or have
        its only saddle between the last image and an end.

        Raises
        ------
        ExplodedError
            The engine gave energies or forces that are no numbers.
        """
        state, profile = self.state, self.profile
        distances, energies = profile.curve
        at, highest = distances[energies.argmax()], state.energies_ev.max()
        if energies.max() <= highest + HIGHER_EV:
            return False
        along = profile.distances_angstrom
        top = int(np.abs(along[1:-1] - at).argmin()) + 1
        # the images on either side as far apart as their springs want them
        wanted = np.concatenate([np.linspace(0, at, top + 1), np.linspace(at, along[-1], len(along) - top)[1:]])
        moved = replace(
            state,
            path=CubicSpline(along, state.path, axis=0)(wanted),
            energies_ev=state.energies_ev.copy(),
            forces=state.forces.copy(),
        )
        _evaluate(moved, [top - 1], self._cell, self._force_field)
        state.evaluations = moved.evaluations
        if moved.energies_ev[top] <= highest + HIGHER_EV:
            return False
        _evaluate(
            moved, [image for image in range(len(moved.forces)) if image != top - 1], self._cell, self._force_field
        )
        state.path[1:-1], state.energies_ev, state.forces = moved.path[1:-1], moved.energies_ev, moved.forces
        state.climbing, state.alone, state.evaluations = top - 1, False, moved.evaluations
        state.optimiser = state.optimiser.anew()
        self._measure()
        return True

    def _choose_what_moves(self) -> None:
        """Let the highest image climb, and go on alone, where it is time."""
        state, inner = self.state, self.state.energies_ev[1:-1]
        highest, climbing = int(inner.argmax()), state.climbing
        if climbing is None:
            climbing = highest if self.has_saddle and self.settled else None
        elif not self._climbs_highest:
            climbing = highest
        rests = self.fmax_band <= self._protocol.fmax_band_ev_per_angstrom
        alone = rests and climbing is not None and climbing == state.climbing and len(inner) > 1
        if alone != state.alone:
            state.optimiser = (
                state.optimiser.of_image(climbing) if climbing is not None and alone else state.optimiser.anew()
            )
        if (climbing, alone) != (state.climbing, state.alone):
            state.climbing, state.alone = climbing, alone
            self._measure()

    def _measure(self) -> None:
        """Bring all that is derived from the state up to date."""
        state = self.state
        self._tangents = tangents(state.path, state.energies_ev)
        self._nudged = band_forces(
            state.path, self._tangents, state.forces, self._protocol.spring_ev_per_angstrom2, state.climbing
        )
        self._largest = np.linalg.norm(self._nudged, axis=-1).max(axis=1)


def started(
    path: NDArray[np.float64],
    end_energies_ev: tuple[float, float],
    cell: NDArray[np.float64],
    force_field: ForceField,
    longest_step_angstrom: float = LONGEST_STEP_ANGSTROM,
) -> BandState:
    """Return the state of a new band along a path, its images between the ends evaluated."""
    first, last = end_energies_ev
    images = len(path) - 2
    state = BandState(
        path=path.copy(),
        energies_ev=np.array([first, *[0.0] * images, last]),
        forces=np.zeros((images, *path.shape[1:])),
        optimiser=Lbfgs(longest_step_angstrom),
    )
    _evaluate(state, list(range(images)), cell, force_field)
    return state


def _evaluate(state: BandState, images: list[int], cell: NDArray[np.float64], force_field: ForceField) -> None:
    """Ask the engine for energies and forces of some of the images between the ends."""
    answers = force_field.evaluate_many(state.path[[image + 1 for image in images]], cell)
    for image, answer in zip(images, answers, strict=True):
        if not (np.isfinite(answer.energy_ev) and np.isfinite(answer.forces).all()):
            raise ExplodedError(f"step {state.steps}: image {image + 1}: energy or forces are not finite")
        state.energies_ev[image + 1] = answer.energy_ev
        state.forces[image] = answer.forces
    state.evaluations += len(images)
