"""Sites that the mobile ion of an ordered crystal can take, and which of them are neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element, Structure

from lzc_flows.errors import InputError
from lzc_flows.transport.components import Vector

Neighbour = tuple[int, Vector]
"""A site and its cell, seen from a site of the home cell."""

_EXACT = 1e-6
"""Two fractional coordinates that are one, up to rounding."""


@dataclass(frozen=True, eq=False)
class IonSites:
    """Sites of the mobile ion, the occupied ones first.

    Attributes
    ----------
    structure
        The ordered crystal, with or without oxidation states.
    mobile
        Symbol of the mobile element, such as ``"Li"``.
    atoms
        Index in `structure` of the ion on each occupied site: all atoms of the mobile element, in their order.
    fractional
        Shape (s, 3), fractional coordinates; of an occupied site exactly those of its ion.
    labels
        Wyckoff label of each site, such as ``"6h"``.
    pairs
        Shape (m, 2), neighbouring sites, each pair once.
    translations
        Shape (m, 3), integers: the cell of the pair's second site seen from that of the first.
    bottlenecks
        Shape (m, 3), fractional position of the pass between the sites of a pair, unwrapped: as seen from the home
        cell of the first.

    Raises
    ------
    InputError
        No mobile ion in the crystal, or a site that holds more or less than one ion.
    ValueError
        Arrays that do not fit one another, or a pair that stands twice.
    """

    structure: Structure
    mobile: str
    atoms: tuple[int, ...]
    fractional: NDArray[np.float64]
    labels: tuple[str, ...]
    pairs: NDArray[np.int64]
    translations: NDArray[np.int64]
    bottlenecks: NDArray[np.float64]

    def __post_init__(self) -> None:
        s, m = len(self.labels), len(self.pairs)
        if self.fractional.shape != (s, 3):
            raise ValueError(f"{s} labelled sites need coordinates of shape ({s}, 3), not {self.fractional.shape}")
        shapes = (self.pairs.shape, self.translations.shape, self.bottlenecks.shape)
        if shapes != ((m, 2), (m, 3), (m, 3)):
            raise ValueError(f"{m} pairs need shapes ({m}, 2), ({m}, 3) and ({m}, 3), not {shapes}")
        if m and not (self.pairs.min() >= 0 and self.pairs.max() < s):
            raise ValueError(f"pairs of {s} sites may name sites 0 to {s - 1}")
        if self.atoms != mobile_atoms(self.structure, self.mobile):
            raise ValueError(f"the occupied sites must be all {self.mobile} atoms of the structure in their order")
        if not np.allclose(self.fractional[: len(self.atoms)], self._ion_fractional, rtol=0, atol=_EXACT):
            raise ValueError("an occupied site must have the position of its ion")
        if sum(map(len, self.neighbours)) != 2 * m:
            raise ValueError("every pair of neighbours may stand only once, and no site is its own neighbour")

    @property
    def _ion_fractional(self) -> NDArray[np.float64]:
        return self.structure.frac_coords[list(self.atoms)]

    @property
    def occupied(self) -> range:
        """The sites that hold an ion."""
        return range(len(self.atoms))

    @property
    def empty(self) -> range:
        """The sites that hold none."""
        return range(len(self.atoms), len(self.labels))

    @cached_property
    def framework(self) -> tuple[int, ...]:
        """Indices in the structure of all other atoms, in their order."""
        ions = set(self.atoms)
        return tuple(index for index in range(len(self.structure)) if index not in ions)

    @cached_property
    def neighbours(self) -> tuple[frozenset[Neighbour], ...]:
        """For each site of the home cell, its neighbours with their cells."""
        found: list[set[Neighbour]] = [set() for _ in self.labels]
        for (first, second), (x, y, z) in zip(self.pairs.tolist(), self.translations.tolist(), strict=True):
            if (first, 0, 0, 0) != (second, x, y, z):
                found[first].add((second, (x, y, z)))
                found[second].add((first, (-x, -y, -z)))
        return tuple(map(frozenset, found))

    @cached_property
    def _passes(self) -> dict[tuple[int, int, Vector], NDArray[np.float64]]:
        found = {}
        for (i, j), (x, y, z), place in zip(
            self.pairs.tolist(), self.translations.tolist(), self.bottlenecks, strict=True
        ):
            found[i, j, (x, y, z)] = place
            found[j, i, (-x, -y, -z)] = place - (x, y, z)
        return found

    def vector_angstrom(self, site: int, to: int, translation: Vector) -> NDArray[np.float64]:
        """Return the Cartesian vector (3,) in Å from a site of the home cell to another, `translation` cells away."""
        apart = self.fractional[to] + translation - self.fractional[site]
        return np.asarray(self.structure.lattice.get_cartesian_coords(apart))

    def bottleneck(self, site: int, to: int, translation: Vector) -> NDArray[np.float64]:
        """Return the fractional position (3,) of the pass between two sites, their middle where none is known.

        It is unwrapped: as seen from `site` in the home cell.
        """
        known = self._passes.get((site, to, translation))
        middle = (self.fractional[site] + self.fractional[to] + translation) / 2
        return middle if known is None else known


def mobile_atoms(structure: Structure, mobile: str) -> tuple[int, ...]:
    """Return the indices of the mobile ions of an ordered crystal.

    Raises
    ------
    InputError
        Not an element, no such atom, no other atom, or a site of partial occupancy.
    """
    if not Element.is_valid_symbol(mobile):
        raise InputError(f"mobile ion {mobile!r}: the symbol of an element is allowed, such as Li")
    for number, site in enumerate(structure):
        if not site.is_ordered:
            raise InputError(
                f"site {number} ({site.species_string}) is partially occupied: an ordered crystal is needed, "
                "such as `lzc order` makes"
            )
    symbols = [element_of(structure, number) for number in range(len(structure))]
    found = tuple(number for number, symbol in enumerate(symbols) if symbol == mobile)
    if not found:
        present = ", ".join(sorted(set(symbols)))
        raise InputError(f"mobile ion {mobile}: the crystal has none; its elements are {present}")
    if len(found) == len(structure):
        raise InputError(f"mobile ion {mobile}: the crystal has no other atoms that it could move among")
    return found


def element_of(structure: Structure, number: int) -> str:
    """Return the element's symbol of one atom of an ordered crystal, whether or not it has an oxidation state."""
    return getattr(structure[number].specie, "element", structure[number].specie).symbol


def has_charges(structure: Structure) -> bool:
    """Return whether every atom of an ordered crystal has an oxidation state other than zero."""
    return all(getattr(site.specie, "oxi_state", None) for site in structure)


ANION_ELECTRONEGATIVITY = 2.5
"""Pauling's electronegativity from which an element without an oxidation state counts as anion: Se, S, I, Br, N, Cl,
O, F are above it, P and all metals below."""


def anions(structure: Structure) -> tuple[int, ...]:
    """Return the indices of the anions: negative oxidation states, or by electronegativity where there are none."""
    if has_charges(structure):
        return tuple(number for number, site in enumerate(structure) if (site.specie.oxi_state or 0) < 0)
    return tuple(
        number for number in range(len(structure)) if Element(element_of(structure, number)).X > ANION_ELECTRONEGATIVITY
    )
