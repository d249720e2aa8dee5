"""Depth-first search for one arrangement of every symmetry orbit, by orderly generation; compiled, resumable.

Ions are placed one at a time, the ions of a placement on increasing sites. A set of sites is kept if none of its images
under the group comes before it in lexicographic order; every prefix of such a set is such a set itself, so the search
turns back at the first prefix that is not (Read, Ann. Discrete Math. 2, 107 (1978), doi:10.1016/S0167-5060(08)70325-X;
Faradžev 1978). The next placement goes on under the stabiliser of those before it: the orbits of a group on pairs are
those of the stabiliser of the first on the second. Once only the identity is left, nothing is compared any more.

A set is a row of bits, the first site the highest bit, so that the lexicographically first set of a size is the largest
number. The image of a set under every operation grows with the set, one bitwise or an operation and ion.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from lzc_flows.crystal.quadratic import QuadraticForm

_BITS = 63
"""Sites in a word. The sign bit stays clear, so that words compare as signed numbers, which vectorises."""


class Chunk(NamedTuple):
    """Where the search writes what it finds, one row an orbit."""

    states: NDArray[np.int16]
    multiplicities: NDArray[np.int64]
    energies: NDArray[np.float64]


class Search(NamedTuple):
    """The problem, and where the search stands. Ions and placements are in the order in which they are placed."""

    group: NDArray[np.int16]
    """Site permutations, the identity first; shape (operations, sites)."""
    sites: NDArray[np.int16]
    """Sites of each placement, ascending, padded; shape (placements, most sites)."""
    n_sites: NDArray[np.int64]
    placement: NDArray[np.int64]
    """Of each ion, with one entry more that no placement has."""
    last: NDArray[np.int64]
    """Last ion of each placement."""
    column: NDArray[np.int64]
    """Where each ion is written in a state."""
    form: QuadraticForm

    depth: NDArray[np.int64]
    """The ion to place next, an array of one; -1 when all is done."""
    state: NDArray[np.int16]
    """Sites of the ions placed so far."""
    position: NDArray[np.int64]
    """Of each ion among its placement's free sites."""
    delta: NDArray[np.float64]
    energy: NDArray[np.float64]
    """Energy before each ion."""
    free: NDArray[np.int16]
    """Sites that the placements before have left free, ascending; shape as `sites`."""
    n_free: NDArray[np.int64]
    operations: NDArray[np.int64]
    """Rows of the group that keep all placements before each, identity first; shape (placements, operations)."""
    n_operations: NDArray[np.int64]
    bits: NDArray[np.int64]
    """Images of the free sites; shape (placements, most sites, words, operations)."""
    images: NDArray[np.int64]
    """Images of each placement's set, empty at first and after each of its ions; shape (ions + placements, words,
    operations)."""
    tied: NDArray[np.int64]
    """Whether each operation left the last set unchanged."""
    position_of: NDArray[np.int64]
    """Scratch, one entry a site; -1 between calls."""


