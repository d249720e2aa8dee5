"""The search for the path between two relaxed arrangements, through all minima on its way.

A band that dips into a minimum between its ends is no elementary step: the minimum is relaxed, and each side becomes a
band of its own. Each leg that is left has one saddle, or none where it only rises or falls.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lzc_flows.band.climb import BandState, ClimbingBand, started
from lzc_flows.band.lbfgs import LONGEST_STEP_ANGSTROM
from lzc_flows.band.path import images_for, resampled
from lzc_flows.band.settle import Settled, SettleLimits, settle
from lzc_flows.documents.protocols import NebProtocol
from lzc_flows.dynamics.forces import ForceField
from lzc_flows.errors import CalculationError

SAME_ANGSTROM = 0.3
"""Two minima in which no atom is farther apart than this are one; sites of a halide are 1.5 Å apart and more."""

MOST_LEGS = 6
"""A path with more minima than this makes no elementary hop."""


class UnconvergedError(CalculationError):
    """The steps ran out before the forces were small enough."""


class ManyLegsError(CalculationError):
    """The path runs through too many minima."""


@dataclass(eq=False)
class Leg:
    """A stretch of the path between two minima.

    Attributes
    ----------
    band
        Its images.
    dips
        Images whose relaxation led into an end: these minima are none.
    converged
        Whether it is done.
    """

    band: BandState
    dips: list[int] = field(default_factory=list)
    converged: bool = False


@dataclass(eq=False)
class SearchState:
    """All that the search goes on from.

    Attributes
    ----------
    legs
        From the initial to the final arrangement.
    spent
        Force evaluations of bands that were split, and of relaxed minima.
    """

    legs: list[Leg]
    spent: int = 0

    @property
    def evaluations(self) -> int:
        """All force evaluations so far."""
        return self.spent + sum(leg.band.evaluations for leg in self.legs)


class Observer(Protocol):
    """Who is told of each step."""

    def step(self, state: SearchState) -> None:
        """Take the state after a step; may keep it."""
        ...


@dataclass(frozen=True, eq=False)
class Potential:
    """What the atoms move in: the engine's forces in a fixed cell of rows (3, 3), Å."""

    force_field: ForceField
    cell: NDArray[np.float64]


class PathSearch:
    """A search that goes on from its state.

    Parameters
    ----------
    state
        Where to go on; it is advanced in place.
    potential
        The engine's forces and the cell.
    protocol
        Limits and numbers of images.
    """

    def __init__(self, state: SearchState, potential: Potential, protocol: NebProtocol) -> None:
        self.state = state
        self._potential = potential
        self._protocol = protocol

    def run(self, max_steps: int, observer: Observer) -> list[ClimbingBand]:
        """Return the legs of the path, each converged within so many steps of its own.

        Raises
        ------
        UnconvergedError
            A leg, or the relaxation of a minimum on it, ran out of steps; the state holds its last images.
        ManyLegsError
            There are more than `MOST_LEGS`.
        ExplodedError
            The engine gave energies or forces that are no numbers.
        """
        while (leg := next((leg for leg in self.state.legs if not leg.converged), None)) is not None:
            band = self._climbing(leg)
            leg.converged = self._advance(leg, band, max_steps, observer)
            observer.step(self.state)
        return [self._climbing(leg) for leg in self.state.legs]

    def _climbing(self, leg: Leg) -> ClimbingBand:
        return ClimbingBand(leg.band, self._potential.cell, self._protocol, self._potential.force_field)

    def _advance(self, leg: Leg, band: ClimbingBand, max_steps: int, observer: Observer) -> bool:
        """Advance a leg until it has converged (True) or was split (False)."""
        while True:
            # asked before an image climbs, lest it climb the lower of two saddles
            if (band.converged or band.settled) and self._split(leg, band, max_steps):
                return False
            if band.converged and not band.climb_higher():
                return True
            if leg.band.steps >= max_steps:
                raise UnconvergedError(
                    f"not converged after {leg.band.steps} steps: {band.fmax_climbing:.3f} eV/Å on the climbing image, "
                    f"{band.fmax_band:.3f} eV/Å on the others"
                )
            band.advance()
            observer.step(self.state)

    def _split(self, leg: Leg, band: ClimbingBand, max_steps: int) -> bool:
        """Replace a leg by two where it passes a minimum; return whether it does."""
        for image in band.profile.minima_between(self._protocol.split_ev):
            if image in leg.dips:
                continue
            path = leg.band.path
            limits = SettleLimits(
                self._protocol.fmax_ends_ev_per_angstrom,
                max_steps,
                leg.band.optimiser.longest_step_angstrom,
            )
            found = settle(path[image], self._potential.cell, self._potential.force_field, limits)
            self.state.spent += found.evaluations
            if not found.converged:
                raise UnconvergedError(
                    f"a minimum on the way is not relaxed after {limits.max_steps} steps: {found.fmax:.3f} eV/Å"
                )
            if any(same_minimum(found.positions, end) for end in (path[0], path[-1])):
                leg.dips.append(image)
                continue
            if len(self.state.legs) == MOST_LEGS:
                raise ManyLegsError(f"more than {MOST_LEGS} minima on the way: not an elementary hop")
            self.state.spent += leg.band.evaluations
            at = self.state.legs.index(leg)
            self.state.legs[at : at + 1] = self._halves(leg.band, image, found)
            return True
        return False

    def _halves(self, band: BandState, image: int, found: Settled) -> list[Leg]:
        """Return the legs to a minimum that was found at an image, and from there on."""
        path = band.path.copy()
        path[image] = found.positions
        halves = [
            (path[: image + 1], (float(band.energies_ev[0]), found.energy_ev)),
            (path[image:], (found.energy_ev, float(band.energies_ev[-1]))),
        ]
        return [
            new_leg(
                resampled(part, self._protocol.images or images_for(part[0], part[-1])),
                energies,
                self._potential,
                band.optimiser.longest_step_angstrom,
            )
            for part, energies in halves
        ]


def new_leg(
    path: NDArray[np.float64],
    end_energies_ev: tuple[float, float],
    potential: Potential,
    longest_step_angstrom: float = LONGEST_STEP_ANGSTROM,
) -> Leg:
    """Return a leg along a path of images with relaxed ends, evaluated once."""
    return Leg(started(path, end_energies_ev, potential.cell, potential.force_field, longest_step_angstrom))


def same_minimum(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    """Return whether two arrangements (atoms, 3), Å, are one minimum: no atom is farther apart than `SAME_ANGSTROM`."""
    return float(np.linalg.norm(first - second, axis=1).max()) < SAME_ANGSTROM
