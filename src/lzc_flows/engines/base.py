"""The small protocol behind which energies and forces are computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Species, Structure

from lzc_flows.crystal.moments import starting_moments
from lzc_flows.documents.base import EngineStamp
from lzc_flows.documents.engine import DFT_NAMES
from lzc_flows.dynamics.forces import ForceField


@dataclass(frozen=True)
class Ions:
    """What an engine is told of the atoms beside where they are.

    Attributes
    ----------
    species
        Symbol of each atom.
    oxidation_states
        Of each atom; empty where they are not known, which counts as neutral and closed-shell.
    """

    species: tuple[str, ...]
    oxidation_states: tuple[float, ...] = ()

    @property
    def charge_e(self) -> int:
        """Charge of the cell, in elementary charges."""
        return round(sum(self.oxidation_states))

    @property
    def moments(self) -> tuple[float, ...]:
        """Starting magnetic moment of each atom in μB; empty where none has one."""
        found = starting_moments(self.structure(np.eye(3), np.zeros((len(self.species), 3))))
        return found if any(found) else ()

    def structure(self, cell: NDArray[np.float64], positions: NDArray[np.float64]) -> Structure:
        """Return the ions at positions (n, 3) in a cell (3, 3) of rows, both in Å."""
        states = self.oxidation_states or (None,) * len(self.species)
        species = [Species(symbol, state) for symbol, state in zip(self.species, states, strict=True)]
        return Structure(cell, species, positions, coords_are_cartesian=True)

    def words(self, engine: str) -> tuple[str, ...]:
        """Return what an engine's result follows from: machine-learned ones know elements only."""
        if engine not in DFT_NAMES:
            return self.species
        return (*self.species, *(f"{state:+g}" for state in self.oxidation_states))

    @classmethod
    def of_counts(cls, counts: Mapping[str, int]) -> Self:
        """Return so many ions of each kind, such as ``{"Li+": 6, ...}``."""
        found = [Species.from_str(ion) for ion, number in counts.items() for _ in range(number)]
        return cls(tuple(ion.symbol for ion in found), tuple(float(ion.oxi_state or 0) for ion in found))

    @classmethod
    def of_stored(cls, content: Mapping[str, Any]) -> Self:
        """Return the ions whose fields a JSON document holds."""
        return cls(tuple(content["species"]), tuple(content.get("oxidation_states", ())))


def ions_of(structure: Structure) -> Ions:
    """Return the ions of an ordered structure."""
    states = [getattr(site.specie, "oxi_state", None) for site in structure]
    known = tuple(float(state) for state in states if state is not None)
    symbols = tuple(site.specie.symbol for site in structure)
    return Ions(symbols, known if len(known) == len(symbols) else ())


class Engine(Protocol):
    """What computes energies and forces."""

    @property
    def name(self) -> str:
        """What campaigns call it."""
        ...

    @property
    def charge_note(self) -> str:
        """What it makes of a cell whose ions' charges do not sum to zero, in one line."""
        ...

    def stamp(self) -> EngineStamp:
        """Return name and version: all that changes the numbers.

        Raises
        ------
        InputError
            The engine is not installed; the line says how to install it.
        """
        ...

    def require(self, ions: Ions) -> None:
        """Refuse ions that it cannot treat, before anything is submitted.

        Raises
        ------
        InputError
            An element that it does not know, or what else stands against them, in one line.
        """
        ...

    def force_field(self, ions: Ions) -> ForceField:
        """Return forces on these ions, for molecular dynamics and elastic bands.

        Raises
        ------
        InputError
            The engine is not installed, or does not know an element.
        """
        ...
