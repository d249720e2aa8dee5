"""Symmetry orbits of ions placed on sublattices, under a group of site permutations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

BEAM = 3000
"""Most arrangements kept after each ion. One dopant in a 2×2×1 cell stays below it for the charges."""

CHUNK = 20_000
"""Arrangements made canonical at a time: bounds the memory to about 100 MB."""


@dataclass(frozen=True)
class Placement:
    """`count` ions of one kind on one sublattice; the ion `VACANT` makes vacancies."""

    ion: str
    sites: tuple[int, ...]
    count: int


def place(
    group: np.ndarray,
    placements: list[Placement],
    strata: Callable[[np.ndarray], np.ndarray],
    score: Callable[[np.ndarray], np.ndarray],
) -> tuple[np.ndarray, bool]:
    """Place the ions one at a time, keeping one state an orbit of `group`.

    Parameters
    ----------
    group
        Site permutations, shape (operations, sites).
    strata, score
        Of an array of states, shape (states, ions placed so far): an integer and a number, lower is better.
        Where more than `BEAM` states remain before the last ion, each stratum keeps its best.

    Returns
    -------
    states
        Site indices, one column an ion in the order of the placements, canonical; shape (states, ions).
    complete
        Whether nothing was cut, so that every orbit is there.
    """
    ions = one_by_one(placements)
    states, complete = np.zeros((1, 0), dtype=np.int16), True
    for number, placement in enumerate(ions):
        sites = np.array(placement.sites, dtype=np.int16)
        wider = np.column_stack([np.repeat(states, len(sites), axis=0), np.tile(sites, len(states))])
        free = wider[~(wider[:, :number] == wider[:, [number]]).any(axis=1)]
        columns = _columns(placements, number + 1)
        parts = [canonical(group, free[i : i + CHUNK], columns) for i in range(0, len(free), CHUNK)]
        states = np.unique(np.concatenate(parts), axis=0)
        if len(states) > BEAM and number + 1 < len(ions):
            states, complete = _cut(states, strata(states), score(states)), False
    return states, complete


def stabiliser(group: np.ndarray, placements: list[Placement], state: np.ndarray) -> np.ndarray:
    """Return the operations of `group` that leave a state of `place` unchanged, shape (operations, sites)."""
    images = _images(group, state[None, :], _columns(placements, len(state)))[:, 0]
    return group[(images == state).all(axis=1)]


def stabiliser_orders(group: np.ndarray, placements: list[Placement], states: np.ndarray) -> np.ndarray:
    """Return how many operations of `group` leave each state of `place` unchanged, shape (states,)."""
    columns = _columns(placements, states.shape[1])
    parts = (states[i : i + CHUNK] for i in range(0, len(states), CHUNK))
    return np.concatenate([(_images(group, part, columns) == part).all(axis=2).sum(axis=0) for part in parts])


def canonical(group: np.ndarray, states: np.ndarray, columns: list[slice]) -> np.ndarray:
    """Return the lexicographically first image of each state under the group."""
    images = _images(group, states, columns)
    first = np.ones(images.shape[:2], dtype=bool)
    for number in range(images.shape[2]):
        values = np.where(first, images[..., number], np.iinfo(np.int16).max)
        first &= values == values.min(axis=0)
    return images[np.argmax(first, axis=0), np.arange(len(states))]


def _images(group: np.ndarray, states: np.ndarray, columns: list[slice]) -> np.ndarray:
    """Return all images, equal ions sorted; shape (operations, states, ions)."""
    images = group[:, states]
    for same in columns:
        images[..., same] = np.sort(images[..., same], axis=-1)
    return images


def _cut(states: np.ndarray, strata: np.ndarray, score: np.ndarray) -> np.ndarray:
    kinds = np.unique(strata)
    share = max(BEAM // len(kinds), 1)
    kept = []
    for kind in kinds:
        members = np.flatnonzero(strata == kind)
        kept.append(members[np.argsort(score[members], kind="stable")[:share]])
    return states[np.concatenate(kept)]


def one_stratum(states: np.ndarray) -> np.ndarray:
    """Return one stratum for all states."""
    return np.zeros(len(states), dtype=int)


def one_by_one(placements: list[Placement]) -> list[Placement]:
    """Return the placement of each ion, one entry an ion."""
    return [placement for placement in placements for _ in range(placement.count)]


def _columns(placements: list[Placement], n_ions: int) -> list[slice]:
    """Return the columns that hold equal ions, among the first `n_ions`."""
    columns, start = [], 0
    for placement in placements:
        stop = min(start + placement.count, n_ions)
        if stop > start:
            columns.append(slice(start, stop))
        start = stop
    return columns
