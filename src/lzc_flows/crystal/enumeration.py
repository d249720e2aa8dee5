"""Every symmetry-inequivalent arrangement of ions on sublattices once, with its multiplicity and energy, streamed.

The search is in `orbit_search`. It holds one chunk at a time, so that its memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import comb

import numpy as np
from numpy.typing import NDArray

from lzc_flows.crystal import orbit_search
from lzc_flows.crystal.counting import arrangements, check_group, check_placements, orbit_count
from lzc_flows.crystal.orbits import Placement
from lzc_flows.crystal.quadratic import Indifferent, PairEnergy, QuadraticForm
from lzc_flows.errors import CalculationError, InputError

CHUNK = 65_536
"""Orbits in a chunk."""

MOST_SITES = int(np.iinfo(np.int16).max)


@dataclass(frozen=True)
class Orbits:
    """Arrangements, one an orbit.

    Attributes
    ----------
    states
        Site of each ion, in the order of the placements, equal ions on ascending sites; shape (orbits, ions).
    multiplicities
        Number of arrangements in each orbit, shape (orbits,).
    energies
        Energy of each arrangement in the unit of the enumeration's `energy`, shape (orbits,).
    operations
        Order of the group.
    """

    states: NDArray[np.int16]
    multiplicities: NDArray[np.int64]
    energies: NDArray[np.float64]
    operations: int

    @property
    def stabilisers(self) -> NDArray[np.int64]:
        """Number of operations that leave each arrangement unchanged, shape (orbits,)."""
        return self.operations // self.multiplicities

    def __len__(self) -> int:
        return len(self.states)

    def __getitem__(self, rows: NDArray | slice) -> Orbits:
        return Orbits(self.states[rows], self.multiplicities[rows], self.energies[rows], self.operations)


@dataclass(frozen=True)
class Enumeration:
    """The orbits of arrangements of ions under a group of site permutations; iterate for chunks of them.

    A representative is the lexicographically first arrangement of its orbit, placements with fewer choices compared
    first (`order`). They come in this lexicographic order, whatever the chunk size.

    Attributes
    ----------
    group
        Site permutations that form a group, shape (operations, sites), as `SiteLattice.permutations` gives them.
    placements
        What to place; placements may share sites.
    energy
        What ranks the arrangements; None lets all tie at 0.
    chunk
        Most orbits in a chunk. Iterating holds one chunk, of 16 + 2 ions bytes an orbit, and tables, nearly all of it
        8 bytes × placements × most sites × ⌈most sites / 63⌉ × operations: 170 kB for the source's 2×2×1 cell.

    Raises
    ------
    InputError
        As `counting.check_placements`, `counting.check_group`, and what `energy` refuses.
    """

    group: NDArray[np.integer]
    placements: list[Placement]
    energy: PairEnergy | None = None
    chunk: int = CHUNK

    def __post_init__(self) -> None:
        if self.chunk < 1:
            raise InputError(f"chunk {self.chunk}: 1 and above is allowed")
        check_placements(self.placements)
        check_group(self.group, self.placements)
        if self.group.shape[1] > MOST_SITES:
            raise InputError(f"{self.group.shape[1]} sites: up to {MOST_SITES} are allowed")
        self.form  # noqa: B018  (what it refuses is refused at once)

    @cached_property
    def arrangements(self) -> int:
        """Number of arrangements, counted, not enumerated."""
        return arrangements(self.placements)

    @cached_property
    def orbits(self) -> int:
        """Number of orbits, counted, not enumerated."""
        return orbit_count(self.group, self.placements)

    @cached_property
    def order(self) -> list[int]:
        """Indices of the placements as they are placed: the fewest choices first, empty ones left out."""
        there = [index for index, placement in enumerate(self.placements) if placement.count]
        return sorted(there, key=lambda i: comb(len(self.placements[i].sites), self.placements[i].count))

    def __iter__(self) -> Iterator[Orbits]:
        """Yield the orbits in chunks.

        Raises
        ------
        CalculationError
            After the last chunk: the multiplicities do not add up to the number of arrangements.
        """
        found = 0
        for orbits in self._chunks():
            found += int(orbits.multiplicities.sum())
            yield orbits
        if found != self.arrangements:
            raise CalculationError(
                f"orbits of {found} arrangements, but there are {self.arrangements}: "
                f"the {len(self.group)} site permutations are not a group, or the enumeration is wrong"
            )

    def _chunks(self) -> Iterator[Orbits]:
        n_ions = sum(placement.count for placement in self.placements)
        if n_ions == 0:
            energy = np.array([self.form.base])
            yield Orbits(np.zeros((1, 0), dtype=np.int16), np.ones(1, dtype=np.int64), energy, len(self.group))
            return
        search = self._search()
        filled = self.chunk
        while filled == self.chunk:
            chunk = orbit_search.Chunk(
                np.empty((self.chunk, n_ions), dtype=np.int16),
                np.empty(self.chunk, dtype=np.int64),
                np.empty(self.chunk),
            )
            filled = orbit_search.advance(search, chunk)
            if filled:
                yield Orbits(*chunk, len(self.group))[:filled]

    def _search(self) -> orbit_search.Search:
        firsts = np.cumsum([0] + [placement.count for placement in self.placements])
        column = [ion for index in self.order for ion in range(firsts[index], firsts[index + 1])]
        placed = [self.placements[index] for index in self.order]
        # sorted, so that the identity comes first
        group = np.unique(np.asarray(self.group, dtype=np.int16), axis=0)
        form = self.form._replace(change=self.form.change[self.order], alone=self.form.alone[self.order])
        return orbit_search.start(group, [(sorted(entry.sites), entry.count) for entry in placed], column, form)

    @cached_property
    def form(self) -> QuadraticForm:
        """What placing the ions costs."""
        energy = Indifferent(self.group.shape[1]) if self.energy is None else self.energy
        return energy.form(self.placements)
