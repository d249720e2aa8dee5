"""What VASP reads: INCAR, KPOINTS, POSCAR and POTCAR in one place, with VASP's own values for what they leave open."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lzc_flows.rehearsal.incar import read_incar
from lzc_flows.rehearsal.kpoints import Mesh, read_kpoints
from lzc_flows.rehearsal.messages import refusal
from lzc_flows.rehearsal.poscar import Arrangement, read_poscar
from lzc_flows.rehearsal.potcar import Potential, read_potcar

Kind = Literal["static", "relax", "md", "neb"]

DEFAULTS: dict[str, Any] = {
    "ALGO": "Normal",
    "EDIFF": 1e-4,
    "IMAGES": 0,
    "IOPT": 0,
    "ISMEAR": 1,
    "ISPIN": 1,
    "ISTART": 0,
    "ISYM": 2,
    "LORBIT": 0,
    "MDALGO": 0,
    "NBLOCK": 1,
    "NELM": 60,
    "NELMIN": 2,
    "NSW": 0,
    "NUPDOWN": -1.0,
    "PREC": "Normal",
    "SIGMA": 0.2,
    "SMASS": -3.0,
    "SPRING": -5,
    "SYSTEM": "unknown system",
    "TEBEG": 0.0,
}
"""VASP's values of tags that do not depend on others (https://www.vasp.at/wiki)."""


@dataclass(frozen=True)
class Inputs:
    """All that a calculation follows from.

    Attributes
    ----------
    folder
        Where the files lie.
    tags
        The tags of INCAR, as given.
    arrangement
        POSCAR; of an elastic band that of its first image.
    mesh
        The k-points.
    potentials
        Of each type of atom.
    """

    folder: Path
    tags: dict[str, Any]
    arrangement: Arrangement
    mesh: Mesh
    potentials: tuple[Potential, ...]

    def tag(self, name: str) -> Any:
        """Return a tag's value: that of INCAR, or VASP's own."""
        if name in self.tags:
            return self.tags[name]
        derived = {
            "EDIFFG": lambda: 10 * self.tag("EDIFF"),
            "ENCUT": lambda: max(potential.largest_cutoff_ev for potential in self.potentials),
            "IBRION": lambda: -1 if self.tag("NSW") in (-1, 0) else 0,
            "ISIF": lambda: 0 if self.tag("IBRION") == 0 else 2,
            "NELECT": lambda: self.neutral_electrons,
            "POTIM": lambda: 0.5,
            "TEEND": lambda: self.tag("TEBEG"),
        }
        return derived[name]() if name in derived else DEFAULTS[name]

    @property
    def kind(self) -> Kind:
        """What is calculated."""
        if self.tag("IMAGES") > 0:
            return "neb"
        if self.tag("NSW") in (-1, 0) or self.tag("IBRION") == -1:
            return "static"
        return "md" if self.tag("IBRION") == 0 else "relax"

    @cached_property
    def neutral_electrons(self) -> float:
        """Electrons of the neutral cell."""
        counts = self.arrangement.counts
        return float(sum(count * each.valence for count, each in zip(counts, self.potentials, strict=True)))

    @cached_property
    def masses_amu(self) -> NDArray[np.float64]:
        """Mass of each atom, (n,), amu: those of POTCAR."""
        return np.repeat([potential.mass_amu for potential in self.potentials], self.arrangement.counts)

    @cached_property
    def starting_moments(self) -> NDArray[np.float64]:
        """Starting magnetic moment of each atom, (n,), μB; zeros without ISPIN = 2."""
        atoms = sum(self.arrangement.counts)
        if self.tag("ISPIN") == 1:
            return np.zeros(atoms)
        return np.array(self.tags.get("MAGMOM", [1.0] * atoms))


def image_folders(folder: Path, images: int) -> list[Path]:
    """Return the folders of an elastic band, the ends included."""
    return [folder / f"{number:02d}" for number in range(images + 2)]


def read_inputs(folder: Path) -> Inputs:
    """Return what the files of a folder say.

    Raises
    ------
    Refusal
        A file is missing or cannot be read, or a tag is not VASP's.
    """
    if not (folder / "INCAR").is_file():
        raise refusal("The requested file INCAR could not be found or opened for reading the tags.")
    tags = read_incar(folder / "INCAR")
    where = image_folders(folder, tags["IMAGES"])[0] if tags.get("IMAGES", 0) > 0 else folder
    arrangement = read_poscar(where / "POSCAR")
    potentials = read_potcar(folder / "POTCAR")
    elements = tuple(potential.element for potential in potentials)
    if elements != arrangement.symbols:
        raise refusal(
            f"POTCAR and POSCAR do not belong together: POTCAR holds {' '.join(elements)}, "
            f"POSCAR {' '.join(arrangement.symbols)}, in this order."
        )
    return Inputs(folder, tags, arrangement, read_kpoints(folder, tags, arrangement), potentials)
