"""Bond-valence site energy of a mobile ion on a periodic grid.

The energy at a node is the sum over all framework ions within the cutoff, periodic images included, of the pair
energies of a named convention (`lzc_flows.transport.conventions`). The radial functions are tabulated
(`lzc_flows.transport.radial`), and only one node of each orbit under the symmetry of the framework is computed
(`lzc_flows.transport.grid_symmetry`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import psutil

from lzc_flows.errors import InputError
from lzc_flows.transport.bvse_parameters import missing_pairs, no_parameters_message, parse_ion
from lzc_flows.transport.conventions import CONVENTIONS, BVSEConvention, RadialFunction, pair_energy
from lzc_flows.transport.framework import Framework, SiteKind, framework_of
from lzc_flows.transport.grid_symmetry import GridOperations, grid_operations, representatives, spread
from lzc_flows.transport.lattice_sum import images_within, sum_over_images
from lzc_flows.transport.radial import tabulate

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Species, Structure

MAX_ENERGY_EV = 100.0
"""Energies are clipped here: a node on top of a same-sign ion would be infinite. No barrier reaches it."""

TABLE_ERROR_EV = 5e-5
"""Upper bound on the error of a node's energy by the tables."""

BYTES_PER_NODE = 28
"""Memory of a field and of all that is read off it and stored: 8 bytes for the energy, 11 for the basins, the rest for
packing. Measured: 9 for the field alone, 19 with percolation, sites and paths, 22 packed; up to 27 where energies do
not compress."""

_FINEST_ANGSTROM = 1e-6  # no memory holds a finer grid, and the numbers of its nodes overflow


@dataclass(frozen=True, eq=False)
class EnergyField:
    """Site energy of a mobile ion on the nodes of a periodic grid.

    Attributes
    ----------
    energies_ev
        Shape (nx, ny, nz), eV, at most `MAX_ENERGY_EV`. Node (i, j, k) lies at the fractional position
        (i/nx, j/ny, k/nz); the end planes are not repeated.
    lattice_angstrom
        Shape (3, 3), Å, rows are the lattice vectors.
    mobile
        Label of the mobile ion, such as ``"Li+"``.
    convention
        Name of the `BVSEConvention`.
    cutoff_angstrom
        Interaction cutoff in Å.
    table_error_ev
        Upper bound on the error of every energy by the tables of the radial functions, eV: the largest error
        measured of one term times the number of images that can be within the cutoff.
    """

    energies_ev: NDArray[np.float64]
    lattice_angstrom: NDArray[np.float64]
    mobile: str
    convention: str
    cutoff_angstrom: float
    table_error_ev: float = 0.0


def grid_shape(lattice_angstrom: NDArray[np.float64], resolution_angstrom: float) -> tuple[int, int, int]:
    """Return the numbers of nodes ``ceil(length/resolution)`` along the three lattice vectors.

    Raises
    ------
    InputError
        If the resolution is not a positive number, or absurdly small.
    """
    if not (math.isfinite(resolution_angstrom) and resolution_angstrom >= _FINEST_ANGSTROM):
        raise InputError(f"resolution {resolution_angstrom} Å: expected a positive number, at least {_FINEST_ANGSTROM}")
    lengths = np.linalg.norm(lattice_angstrom, axis=1)
    # a length that is a multiple of the resolution must not gain a node by rounding
    nx, ny, nz = (max(1, math.ceil(length / resolution_angstrom - 1e-9)) for length in lengths)
    return nx, ny, nz


def predicted_memory_bytes(shape: tuple[int, int, int]) -> int:
    """Return the memory in bytes that a field of this shape and its percolation take at most."""
    return math.prod(shape) * BYTES_PER_NODE


def energy_field(
    structure: Structure,
    mobile: str = "Li+",
    *,
    resolution_angstrom: float = 0.2,
    cutoff_angstrom: float = 10.0,
    convention: BVSEConvention = CONVENTIONS["softbv"],
) -> EnergyField:
    """Compute the BVSE field of a mobile ion in a structure.

    Parameters
    ----------
    structure
        Structure with oxidation states. On partially occupied sites each species counts by its occupancy.
    mobile
        Mobile cation; it must be in the structure.
    resolution_angstrom
        Largest distance of neighbouring nodes along each lattice vector, Å.
    cutoff_angstrom
        Framework ions up to this distance count, Å.
    convention
        Form and radii of the energy.

    Raises
    ------
    InputError
        For a non-positive resolution, or what `energy_field_on_grid` refuses.
    """
    shape = grid_shape(np.array(structure.lattice.matrix), resolution_angstrom)
    return energy_field_on_grid(structure, mobile, shape, cutoff_angstrom=cutoff_angstrom, convention=convention)


