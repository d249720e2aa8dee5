"""The order job: from a combination to one ordered structure."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from jobflow import Maker, job

from lzc_flows.crystal.doping import Combination, HostFrame, doped_cell
from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.crystal.ordering import Arrangement, order
from lzc_flows.documents.base import Correction
from lzc_flows.documents.order import OrderDoc, ShortlistEntry
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
        ranked = sorted(range(len(shortlist)), key=lambda i: _preference(shortlist[i], energies[i], i))
        cell = doped_cell(HostFrame(crystal, combination.supercell), combination)
        return OrderDoc(
            structure=shortlist[ranked[0]].structure,
            arrangements=str(cell.arrangements),
            exhaustive=ordering.exhaustive,
            charge_orbits=ordering.charge_orbits,
            charge_ties=ordering.charge_ties,
            shortlist=[_entry(shortlist[i], energies[i]) for i in ranked],
            decided_by=_decided_by(ordering.charge_ties, stamp is not None),
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


def _preference(arrangement: Arrangement, energy_ev: float | None, position: int) -> tuple:
    """Return a sort key: lower energy, then higher symmetry, then the order of the shortlist."""
    if energy_ev is None:
        return (float("inf"), -arrangement.stabiliser, position)
    return (round(energy_ev / SAME_ENERGY_EV), -arrangement.stabiliser, position)


def _entry(arrangement: Arrangement, energy_ev: float | None) -> ShortlistEntry:
    return ShortlistEntry(
        electrostatic_ev=arrangement.electrostatic_ev,
        instability_vu=arrangement.instability_vu,
        anions_at_dopant=arrangement.anions_at_dopant,
        stabiliser=arrangement.stabiliser,
        relaxed_energy_ev=energy_ev,
    )


def _decided_by(charge_ties: int, relaxed: bool) -> str:
    if relaxed:
        return "relaxed energy"
    return "electrostatics" if charge_ties == 1 else "symmetry"


def _margin_ev(energies_ev: list[float | None]) -> float | None:
    present = [energy for energy in energies_ev if energy is not None]
    return present[1] - present[0] if len(present) > 1 else None
