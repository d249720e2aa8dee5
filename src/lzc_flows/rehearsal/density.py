"""Charge densities that nobody calculated: a Gaussian of its valence electrons on each atom, in VASP's files.

They integrate to the number of electrons and are no more than that: superposed atoms are a little wider than the
"self-consistent" density, so that a difference of the two is neither zero nor noise.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element

from lzc_flows.rehearsal.electrons import Electrons
from lzc_flows.rehearsal.grids import Grid, fft_grids
from lzc_flows.rehearsal.inputs import Inputs
from lzc_flows.rehearsal.poscar import Arrangement, poscar_text

Array = NDArray[np.float64]

WIDTH_PER_RADIUS = 0.4
"""Standard deviation of an atom's electrons, in radii of the atom (Slater's, from pymatgen)."""

ATOM_WIDENING = 1.05
"""Superposed free atoms are so much wider."""

_LEAST_WIDTH_ANGSTROM = 0.25
"""Narrower ones would ring on the grid."""

_PER_LINE = 5
_LINES_AT_A_TIME = 100_000


def write_volumes(folder: Path, inputs: Inputs, arrangement: Arrangement, electrons: Electrons) -> None:
    """Write the densities that INCAR asks for, of atoms where they are in the end.

    CHGCAR (LCHARG, VASP's default), AECCAR0, 1 and 2 (LAECHG) and ELFCAR (LELF), as VASP does but for the one-centre
    occupancies of the PAW spheres. With ICHARG = 12 CHGCAR is that of the superposed atoms.
    """
    coarse, fine = fft_grids(inputs)
    title = poscar_text(arrangement).split("\n\n")[0]
    superposed = inputs.tags.get("ICHARG") == 12
    if inputs.tags.get("LCHARG", True):
        charge = valence_density(inputs, arrangement, fine, widening=ATOM_WIDENING if superposed else 1.0)
        spins = [spin_density(inputs, arrangement, fine, electrons)] if electrons.spins == 2 else []
        _write(folder / "CHGCAR", title, [charge, *spins])
    if inputs.tags.get("LAECHG", False):
        _write(folder / "AECCAR0", title, [core_density(inputs, arrangement, fine)])
        _write(folder / "AECCAR1", title, [valence_density(inputs, arrangement, fine, widening=ATOM_WIDENING)])
        _write(folder / "AECCAR2", title, [valence_density(inputs, arrangement, fine)])
    if inputs.tags.get("LELF", False):
        local = localisation(valence_density(inputs, arrangement, coarse))
        _write(folder / "ELFCAR", title, [local] * electrons.spins)


def valence_density(inputs: Inputs, arrangement: Arrangement, grid: Grid, widening: float = 1.0) -> Array:
    """Return density times volume on the grid: its mean is the number of electrons, NELECT.

    Parameters
    ----------
    inputs, arrangement
        Potentials, and where the atoms are.
    grid
        Points along each lattice vector.
    widening
        Factor on the width of each atom.
    """
    valences = np.array([potential.valence for potential in inputs.potentials])
    charges = valences * inputs.tag("NELECT") / inputs.neutral_electrons
    return _gaussians(arrangement, np.repeat(charges, arrangement.counts), widening * _widths(arrangement), grid)


def core_density(inputs: Inputs, arrangement: Arrangement, grid: Grid) -> Array:
    """Return density times volume of the electrons that the potentials leave out."""
    cores = [Element(potential.element).Z - potential.valence for potential in inputs.potentials]
    narrow = np.full(len(arrangement.counts), _LEAST_WIDTH_ANGSTROM)
    return _gaussians(arrangement, np.repeat(cores, arrangement.counts), narrow, grid)


def spin_density(inputs: Inputs, arrangement: Arrangement, grid: Grid, electrons: Electrons) -> Array:
    """Return spin density times volume: its mean is the moment of the cell, what no atom has is spread evenly."""
    moments = _gaussians(arrangement, electrons.moments, _widths(arrangement), grid)
    return moments + (electrons.moment - electrons.moments.sum())


def localisation(density: Array) -> Array:
    """Return a localisation function, from 0 where there is nothing to 1 where there is much, 1/2 at the mean."""
    positive = np.clip(density, 0.0, None)
    return positive / (positive + density.mean())


def _widths(arrangement: Arrangement) -> Array:
    """Return the width of each type of atom, Å."""
    radii = [float(Element(symbol).atomic_radius or 1.0) for symbol in arrangement.symbols]
    return np.clip(WIDTH_PER_RADIUS * np.array(radii), _LEAST_WIDTH_ANGSTROM, None)


def _gaussians(arrangement: Arrangement, charges: Array, widths: Array, grid: Grid) -> Array:
    """Return the sum of periodic Gaussians times the volume, by their Fourier series: exact, whatever the cell.

    Parameters
    ----------
    charges
        Of each atom, (n,).
    widths
        Standard deviation of each type, (t,), Å.
    grid
        Points along each lattice vector.
    """
    # of a real density, half of the last axis says all
    whole = [np.fft.fftfreq(points, 1 / points).astype(np.float64) for points in grid[:2]]
    frequencies = [*whole, np.arange(grid[2] // 2 + 1, dtype=np.float64)]
    reciprocal = np.asarray(2 * np.pi * np.linalg.inv(arrangement.cell).T, dtype=np.float64)
    series = np.zeros([len(each) for each in frequencies], dtype=complex)
    ends = np.cumsum(arrangement.counts)
    for start, end, width in zip(ends - arrangement.counts, ends, widths, strict=True):
        phases = [
            np.exp(-2j * np.pi * np.outer(arrangement.fractional[start:end, axis], each))
            for axis, each in enumerate(frequencies)
        ]
        phases[0] *= charges[start:end, None]
        for number, first in enumerate(frequencies[0]):
            waves = _waves(reciprocal, float(first), frequencies[1], frequencies[2])
            sums = (phases[0][:, number, None] * phases[1]).T @ phases[2]
            series[number] += np.exp(-0.5 * width**2 * waves) * sums
    return np.fft.irfftn(series, s=grid, axes=(0, 1, 2)) * np.prod(grid)


def _waves(reciprocal: Array, first: float, second: Array, third: Array) -> Array:
    """Return |G|² of all reciprocal lattice vectors with one first index, (k, l), 1/Å²."""
    metric = reciprocal @ reciprocal.T
    along = metric[1, 1] * second**2 + 2 * first * metric[0, 1] * second + metric[0, 0] * first**2
    cross = 2 * (metric[1, 2] * second[:, None] + metric[0, 2] * first) * third
    return along[:, None] + cross + metric[2, 2] * third**2


def _write(path: Path, title: str, volumes: list[Array]) -> None:
    """Write volumes one after the other, the first index running fastest, five numbers a line."""
    with path.open("w") as file:
        file.write(title + "\n")
        for volume in volumes:
            file.write(f"\n{volume.shape[0]:5d}{volume.shape[1]:5d}{volume.shape[2]:5d}\n")
            numbers = volume.ravel(order="F")
            for start in range(0, len(numbers), _PER_LINE * _LINES_AT_A_TIME):
                file.write(_lines(numbers[start : start + _PER_LINE * _LINES_AT_A_TIME]))


def _lines(numbers: Array) -> str:
    whole, rest = divmod(len(numbers), _PER_LINE)
    rows = (" %.11E" * _PER_LINE + "\n") * whole + (" %.11E" * rest + "\n" if rest else "")
    return rows % tuple(numbers.tolist())
