"""Uniformly random arrangements of ions on sublattices and what their energies say about all arrangements.

Every arrangement is equally likely, so an orbit comes as often as its multiplicity says; nothing needs weighting.
Placements may share sites, wholly or in part: how many ions each puts on the sites that the same placements may use is
drawn first, with the exact number of arrangements behind each choice as its weight, then the sites themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

import numba
import numpy as np
from numpy.typing import NDArray

from lzc_flows.crystal.counting import Counts, Cycles, allowed_placements, fillings
from lzc_flows.crystal.enumeration import Enumeration
from lzc_flows.crystal.orbits import Placement
from lzc_flows.crystal.quadratic import QuadraticForm
from lzc_flows.errors import InputError

_SHUFFLED = 2**22
"""Sites shuffled at a time: 32 MB."""


@dataclass(frozen=True)
class Sample:
    """Arrangements drawn independently, each of all arrangements with the same probability.

    Attributes
    ----------
    states
        Site of each ion, in the order of the placements, equal ions on ascending sites; shape (samples, ions).
    energies
        Energies in the unit of the enumeration's `energy`, shape (samples,).
    """

    states: NDArray[np.int16]
    energies: NDArray[np.float64]


def sample(enumeration: Enumeration, size: int, seed: int) -> Sample:
    """Return independent, uniformly random arrangements of what would be enumerated; the same seed gives the same.

    Raises
    ------
    InputError
        `size` is below 1, or `seed` is negative.
    """
    if size < 1:
        raise InputError(f"sample of {size} arrangements: 1 and above is allowed")
    if seed < 0:
        raise InputError(f"seed {seed}: 0 and above is allowed")
    placements = enumeration.placements
    states = random_states(placements, size, np.random.default_rng(seed))
    return Sample(states, energies_of(states, placements, enumeration.form))


def random_states(placements: list[Placement], size: int, random: np.random.Generator) -> NDArray[np.int16]:
    """Return uniformly random arrangements, shape (size, ions); equal ions on ascending sites."""
    classes: defaultdict[Counts, list[int]] = defaultdict(list)
    for site, allowed in allowed_placements(placements).items():
        classes[allowed].append(site)
    counts = [placement.count for placement in placements]
    firsts = [0, *accumulate(counts)]
    states = np.empty((size, firsts[-1]), dtype=np.int16)
    cycles = [Cycles(1, allowed, len(sites)) for allowed, sites in classes.items()]
    start = 0
    for rows, filled in _allocations(cycles, tuple(counts), size, random):
        column = list(firsts)
        for sites, numbers in zip(classes.values(), filled, strict=True):
            chosen = _shuffled(sites, rows, sum(numbers), random)
            for placement, number in enumerate(numbers):
                part, chosen = chosen[:, :number], chosen[:, number:]
                states[start : start + rows, column[placement] : column[placement] + number] = part
                column[placement] += number
        start += rows
    for first, count in zip(firsts, counts, strict=False):
        states[:, first : first + count].sort(axis=1)
    return random.permutation(states)  # arrangements of one allocation stood together


@numba.njit(cache=True, nogil=True)
def _energies(states: NDArray[np.int16], kinds: NDArray[np.int64], form: QuadraticForm) -> NDArray[np.float64]:
    base, change, matrix, alone = form.base, form.change, form.matrix, form.alone
    n_samples, n_ions = states.shape
    energies = np.full(n_samples, base)
    for row in range(n_samples):
        state = states[row]
        for ion in range(n_ions):
            delta = change[kinds[ion], state[ion]]
            if delta == 0.0:
                continue
            potential = 0.0
            for other in range(ion):
                potential += change[kinds[other], state[other]] * matrix[state[ion], state[other]]
            energies[row] += alone[kinds[ion], state[ion]] + 2.0 * delta * potential
    return energies


def energies_of(states: NDArray[np.int16], placements: list[Placement], form: QuadraticForm) -> NDArray[np.float64]:
    """Return the energy of each arrangement, shape (states,)."""
    return _energies(states, kinds_of(placements), form)


def kinds_of(placements: list[Placement]) -> NDArray[np.int64]:
    """Return the index of each ion's placement, shape (ions,)."""
    return np.repeat(np.arange(len(placements)), [placement.count for placement in placements])


def _shuffled(sites: list[int], rows: int, number: int, random: np.random.Generator) -> NDArray[np.int16]:
    """Return ordered random choices of sites, shape (rows, number)."""
    chosen = np.empty((rows, number), dtype=np.int16)
    if number:
        step = max(_SHUFFLED // len(sites), 1)
        for start in range(0, rows, step):
            part = chosen[start : start + step]
            every = np.tile(np.array(sites, dtype=np.int16), (len(part), 1))
            part[:] = random.permuted(every, axis=1)[:, :number]
    return chosen


def _allocations(
    classes: list[Cycles], counts: Counts, size: int, random: np.random.Generator
) -> Iterator[tuple[int, list[Counts]]]:
    """Yield how many of `size` random arrangements put how many ions of each placement on each class of sites."""

    @cache
    def ways(first: int, left: Counts) -> int:
        """Return in how many ways the classes from `first` on take all ions that are left."""
        usable = {placement for entry in classes[first:] for placement in entry.allowed}
        if any(number and placement not in usable for placement, number in enumerate(left)):
            return 0
        if first == len(classes):
            return 1
        return sum(choices * ways(first + 1, after) for after, choices in fillings(classes[first], left))

    def split(first: int, left: Counts, rows: int) -> Iterator[tuple[int, list[Counts]]]:
        if first == len(classes):
            yield rows, []
            return
        options = [(after, choices * ways(first + 1, after)) for after, choices in fillings(classes[first], left)]
        options = [option for option in options if option[1]]
        weights = [weight / ways(first, left) for _, weight in options]  # exact integers until here
        shares = random.multinomial(rows, np.array(weights) / sum(weights))
        for (after, _), share in zip(options, shares.tolist(), strict=True):
            if share:
                here = tuple(before - rest for before, rest in zip(left, after, strict=True))
                for part, others in split(first + 1, after, share):
                    yield part, [here, *others]

    yield from split(0, counts, size)
