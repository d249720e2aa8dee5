"""A field as a file that VESTA opens: Gaussian cube (with the atoms) and .grd (without).

Both hold the nodes of a periodic grid once, the end planes not repeated, x slowest and z fastest. Energies stay
in eV and stay clipped where the field is.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from ase.units import Bohr
from pymatgen.core import Lattice

from lzc_flows.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pymatgen.core import PeriodicSite, Structure

    from lzc_flows.transport.bvse import EnergyField

_CUBE_VALUES_PER_LINE = 6


@dataclass(frozen=True, eq=False)
class Volume:
    """Values on the nodes of a periodic grid, whatever they are.

    Attributes
    ----------
    values
        Shape (nx, ny, nz); node (i, j, k) lies at the fractional position (i/nx, j/ny, k/nz), the end planes are not
        repeated.
    lattice_angstrom
        Shape (3, 3), Å, rows are the lattice vectors.
    description
        What they are, with their unit, in ASCII.
    """

    values: NDArray[np.float64]
    lattice_angstrom: NDArray[np.float64]
    description: str


def write_cube(path: Path, field: EnergyField, structure: Structure) -> None:
    """Write an energy field and the atoms of its structure as a Gaussian cube file; see `write_volume_cube`.

    Energies are in eV, not hartree, which the first line says.
    """
    volume = Volume(field.energies_ev, field.lattice_angstrom, f"{_description(field)}; energies in eV")
    write_volume_cube(path, volume, structure)


def write_volume_cube(path: Path, volume: Volume, structure: Structure) -> None:
    """Write values on a grid and the atoms of a structure as a Gaussian cube file.

    Lengths are in Bohr, as positive node counts say; the origin is 0 and the voxel vectors are the lattice
    vectors divided by the node counts. Values have seven significant digits. Written here, not by `ase.io.cube`,
    which needs an open file on disk and puts one value on a line; the numbers are the same.

    Parameters
    ----------
    path
        Destination, replaced in one step.
    volume
        The values and their lattice.
    structure
        The atoms, mobile ones included, wrapped into the cell. The format has one element for each atom: a
        partially occupied site is written as its majority species, even where it is mostly vacant; of equal
        occupancies the lighter element is taken.

    Raises
    ------
    OSError
        The file cannot be written; what was at `path` before is untouched.
    """
    counts = volume.values.shape
    voxels = volume.lattice_angstrom / np.array(counts)[:, None] / Bohr
    # VESTA draws the atoms of a cube file where they are, without periodic images
    positions = (structure.frac_coords % 1.0) @ volume.lattice_angstrom / Bohr
    lines = [
        f"{volume.description}, lengths in bohr",
        # readers look for these words; other words after them mislead ASE's
        "OUTER LOOP: X, MIDDLE LOOP: Y, INNER LOOP: Z",
        f"{len(structure):5d}" + _fixed(np.zeros(3)),
        *(f"{count:5d}" + _fixed(voxel) for count, voxel in zip(counts, voxels, strict=True)),
    ]
    for site, position in zip(structure, positions, strict=True):
        number = _majority_atomic_number(site)
        lines.append(f"{number:5d}{number:12.6f}" + _fixed(position))
    whole, rest = divmod(counts[2], _CUBE_VALUES_PER_LINE)
    row = " %.6E" * _CUBE_VALUES_PER_LINE + "\n"
    last_row = " %.6E" * rest + "\n" if rest else ""
    write_atomically(path, _text(lines, volume.values, row * whole + last_row))


def write_grd(path: Path, field: EnergyField) -> None:
    """Write a field as a .grd text file: title, cell (Å, degrees), node counts, then one energy (eV) a line.

    This is the map format of GSAS, which VESTA opens. It is a periodic grid: GSAS-II (``G2export_map.py``) and
    bvlain (``core.py``) write each node once and count what they write, so the end planes are not repeated here
    either. Energies have six decimals.

    Parameters
    ----------
    path
        Destination, replaced in one step.
    field
        The energies and their lattice.

    Raises
    ------
    OSError
        The file cannot be written; what was at `path` before is untouched.
    """
    lines = [
        f"{_description(field)}, eV",
        " ".join(f"{parameter:.6f}" for parameter in Lattice(field.lattice_angstrom).parameters),
        " ".join(str(count) for count in field.energies_ev.shape),
    ]
    write_atomically(path, _text(lines, field.energies_ev, "%.6f\n" * field.energies_ev.shape[2]))


def _text(lines: list[str], values: NDArray[np.float64], row_format: str) -> bytes:
    """Return the header lines and the values, formatted by rows along z, one plane of x at a time."""
    stream = BytesIO()
    stream.write("".join(f"{line}\n" for line in lines).encode("ascii"))
    plane_format = row_format * values.shape[1]
    for plane in values:
        stream.write((plane_format % tuple(plane.ravel().tolist())).encode("ascii"))
    return stream.getvalue()


def _description(field: EnergyField) -> str:
    return f"BVSE of {field.mobile}, convention {field.convention}, cutoff {field.cutoff_angstrom:g} angstrom"


def _fixed(vector: np.ndarray) -> str:
    return "".join(f"{component:12.6f}" for component in vector)


def _majority_atomic_number(site: PeriodicSite) -> int:
    occupancies: dict[int, float] = {}
    for species, occupancy in site.species.items():
        occupancies[species.Z] = occupancies.get(species.Z, 0.0) + occupancy
    return min(occupancies, key=lambda number: (-occupancies[number], number))
