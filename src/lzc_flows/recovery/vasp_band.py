"""A band in VASP's folders: 00 and the last one hold its ends, those between its images."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from atomate2.vasp.sets.base import VaspInputGenerator
from numpy.typing import NDArray
from pymatgen.core import Structure
from pymatgen.io.vasp.inputs import Poscar

from lzc_flows.band.idpp import idpp
from lzc_flows.band.path import distances_angstrom, images_for, linear
from lzc_flows.band.search import Potential
from lzc_flows.band.start import bent_start
from lzc_flows.engines.base import Ions
from lzc_flows.engines.mlip import MLIPS
from lzc_flows.engines.neb_tasks import EndResult, LegResult, PathResult
from lzc_flows.engines.vasp_inputs import grouped
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.recovery.vasp import STDOUT_FILE, write_inputs
from lzc_flows.recovery.vasp_calculation import read_vasprun, ungrouped
from lzc_flows.recovery.vasp_handlers import is_whole_poscar, tail

REACHED = b"reached required accuracy"
"""What VASP says where the forces are small enough."""


@dataclass(frozen=True, eq=False)
class VaspBand:
    """VASP's folders of a band: 00 and the last one hold its ends, those between its images."""

    ions: Ions
    cell: NDArray[np.float64]
    ends: tuple[EndResult, EndResult]
    folder: Path

    @property
    def has_reached(self) -> bool:
        """Whether VASP says that the forces are small enough."""
        said = self.folder / STDOUT_FILE
        return said.is_file() and REACHED in tail(said)

    def sites(self, positions: NDArray[np.float64]) -> Structure:
        """Return an image as VASP has it, each element in one piece."""
        return grouped(self.ions.structure(self.cell, positions))[0]

    def bent(self, images: int | None) -> NDArray[np.float64]:
        """Return a new path of so many images, by default by its length."""
        first, last = (end.positions for end in self.ends)
        count = images or images_for(first, last)
        try:
            nep = MLIPS["nep"].force_field(self.ions)
        except InputError:  # not installed, or an element that it does not know
            return idpp(linear(first, last, count), self.cell)
        return bent_start(np.array([first, last]), count, Potential(nep, self.cell)).path

    def write(self, path: NDArray[np.float64], inputs: VaspInputGenerator) -> None:
        """Write the inputs and every image's POSCAR; what was there before goes."""
        shutil.rmtree(self.folder, ignore_errors=True)
        write_inputs(inputs, self.folder)
        for number, image in enumerate(path):
            here = self.folder / f"{number:02d}"
            here.mkdir()
            Poscar(self.sites(image), sort_structure=False).write_file(here / "POSCAR", significant_figures=16)
            # a VASP with HDF5 compares the KPOINTS of all its folders
            shutil.copyfile(self.folder / "KPOINTS", here / "KPOINTS")

    def whole_result(self) -> PathResult | None:
        """Return the converged band, of one leg; None where it is not converged, or its output is not whole."""
        positions = self.images()
        if positions is None or not self.has_reached:
            return None
        try:
            return self._result(positions)
        except CalculationError:
            return None

    def _result(self, positions: NDArray[np.float64]) -> PathResult:
        inner = self.inner
        runs = [read_vasprun(folder) for folder in inner]
        forces = [ImageForces.read(folder / "OUTCAR") for folder in inner]
        energies = [float(run.ionic_steps[-1]["e_0_energy"]) for run in runs]
        energies = [self.ends[0].energy_ev, *energies, self.ends[1].energy_ev]
        highest = int(np.argmax(energies))
        saddle = highest if 0 < highest <= len(inner) else None
        others = [force.largest for number, force in enumerate(forces, start=1) if number != saddle]
        leg = LegResult(
            first_image=0,
            last_image=len(inner) + 1,
            saddle_image=saddle,
            fmax_climbing=0.0 if saddle is None else forces[saddle - 1].largest,
            fmax_band=max(others, default=0.0),
            steps=len(runs[0].ionic_steps),
        )
        slopes = np.array([0.0, *(-force.along for force in forces), 0.0])
        return PathResult(positions, np.array(energies), distances_angstrom(positions), slopes, (leg,))

    def images(self) -> NDArray[np.float64] | None:
        """Return all images in the order of the ions, unwrapped; None where they are not whole."""
        contcars = [folder / "CONTCAR" for folder in self.inner]
        if not contcars or not all(is_whole_poscar(contcar) for contcar in contcars):
            return None
        first, last = (end.positions for end in self.ends)
        images = [first]
        _, order = grouped(self.ions.structure(self.cell, first))
        for contcar in contcars:
            fractional = ungrouped(Poscar.from_file(contcar).structure.frac_coords, order)
            step = fractional - images[-1] @ np.linalg.inv(self.cell)
            images.append(images[-1] + (step - np.rint(step)) @ self.cell)
        return np.array([*images, last])

    @property
    def inner(self) -> list[Path]:
        """The folders of the images between the ends."""
        return sorted(self.folder.glob("[0-9][0-9]"))[1:-1]


def last_words(band: VaspBand) -> str:
    """Return what VASP said last of the forces, or at all."""
    try:
        forces = [ImageForces.read(folder / "OUTCAR") for folder in band.inner]
        return f"largest force {max(force.largest for force in forces):.3f} eV/Å"
    except (CalculationError, OSError):  # it did not come so far
        said = tail(band.folder / STDOUT_FILE).decode(errors="replace").strip().splitlines()
        return said[-1].strip() if said else "it said nothing"


@dataclass(frozen=True)
class ImageForces:
    """What VTST says of an image's last step, eV/Å: its largest nudged force, and its true force along the path."""

    largest: float
    along: float

    @classmethod
    def read(cls, outcar: Path) -> ImageForces:
        """Read the end of an OUTCAR; raise `CalculationError` where it has no forces of a band."""
        text = tail(outcar).decode(errors="replace")
        largest = re.findall(r"FORCES: max atom, RMS\s+(\S+)", text)
        along = re.findall(r"NEB: projections on to tangent \(spring, REAL\)\s+\S+\s+(\S+)", text)
        if not (largest and along):
            raise CalculationError(f"{outcar}: no forces of an elastic band in it")
        return cls(float(largest[-1]), float(along[-1]))
