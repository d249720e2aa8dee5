"""The path of a hop for other programs: extended XYZ of all images, and CIFs to look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element, Lattice, Structure
from pymatgen.io.cif import CifWriter

from lzc_flows.band.path import distances_angstrom
from lzc_flows.errors import InputError
from lzc_flows.files import write_atomically, written_whole

SAME_ANGSTROM = 0.05
"""Ghosts of one element that are this close are one in the overlay: where an ion pushes another off its site, it ends
where the other started, and two atoms in one place are no crystal to most programs."""


@dataclass(frozen=True, eq=False)
class PathImages:
    """All images of a path.

    Attributes
    ----------
    species
        Symbols of the atoms.
    cell
        Rows are the lattice vectors, shape (3, 3), Å.
    positions
        Of all images, the ends included, unwrapped, shape (images, atoms, 3), Å.
    energies_ev
        Of the cell, shape (images,), eV.
    moved_atoms
        Indices of the hopping ions.
    forces_ev_per_angstrom
        True forces, shape (images, atoms, 3), eV/Å; None where they are not known.

    Raises
    ------
    InputError
        Shapes that do not fit, numbers that are not finite, fewer than two images, a symbol that is no element, no
        moved atom or one that is not there.
    """

    species: tuple[str, ...]
    cell: NDArray[np.float64]
    positions: NDArray[np.float64]
    energies_ev: NDArray[np.float64]
    moved_atoms: tuple[int, ...]
    forces_ev_per_angstrom: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        images, atoms = len(self.positions), len(self.species)
        shapes = {
            "cell": (self.cell, (3, 3)),
            "positions": (self.positions, (images, atoms, 3)),
            "energies": (self.energies_ev, (images,)),
            "forces": (self.forces_ev_per_angstrom, (images, atoms, 3)),
        }
        for name, (values, shape) in shapes.items():
            if values is None:
                continue
            if values.shape != shape:
                raise InputError(f"{name} of the path: shape {values.shape}, allowed is {shape}")
            if not np.isfinite(values).all():
                raise InputError(f"{name} of the path: finite numbers are allowed")
        if images < 2:
            raise InputError(f"{images} image(s) of the path: two or more are allowed")
        if strange := [symbol for symbol in self.species if not Element.is_valid_symbol(symbol)]:
            raise InputError(f"species {strange[0]!r} of the path: symbols of elements are allowed")
        if not self.moved_atoms or not set(self.moved_atoms) <= set(range(atoms)):
            raise InputError(f"moved atoms {self.moved_atoms}: one or more of 0 to {atoms - 1} are allowed")


def write_path_extxyz(images: PathImages, path: Path) -> None:
    """Write all images as extended XYZ: positions to 1e-8 Å, cell, energy, forces if known, ``image``, ``distance_A``.

    The distance is that along the path from its start, as all atoms move. Positions are unwrapped. An existing file is
    replaced when the new one is whole.
    """
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io.extxyz import write_xyz

    distances = distances_angstrom(images.positions)
    frames = []
    for number, positions in enumerate(images.positions):
        info = {"image": number, "distance_A": float(distances[number])}
        atoms = Atoms(images.species, positions, cell=images.cell, pbc=True, info=info)
        results = {"energy": float(images.energies_ev[number])}
        if images.forces_ev_per_angstrom is not None:
            results["forces"] = images.forces_ev_per_angstrom[number]
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    with written_whole(path) as partial, partial.open("w") as stream:
        write_xyz(stream, frames)


def write_overlay_cif(images: PathImages, path: Path) -> None:
    """Write one CIF with the atoms of the initial image and, as a trail of ghosts, the moved ones of all images.

    Each atom has the label of its element and number, counted from 1, the moved ones also their image: ``Li3_0`` to
    ``Li3_6``. All are fully occupied, so that viewers draw whole balls; the crystal's composition is not the file's.
    A ghost within `SAME_ANGSTROM` of an earlier one of its element is left out. A CIF holds lengths and angles of
    the cell, not its orientation. An existing file is replaced when the new one is whole.
    """
    still = [atom for atom in range(len(images.species)) if atom not in images.moved_atoms]
    places = [images.positions[0, atom] for atom in still]
    species = [images.species[atom] for atom in still]
    labels = [f"{images.species[atom]}{atom + 1}" for atom in still]
    lattice = Lattice(images.cell)
    for atom in images.moved_atoms:
        for number, place in enumerate(images.positions[:, atom]):
            same = [other for other, symbol in zip(places, species, strict=True) if symbol == images.species[atom]]
            if _taken(lattice, place, same):
                continue
            places.append(place)
            species.append(images.species[atom])
            labels.append(f"{images.species[atom]}{atom + 1}_{number}")
    write_atomically(path, _cif(lattice, species, np.array(places), labels))


def write_image_cifs(images: PathImages, folder: Path) -> list[Path]:
    """Write each image as a CIF of its own, ``image_00.cif`` and so on; return the files.

    The folder appears when all are written.

    Raises
    ------
    InputError
        The folder is there and not empty: files of another path would stand among these.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: a new or empty folder is allowed")
    folder.parent.mkdir(parents=True, exist_ok=True)
    labels = [f"{symbol}{atom + 1}" for atom, symbol in enumerate(images.species)]
    digits = max(2, len(str(len(images.positions) - 1)))
    names = [f"image_{number:0{digits}d}.cif" for number in range(len(images.positions))]
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        made = Path(temporary) / folder.name
        for name, positions in zip(names, images.positions, strict=True):
            write_atomically(made / name, _cif(Lattice(images.cell), images.species, positions, labels))
        made.replace(folder)
    return [folder / name for name in names]


def _taken(lattice: Lattice, place: NDArray[np.float64], others: list[NDArray[np.float64]]) -> bool:
    """Whether an atom or its image in another cell is at the place already."""
    if not others:
        return False
    fractional = lattice.get_fractional_coords(np.array([place, *others]))
    return bool((lattice.get_all_distances(fractional[:1], fractional[1:]) < SAME_ANGSTROM).any())


def _cif(
    lattice: Lattice, species: list[str] | tuple[str, ...], positions: NDArray[np.float64], labels: list[str]
) -> bytes:
    crystal = Structure(lattice, species, positions, coords_are_cartesian=True, labels=labels)
    return str(CifWriter(crystal)).encode()
