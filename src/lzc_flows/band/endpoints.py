"""The ends of a band from two crystal structures that a user gives: one order of atoms, one cell, unwrapped.

Files of two states of a crystal rarely list their atoms in one order, or hold each in the same periodic image. Atoms of
one element are paired so that the sum of their squared displacements is least; a rigid drift between the files is no
part of the hop and is taken off.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import product

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure
from pymatgen.util.coord import pbc_shortest_vectors
from scipy.optimize import linear_sum_assignment

from lzc_flows.band.search import SAME_ANGSTROM
from lzc_flows.dynamics.watch import Limits
from lzc_flows.errors import InputError

SAME_CELL_ANGSTROM = 1e-3
"""Largest difference of a component of a lattice vector between two files of one cell."""


@dataclass(frozen=True, eq=False)
class MatchedEnds:
    """Both ends of a hop in one order of atoms, that of the initial structure.

    Attributes
    ----------
    initial_positions, final_positions
        Shape (n, 3), Å; final minus initial is how each atom moves.
    cell
        Rows are the lattice vectors of the initial structure, (3, 3), Å.
    species
        Symbol of each atom.
    moved
        Atoms that move farther than `SAME_ANGSTROM`.
    reordered
        Whether the final structure lists its atoms in another order.
    """

    initial_positions: NDArray[np.float64]
    final_positions: NDArray[np.float64]
    cell: NDArray[np.float64]
    species: tuple[str, ...]
    moved: tuple[int, ...]
    reordered: bool


def matched_ends(initial: Structure, final: Structure) -> MatchedEnds:
    """Return the ends of the hop from one structure to another, the final atoms beside the initial ones.

    The atoms that do not move are, on average, at the same place in both.

    Raises
    ------
    InputError
        Cells or compositions differ, a site is partially occupied, no atom moves, more than half of them do, or an atom
        would move through another one on the straight path.
    """
    species, other = _symbols(initial, "initial"), _symbols(final, "final")
    _refuse_other_cell(initial.lattice, final.lattice)
    _refuse_other_atoms(species, other)
    lattice, start = initial.lattice, initial.frac_coords
    order, ways = _paired(lattice, (start, species), (final.frac_coords, other))
    # most atoms only drift; what each moves beyond that may pair them better
    drift = lattice.get_fractional_coords(np.median(ways, axis=0))
    order, ways = _paired(lattice, (start, species), (final.frac_coords - drift, other))
    moves = np.linalg.norm(ways, axis=1) > SAME_ANGSTROM
    if 2 * moves.sum() > len(moves):
        raise InputError(
            f"{moves.sum()} of {len(moves)} atoms move farther than {SAME_ANGSTROM:g} Å: two states of one crystal are "
            "allowed, in which no more than half of the atoms differ"
        )
    ways = ways - ways[~moves].mean(axis=0)
    lengths = np.linalg.norm(ways, axis=1)
    moved = np.flatnonzero(lengths > SAME_ANGSTROM)
    if not len(moved):
        raise InputError(
            f"identical ends: no atom moves farther than {lengths.max():.2f} Å; one that moves more than "
            f"{SAME_ANGSTROM:g} Å is needed"
        )
    ends = MatchedEnds(
        initial_positions=initial.cart_coords,
        final_positions=initial.cart_coords + ways,
        cell=np.array(lattice.matrix),
        species=species,
        moved=tuple(int(atom) for atom in moved),
        reordered=bool((order != np.arange(len(order))).any()),
    )
    _refuse_collision(ends)
    return ends


def _symbols(structure: Structure, which: str) -> tuple[str, ...]:
    """Return the element of each atom of an ordered structure."""
    if not structure.is_ordered:
        raise InputError(f"{which} structure: sites are partially occupied; ordered structures are allowed")
    return tuple(site.specie.symbol for site in structure)


def _refuse_other_cell(initial: Lattice, final: Lattice) -> None:
    apart = np.abs(np.array(initial.matrix) - np.array(final.matrix)).max(axis=1)
    vector = int(apart.argmax())
    if apart[vector] > SAME_CELL_ANGSTROM:
        one, other = (", ".join(f"{part:.4f}" for part in each.matrix[vector]) for each in (initial, final))
        raise InputError(
            f"cells differ: lattice vector {'abc'[vector]} is ({one}) Å initially and ({other}) Å finally; up to "
            f"{SAME_CELL_ANGSTROM:g} Å is allowed"
        )


def _refuse_other_atoms(initial: tuple[str, ...], final: tuple[str, ...]) -> None:
    there, here = Counter(final), Counter(initial)
    changes = [
        f"{abs(there[symbol] - here[symbol])} {symbol} {'more' if there[symbol] > here[symbol] else 'fewer'}"
        for symbol in sorted(there | here)
        if there[symbol] != here[symbol]
    ]
    if changes:
        raise InputError(f"different atoms: the final structure has {', '.join(changes)}; the same atoms are allowed")


def _paired(
    lattice: Lattice,
    initial: tuple[NDArray[np.float64], tuple[str, ...]],
    final: tuple[NDArray[np.float64], tuple[str, ...]],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return which final atom each initial one becomes, and by how much it moves, (n, 3), Å.

    Each structure is its fractional coordinates and its symbols.
    """
    (start, species), (stop, others) = initial, final
    order, ways = np.empty(len(start), dtype=np.int64), np.empty((len(start), 3))
    for symbol in set(species):
        here, there = (np.flatnonzero(np.array(names) == symbol) for names in (species, others))
        vectors, squares = pbc_shortest_vectors(lattice, start[here], stop[there], return_d2=True)
        rows, columns = linear_sum_assignment(squares)
        order[here[rows]], ways[here[rows]] = there[columns], vectors[rows, columns]
    return order, ways


