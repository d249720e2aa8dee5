"""Packaged reference phases: the halides that a doped crystal competes with, as structures for an engine to relax."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml
from pymatgen.core import Composition, Element, Lattice, Structure
from pymatgen.symmetry.groups import SpaceGroup

Knowledge = Literal["known", "polymorph", "related"]
"""Whether a phase has the structure that the compound has at room temperature or below, another form that it was found
in, or the structure of a kindred compound."""

_FILE = "phases.yaml"


@dataclass(frozen=True)
class Prototype:
    """A structure that several compounds share.

    Attributes
    ----------
    name
        Of a compound, or the usual one.
    space_group
        Hermann–Mauguin symbol.
    sites
        Fractional coordinates of one site an orbit, of the metal (M), Li (L) and the halogen (X).
    source
        Who determined it, and what of it is idealised here.
    molecules
        Whether it is made of molecules. Without dispersion these hardly bind one another: their cell is to be held.
    """

    name: str
    space_group: str
    sites: Mapping[str, tuple[tuple[float, float, float], ...]]
    source: str
    molecules: bool = False


@dataclass(frozen=True)
class Phase:
    """A compound in a structure.

    Attributes
    ----------
    formula
        Reduced formula.
    prototype
        Its structure.
    knowledge
        What the structure is for the compound.
    cell
        Lengths in Å and angles in degrees that differ from those of the crystal system: where a relaxation starts.
    """

    formula: str
    prototype: Prototype
    knowledge: Knowledge
    cell: tuple[tuple[str, float], ...]

    @property
    def name(self) -> str:
        """Formula and prototype, such as ``LiCl (rock salt)``."""
        return f"{self.formula} ({self.prototype.name})"

    @property
    def elements(self) -> frozenset[str]:
        """Symbols of its elements."""
        return frozenset(element.symbol for element in Composition(self.formula).elements)

    def structure(self) -> Structure:
        """Return the primitive cell with oxidation states: halogens −1, Li +1, what is left on the metal."""
        roles = _roles(self.formula)
        species: list[str] = []
        places: list[tuple[float, float, float]] = []
        for role, orbits in self.prototype.sites.items():
            species += [roles[role]] * len(orbits)
            places += orbits
        lattice = _lattice(self.prototype.space_group, dict(self.cell))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pymatgen tells of every third and sixth that it completes
            crystal = Structure.from_spacegroup(self.prototype.space_group, lattice, species, places)
        primitive = crystal.get_primitive_structure()
        primitive.add_oxidation_state_by_element(_oxidation_states(self.formula))
        return primitive


@cache
def packaged_phases() -> tuple[Phase, ...]:
    """Return all packaged phases."""
    content: dict[str, Any] = yaml.safe_load(_text())
    prototypes = {name: _prototype(name, entry) for name, entry in content["prototypes"].items()}
    return tuple(
        Phase(formula, prototypes[group["prototype"]], group["is"], tuple(cell.items()))
        for group in content["phases"]
        for formula, cell in group["cells"].items()
    )


def phases_within(elements: Iterable[str]) -> list[Phase]:
    """Return the packaged phases that hold no other elements."""
    allowed = frozenset(elements)
    return [phase for phase in packaged_phases() if phase.elements <= allowed]


@cache
def phases_checksum() -> str:
    """Return eight characters that differ for other packaged phases: results follow from them."""
    return hashlib.sha256(_text().encode()).hexdigest()[:8]


def is_halogen(symbol: str) -> bool:
    """Return whether an element is a halogen."""
    return bool(Element(symbol).is_halogen)


def _text() -> str:
    return (files("lzc_flows.data") / _FILE).read_text(encoding="utf-8")


def _prototype(name: str, entry: Mapping[str, Any]) -> Prototype:
    sites = {role: tuple(map(tuple, orbits)) for role, orbits in entry["sites"].items()}
    return Prototype(name, entry["space_group"], sites, entry["source"], entry.get("molecules", False))


def _roles(formula: str) -> dict[str, str]:
    """Return which element is the metal (M), Li beside it (L) and the halogen (X)."""
    symbols = [element.symbol for element in Composition(formula).elements]
    roles = {"X": next(symbol for symbol in symbols if is_halogen(symbol))}
    metals = [symbol for symbol in symbols if symbol != roles["X"]]
    if len(metals) > 1:
        roles["L"] = "Li"
        metals.remove("Li")
    if metals:
        roles["M"] = metals[0]
    return roles


def _oxidation_states(formula: str) -> dict[str, float]:
    roles, amounts = _roles(formula), Composition(formula).get_el_amt_dict()
    if "M" not in roles:
        return {roles["X"]: 0.0}
    lithium = amounts["Li"] if "L" in roles else 0.0
    metal = (amounts[roles["X"]] - lithium) / amounts[roles["M"]]
    return {roles["X"]: -1.0, "Li": 1.0, roles["M"]: metal}


def _lattice(space_group: str, cell: dict[str, float]) -> Lattice:
    """Return a cell completed by what the crystal system makes equal."""
    angle = 120.0 if SpaceGroup(space_group).crystal_system in ("trigonal", "hexagonal") else 90.0
    full = {"b": cell["a"], "c": cell["a"], "alpha": 90.0, "beta": 90.0, "gamma": angle} | cell
    return Lattice.from_parameters(*(full[name] for name in ("a", "b", "c", "alpha", "beta", "gamma")))
