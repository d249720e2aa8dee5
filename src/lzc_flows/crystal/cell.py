"""Cells that are cells: what a garbled file says of a crystal is refused before anything is computed of it."""

from __future__ import annotations

import numpy as np
from pymatgen.core import Structure

from lzc_flows.errors import InputError

SHORTEST_ANGSTROM = 1.0
"""Of an edge, and of the distance of two faces: nearer, every ion would sit on its own images."""

LONGEST_ANGSTROM = 500.0
"""Of an edge."""

LARGEST_ANGSTROM3 = 1e6
"""Of a cell: tables of neighbours fill all of it with small boxes."""

_FARTHEST_CELLS = 100.0

MOST_ATOMS = 5_000
"""Of a crystal that is read; tables of all distances are made of it."""


def check_cell(structure: Structure, where: str) -> None:
    """Refuse what is no cell of a crystal.

    Raises
    ------
    InputError
        No atoms, more than `MOST_ATOMS`, a cell too flat or too large, a coordinate that is no number.
    """
    if not 0 < len(structure) <= MOST_ATOMS:
        raise InputError(f"{where}: {len(structure):,} atoms: from 1 to {MOST_ATOMS:,} are allowed")
    matrix = np.asarray(structure.lattice.matrix)
    with np.errstate(all="ignore"):
        edges = np.linalg.norm(matrix, axis=1)
        volume = abs(np.linalg.det(matrix))
        apart = volume / np.linalg.norm(np.cross(np.roll(matrix, -1, 0), np.roll(matrix, -2, 0)), axis=1)
    said = " × ".join(f"{edge:.4g}" for edge in edges)
    if not (np.isfinite(matrix).all() and edges.min() >= SHORTEST_ANGSTROM and edges.max() <= LONGEST_ANGSTROM):
        raise InputError(
            f"{where}: a cell of {said} Å: edges of {SHORTEST_ANGSTROM:g} to {LONGEST_ANGSTROM:g} Å are allowed"
        )
    if not (apart.min() >= SHORTEST_ANGSTROM and volume <= LARGEST_ANGSTROM3):
        raise InputError(
            f"{where}: a cell of {said} Å and {volume:.4g} Å³, its nearest faces {apart.min():.3g} Å apart: "
            f"at most {LARGEST_ANGSTROM3:g} Å³ and at least {SHORTEST_ANGSTROM:g} Å are allowed"
        )
    for site in structure:
        if not (np.abs(site.frac_coords) < _FARTHEST_CELLS).all():
            place = ", ".join(f"{x:.4g}" for x in site.frac_coords)
            raise InputError(
                f"{where}: atom {site.label} at ({place}): fractional coordinates in or near the cell are allowed"
            )