def energy_field_on_grid(
    structure: Structure,
    mobile: str,
    shape: tuple[int, int, int],
    *,
    cutoff_angstrom: float = 10.0,
    convention: BVSEConvention = CONVENTIONS["softbv"],
) -> EnergyField:
    """Compute the BVSE field on a given number of nodes along the three lattice vectors.

    Parameters are otherwise those of `energy_field`.

    Raises
    ------
    InputError
        For a mobile ion that is no cation or not in the structure, a missing or zero oxidation state, a structure
        without other ions, sites on top of each other, pairs without softBV parameters (all are named), a
        non-positive cutoff or shape, or a grid that does not fit into the memory available.
    """
    if not (math.isfinite(cutoff_angstrom) and cutoff_angstrom > 0):
        raise InputError(f"cutoff {cutoff_angstrom} Å: expected a positive number")
    if min(shape) < 1:
        raise InputError(f"grid {_times(shape)}: expected at least one point along each lattice vector")
    ion = parse_ion(mobile)
    framework = framework_of(structure, ion, convention.mobile_framework)
    missing = missing_pairs(structure, mobile, convention.radii)
    if missing:
        raise InputError(no_parameters_message(ion, [partner for _, partner in missing]))
    _refuse_beyond_memory(shape, framework.lattice_angstrom, psutil.virtual_memory().available)

    functions = [_site_energy(ion, kind, convention, structure.composition) for kind in framework.ions]
    operations = grid_operations(framework, shape)
    energies, error = framework_field(framework, functions, operations, shape, float(cutoff_angstrom))
    return EnergyField(energies, framework.lattice_angstrom, str(ion), convention.name, float(cutoff_angstrom), error)


def framework_field(
    framework: Framework,
    functions: list[RadialFunction],
    operations: GridOperations,
    shape: tuple[int, int, int],
    cutoff_angstrom: float,
) -> tuple[NDArray[np.float64], float]:
    """Return the clipped energies (nx, ny, nz) and the bound on their error by the tables, both in eV.

    Parameters
    ----------
    framework
        The sites that act.
    functions
        Energy in eV of distances in Å, one for each kind of site.
    operations
        Symmetry operations of framework and grid; with `NO_OPERATIONS` every node is computed.
    shape
        Numbers of nodes.
    cutoff_angstrom
        Interaction cutoff in Å.
    """
    images = images_within(framework, cutoff_angstrom)
    number = max(len(images.kinds), 1)
    tables = tabulate(functions, cutoff_angstrom, TABLE_ERROR_EV / number)
    chosen = representatives(shape, operations)
    energies = sum_over_images(chosen, framework, images, tables, MAX_ENERGY_EV)
    spread(energies, chosen, operations)
    return energies, tables.error_ev * number


def _site_energy(
    mobile: Species, kind: SiteKind, convention: BVSEConvention, composition: Mapping[Species, float]
) -> RadialFunction:
    """Return the energy of the mobile ion and one site, its ions weighted by their occupancies."""
    terms = [(occupancy, pair_energy(mobile, species, convention, composition)) for species, occupancy in kind]

    def energy(distance: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.sum([occupancy * term(distance) for occupancy, term in terms], axis=0)

    return energy


def _refuse_beyond_memory(
    shape: tuple[int, int, int], lattice_angstrom: NDArray[np.float64], available_bytes: int
) -> None:
    """Raise InputError, with the coarsest resolution that fits, if a grid needs more than the memory available."""
    needed = predicted_memory_bytes(shape)
    if needed <= available_bytes:
        return
    lengths = np.linalg.norm(lattice_angstrom, axis=1)
    resolution = max(length / number for length, number in zip(lengths, shape, strict=True))
    fitting = math.ceil(1000 * (math.prod(lengths) * BYTES_PER_NODE / available_bytes) ** (1 / 3)) / 1000
    while predicted_memory_bytes(grid_shape(lattice_angstrom, fitting)) > available_bytes:
        fitting = round(fitting + 0.001, 3)
    raise InputError(
        f"resolution {resolution:.3g} Å: a grid of {_times(shape)} points needs about {_gib(needed)} GiB, "
        f"{_gib(available_bytes)} GiB are available; a resolution of {fitting:g} Å or coarser fits"
    )


def _times(shape: tuple[int, int, int]) -> str:
    return "×".join(str(number) for number in shape)


def _gib(number: int) -> str:
    """Return bytes in GiB, without decimals from a hundred on."""
    gib = number / 2**30
    return f"{gib:,.0f}" if gib >= 100 else f"{gib:.1f}"
