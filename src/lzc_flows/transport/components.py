"""Components of a periodic graph and their winding vectors: a union-find that carries lattice translations."""

from __future__ import annotations

Vector = tuple[int, int, int]
"""A lattice translation: integers along a, b and c."""


class Components:
    """Components of the sites of one cell; each link carries the cell of the parent seen from the site.

    Parameters
    ----------
    energies
        Energy of each site.
    """

    def __init__(self, energies: list[float]) -> None:
        self._energies = energies
        self._parent = list(range(len(energies)))
        self._offset: list[Vector] = [(0, 0, 0)] * len(energies)
        self._size = [1] * len(energies)
        self._lowest = list(range(len(energies)))
        self._windings: dict[int, tuple[Vector, ...]] = {}

    def lowest(self, site: int) -> int:
        """Return the lowest site of the component of `site`."""
        return self._lowest[self.find(site)[0]]

    def windings(self, site: int) -> tuple[Vector, ...]:
        """Return the basis of the winding vectors of the component of `site`."""
        return self._windings.get(self.find(site)[0], ())

    def join(self, first: int, second: int, translation: list[int]) -> bool:
        """Join two sites, the second `translation` cells away; return whether winding vectors were gained."""
        root, here = self.find(first)
        other, there = self.find(second)
        # the cell of the other root, as reached through this edge, seen from this root
        x, y, z = (t + v - u for t, v, u in zip(translation, there, here, strict=True))
        mine, theirs = self._windings.get(root, ()), self._windings.get(other, ())
        # translations commute: winding vectors are the same seen from either root
        gained = winding_basis((*mine, *theirs, *([(x, y, z)] if root == other else [])))
        if root != other:
            if self._size[root] < self._size[other]:
                root, other, (x, y, z) = other, root, (-x, -y, -z)
            self._parent[other] = root
            self._offset[other] = (-x, -y, -z)
            self._size[root] += self._size[other]
            if self._key(other) < self._key(root):
                self._lowest[root] = self._lowest[other]
        if gained:
            self._windings[root] = gained
        return gained != mine or gained != theirs

    def _key(self, root: int) -> tuple[float, int]:
        lowest = self._lowest[root]
        return self._energies[lowest], lowest

    def find(self, site: int) -> tuple[int, Vector]:
        """Return the root of a site's component and the root's cell seen from the site."""
        way = []
        while self._parent[site] != site:
            way.append(site)
            site = self._parent[site]
        cell = (0, 0, 0)
        for below in reversed(way):
            x, y, z = self._offset[below]
            cell = (x + cell[0], y + cell[1], z + cell[2])
            self._parent[below], self._offset[below] = site, cell
        return site, cell if way else (0, 0, 0)


def winding_basis(vectors: tuple[Vector, ...]) -> tuple[Vector, ...]:
    """Return the basis of the integer lattice that `vectors` span, in Hermite normal form.

    Rows have positive leading entries in strictly rightward columns; above a leading entry stand numbers from 0
    to below it. Two sets of vectors span one lattice if and only if their bases are equal.
    """
    rows = [list(vector) for vector in vectors if any(vector)]
    done = 0
    for column in range(3):
        # Euclid's algorithm on the column: the smallest entry reduces the others until it stands alone
        while len(active := [row for row in rows[done:] if row[column]]) > 1:
            pivot = min(active, key=lambda row: abs(row[column]))
            for row in active:
                if row is not pivot:
                    _subtract(row, row[column] // pivot[column], pivot)
        if not active:
            continue
        pivot = active[0]
        if pivot[column] < 0:
            pivot[:] = [-x for x in pivot]
        rest = [row for row in rows[done:] if row is not pivot and any(row)]
        rows = [*rows[:done], pivot, *rest]
        for row in rows[:done]:
            _subtract(row, row[column] // pivot[column], pivot)
        done += 1
    return tuple((x, y, z) for x, y, z in rows[:done])


def _subtract(row: list[int], times: int, other: list[int]) -> None:
    row[:] = [x - times * y for x, y in zip(row, other, strict=True)]
