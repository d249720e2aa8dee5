"""The CI-NEB job: the path between two ends under custodian."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jobflow import Maker, Response, job
from pymatgen.core import Structure

from lzc_flows.band.endpoints import MatchedEnds, matched_ends
from lzc_flows.band.packing import pack_path
from lzc_flows.band.search import SAME_ANGSTROM
from lzc_flows.documents.dft import LZC
from lzc_flows.documents.engine import EngineSpec, engine_spec
from lzc_flows.documents.neb import NebDoc
from lzc_flows.documents.protocols import NebProtocol
from lzc_flows.engines.base import Ions, ions_of
from lzc_flows.engines.neb_tasks import EndResult, PathResult, Task, end_task, path_task
from lzc_flows.engines.registry import engine_of
from lzc_flows.errors import CalculationError
from lzc_flows.jobs.paths import barriers, curve, legs
from lzc_flows.recovery.folder import earlier_folders
from lzc_flows.recovery.neb import NebRun, NebSetting
from lzc_flows.recovery.paths import run_tasks
from lzc_flows.settings import get_settings


@dataclass
class CINEBMaker(Maker):
    """Find the path between two ends by a climbing-image nudged elastic band.

    Parameters
    ----------
    name
        Name of the job.
    engine
        What computes the forces, or its name.
    protocol
        Limits, images, springs.
    """

    name: str = "cineb"
    engine: EngineSpec | str = "nep"
    protocol: NebProtocol = field(default_factory=NebProtocol)

    @job(output_schema=NebDoc, data="path")
    def make(self, initial: Structure, final: Structure, prev_dir: str | Path | None = None) -> NebDoc | Response:
        """Return the barriers and the energy along the path; its images go to the data store.

        Both ends are relaxed in their fixed cell first. A run that was killed goes on from its saved images: in this
        directory, in `prev_dir`, or in one beside this one. One whose time is over is replaced by a job that goes on.

        Parameters
        ----------
        initial, final
            The ends: the same atoms, in whatever order, in the same cell.
        prev_dir
            Directory of an earlier part of the run.

        Raises
        ------
        InputError
            Ends that do not belong together: see `lzc_flows.band.endpoints.matched_ends`.
        CalculationError
            An end relaxed into the other or away from its site, or no path converged; the line says which.
        """
        here = Path.cwd()
        earlier = tuple(earlier_folders(here, prev_dir))
        setting = NebSetting(engine_spec(self.engine, LZC), self.protocol, here, earlier, get_settings().stop_at_s)
        found = find_path(initial, final, setting)
        return found or Response(replace=self.make(initial, final, prev_dir=str(here)))


def find_path(initial: Structure, final: Structure, setting: NebSetting) -> NebDoc | None:
    """Return the document of a path, its images included; None where the time was over before it was found.

    Raises
    ------
    InputError, CalculationError
        As `CINEBMaker.make`.
    """
    ions, ends = ions_of(initial), matched_ends(initial, final)
    relaxation = run_tasks([("end", task) for task in _end_tasks(ions, ends)], setting)
    if not relaxation.finished:
        return None
    for which, name in zip(("initial", "final"), relaxation.names, strict=True):
        if relaxation.outcomes[name].status != "converged":
            raise CalculationError(f"{which} end: {relaxation.outcomes[name].reason}")
    relaxed = [EndResult.read(setting.folder / name) for name in relaxation.names]
    _require_distinct(ends, relaxed)
    search = run_tasks([("path", path_task(ions, ends.cell, relaxed))], setting)
    if not search.finished:
        return None
    (name,) = search.names
    outcome = search.outcomes[name]
    if outcome.status != "converged":
        raise CalculationError(f"path {outcome.status} after {outcome.attempt + 1} attempts: {outcome.reason}")
    return _document(initial, ends, PathResult.read(setting.folder / name), (relaxation, search), setting)


def path_folder(initial: Structure, final: Structure, engine: EngineSpec, protocol: NebProtocol) -> str:
    """Return a checksum of all that the path between two ends follows from, for a folder's name.

    Raises
    ------
    InputError
        As `find_path`.
    """
    stamp = engine_of(engine).stamp()
    tasks = _end_tasks(ions_of(initial), matched_ends(initial, final))
    return hashlib.sha256("".join(task.checksum(stamp, protocol) for task in tasks).encode()).hexdigest()[:8]


def _end_tasks(ions: Ions, ends: MatchedEnds) -> list[Task]:
    return [end_task(ions, ends.cell, end) for end in (ends.initial_positions, ends.final_positions)]


def _require_distinct(ends: MatchedEnds, relaxed: list[EndResult]) -> None:
    """Refuse ends that relaxed into each other, or whose hopping atoms left their sites."""
    first, last = (end.positions for end in relaxed)
    if np.linalg.norm(last - first, axis=1).max() < SAME_ANGSTROM:
        raise CalculationError("one end relaxed into the other: there is no hop between them")
    way = np.linalg.norm(ends.final_positions - ends.initial_positions, axis=1).max()
    for which, start, end in (("initial", ends.initial_positions, first), ("final", ends.final_positions, last)):
        left = np.linalg.norm(end - start, axis=1)
        atom = int(left.argmax())
        if left[atom] > way / 2:
            raise CalculationError(
                f"{which} end relaxed into another site: {ends.species[atom]} number {atom + 1} moved "
                f"{left[atom]:.2f} Å, more than half of the hop's {way:.2f} Å"
            )


def _document(
    initial: Structure, ends: MatchedEnds, path: PathResult, runs: tuple[NebRun, NebRun], setting: NebSetting
) -> NebDoc:
    engine = engine_of(setting.engine)
    relaxation, search = runs
    (outcome,) = search.outcomes.values()
    ways = np.linalg.norm(path.positions[-1] - path.positions[0], axis=1)
    structure = Structure(ends.cell, initial.species, path.positions[0], coords_are_cartesian=True)
    for name, values in initial.site_properties.items():
        structure.add_site_property(name, values)
    return NebDoc(
        **barriers(path),
        converged=True,
        fmax_band=max(leg.fmax_band for leg in path.legs),
        **curve(path),
        legs=legs(path),
        initial_energy_eV=float(path.energies_ev[0]),
        moved_atoms=np.flatnonzero(ways > ways.max() / 2).tolist(),
        reordered=ends.reordered,
        longest_way_A=float(ways.max()),
        evaluations=outcome.evaluations,
        evaluations_ends=sum(end.evaluations for end in relaxation.outcomes.values()),
        attempts=outcome.attempt + 1,
        wall_s=outcome.wall_s + sum(end.wall_s for end in relaxation.outcomes.values()),
        charge_e=charge_of_cell(initial),
        charge_note=engine.charge_note,
        engine=engine.stamp(),
        protocol=setting.protocol,
        corrections=[*relaxation.corrections, *search.corrections],
        initial=structure,
        path=pack_path(path.positions),
    )


def charge_of_cell(structure: Structure) -> float | None:
    """Return the sum of the ions' charges in e, None where some have none."""
    charges = [getattr(site.specie, "oxi_state", None) for site in structure]
    known = [float(charge) for charge in charges if charge is not None]
    return sum(known) if len(known) == len(charges) else None
