"""How many arrangements ions have on their sublattices, and how many that symmetry tells apart, without listing any.

The number of orbits is the mean over the group of the number of arrangements that an operation leaves unchanged
(Cauchy and Frobenius; Burnside's lemma). An operation leaves one unchanged if every cycle of sites holds one kind of
ion, so that number is a coefficient of ∏ (1 + Σ x_ion^length) over the cycles, the sum over the ions allowed on the
cycle's sites (Pólya, Acta Math. 68, 145 (1937), doi:10.1007/BF02546665). All numbers are exact Python integers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import combinations, product
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lzc_flows.crystal.ions import VACANT
from lzc_flows.crystal.orbits import Placement
from lzc_flows.errors import InputError

Counts = tuple[int, ...]


class Cycles(NamedTuple):
    """Cycles of sites, all of one length and with the same placements allowed on them."""

    length: int
    allowed: Counts
    """Indices of the placements that may use the cycles' sites."""
    number: int


def arrangements(placements: list[Placement]) -> int:
    """Return the number of ways to put the ions on their sites, at most one ion a site.

    Placements may share sites, wholly or in part: the number does not depend on their order.

    Raises
    ------
    InputError
        As `check_placements`.
    """
    check_placements(placements)
    return _arrangements(placements)


def orbit_count(group: NDArray[np.integer], placements: list[Placement]) -> int:
    """Return the number of arrangements that no operation of the group turns into one another.

    Parameters
    ----------
    group
        Site permutations that form a group, shape (operations, sites).

    Raises
    ------
    InputError
        As `check_group` and `check_placements`, or the permutations do not form a group.
    """
    check_placements(placements)
    check_group(group, placements)
    counts = [placement.count for placement in placements]
    fixed = 0
    for cycles, operations in _cycle_types(group, placements).items():
        fixed += operations * _unchanged(list(cycles), counts)
    if fixed % len(group):
        raise InputError(f"symmetry: {len(group)} site permutations that do not form a group")
    return fixed // len(group)


def check_placements(placements: list[Placement]) -> None:
    """Refuse placements without any arrangement, and those that would count an arrangement twice.

    Raises
    ------
    InputError
        A negative count, a site listed twice, one ion in two placements that share sites (these would give one
        arrangement in several ways), or more ions than sites.
    """
    for placement in placements:
        name = name_of(placement)
        if placement.count < 0:
            raise InputError(f"{name}: {placement.count} of them; 0 and above is allowed")
        if len(set(placement.sites)) < len(placement.sites):
            raise InputError(f"{name}: the sublattice lists a site twice")
        if placement.count > len(placement.sites):
            raise InputError(f"{name}: {placement.count} do not fit on {len(placement.sites)} sites")
    for one, other in combinations(placements, 2):
        if one.ion == other.ion and set(one.sites) & set(other.sites):
            raise InputError(f"{name_of(one)}: placed twice on sublattices that share sites; join the two")
    if _arrangements(placements) == 0:
        names = ", ".join(f"{placement.count} {name_of(placement)}" for placement in placements)
        raise InputError(f"{names}: together they do not fit on the sites that they share")


def check_group(group: NDArray[np.integer], placements: list[Placement]) -> None:
    """Refuse a group that does not permute the sites of every placement among themselves.

    Raises
    ------
    InputError
        The rows are not different permutations with the identity among them, a site is out of range, or a sublattice
        is not closed under the group.
    """
    identity = np.arange(group.shape[-1])
    if group.ndim != 2 or not (np.sort(group, axis=1) == identity).all() or not (group == identity).all(axis=1).any():
        raise InputError("symmetry: permutations of all sites are allowed, one a row, the identity among them")
    if len(np.unique(group, axis=0)) < len(group):
        raise InputError("symmetry: a permutation is listed twice")
    n_sites = group.shape[1]
    for placement in placements:
        name, sites = name_of(placement), np.array(placement.sites, dtype=int)
        if len(sites) and not 0 <= sites.min() <= sites.max() < n_sites:
            raise InputError(f"{name}: sites of 0 to {n_sites - 1} are allowed")
        inside = np.zeros(n_sites, dtype=bool)
        inside[sites] = True
        outside = np.argwhere(~inside[group[:, sites]])
        if len(outside):
            operation, column = outside[0]
            moved = int(group[operation, sites[column]])
            raise InputError(
                f"{name}: symmetry moves site {sites[column]} of its sublattice to site {moved}, which is not of it; "
                "whole orbits of sites are allowed"
            )


