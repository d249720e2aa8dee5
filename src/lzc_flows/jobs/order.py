"""The order job: from a combination to one ordered structure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from jobflow import Maker, Response, job

from lzc_flows.crystal.doping import Combination, HostFrame, doped_cell
from lzc_flows.crystal.host import Host
from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.crystal.ordering import Arrangement, Decision, Ordering, order
from lzc_flows.documents.base import Correction
from lzc_flows.documents.dft import LZC
from lzc_flows.documents.engine import EngineSpec, engine_spec
from lzc_flows.documents.order import OrderDoc, ShortlistEntry, TierResult
from lzc_flows.documents.protocols import ENGINE_TIERS, OrderProtocol, RelaxProtocol, Tier
from lzc_flows.engines.registry import engine_of
from lzc_flows.errors import CalculationError
from lzc_flows.recovery.folder import earlier_folders
from lzc_flows.recovery.relax import RelaxRun, is_sound
from lzc_flows.recovery.relaxations import relax_shortly

SAME_ENERGY_EV = 1e-3
"""Engine's energies of a cell closer than this are one energy: the forces are not converged any better."""


@dataclass
class OrderMaker(Maker):
    """Choose the ordered structure of a combination.

    Parameters
    ----------
    name
        Name of the job.
    engine
        What compares the shortlist, or its name.
    protocol
        Which tiers decide, how many arrangements the engine compares, and how far it relaxes them.
    """

    name: str = "order"
    engine: EngineSpec | str = "nep"
    protocol: OrderProtocol = field(default_factory=OrderProtocol)

    @job(output_schema=OrderDoc)
    def make(self, host: HostSpec, combination: Combination, prev_dir: str | Path | None = None) -> OrderDoc | Response:
        """Return the chosen arrangement with all that it was compared to.

        A DFT engine whose time is over stops in order, and a job that goes on replaces this one.

        Parameters
        ----------
        host, combination
            What to order.
        prev_dir
            Directory of an earlier part of the run.
        """
        crystal, here = host.read(), Path.cwd()
        ordering = order(crystal, combination, self.protocol)
        comparing = Comparing(engine_spec(self.engine, LZC), self.protocol, here, earlier_folders(here, prev_dir))
        comparison = compare(ordering, comparing)
        if comparison is None:
            return Response(replace=self.make(host, combination, prev_dir=str(here)))
        return order_document(crystal, ordering, comparison)


@dataclass(frozen=True)
class Comparing:
    """How and where arrangements are compared.

    Attributes
    ----------
    engine
        What compares the shortlist, or its name.
    protocol
        Which tiers decide, and how far the engine relaxes.
    folder
        Where the engine runs.
    earlier
        Folders of earlier launches.
    """

    engine: EngineSpec
    protocol: OrderProtocol
    folder: Path
    earlier: Sequence[Path] = ()


@dataclass(frozen=True)
class Comparison:
    """Arrangements in the order of preference.

    Attributes
    ----------
    arrangements
        The best first.
    energies_ev
        The engine's energies, None where it was not asked or the relaxation broke.
    engine
        What gave them, None if it was not asked.
    """

    arrangements: list[Arrangement]
    energies_ev: list[float | None]
    engine: EngineSpec | None
    protocol: OrderProtocol
    corrections: list[Correction] = field(default_factory=list)


def compare(ordering: Ordering, comparing: Comparing) -> Comparison | None:
    """Return the arrangements as the protocol's tiers prefer them; None where the time was over before that.

    Raises
    ------
    InputError
        The engine is not installed.
    CalculationError
        Every arrangement broke.
    """
    shortlist, protocol = list(ordering.spread), comparing.protocol
    if protocol.engine_tier is None or len(shortlist) == 1:
        ranked = list(ordering.ranked)
        return Comparison(ranked, [None] * len(ranked), None, protocol)
    engine_of(comparing.engine).stamp()
    run = _relaxed(shortlist, comparing)
    if not run.finished:
        return None
    energies = _energies_ev(shortlist, run)
    best = by_preference(shortlist, energies)
    arrangements = [shortlist[i] for i in best]
    return Comparison(arrangements, [energies[i] for i in best], comparing.engine, protocol, run.corrections)


def order_document(host: Host, ordering: Ordering, comparison: Comparison) -> OrderDoc:
    """Return the document of what was chosen, why, and from what."""
    tiers = _tiers(ordering, comparison)
    combination = ordering.combination
    return OrderDoc(
        structure=comparison.arrangements[0].structure,
        arrangements=str(doped_cell(HostFrame(host, combination.supercell), combination).arrangements),
        exhaustive=ordering.exhaustive,
        charge_ties=ordering.electrostatics.ground.orbits,
        charge_states=ordering.charge_states,
        tiers=tiers,
        shortlist=[_entry(*pair) for pair in zip(comparison.arrangements, comparison.energies_ev, strict=True)],
        decided_by=_decided_by(tiers),
        margin_ev=_margin_ev(comparison.energies_ev),
        engine=engine_of(comparison.engine).stamp() if comparison.engine else None,
        protocol=comparison.protocol,
        corrections=comparison.corrections,
    )


