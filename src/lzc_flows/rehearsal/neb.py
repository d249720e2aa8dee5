"""Elastic bands: IMAGES, with VASP's own nudging or VTST's climbing image.

Energies of the two ends, which VASP's images never learn and VTST's are told by EFIRST and ELAST, come from the engine.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lzc_flows.band.forces import band_forces, tangents
from lzc_flows.band.lbfgs import Lbfgs
from lzc_flows.dynamics.forces import Forces
from lzc_flows.rehearsal.inputs import Inputs, image_folders
from lzc_flows.rehearsal.messages import refusal
from lzc_flows.rehearsal.outputs import Outputs
from lzc_flows.rehearsal.poscar import Arrangement, read_poscar
from lzc_flows.rehearsal.relax import REACHED, longest_step_angstrom
from lzc_flows.rehearsal.run import ABORTED, Aborted, Run, Teller, end_run
from lzc_flows.rehearsal.step import BandForces
from lzc_flows.rehearsal.stopcar import Stop

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Nudged:
    """The forces of a band at one place.

    Attributes
    ----------
    path
        Positions of all images, the ends included, (images + 2, n, 3), Å.
    tangent, nudged
        Of the images between the ends, (images, n, 3).
    answers
        The engine's, of the same images.
    climbing
        Which of them climbs; None for none.
    spring_ev
        Spring constant, eV/Å².
    """

    path: Array
    tangent: Array
    nudged: Array
    answers: list[Forces]
    climbing: int | None
    spring_ev: float

    def of_image(self, image: int) -> BandForces:
        """Return what is told of an image between the ends."""
        before, after = self.path[image + 1] - self.path[image], self.path[image + 2] - self.path[image + 1]
        back, ahead = float(np.linalg.norm(before)), float(np.linalg.norm(after))
        cosine = float((before * after).sum()) / max(back * ahead, 1e-12)
        return BandForces(
            tangent=self.tangent[image],
            nudged=self.nudged[image],
            along_spring=self.spring_ev * (ahead - back),
            along_real=float((self.answers[image].forces * self.tangent[image]).sum()),
            to_previous=back,
            to_next=ahead,
            angle_deg=float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))),
            climbs=image == self.climbing,
        )


class Band:
    """A band between two fixed ends."""

    def __init__(self, run: Run, arrangements: list[Arrangement]) -> None:
        self._run, self._cell = run, arrangements[0].cell
        self._free = arrangements[0].free
        self.path = _unwrapped(arrangements)
        self._ends = [run.evaluate(self.path[end], self._cell).energy_ev for end in (0, -1)]
        self._optimiser = Lbfgs(longest_step_angstrom(run.inputs))
        self._climbing: int | None = None

    def forces(self) -> Nudged:
        """Evaluate all images between the ends."""
        tags = self._run.inputs.tags
        answers = [self._run.evaluate(positions, self._cell) for positions in self.path[1:-1]]
        inner = [answer.energy_ev for answer in answers]
        energies = np.array([self._ends[0], *inner, self._ends[1]])
        tangent = tangents(self.path, energies)
        climbing = int(np.argmax(inner)) if tags.get("LCLIMB", False) else None
        if climbing != self._climbing:  # what was remembered is of another force
            self._optimiser, self._climbing = self._optimiser.anew(), climbing
        spring_ev = abs(float(self._run.inputs.tag("SPRING")))
        true = np.array([answer.forces for answer in answers])
        nudged = np.where(self._free, band_forces(self.path, tangent, true, spring_ev, climbing), 0.0)
        return Nudged(self.path.copy(), tangent, nudged, answers, climbing, spring_ev)

    def advance(self, nudged: Array, fraction: float) -> None:
        """Move the images between the ends, by a fraction of the optimiser's step."""
        self.path[1:-1] += fraction * self._optimiser.step(self.path[1:-1], nudged)

    def arrangement(self, image: int, like: Arrangement) -> Arrangement:
        """Return an image between the ends."""
        return replace(like, fractional=self.path[image + 1] @ np.linalg.inv(self._cell))


def run_band(run: Run, warnings: list[str]) -> int:
    """Relax a band until EDIFFG, NSW or STOPCAR; return the exit status.

    Raises
    ------
    Refusal
        The images are not of the same atoms in the same cell.
    """
    inputs = run.inputs
    folders = image_folders(inputs.folder, inputs.tag("IMAGES"))
    arrangements = _images(folders)
    # as VASP does: the first image's lines are printed, the others' go to files
    streams = [sys.stdout, *((folder / "stdout").open("w") for folder in folders[2:-1])]
    outputs = [
        Outputs(folder, replace(inputs, arrangement=arrangement), run.electrons, stream)
        for folder, arrangement, stream in zip(folders[1:-1], arrangements[1:-1], streams, strict=True)
    ]
    for number, each in enumerate(outputs):
        each.begin(warnings if number == 0 else [])
    band = Band(run, arrangements)
    try:
        run.fail_on_demand(outputs[0], "start", 1)
        _relax(run, band, outputs, arrangements[1:-1])
    except Aborted:
        return ABORTED
    end_run(run, [(each, band.arrangement(image, arrangements[image + 1])) for image, each in enumerate(outputs)])
    return 0


def _relax(run: Run, band: Band, outputs: list[Outputs], images: list[Arrangement]) -> None:
    inputs = run.inputs
    tellers = [Teller(run, each) for each in outputs]
    for number in range(1, max(inputs.tag("NSW"), 1) + 1):
        found = band.forces()
        changes = [answer.energy_ev - teller.last_ev for answer, teller in zip(found.answers, tellers, strict=True)]
        for image, (teller, like) in enumerate(zip(tellers, images, strict=True)):
            teller.tell(number, band.arrangement(image, like), found.answers[image], band=found.of_image(image))
        slow = run.faults.lasts("unconverged", number)
        done = not slow and _converged(inputs, found.nudged, np.array(changes), number)
        if not done and inputs.tag("NSW") > 0:
            band.advance(found.nudged, 1e-4 if slow else 1.0)
        for image, (each, like) in enumerate(zip(outputs, images, strict=True)):
            each.contcar(band.arrangement(image, like))
            if done:
                each.note(REACHED)
        run.fail_on_demand(outputs[0], "ions", number)
        if done or run.stop is not Stop.NOT:
            return


def _converged(inputs: Inputs, nudged: Array, changes_ev: Array, number: int) -> bool:
    ediffg = inputs.tag("EDIFFG")
    if ediffg >= 0:
        return number > 1 and bool(np.abs(changes_ev).max() < ediffg)
    return bool(np.linalg.norm(nudged, axis=-1).max() < -ediffg)


def _images(folders: list[Path]) -> list[Arrangement]:
    found = [read_poscar(folder / "POSCAR") for folder in folders]
    for folder, arrangement in zip(folders, found, strict=True):
        same = arrangement.species == found[0].species and np.allclose(arrangement.cell, found[0].cell, atol=1e-6)
        if not same:
            raise refusal(
                f"The images are not of the same ions in the same cell: {folder.name}/POSCAR differs from 00."
            )
    return found


def _unwrapped(arrangements: list[Arrangement]) -> Array:
    """Return positions that change by the shortest way from image to image, (images + 2, n, 3), Å."""
    fractional = [arrangements[0].fractional]
    for arrangement in arrangements[1:]:
        step = arrangement.fractional - fractional[-1]
        fractional.append(fractional[-1] + step - np.rint(step))
    return np.array(fractional) @ arrangements[0].cell
