"""Which Gaussian basis and which pseudopotential each element has in CP2K."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from lzc_flows.engines.base import Ions
from lzc_flows.errors import InputError

FROZEN_4F = "frozen-4f"
"""The set of pseudopotentials whose 4f shell is in the core: it fits trivalent ions only, and carries no moment."""


@dataclass(frozen=True)
class ElementBasis:
    """Basis and pseudopotential of an element.

    Attributes
    ----------
    electrons
        Electrons outside the pseudopotential's core.
    basis, potential
        Their names, down to the number of electrons.
    basis_file, potential_file
        The files of CP2K's data folder that hold them.
    frozen_4f
        Whether the 4f shell is in the core.
    """

    electrons: int
    basis: str
    potential: str
    basis_file: str
    potential_file: str
    frozen_4f: bool


def element_basis(symbol: str, family: str) -> ElementBasis:
    """Return basis and pseudopotential of an element in a family of bases (`Cp2kSettings.basis`).

    Raises
    ------
    InputError
        The table has none; the line names the elements that it has.
    """
    table = _table()
    if symbol not in table["elements"]:
        known = " ".join(table["elements"])
        raise InputError(f"engine 'cp2k': no basis and pseudopotential for {symbol}; allowed are {known}")
    entry = table["elements"][symbol]
    source = table["sets"][entry["set"]][family]
    electrons = entry["electrons"]
    return ElementBasis(
        electrons=electrons,
        basis=f"{source['basis']}-q{electrons}",
        potential=f"GTH-PBE-q{electrons}",
        basis_file=source["basis_file"],
        potential_file=source["potential_file"],
        frozen_4f=entry["set"] == FROZEN_4F,
    )


def electrons_of(species: Sequence[str], charge_e: int, family: str) -> int:
    """Return the number of electrons that a cell of these elements and this charge has outside the cores."""
    return sum(element_basis(symbol, family).electrons for symbol in species) - charge_e


def require_bases(ions: Ions, family: str) -> None:
    """Refuse ions without basis and pseudopotential.

    Raises
    ------
    InputError
        The table has none for an element, or one that does not fit its oxidation state.
    """
    states = ions.oxidation_states or (None,) * len(ions.species)
    for symbol, state in dict.fromkeys(zip(ions.species, states, strict=True)):
        if element_basis(symbol, family).frozen_4f and state not in (None, 3):
            raise InputError(
                f"engine 'cp2k': {symbol}{state:+g}: only {symbol}3+ is allowed, its 4f shell is in the core"
            )


@cache
def _table() -> dict[str, Any]:
    return yaml.safe_load((files("lzc_flows.data") / "cp2k_basis.yaml").read_text(encoding="utf-8"))
