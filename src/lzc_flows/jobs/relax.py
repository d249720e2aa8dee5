"""The relax job: cell and positions, under custodian."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jobflow import Maker, Response, job
from pymatgen.core import Structure

from lzc_flows.documents.dft import LZC
from lzc_flows.documents.engine import EngineSpec, engine_spec
from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.documents.relax import RelaxDoc
from lzc_flows.engines.registry import engine_of
from lzc_flows.recovery.folder import earlier_folders
from lzc_flows.recovery.relaxations import relax_to_convergence


@dataclass
class RelaxMaker(Maker):
    """Relax a structure with an engine.

    Parameters
    ----------
    name
        Name of the job.
    engine
        What computes the forces, or its name.
    protocol
        Force limit, steps, optimizer, cell.
    """

    name: str = "relax"
    engine: EngineSpec | str = "nep"
    protocol: RelaxProtocol = field(default_factory=RelaxProtocol)

    @job(output_schema=RelaxDoc)
    def make(self, structure: Structure, prev_dir: str | Path | None = None) -> RelaxDoc | Response:
        """Return the relaxed structure, charges and labels kept.

        A DFT run that was killed goes on from its last ions: in this directory, in `prev_dir`, or in one beside this
        one. One whose time is over is replaced by a job that goes on.

        Parameters
        ----------
        structure
            Ordered structure with oxidation states.
        prev_dir
            Directory of an earlier part of the run.
        """
        here = Path.cwd()
        engine = engine_spec(self.engine, LZC)
        stamp = engine_of(engine).stamp()
        run = relax_to_convergence(structure, engine, self.protocol, here, earlier_folders(here, prev_dir))
        if not run.finished:
            return Response(replace=self.make(structure, prev_dir=str(here)))
        last = run.attempts[-1]
        relaxed = with_sites_of(structure, last.structure)
        return RelaxDoc(
            structure=relaxed,
            energy_ev=last.energy_ev,
            energy_per_atom_ev=last.energy_ev / len(relaxed),
            max_force_ev_per_angstrom=last.max_force_ev_per_angstrom,
            volume_change=relaxed.volume / structure.volume - 1,
            max_displacement_angstrom=framework_displacement_angstrom(structure, relaxed),
            steps=sum(attempt.steps for attempt in run.attempts),
            wall_s=sum(attempt.wall_s for attempt in run.attempts),
            engine=stamp,
            protocol=self.protocol,
            corrections=run.corrections,
        )


def with_sites_of(labelled: Structure, relaxed: Structure) -> Structure:
    """Return `relaxed` with the species and site properties of `labelled`, site by site."""
    return Structure(relaxed.lattice, labelled.species, relaxed.frac_coords, site_properties=labelled.site_properties)


def framework_displacement_angstrom(start: Structure, end: Structure) -> float:
    """Return the largest displacement of a non-Li ion, in the end cell's metric without the mean drift, in Å."""
    framework = [i for i, site in enumerate(start) if site.specie.symbol != "Li"]
    moved = end.frac_coords[framework] - start.frac_coords[framework]
    moved -= np.round(moved)
    moved -= moved.mean(axis=0)
    return float(np.linalg.norm(end.lattice.get_cartesian_coords(moved), axis=1).max())