def _refuse_collision(ends: MatchedEnds) -> None:
    """Refuse a straight path on which a moved atom comes too close to any other."""
    radii = covalent_radii[[atomic_numbers[symbol] for symbol in ends.species]]
    for atom in ends.moved:
        smallest = Limits().closeness * (radii + radii[atom])
        apart = _closest_approaches(ends, atom, float(smallest.max()))
        apart[atom] = np.inf  # its own images move along
        worst = int((apart / smallest).argmin())
        if apart[worst] < smallest[worst]:
            raise InputError(
                f"a hop through another atom: {ends.species[atom]}{atom} comes as close as {apart[worst]:.2f} Å to "
                f"{ends.species[worst]}{worst} on the straight path; {smallest[worst]:.2f} Å and more is allowed"
            )


def _closest_approaches(ends: MatchedEnds, atom: int, within: float) -> NDArray[np.float64]:
    """Return how close each atom comes to one when all move straight at once, (n,), Å.

    Periodic images count; approaches no closer than `within` may be told as larger ones.
    """
    ways = ends.final_positions - ends.initial_positions
    way = ways - ways[atom]
    middle = ends.initial_positions - ends.initial_positions[atom] + way / 2
    inverse = np.linalg.inv(ends.cell)
    fractional = middle @ inverse
    middle = (fractional - np.round(fractional)) @ ends.cell
    # an image that comes so close anywhere is this near half-way; widths between faces are 1/|columns of the inverse|
    reach = within + float(np.linalg.norm(way, axis=1).max()) / 2
    most = np.ceil(reach * np.linalg.norm(inverse, axis=0) + 0.5).astype(int)
    images = np.array(list(product(*(range(-number, number + 1) for number in most)))) @ ends.cell
    apart = middle[:, None, :] + images
    squares = (way * way).sum(axis=1)[:, None]
    along = -(apart * way[:, None, :]).sum(axis=2) / np.where(squares > 0, squares, 1.0)
    nearest = apart + np.clip(along, -0.5, 0.5)[:, :, None] * way[:, None, :]
    return np.linalg.norm(nearest, axis=2).min(axis=1)
