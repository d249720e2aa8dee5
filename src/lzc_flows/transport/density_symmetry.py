"""Symmetry of an ideal crystal, put upon a density from a simulation.

The simulation's framework vibrates about the ideal one. Its atoms are paired with the ideal sites, whatever stands on
them (so a dopant may stand on a host's site), which gives the shift between the two origins. The symmetry is that of
the ideal framework, mobile ions left out: they visit all that the framework makes equal.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from lzc_flows.errors import InputError
from lzc_flows.transport.bvse import grid_shape
from lzc_flows.transport.frames import framework_atoms
from lzc_flows.transport.framework import Framework
from lzc_flows.transport.grid_symmetry import GridOperations, representatives, spread

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from lzc_flows.transport.motion import Motion

MISFIT_ANGSTROM = 1.0
"""Root mean square distance that the first frame's framework may be from the ideal one: hot crystals have 0.6."""

LATTICE_TOLERANCE = 0.1
"""By how much, relative to the product of two lengths, the lattice vectors' scalar products may differ from the ideal
lattice's: thermal expansion and a relaxed shape pass, another cell does not."""

_WHOLE_NODES = 12  # halves, thirds, quarters and sixths of the cell are then whole numbers of nodes


def ideal_framework(ideal: Structure, mobile: str) -> Framework:
    """Return the sites of an ideal structure that the mobile element is not on; raise InputError if there are none."""
    sites = [site for site in ideal if mobile not in {species.symbol for species in site.species}]
    if not sites:
        raise InputError(f"ideal structure {ideal.composition.reduced_formula}: no site without {mobile}")
    ions: list[Any] = [tuple(sorted(site.species.items(), key=str)) for site in sites]
    kinds = sorted(set(ions), key=str)
    return Framework(
        lattice_angstrom=np.array(ideal.lattice.matrix, dtype=np.float64),
        fractional=np.array([site.frac_coords for site in sites], dtype=np.float64),
        kinds=np.array([kinds.index(kind) for kind in ions], dtype=np.int64),
        ions=tuple(kinds),
    )


def symmetric_shape(framework: Framework, resolution_angstrom: float) -> tuple[int, int, int]:
    """Return numbers of nodes, multiples of 12, that are no coarser than asked for.

    The translations of all space groups, in supercells of 2, 3, 4 and 6 cells too, then map nodes onto nodes.
    """
    shape = grid_shape(framework.lattice_angstrom, resolution_angstrom)
    nx, ny, nz = (-(-count // _WHOLE_NODES) * _WHOLE_NODES for count in shape)
    return nx, ny, nz


def origin_of(motion: Motion, mobile: str, framework: Framework) -> NDArray[np.float64]:
    """Return where the ideal origin lies in the coordinates of the trajectory, fractional, shape (3,).

    The centre of the first frame's framework then is that of the ideal one. The two must lie on each other but for
    vibrations and a shift that is small beside the distances of atoms.

    Raises
    ------
    InputError
        If the lattices or the numbers of framework atoms differ, or the atoms are too far from the ideal sites.
    """
    cell = np.asarray(motion.cell, dtype=np.float64)
    _refuse_other_lattice(cell, framework.lattice_angstrom)
    atoms = framework_atoms(motion, mobile)
    if len(atoms) != len(framework.fractional):
        raise InputError(
            f"ideal structure with {len(framework.fractional)} framework sites: the trajectory has {len(atoms)}; "
            "the same number is allowed"
        )
    found = np.asarray(motion.positions[0], dtype=np.float64)[atoms] @ np.linalg.inv(cell)
    apart = found[:, None] - framework.fractional[None]
    apart -= np.rint(apart)
    rows, columns = linear_sum_assignment(((apart @ cell) ** 2).sum(axis=2))
    offsets = apart[rows, columns]
    origin = offsets.mean(axis=0)
    misfit = math.sqrt(((((offsets - origin) @ cell) ** 2).sum(axis=1)).mean())
    if misfit > MISFIT_ANGSTROM:
        raise InputError(
            f"ideal structure {misfit:.2f} Å (root mean square) from the first frame's framework: "
            f"up to {MISFIT_ANGSTROM:g} Å is allowed"
        )
    return origin


def symmetrised(values: NDArray[np.float64], operations: GridOperations) -> NDArray[np.float64]:
    """Return the mean of a grid (nx, ny, nz) and its images under a group of operations; its sum stays.

    Nodes of one orbit have the same value to the last bit.
    """
    chosen = representatives(values.shape, operations)
    nodes = np.argwhere(chosen)
    mean = values[tuple(nodes.T)].copy()
    for matrix, translation in zip(operations.matrices, operations.translations, strict=True):
        images = (nodes @ matrix.T + translation) % values.shape
        mean += values[tuple(images.T)]
    result = np.zeros_like(values)
    result[tuple(nodes.T)] = mean / (len(operations.matrices) + 1)
    spread(result, chosen, operations)
    return result


def _refuse_other_lattice(cell: NDArray[np.float64], ideal: NDArray[np.float64]) -> None:
    lengths = np.linalg.norm(ideal, axis=1)
    misfit = np.abs(cell @ cell.T - ideal @ ideal.T) / np.outer(lengths, lengths)
    if misfit.max() > LATTICE_TOLERANCE:
        described = ", ".join(f"{length:.3f}" for length in np.linalg.norm(cell, axis=1))
        raise InputError(
            f"ideal structure with a, b, c of {', '.join(f'{length:.3f}' for length in lengths)} Å: not the cell of "
            f"the trajectory, {described} Å"
        )
