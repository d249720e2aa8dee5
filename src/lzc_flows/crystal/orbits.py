"""Symmetry orbits of ions placed on sublattices, under a group of site permutations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CHUNK = 20_000
"""Arrangements made canonical at a time: bounds the memory to about 100 MB."""


@dataclass(frozen=True)
class Placement:
    """`count` ions of one kind on one sublattice; the ion `VACANT` makes vacancies."""

    ion: str
    sites: tuple[int, ...]
    count: int


def stabiliser(group: np.ndarray, placements: list[Placement], state: np.ndarray) -> np.ndarray:
    """Return the operations of `group` that leave a state unchanged, shape (operations, sites)."""
    images = _images(group, state[None, :], _columns(placements, len(state)))[:, 0]
    return group[(images == state).all(axis=1)]


def stabiliser_orders(group: np.ndarray, placements: list[Placement], states: np.ndarray) -> np.ndarray:
    """Return how many operations of `group` leave each state unchanged, shape (states,)."""
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
