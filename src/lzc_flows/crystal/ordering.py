"""Where the ions of a doped cell go: symmetry-inequivalent arrangements, shortlisted.

First version, in two steps:

1. **Charges.** Cations, then anions whose charge differs from the one they replace, then the extra mobile
   ions (or vacancies) are placed one at a time. After each ion the arrangements are reduced to one a symmetry
   orbit and, where more than `orbits.BEAM` remain, to the `orbits.BEAM` lowest by the point-charge (Ewald) energy; the
   result says whether that ever cut anything. If it did not, every orbit was seen.
2. **Isovalent anions.** F- on a Cl- site changes no charge, so electrostatics cannot rank it: all F
   arrangements tie. Energies of the unrelaxed cell mislead as well (the bonds are too long for F; measured in
   docs/ordering.md). So this module only shortlists: arrangements are sorted into strata by the number of
   anions bound to the dopant cation, and each stratum gives its least strained members (global instability
   index) in turn. An engine's relaxed energies decide between them (`jobs/order.py`).

What still ties (F- far from each other strain the cell alike) goes to the higher symmetry (larger
stabiliser), then to the lexicographically first sites.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from pymatgen.core import Structure

from lzc_flows.crystal.bond_valence import CUTOFF_ANGSTROM, mixed_anions
from lzc_flows.crystal.doping import Combination, HostFrame, doped_cell
from lzc_flows.crystal.enumeration import Electrostatics, Enumeration
from lzc_flows.crystal.host import Host
from lzc_flows.crystal.ions import VACANT, charge_of
from lzc_flows.crystal.orbits import Placement, one_by_one, one_stratum, place, stabiliser, stabiliser_orders
from lzc_flows.crystal.sitelattice import SiteLattice
from lzc_flows.crystal.survey import TIE_EV
from lzc_flows.errors import InputError

TIE_VU = 1e-6
"""Instability indices closer than this are one, in valence units: they differ by rounding."""


@dataclass(frozen=True)
class Arrangement:
    """One ordered arrangement, the representative of its symmetry orbit.

    Attributes
    ----------
    structure
        The ordered cell with oxidation states and Wyckoff labels, unrelaxed.
    electrostatic_ev
        Point-charge energy of the whole cell, eV.
    instability_vu
        Global instability index of the unrelaxed cell, valence units; None without isovalent anions.
    anions_at_dopant
        Isovalent anions bound to dopant cations (the stratum).
    stabiliser
        Number of the supercell's symmetry operations that leave the arrangement unchanged.
    """

    structure: Structure
    electrostatic_ev: float
    instability_vu: float | None
    anions_at_dopant: int
    stabiliser: int


@dataclass(frozen=True)
class Ordering:
    """The shortlist of a combination and how it was found."""

    combination: Combination
    shortlist: tuple[Arrangement, ...]
    exhaustive: bool
    """False where the beam cut: a better arrangement may exist."""
    charge_orbits: int
    """Orbits of the charged sublattices that electrostatics compared."""
    charge_ties: int
    """How many of them share the lowest electrostatic energy."""


def order(host: Host, combination: Combination, size: int) -> Ordering:
    """Return the shortlist of at most `size` arrangements, the most promising first.

    Raises
    ------
    InputError
        The combination is impossible on the host, or `size` is below 1.
    """
    if size < 1:
        raise InputError(f"ordering shortlist {size}: 1 and above is allowed")
    lattice = SiteLattice(host, combination.supercell)
    charged, isovalent = _placements(lattice, combination)

    def electrostatic_ev(states: np.ndarray) -> np.ndarray:
        return lattice.electrostatic_ev(_charges(lattice, charged, states))

    states, complete = place(lattice.permutations, charged, one_stratum, electrostatic_ev)
    energies = electrostatic_ev(states)
    lowest = np.flatnonzero(energies < energies.min() + TIE_EV)
    symmetries = stabiliser_orders(lattice.permutations, charged, states[lowest])
    best = lowest[np.argsort(-symmetries, kind="stable")]

    arrangements: list[Arrangement] = []
    for index in best[:size]:
        base = _Base(lattice, combination, charged, states[index], float(energies[index]))
        found, all_seen = _arrange_isovalent(base, isovalent, size)
        arrangements += found
        complete &= all_seen
    return Ordering(combination, tuple(_in_turn(arrangements)[:size]), complete, len(states), len(lowest))


def enumeration(host: Host, combination: Combination) -> Enumeration:
    """Return the enumeration of every arrangement of a combination, with point-charge energies.

    Its states hold, in this order, the cation's sites, those of anions that change the charge, those of the extra
    mobile ions (or vacancies) and those of isovalent anions, as indices into `SiteLattice.structure`.

    Raises
    ------
    InputError
        The combination is impossible on the host.
    """
    lattice = SiteLattice(host, combination.supercell)
    charged, isovalent = _placements(lattice, combination)
    return Enumeration(lattice.permutations, charged + isovalent, Electrostatics(lattice.ewald_ev, lattice.charges))


@dataclass(frozen=True)
class _Base:
    """A cell whose charged sublattices are settled."""

    lattice: SiteLattice
    combination: Combination
    charged: list[Placement]
    state: np.ndarray
    electrostatic_ev: float

    @property
    def ions(self) -> list[str]:
        ions = list(self.lattice.ions)
        for placement, site in zip(one_by_one(self.charged), self.state, strict=True):
            ions[int(site)] = placement.ion
        return ions

    @property
    def dopants(self) -> list[int]:
        """Sites of the dopant cations, which are placed first."""
        cation = self.combination.cation
        return [int(site) for site in self.state[: cation.count if cation else 0]]


def _placements(lattice: SiteLattice, combination: Combination) -> tuple[list[Placement], list[Placement]]:
    """Return what to place: what changes charges (cations first, mobile ions last), and isovalent anions."""
    extra = doped_cell(HostFrame(lattice.host, combination.supercell), combination).extra_mobile
    charged: list[Placement] = []
    isovalent: list[Placement] = []
    for part in combination.substitutions:
        placement = Placement(part.ion, lattice.with_labels(part.labels), part.count)
        charge = charge_of(part.ion)
        # a cation of the host's own charge (Hf4+ on Zr4+) comes first too: the anions answer to it
        same = charge < 0 and charge == lattice.charges[placement.sites[0]]
        (isovalent if same else charged).append(placement)
    if extra > 0:
        charged.append(Placement(lattice.host.mobile, lattice.vacant, extra))
    elif extra < 0:
        charged.append(Placement(VACANT, lattice.mobile, -extra))
    return charged, isovalent


def _charges(lattice: SiteLattice, placements: list[Placement], states: np.ndarray) -> np.ndarray:
    """Return the charges of each state in e, shape (states, sites)."""
    charges = np.repeat(lattice.charges[None, :], len(states), axis=0)
    rows = np.arange(len(states))
    for column, placement in enumerate(one_by_one(placements)[: states.shape[1]]):
        charges[rows, states[:, column]] = charge_of(placement.ion)
    return charges


def _arrange_isovalent(base: _Base, isovalent: list[Placement], size: int) -> tuple[list[Arrangement], bool]:
    """Return at most `size` arrangements a stratum, least strained first, and whether nothing was cut."""
    lattice, ions = base.lattice, base.ions
    group = stabiliser(lattice.permutations, base.charged, base.state)
    if not isovalent:
        return [_arrangement(base, ions, None, 0, len(group))], True
    (placement,) = isovalent
    coordinates = lattice.structure.frac_coords
    cations = [i for i, ion in enumerate(ions) if charge_of(ion) > 0]
    anions = [i for i, ion in enumerate(ions) if charge_of(ion) < 0]
    bonds = mixed_anions(
        lattice.structure.lattice,
        ([ions[i] for i in cations], coordinates[cations]),
        ([ions[i] for i in anions], coordinates[anions]),
        placement.ion,
    )
    column = np.full(len(ions), -1)
    column[anions] = np.arange(len(anions))
    bound = _bound_to(lattice, base.dopants)

    def strata(states: np.ndarray) -> np.ndarray:
        return bound[states].sum(axis=1)

    def strain_vu(states: np.ndarray) -> np.ndarray:
        return bonds.instability_vu(column[states])

    states, complete = place(group, isovalent, strata, strain_vu)
    strain, stratum = strain_vu(states), strata(states)
    symmetries = stabiliser_orders(group, isovalent, states)
    preference = np.lexsort((-symmetries, np.round(strain / TIE_VU)))
    found = []
    for value in np.unique(stratum):
        for index in preference[stratum[preference] == value][:size]:
            filled = list(ions)
            for site in states[index]:
                filled[int(site)] = placement.ion
            found.append(_arrangement(base, filled, float(strain[index]), int(value), int(symmetries[index])))
    return found, complete


def _arrangement(
    base: _Base, ions: list[str], strain_vu: float | None, at_dopant: int, stabiliser_order: int
) -> Arrangement:
    structure = base.lattice.decorated(ions)
    return Arrangement(structure, base.electrostatic_ev, strain_vu, at_dopant, stabiliser_order)


def _bound_to(lattice: SiteLattice, centres: list[int]) -> np.ndarray:
    """Return 1 for every site within bonding distance of a centre, shape (sites,)."""
    coordinates = lattice.structure.frac_coords
    if not centres:
        return np.zeros(len(coordinates), dtype=int)
    distances = lattice.structure.lattice.get_all_distances(coordinates[centres], coordinates)
    return (distances < CUTOFF_ANGSTROM).any(axis=0).astype(int)


def _in_turn(arrangements: list[Arrangement]) -> list[Arrangement]:
    """Return the first of every stratum, most anions at the dopant first, then the second of each, ..."""
    turns: Counter[int] = Counter()
    keyed = []
    # several charge states may tie: their members of a stratum compete
    for arrangement in sorted(arrangements, key=_strain_then_symmetry):
        stratum = arrangement.anions_at_dopant
        keyed.append(((turns[stratum], -stratum), arrangement))
        turns[stratum] += 1
    return [arrangement for _, arrangement in sorted(keyed, key=lambda entry: entry[0])]


def _strain_then_symmetry(arrangement: Arrangement) -> tuple[int, int]:
    return round((arrangement.instability_vu or 0.0) / TIE_VU), -arrangement.stabiliser
