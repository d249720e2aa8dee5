"""The order job: from a combination to one ordered structure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from jobflow import Maker, job

from lzc_flows.crystal.doping import Combination, HostFrame, doped_cell
from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.crystal.ordering import Arrangement, Ordering, order
from lzc_flows.documents.base import Correction
from lzc_flows.documents.order import DecidedBy, OrderDoc, ShortlistEntry
from lzc_flows.documents.protocols import OrderProtocol, RelaxProtocol
from lzc_flows.engines.mlip import engine_by_name
from lzc_flows.engines.relax_worker import RelaxRequest
from lzc_flows.errors import CalculationError
from lzc_flows.recovery.relax import is_sound, relax_shortly

SAME_ENERGY_EV = 1e-3
"""Relaxed energies of a cell closer than this are one energy: the forces are not converged any better."""


@dataclass
class OrderMaker(Maker):
    """Choose the ordered structure of a combination.

    Parameters
    ----------
    name
        Name of the job.
    engine
        Engine that relaxes the shortlist.
    protocol
        How many arrangements are relaxed, and how far.
    """

    name: str = "order"
    engine: str = "nep"
    protocol: OrderProtocol = field(default_factory=OrderProtocol)

    @job(output_schema=OrderDoc)
    def make(self, host: HostSpec, combination: Combination, prev_dir: str | Path | None = None) -> OrderDoc:
        """Return the chosen arrangement with all that it was compared to.

        Parameters
        ----------
        host, combination
            What to order.
        prev_dir
            Not used; here for the signature that Makers share.
        """
        crystal = host.read()
        ordering = order(crystal, combination, self.protocol.shortlist)
        shortlist = list(ordering.shortlist)
        energies: list[float | None] = [None] * len(shortlist)
        corrections: list[Correction] = []
        stamp = None
        if len(shortlist) > 1:
            stamp = engine_by_name(self.engine).stamp()
            energies, corrections = self._relaxed_energies_ev(shortlist)
        ranked = by_preference(shortlist, energies)
        cell = doped_cell(HostFrame(crystal, combination.supercell), combination)
        return OrderDoc(
            structure=shortlist[ranked[0]].structure,
            arrangements=str(cell.arrangements),
            exhaustive=ordering.exhaustive,
            charge_orbits=ordering.charge_orbits,
            charge_ties=ordering.charge_ties,
            shortlist=[_entry(shortlist[i], energies[i]) for i in ranked],
            decided_by=_decided_by(ordering, stamp is not None),
            margin_ev=_margin_ev([energies[i] for i in ranked]),
            engine=stamp,
            protocol=self.protocol,
            corrections=corrections,
        )

    def _relaxed_energies_ev(self, shortlist: list[Arrangement]) -> tuple[list[float | None], list[Correction]]:
        """Return the energies after short relaxations, None for a broken one, and what was mended."""
        protocol = RelaxProtocol(
            fmax_ev_per_angstrom=self.protocol.fmax_ev_per_angstrom, max_steps=self.protocol.max_steps
        )
        request = RelaxRequest([entry.structure for entry in shortlist], self.engine, protocol)
        run = relax_shortly(request, Path.cwd())
        energies = [
            relaxed.energy_ev if is_sound(relaxed, entry.structure.volume) else None
            for relaxed, entry in zip(run.attempts, shortlist, strict=True)
        ]
        if all(energy is None for energy in energies):
            raise CalculationError("every relaxation of the shortlist broke")
        return energies, run.corrections


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


def _entry(arrangement: Arrangement, energy_ev: float | None) -> ShortlistEntry:
    return ShortlistEntry(
        electrostatic_ev=arrangement.electrostatic_ev,
        instability_vu=arrangement.instability_vu,
        anions_at_dopant=arrangement.anions_at_dopant,
        stabiliser=arrangement.stabiliser,
        relaxed_energy_ev=energy_ev,
    )


def _decided_by(ordering: Ordering, relaxed: bool) -> DecidedBy:
    if relaxed:
        return "relaxed energy"
    if ordering.shortlist[0].instability_vu is not None:
        return "bond valence"
    return "electrostatics" if ordering.charge_ties == 1 else "symmetry"


def _margin_ev(energies_ev: list[float | None]) -> float | None:
    """Return the gap of the first two energies; 0 where symmetry chose the first of two equal ones."""
    present = [energy for energy in energies_ev if energy is not None]
    return max(present[1] - present[0], 0.0) if len(present) > 1 else None