def by_preference(shortlist: list[Arrangement], energies_ev: list[float | None]) -> list[int]:
    """Return positions in the shortlist: lower energy, then higher symmetry, then the shortlist's own order.

    Energies less than `SAME_ENERGY_EV` above the lowest of their level count as equal; a missing energy comes last.
    """
    comparable = [math.inf if energy is None else energy for energy in energies_ev]
    levels: dict[int, float] = {}
    floor = -math.inf
    for i in sorted(range(len(comparable)), key=lambda i: comparable[i]):
        if not comparable[i] < floor + SAME_ENERGY_EV:
            floor = comparable[i]
        levels[i] = floor
    return sorted(levels, key=lambda i: (levels[i], -shortlist[i].stabiliser, i))


def _relaxed(shortlist: list[Arrangement], comparing: Comparing) -> RelaxRun:
    """Return what the engine makes of the shortlist: single points, or short relaxations."""
    protocol, relaxation = comparing.protocol, None
    if protocol.engine_tier == "relaxed-energy":
        relaxation = RelaxProtocol(fmax_ev_per_angstrom=protocol.fmax_ev_per_angstrom, max_steps=protocol.max_steps)
    structures = [entry.structure for entry in shortlist]
    return relax_shortly(structures, comparing.engine, relaxation, comparing.folder, comparing.earlier)


def _energies_ev(shortlist: list[Arrangement], run: RelaxRun) -> list[float | None]:
    """Return the engine's energies, None for a broken one."""
    energies = [
        relaxed.energy_ev if is_sound(relaxed, entry.structure.volume) else None
        for relaxed, entry in zip(run.attempts, shortlist, strict=True)
    ]
    if all(energy is None for energy in energies):
        raise CalculationError("every relaxation of the shortlist broke")
    return energies


def _entry(arrangement: Arrangement, energy_ev: float | None) -> ShortlistEntry:
    return ShortlistEntry(
        electrostatic_ev=arrangement.electrostatic_ev,
        instability_vu=arrangement.instability_vu,
        anions_at_dopant=arrangement.anions_at_dopant,
        multiplicity=arrangement.multiplicity,
        stabiliser=arrangement.stabiliser,
        engine_energy_ev=energy_ev,
    )


def _tiers(ordering: Ordering, comparison: Comparison) -> list[TierResult]:
    """Return what each tier of the protocol compared; symmetry chooses among what the tier before it left."""
    protocol = comparison.protocol
    electrostatics, bond_valence = ordering.electrostatics, ordering.bond_valence
    rows = [_row("electrostatics", electrostatics, (ordering.orbits, bond_valence.compared))]
    if "bond-valence" in protocol.tiers:
        rows.append(_row("bond-valence", bond_valence, (bond_valence.compared, bond_valence.ground.orbits)))
    ground = bond_valence.ground
    compared, tied = ground.orbits, ground.most_symmetric
    if comparison.engine is not None and protocol.engine_tier is not None:
        energies = [energy for energy in comparison.energies_ev if energy is not None]
        left = [energy for energy in energies if energy < min(energies) + SAME_ENERGY_EV]
        above = [energy - min(energies) for energy in energies if energy not in left]
        rows.append(
            TierResult(
                tier=protocol.engine_tier,
                compared=str(len(comparison.energies_ev)),
                tied=str(len(left)),
                margin=min(above, default=None),
                unit="eV",
            )
        )
        stabilisers = [entry.stabiliser for entry in comparison.arrangements[: len(left)]]
        compared, tied = len(left), stabilisers.count(stabilisers[0])
    rows.append(TierResult(tier="symmetry", compared=str(compared), tied=str(tied)))
    return rows


def _row(tier: Literal["electrostatics", "bond-valence"], decision: Decision, orbits: tuple[int, int]) -> TierResult:
    """Return a tier's row; `orbits` entered it and share the best value."""
    sampling = decision.sampling
    return TierResult(
        tier=tier,
        compared=str(orbits[0]),
        tied=str(orbits[1]),
        margin=decision.ground.gap,
        unit="eV" if tier == "electrostatics" else "vu",
        runs=sampling.runs if sampling else None,
        runs_at_lowest=sampling.runs_at_lowest if sampling else None,
    )


def _decided_by(tiers: list[TierResult]) -> Tier:
    asked = [row for row in tiers if row.tier in ENGINE_TIERS] or tiers
    return next((row.tier for row in asked if row.tied == "1"), "symmetry")


def _margin_ev(energies_ev: list[float | None]) -> float | None:
    """Return the gap of the first two energies; 0 where symmetry chose the first of two equal ones."""
    present = [energy for energy in energies_ev if energy is not None]
    return max(present[1] - present[0], 0.0) if len(present) > 1 else None
