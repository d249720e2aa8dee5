"""Where the ions of a doped cell go: symmetry-inequivalent arrangements, ranked tier by tier.

1. **Electrostatics.** Cations, anions whose charge differs from the one they replace, and the extra mobile ions (or
   vacancies) are placed in every inequivalent way and ranked by their point-charge (Ewald) energy.
2. **Bond valence.** F- on a Cl- site changes no charge: all F arrangements on one arrangement of charges tie. They are
   enumerated under its stabiliser and ranked by the global instability index of the unrelaxed cell.
3. **Symmetry.** What still ties (F- far from each other strain the cell alike) goes to the larger stabiliser, then to
   the lexicographically first sites.

Before symmetry, an engine's energies may decide (`jobs/order.py`). The strain of the unrelaxed cell can mislead: its
bonds are too long for F- (measured in docs/ordering.md). So `Ordering.spread` gives an engine the least strained
arrangements of every stratum, which is a number of isovalent anions bound to dopant cations.

Where there are too many orbits to list, each step falls back on a Monte Carlo search and says so (`lowest.Sampling`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, reduce

import numpy as np
from pymatgen.core import Structure

from lzc_flows.crystal.bond_valence import CUTOFF_ANGSTROM, Mismatch, mixed_anions
from lzc_flows.crystal.counting import arrangements, orbit_count
from lzc_flows.crystal.doping import Combination, HostFrame, doped_cell
from lzc_flows.crystal.electrostatics import Electrostatics
from lzc_flows.crystal.enumeration import Enumeration, Orbits
from lzc_flows.crystal.histogram import Histogram, Tally
from lzc_flows.crystal.host import Host
from lzc_flows.crystal.ions import VACANT, charge_of
from lzc_flows.crystal.lowest import LISTED_UP_TO, Lowest, Sampling, lowest
from lzc_flows.crystal.orbits import Placement, one_by_one, stabiliser
from lzc_flows.crystal.sitelattice import SiteLattice
from lzc_flows.crystal.survey import TIE, Ground
from lzc_flows.documents.protocols import OrderProtocol

CHARGE_STATES = 100
"""Most tied arrangements of charges on which isovalent anions are placed, the most symmetric ones; fewer where they
would give more than `LISTED_UP_TO` orbits together."""

BIN_EV = 0.01
"""Bins of the histogram of electrostatic energies, in eV."""


@dataclass(frozen=True)
class Arrangement:
    """One ordered arrangement, the representative of its symmetry orbit.

    Attributes
    ----------
    lattice
        The sites.
    ions
        The ion on each site, `VACANT` on empty ones.
    electrostatic_ev
        Point-charge energy of the whole cell, eV.
    mismatch
        Instability index squared × ions, in valence units squared; 0 where the bond-valence tier is left out.
    instability_vu
        Global instability index of the unrelaxed cell, valence units; None where the bond-valence tier is left out.
    anions_at_dopant
        Isovalent anions bound to dopant cations (the stratum).
    multiplicity
        Number of arrangements in the orbit.
    stabiliser
        Number of the supercell's symmetry operations that leave the arrangement unchanged.
    """

    lattice: SiteLattice
    ions: tuple[str, ...]
    electrostatic_ev: float
    mismatch: float
    instability_vu: float | None
    anions_at_dopant: int
    multiplicity: int
    stabiliser: int

    @cached_property
    def structure(self) -> Structure:
        """The ordered cell with oxidation states and Wyckoff labels, unrelaxed."""
        return self.lattice.decorated(list(self.ions))

    @property
    def placed(self) -> dict[str, list[int]]:
        """Sites of each ion that was placed, as indices into `SiteLattice.structure`; ``vacancy`` for emptied ones."""
        found: dict[str, list[int]] = {}
        for site, (ion, before) in enumerate(zip(self.ions, self.lattice.ions, strict=True)):
            if ion != before:
                found.setdefault(ion or "vacancy", []).append(site)
        return found

    @property
    def preference(self) -> tuple[int, int]:
        """What sorts arrangements of one electrostatic energy, the best first: mismatch, then symmetry."""
        return round(self.mismatch / TIE), -self.stabiliser


@dataclass(frozen=True)
class Decision:
    """What one tier had to choose from and what it left.

    Attributes
    ----------
    compared
        Orbits that entered.
    ground
        How many of them share the lowest value, and how far the next is: in eV (electrostatics), or in valence units
        (bond valence).
    sampling
        None if all of them were listed.
    """

    compared: int
    ground: Ground
    sampling: Sampling | None


@dataclass(frozen=True)
class Ordering:
    """The arrangements of a combination, ranked without an engine.

    Attributes
    ----------
    orbits
        Number of orbits of arrangements.
    ranked
        The best arrangements, the best first, at most as many as were asked for.
    spread
        Of those that electrostatics cannot tell apart: the best of every stratum, most anions at the dopant first, then
        the second of each, and so on, at most as many as were asked for.
    electrostatics
        Compares arrangements of charges.
    bond_valence
        Compares arrangements of isovalent anions on the tied arrangements of charges that were considered; where the
        tier is left out, all tie.
    charge_states
        Number of tied arrangements of charges that were considered.
    histogram
        Electrostatic energies of all arrangements, or of random ones if electrostatics was sampled.
    """

    combination: Combination
    orbits: int
    ranked: tuple[Arrangement, ...]
    spread: tuple[Arrangement, ...]
    electrostatics: Decision
    bond_valence: Decision
    charge_states: int
    histogram: Histogram

    @property
    def exhaustive(self) -> bool:
        """Whether every orbit was compared: nothing sampled, every tied arrangement of charges considered."""
        listed = self.electrostatics.sampling is None and self.bond_valence.sampling is None
        return listed and self.charge_states == self.electrostatics.ground.orbits


def order(host: Host, combination: Combination, protocol: OrderProtocol) -> Ordering:
    """Return the best `protocol.shortlist` arrangements by the tiers that need no engine.

    Raises
    ------
    InputError
        The combination is impossible on the host, the symmetry tolerance merges sites, or an element has no
        bond-valence parameters.
    """
    problem = _Problem(host, combination, protocol)
    tally = Tally(BIN_EV)
    charges = lowest(problem.charges, max(protocol.shortlist, CHARGE_STATES), protocol.seed, tally)
    levels = np.rint(charges.lowest.energies / TIE)
    ranked: list[Arrangement] = []
    tied: list[_Filled] = []
    for level in np.unique(levels):
        filled = [problem.fill(state) for state in problem.states(charges.lowest[levels == level])]
        tied = tied or filled
        members = [member for state in filled for member in state.arrangements]
        ranked += sorted(members, key=lambda member: member.preference)
        if len(ranked) >= protocol.shortlist:
            break
    histogram = tally.histogram()
    return Ordering(
        combination=combination,
        orbits=problem.orbits,
        ranked=tuple(ranked[: protocol.shortlist]),
        spread=tuple(_in_turn([member for state in tied for member in state.arrangements])[: protocol.shortlist]),
        electrostatics=Decision(problem.charges.orbits, charges.ground, charges.sampling),
        bond_valence=reduce(_joined, (state.decision for state in tied)),
        charge_states=len(tied),
        histogram=histogram if charges.sampling else histogram.times(problem.ways_isovalent),
    )


def enumeration(host: Host, combination: Combination, symprec_angstrom: float) -> Enumeration:
    """Return the enumeration of every arrangement of a combination, with point-charge energies.

    Its states hold, in this order, the cation's sites, those of anions that change the charge, those of the extra
    mobile ions (or vacancies) and those of isovalent anions, as indices into `SiteLattice.structure`.

    Raises
    ------
    InputError
        The combination is impossible on the host, or the symmetry tolerance merges sites.
    """
    lattice = SiteLattice(host, combination.supercell, symprec_angstrom)
    charged, isovalent = _placements(lattice, combination)
    return Enumeration(lattice.permutations, charged + isovalent, _electrostatics(lattice, combination))


@dataclass(frozen=True)
class _ChargeState:
    """A cell whose charged sublattices are settled."""

    ions: tuple[str, ...]
    dopants: tuple[int, ...]
    """Sites of the dopant cations."""
    stabiliser: np.ndarray
    """The site permutations that keep it, shape (operations, sites)."""
    electrostatic_ev: float


@dataclass(frozen=True)
class _Filled:
    """The best arrangements of every stratum on one charge state."""

    arrangements: list[Arrangement]
    decision: Decision


@dataclass(frozen=True)
class _Problem:
    host: Host
    combination: Combination
    protocol: OrderProtocol

    @cached_property
    def lattice(self) -> SiteLattice:
        return SiteLattice(self.host, self.combination.supercell, self.protocol.symprec_angstrom)

    @cached_property
    def placements(self) -> tuple[list[Placement], list[Placement]]:
        return _placements(self.lattice, self.combination)

    @cached_property
    def charges(self) -> Enumeration:
        """The arrangements of what changes charges."""
        energy = _electrostatics(self.lattice, self.combination)
        return Enumeration(self.lattice.permutations, self.placements[0], energy)

    @property
    def orbits(self) -> int:
        """Number of orbits of whole arrangements, counted."""
        charged, isovalent = self.placements
        return orbit_count(self.lattice.permutations, charged + isovalent)

    @cached_property
    def ways_isovalent(self) -> int:
        """Number of arrangements of isovalent anions on each arrangement of charges."""
        return arrangements(self.placements[1])

    def states(self, orbits: Orbits) -> list[_ChargeState]:
        """Return charge states of one energy, as many as may be considered, the most symmetric first."""
        charged, isovalent = self.placements
        states = []
        for row in range(min(len(orbits), CHARGE_STATES)):
            group = stabiliser(self.lattice.permutations, charged, orbits.states[row])
            if row and (row + 1) * Enumeration(group, isovalent).orbits > LISTED_UP_TO:
                break
            ions = list(self.lattice.ions)
            for placement, site in zip(one_by_one(charged), orbits.states[row].tolist(), strict=True):
                ions[site] = placement.ion
            cation = self.combination.cation
            dopants = tuple(orbits.states[row, : cation.count if cation else 0].tolist())
            states.append(_ChargeState(tuple(ions), dopants, group, float(orbits.energies[row])))
        return states

    def fill(self, state: _ChargeState) -> _Filled:
        """Return the best arrangements of isovalent anions, stratum by stratum."""
        mismatch = self._mismatch(state) if "bond-valence" in self.protocol.tiers else None
        found: list[Arrangement] = []
        decisions: list[Decision] = []
        for at_dopant, placements in _strata(self.lattice, state.dopants, self.placements[1]):
            problem = Enumeration(state.stabiliser, placements, mismatch)
            best = lowest(problem, self.protocol.shortlist, self.protocol.seed)
            decisions.append(_decision(problem, best, mismatch))
            for row in range(len(best.lowest)):
                found.append(self._arrangement(state, placements, best.lowest[row : row + 1], mismatch, at_dopant))
        return _Filled(found, reduce(_joined, decisions))

    def _mismatch(self, state: _ChargeState) -> Mismatch:
        coordinates, ions = self.lattice.structure.frac_coords, state.ions
        cations = [i for i, ion in enumerate(ions) if charge_of(ion) > 0]
        anions = [i for i, ion in enumerate(ions) if charge_of(ion) < 0]
        guests = {placement.ion for placement in self.placements[1]} or {ions[anions[0]]}
        bonds = mixed_anions(
            self.lattice.structure.lattice,
            ([ions[i] for i in cations], coordinates[cations]),
            ([ions[i] for i in anions], coordinates[anions]),
            guests.pop(),
        )
        return Mismatch(bonds, np.array(anions), len(ions))

    def _arrangement(
        self,
        state: _ChargeState,
        placements: list[Placement],
        orbit: Orbits,
        mismatch: Mismatch | None,
        at_dopant: int,
    ) -> Arrangement:
        ions = list(state.ions)
        for placement, site in zip(one_by_one(placements), orbit.states[0].tolist(), strict=True):
            ions[site] = placement.ion
        order_of_stabiliser = int(orbit.stabilisers[0])
        return Arrangement(
            lattice=self.lattice,
            ions=tuple(ions),
            electrostatic_ev=state.electrostatic_ev,
            mismatch=float(orbit.energies[0]),
            instability_vu=None if mismatch is None else float(mismatch.instability_vu(orbit.energies)[0]),
            anions_at_dopant=at_dopant,
            multiplicity=len(self.lattice.permutations) // order_of_stabiliser,
            stabiliser=order_of_stabiliser,
        )


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


def _electrostatics(lattice: SiteLattice, combination: Combination) -> Electrostatics:
    background_ev = lattice.background_ev if combination.compensation == "background" else None
    return Electrostatics(lattice.ewald_ev, lattice.charges, background_ev)


def _strata(
    lattice: SiteLattice, dopants: tuple[int, ...], isovalent: list[Placement]
) -> Iterator[tuple[int, list[Placement]]]:
    """Yield each number of anions at dopants that is possible, and what to place where for it."""
    if not isovalent:
        yield 0, []
        return
    (placement,) = isovalent
    bound = _bound_to(lattice, dopants)
    near = tuple(site for site in placement.sites if bound[site])
    far = tuple(site for site in placement.sites if not bound[site])
    for number in range(min(len(near), placement.count) + 1):
        if placement.count - number <= len(far):
            parts = [Placement(placement.ion, near, number), Placement(placement.ion, far, placement.count - number)]
            yield number, [part for part in parts if part.count]


def _bound_to(lattice: SiteLattice, centres: tuple[int, ...]) -> np.ndarray:
    """Return whether each site is within bonding distance of a centre, shape (sites,)."""
    coordinates = lattice.structure.frac_coords
    if not centres:
        return np.zeros(len(coordinates), dtype=bool)
    distances = lattice.structure.lattice.get_all_distances(coordinates[list(centres)], coordinates)
    return np.asarray((distances < CUTOFF_ANGSTROM).any(axis=0))


def _decision(problem: Enumeration, best: Lowest, mismatch: Mismatch | None) -> Decision:
    ground = best.ground
    if mismatch is not None:
        values = np.array([ground.energy, ground.energy + (ground.gap or 0.0)])
        low, high = mismatch.instability_vu(values).tolist()
        ground = replace(ground, energy=low, gap=None if ground.gap is None else high - low)
    return Decision(problem.orbits, ground, best.sampling)


def _joined(one: Decision, other: Decision) -> Decision:
    """Return the decision between the orbits of both; of two samplings the less certain one is kept."""
    samplings = [decision.sampling for decision in (one, other) if decision.sampling is not None]
    worst = min(samplings, key=lambda sampling: sampling.runs_at_lowest, default=None)
    return Decision(one.compared + other.compared, one.ground.joined(other.ground), worst)


def _in_turn(members: list[Arrangement]) -> list[Arrangement]:
    """Return the first of every stratum, most anions at the dopant first, then the second of each, ..."""
    turns: Counter[int] = Counter()
    keyed = []
    # several charge states may tie: their members of a stratum compete
    for member in sorted(members, key=lambda member: member.preference):
        stratum = member.anions_at_dopant
        keyed.append(((turns[stratum], -stratum), member))
        turns[stratum] += 1
    return [member for _, member in sorted(keyed, key=lambda entry: entry[0])]
