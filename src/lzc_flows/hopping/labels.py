"""Wyckoff labels of the mobile ion's sites: the letter with its multiplicity in the conventional cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, count
from typing import Any

import numpy as np
import spglib
from numpy.typing import NDArray
from pymatgen.core import Structure

from lzc_flows.crystal.host import WYCKOFF
from lzc_flows.errors import CalculationError
from lzc_flows.hopping.sites import IonSites, anions, mobile_atoms
from lzc_flows.hopping.symmetry import SYMPREC_ANGSTROM

_DUMMY = 119
"""Number of an element that no crystal holds: the species of the mobile ion's sites, occupied or not."""

LIKE_ANGSTROM = 1.5
"""How far a site may lie from the one whose label it takes."""

_MOST_PRIMES = 2
"""More orbits of one letter are numbered, as in 1a-4: a crystal of low symmetry has many."""


def wyckoff_labels(
    structure: Structure, mobile: str, empty: NDArray[np.float64], symprec_angstrom: float = SYMPREC_ANGSTROM
) -> tuple[str, ...]:
    """Return the labels of a crystal's mobile ions and of empty sites, in this order.

    Ions keep the site property ``wyckoff`` where the structure has it. Otherwise, and for the empty sites, the
    labels are those of the crystal with all its sites, empty or not, filled by one dummy species. An orbit whose
    label another orbit of mobile ions or framework cations has already is primed, as in `lzc_flows.crystal.host`
    (2d and 2d'), from the fourth on numbered (1a-4); anions share theirs.

    Parameters
    ----------
    structure
        An ordered crystal.
    mobile
        Symbol of the mobile element.
    empty
        Shape (n, 3), fractional coordinates of the empty sites.
    symprec_angstrom
        Symmetry tolerance in Å.
    """
    ions = mobile_atoms(structure, mobile)
    labels, orbits = _orbits(structure, ions, empty, symprec_angstrom)
    given = structure.site_properties.get(WYCKOFF)
    if given is not None and None not in given:
        labels[: len(structure)] = map(str, given)
        names = {orbits[number]: labels[number] for number in ions}
    else:
        names = {}
    others = {*anions(structure), *ions}
    used = {*names.values(), *(labels[number] for number in range(len(structure)) if number not in others)}
    sites = [*ions, *range(len(structure), len(orbits))]
    for number in sites:
        if orbits[number] not in names:
            names[orbits[number]] = _unused(labels[number], used)
            used.add(names[orbits[number]])
    return tuple(names[orbits[number]] for number in sites)


def labelled_like(sites: IonSites, reference: IonSites) -> IonSites:
    """Return the sites with the labels of the nearest ones of a reference, such as those of the undoped crystal.

    A doped crystal has hardly a symmetry of its own by which its sites could be named like those of the undoped one.

    Parameters
    ----------
    sites
        Sites of a crystal.
    reference
        Labelled sites of a crystal whose cell has the same origin and, up to strain, the same shape.

    Raises
    ------
    CalculationError
        A site farther than `LIKE_ANGSTROM` from all those of the reference.
    """
    distances = sites.structure.lattice.get_all_distances(sites.fractional, reference.fractional)
    worst = int(distances.min(axis=1).argmax())
    if distances[worst].min() > LIKE_ANGSTROM:
        raise CalculationError(
            f"site {worst} lies {distances[worst].min():.2f} Å from the nearest site of the reference crystal; up to "
            f"{LIKE_ANGSTROM} Å is allowed"
        )
    return replace(sites, labels=tuple(reference.labels[nearest] for nearest in distances.argmin(axis=1)))


def _unused(label: str, used: set[str]) -> str:
    """Return the label with as many primes as it needs, a number where more than two would be needed."""
    primed = (label + "'" * primes for primes in range(_MOST_PRIMES + 1))
    numbered = (f"{label}-{number}" for number in count(_MOST_PRIMES + 2))
    return next(name for name in chain(primed, numbered) if name not in used)


def _orbits(
    structure: Structure, ions: Sequence[int], empty: NDArray[np.float64], symprec_angstrom: float
) -> tuple[list[str], list[int]]:
    """Return label and orbit of every atom and then of every empty site."""
    numbers = np.array([*structure.atomic_numbers, *[_DUMMY] * len(empty)])
    numbers[list(ions)] = _DUMMY
    fractional = np.concatenate([structure.frac_coords, empty.reshape(-1, 3)])
    found: Any = spglib.get_symmetry_dataset(
        (structure.lattice.matrix, fractional, numbers),  # type: ignore[arg-type]
        symprec=symprec_angstrom,
    )
    orbits = found.crystallographic_orbits.tolist()
    cells = abs(np.linalg.det(found.transformation_matrix))  # conventional cells in the given one
    labels = [f"{round(orbits.count(orbit) / cells)}{found.wyckoffs[orbit]}" for orbit in orbits]
    return labels, orbits