def start(
    group: NDArray[np.int16], placements: list[tuple[list[int], int]], column: list[int], form: QuadraticForm
) -> Search:
    """Return a search at its start.

    Parameters
    ----------
    group
        Site permutations, the identity first; shape (operations, sites).
    placements
        Ascending sites and the number of ions of each placement, the number 1 or more.
    column
        Where each ion is to be written in a state, one entry an ion.
    """
    n_operations, n_sites = group.shape
    counts = [count for _, count in placements]
    n_ions, n_placements = sum(counts), len(placements)
    widest = max(len(sites) for sites, _ in placements)
    words = -(-widest // _BITS)
    padded = np.zeros((n_placements, widest), dtype=np.int16)
    for row, (sites, _) in zip(padded, placements, strict=True):
        row[: len(sites)] = sites
    search = Search(
        group=group,
        sites=padded,
        n_sites=np.array([len(sites) for sites, _ in placements]),
        placement=np.append(np.repeat(np.arange(n_placements), counts), n_placements),
        last=np.cumsum(counts) - 1,
        column=np.array(column),
        form=form,
        depth=np.zeros(1, dtype=np.int64),
        state=np.zeros(n_ions, dtype=np.int16),
        position=np.full(n_ions, -1),
        delta=np.zeros(n_ions),
        energy=np.full(n_ions + 1, form.base),
        free=np.zeros_like(padded),
        n_free=np.zeros(n_placements, dtype=np.int64),
        operations=np.tile(np.arange(n_operations), (n_placements, 1)),
        n_operations=np.full(n_placements, n_operations),
        bits=np.zeros((n_placements, widest, words, n_operations), dtype=np.int64),
        images=np.zeros((n_ions + n_placements, words, n_operations), dtype=np.int64),
        tied=np.ones(n_operations, dtype=np.int64),
        position_of=np.full(n_sites, -1),
    )
    _list_free_sites(search, 0)
    return search


@numba.njit(cache=True, nogil=True)
def advance(search: Search, chunk: Chunk) -> int:
    """Write the next orbits to a chunk and return their number; less than the chunk holds means that all is done."""
    # reading an array from the tuple, or handing the tuple on, takes longer than comparing a hundred images
    images, bits, tied = search.images, search.bits, search.tied
    free, state, delta, energy = search.free, search.state, search.delta, search.energy
    change, matrix, alone = search.form.change, search.form.matrix, search.form.alone
    n_ions, n_operations = len(state), len(search.group)
    depth, written = search.depth[0], 0
    while depth >= 0 and written < len(chunk.states):
        placement = search.placement[depth]
        position = search.position[depth] + 1
        if position >= search.n_free[placement] - (search.last[placement] - depth):  # too few sites for the rest
            depth -= 1
            continue
        search.position[depth] = position
        stabiliser = 1
        if search.n_operations[placement] > 1:
            row = depth + placement  # every placement starts from a row of zeros
            extent = (search.n_operations[placement], (search.n_free[placement] + _BITS - 1) // _BITS)
            stabiliser = _add_to_images(images[row : row + 2], bits[placement, position], tied, extent)
            if stabiliser == 0:
                continue
        site = free[placement, position]
        state[depth] = site
        delta[depth] = change[placement, site]
        energy[depth + 1] = energy[depth]
        if delta[depth] != 0.0:
            potential = _potential(matrix[site], state, delta, depth)
            energy[depth + 1] += alone[placement, site] + 2.0 * delta[depth] * potential
        if depth + 1 == n_ions:
            for ion in range(n_ions):
                chunk.states[written, search.column[ion]] = state[ion]
            chunk.multiplicities[written] = n_operations // stabiliser
            chunk.energies[written] = energy[n_ions]
            written += 1
            continue
        depth += 1
        if search.placement[depth] == placement:
            search.position[depth] = position
        else:
            _keep_stabiliser(search, placement)
            _list_free_sites(search, depth)
            search.position[depth] = -1
    search.depth[0] = depth
    return written


@numba.njit(cache=True, nogil=True)
def _potential(row: NDArray[np.float64], state: NDArray[np.int16], delta: NDArray[np.float64], n: int) -> float:
    """Return what the first n ions add to the potential at a site."""
    potential = 0.0
    for ion in range(n):
        potential += delta[ion] * row[state[ion]]
    return potential


@numba.njit(cache=True, nogil=True)
def _add_to_images(
    images: NDArray[np.int64], bits: NDArray[np.int64], tied: NDArray[np.int64], extent: tuple[int, int]
) -> int:
    """Write a set's images after those of the set without its last ion.

    Parameters
    ----------
    images
        Before and after the ion, shape (2, words, operations).
    bits
        Images of the ion's site, shape (words, operations).
    extent
        The number of operations and of words that are in use.

    Returns
    -------
    ties
        How many images are the set itself; 0 if one comes before it.
    """
    n, words = extent
    ties = n
    for word in range(words):
        image = images[1, word]
        compared = int(word == 0)  # whether every image counts, or only those that tie so far
        if _write_images(image, images[0, word], bits[word], tied, (n, compared)) > image[0]:  # 0 is the identity
            return 0
        ties = _note_ties(image, tied, n, compared)
    return ties


# loops of their own, over arrays alone: so they run in vector registers


@numba.njit(cache=True, nogil=True)
def _write_images(
    image: NDArray[np.int64],
    before: NDArray[np.int64],
    bits: NDArray[np.int64],
    tied: NDArray[np.int64],
    extent: tuple[int, int],
) -> int:
    """Write a word of the images of a set and one more site; return the largest that counts."""
    n, compared = extent
    largest = 0
    for h in range(n):
        value = before[h] | bits[h]
        image[h] = value
        largest = max(largest, value & -(tied[h] | compared))
    return largest


@numba.njit(cache=True, nogil=True)
def _note_ties(image: NDArray[np.int64], tied: NDArray[np.int64], n: int, compared: int) -> int:
    """Note which images still tie with the set and return their number."""
    own, ties = image[0], 0
    for h in range(n):
        tie = np.int64(image[h] == own) & (tied[h] | compared)
        tied[h] = tie
        ties += tie
    return ties


@numba.njit(cache=True, nogil=True)
def _keep_stabiliser(search: Search, placement: int) -> None:
    """Hand the operations that keep a completed placement to the next one."""
    kept = 1
    if search.n_operations[placement] > 1:
        kept = 0
        for h in range(search.n_operations[placement]):
            if search.tied[h]:
                search.operations[placement + 1, kept] = search.operations[placement, h]
                kept += 1
    search.n_operations[placement + 1] = kept


@numba.njit(cache=True, nogil=True)
def _list_free_sites(search: Search, depth: int) -> None:
    """List the sites left free for the placement that starts at this depth, and their images."""
    placement, position_of = search.placement[depth], search.position_of
    taken = -2
    for ion in range(depth):
        position_of[search.state[ion]] = taken
    n_free = 0
    for site in search.sites[placement, : search.n_sites[placement]]:
        if position_of[site] != taken:
            search.free[placement, n_free] = site
            position_of[site] = n_free
            n_free += 1
    search.n_free[placement] = n_free
    n = search.n_operations[placement]
    if n > 1:
        search.bits[placement, :n_free, :, :n] = 0
        for position in range(n_free):
            for h in range(n):
                image = search.group[search.operations[placement, h], search.free[placement, position]]
                word, bit = divmod(position_of[image], _BITS)
                search.bits[placement, position, word, h] = 1 << (_BITS - 1 - bit)
    position_of[:] = -1
