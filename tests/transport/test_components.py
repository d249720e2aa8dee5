from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lzc_flows.transport.components import Components, winding_basis

vectors = st.lists(st.tuples(*[st.integers(-6, 6)] * 3), max_size=5)


def volume(rows, rank):
    """Volume of the lattice of some rows: the greatest common divisor of their minors of the size of the rank."""
    rows = np.array(rows)
    minors = [
        round(np.linalg.det(rows[np.ix_(r, c)]))
        for r in itertools.combinations(range(len(rows)), rank)
        for c in itertools.combinations(range(3), rank)
    ]
    return np.gcd.reduce(minors)


@settings(max_examples=200, deadline=None)
@given(vectors)
def test_the_basis_spans_the_same_lattice(rows):
    basis = winding_basis(tuple(rows))
    rank = np.linalg.matrix_rank(np.array(rows)) if rows else 0
    assert len(basis) == rank
    # Hermite normal form: leading entries positive and further right in each row, entries above them reduced
    leads = [np.flatnonzero(row)[0] for row in basis]
    assert leads == sorted(set(leads))
    for number, lead in enumerate(leads):
        assert basis[number][lead] > 0
        assert all(0 <= basis[above][lead] < basis[number][lead] for above in range(number))
    if rank:
        # one lattice holds the other, and their volumes agree
        assert volume(basis, rank) == volume(rows, rank) == volume([*basis, *rows], rank)
    assert winding_basis((*basis, *rows)) == basis


def test_a_loop_gains_its_translation_whatever_the_way_round():
    for order in itertools.permutations([(0, 1, [0, 0, 0]), (1, 2, [1, 0, 0]), (2, 0, [1, 0, -1])]):
        components = Components([0.3, 0.1, 0.2])
        gained = [components.join(*edge) for edge in order]
        assert gained == [False, False, True]
        assert components.windings(0) in (((2, 0, -1),), ((2, 0, 1),))
        assert components.windings(0) == components.windings(2) == ((2, 0, -1),)
        assert [components.lowest(site) for site in range(3)] == [1, 1, 1]
        assert not components.join(0, 2, [-1, 0, 1])


def test_find_gives_the_cell_of_the_root():
    components = Components([0.0] * 4)
    components.join(0, 1, [1, 0, 0])
    components.join(2, 3, [0, 2, 0])
    components.join(1, 3, [0, 0, 5])
    cells = {site: np.array(components.find(site)[1]) for site in range(4)}
    assert len({components.find(site)[0] for site in range(4)}) == 1
    # the cell of site B seen from site A is that of the root seen from A less that seen from B
    assert (cells[0] - cells[1]).tolist() == [1, 0, 0]
    assert (cells[2] - cells[3]).tolist() == [0, 2, 0]
    assert (cells[1] - cells[3]).tolist() == [0, 0, 5]
    assert (cells[0] - cells[2]).tolist() == [1, -2, 5]