def name_of(placement: Placement) -> str:
    """Return what to call a placement in a message."""
    return "vacancies" if placement.ion == VACANT else placement.ion


def _arrangements(placements: list[Placement]) -> int:
    sharing = Counter(allowed_placements(placements).values())
    cycles = [Cycles(1, allowed, number) for allowed, number in sharing.items()]
    return _unchanged(cycles, [placement.count for placement in placements])


def allowed_placements(placements: list[Placement]) -> dict[int, Counts]:
    """Return the placements that may use each site."""
    allowed: defaultdict[int, list[int]] = defaultdict(list)
    for index, placement in enumerate(placements):
        for site in placement.sites:
            allowed[site].append(index)
    return {site: tuple(indices) for site, indices in allowed.items()}


def _cycle_types(group: NDArray[np.integer], placements: list[Placement]) -> Counter[frozenset[Cycles]]:
    """Return how many operations have each set of cycles."""
    lengths = _cycle_lengths(group)
    sites_by_allowed: defaultdict[Counts, list[int]] = defaultdict(list)
    for site, indices in allowed_placements(placements).items():
        sites_by_allowed[indices].append(site)
    types: Counter[frozenset[Cycles]] = Counter()
    for row in lengths:
        types[
            frozenset(
                Cycles(length, allowed, sites // length)
                for allowed, members in sites_by_allowed.items()
                for length, sites in Counter(row[members].tolist()).items()
            )
        ] += 1
    return types


def _cycle_lengths(group: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the length of the cycle of each site under each operation, shape (operations, sites)."""
    start = np.arange(group.shape[1])
    lengths = np.zeros(group.shape, dtype=np.int64)
    image, power = np.array(group, dtype=np.int64), 1
    while not lengths.all():
        lengths[(image == start) & (lengths == 0)] = power
        image, power = np.take_along_axis(group, image, axis=1).astype(np.int64), power + 1
    return lengths


def _unchanged(cycles: list[Cycles], counts: list[int]) -> int:
    """Return the number of arrangements in which every cycle holds one kind of ion."""
    total = 1
    for members in _linked(cycles, len(counts)):
        column = {placement: index for index, placement in enumerate(members)}
        inside = [
            Cycles(length, tuple(column[placement] for placement in allowed), number)
            for length, allowed, number in cycles
            if allowed[0] in column
        ]
        total *= _coefficient(inside, tuple(counts[placement] for placement in members))
    return total


def _linked(cycles: list[Cycles], n_placements: int) -> list[list[int]]:
    """Return the placements in groups that share no sites with one another."""
    groups = [{placement} for placement in range(n_placements)]
    for allowed in {entry.allowed for entry in cycles}:
        touched = [group for group in groups if group & set(allowed)]
        groups = [group for group in groups if group not in touched] + [set().union(*touched)]
    return [sorted(group) for group in groups]


def _coefficient(cycles: list[Cycles], counts: Counts) -> int:
    """Return the coefficient of ∏ x_ion^count in ∏ (1 + Σ x_ion^length)^number."""
    # the shortest cycles have the most ways, so they come last, where only one way fits what is left
    *others, last = sorted(cycles, reverse=True) or [Cycles(1, (), 0)]
    ways: Counter[Counts] = Counter({counts: 1})
    for entry in others:
        fewer: Counter[Counts] = Counter()
        for left, number in ways.items():
            for after, choices in fillings(entry, left):
                fewer[after] += number * choices
        ways = fewer
    total = 0
    for left, number in ways.items():
        filled = [count // last.length if index in last.allowed else 0 for index, count in enumerate(left)]
        if all(count == n * last.length for count, n in zip(left, filled, strict=True)):
            total += number * _multinomial(last.number, filled)
    return total


def fillings(entry: Cycles, left: Counts) -> Iterator[tuple[Counts, int]]:
    """Yield the ions that are left for each way to fill cycles, and the number of choices of the cycles."""
    most = [min(left[index] // entry.length, entry.number) for index in entry.allowed]
    for filled in product(*(range(n + 1) for n in most)):
        if sum(filled) <= entry.number:
            after = list(left)
            for index, n in zip(entry.allowed, filled, strict=True):
                after[index] -= n * entry.length
            yield tuple(after), _multinomial(entry.number, filled)


def _multinomial(number: int, parts: tuple[int, ...] | list[int]) -> int:
    """Return the number of ways to choose disjoint subsets of these sizes; 0 where they do not fit."""
    ways = 1
    for part in parts:
        if part > number:
            return 0
        ways *= comb(number, part)
        number -= part
    return ways
