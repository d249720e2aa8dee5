"""Balanced reactions between compounds: the combination of phases that has a composition at the lowest energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

_PRESENT = 1e-7
"""A share of the atoms above this is one of the combination: the solver's own tolerance."""

_BALANCED = 1e-9


@dataclass(frozen=True)
class Compound:
    """A phase with its energy.

    Attributes
    ----------
    name
        What tells it from others.
    atoms
        Atoms of each element in a formula unit.
    energy_ev
        Energy of a formula unit, in eV.
    """

    name: str
    atoms: Mapping[str, float]
    energy_ev: float

    @property
    def size(self) -> float:
        """Atoms in a formula unit."""
        return sum(self.atoms.values())


@dataclass(frozen=True)
class Combination:
    """Phases that together have a composition.

    Attributes
    ----------
    amounts
        Formula units of each phase, by name.
    energy_ev
        Their energy, in eV.
    """

    amounts: dict[str, float]
    energy_ev: float


def lowest_combination(atoms: Mapping[str, float], compounds: Sequence[Compound]) -> Combination | None:
    """Return the combination of compounds that has these atoms at the lowest energy; None if there is none.

    It is the point of the lower convex hull of the compounds at that composition, found as a linear programme. Every
    element is conserved exactly.

    Parameters
    ----------
    atoms
        Atoms of each element.
    compounds
        What may form, with any elements.
    """
    elements = sorted(element for element, number in atoms.items() if number)
    allowed = [compound for compound in compounds if set(compound.atoms) <= set(elements)]
    if not allowed:
        return None
    # shares of atoms, so that all numbers are near one whatever the size of the cell
    shares = np.array([[each.atoms.get(element, 0.0) / each.size for each in allowed] for element in elements])
    wanted = np.array([atoms[element] for element in elements])
    found = linprog(
        [each.energy_ev / each.size for each in allowed], A_eq=shares, b_eq=wanted / wanted.sum(), method="highs"
    )
    if found.status != 0:
        return None
    chosen = np.flatnonzero(found.x > _PRESENT)
    exact = _balanced(shares[:, chosen], wanted)
    if exact is None:
        return None
    amounts = {allowed[i].name: float(number) / allowed[i].size for i, number in zip(chosen, exact, strict=True)}
    energies = {each.name: each.energy_ev for each in allowed}
    return Combination(amounts, float(sum(amounts[name] * energies[name] for name in amounts)))


def _balanced(shares: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the atoms in each phase without the solver's tolerance; None if they do not balance after all."""
    exact = np.linalg.lstsq(shares, wanted)[0].astype(np.float64)
    left = np.abs(shares @ exact - wanted).max() / wanted.sum()
    return exact if left < _BALANCED and exact.min() >= 0 else None
