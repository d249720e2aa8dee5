"""The aimd job: molecular dynamics under custodian, continued over as many launches as it takes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from jobflow import Maker, Response, job
from pymatgen.core import Structure

from lzc_flows.documents.aimd import AimdDoc, Kinetics
from lzc_flows.documents.aimd_protocol import AimdProtocol, named_protocol
from lzc_flows.documents.dft import LZC_AIMD
from lzc_flows.documents.engine import EngineSpec, engine_spec
from lzc_flows.documents.stability import CoordinationDoc, DensityDoc, SpeciesMotionDoc, StabilityDoc
from lzc_flows.engines.aimd_worker import AimdRequest
from lzc_flows.engines.registry import engine_of
from lzc_flows.errors import InputError
from lzc_flows.jobs.diffusion import UNKNOWN, diffusion_document, motion_of, production
from lzc_flows.jobs.relax import with_sites_of
from lzc_flows.recovery.aimd import AimdRun
from lzc_flows.recovery.dynamics import run_dynamics, take_over
from lzc_flows.recovery.folder import earlier_folders
from lzc_flows.settings import get_settings
from lzc_flows.trajectory.model import Trajectory
from lzc_flows.trajectory.reader import read_trajectory
from lzc_flows.transport.density import RESOLUTION_ANGSTROM, probability_density
from lzc_flows.transport.density_connectivity import connectivity
from lzc_flows.transport.diffusion import diffusion
from lzc_flows.transport.motion import Motion
from lzc_flows.transport.stability import stability


@dataclass
class AimdMaker(Maker):
    """Run molecular dynamics and analyse it.

    Parameters
    ----------
    name
        Name of the job.
    engine
        What computes the forces, or its name.
    protocol
        Segments of the run.
    mobile
        Element whose diffusion is analysed.
    seed
        Seed of the starting velocities.
    """

    name: str = "aimd"
    engine: EngineSpec | str = "nep"
    protocol: AimdProtocol = field(default_factory=lambda: named_protocol("lzc-short"))
    mobile: str = "Li"
    seed: int = 1

    @job(output_schema=AimdDoc, data="trajectory")
    def make(self, structure: Structure, prev_dir: str | Path | None = None) -> AimdDoc | Response:
        """Return what the run gave; its trajectory goes to the data store.

        A run that was killed goes on from its last checkpoint: in this directory, in `prev_dir`, or in one beside
        this one, where a launcher leaves earlier tries. One whose time is over (`LZC_WALLTIME_END_S`) stops in order
        and is replaced by a job that goes on.

        Parameters
        ----------
        structure
            Ordered structure with oxidation states.
        prev_dir
            Directory of an earlier part of the run.
        """
        here = Path.cwd()
        engine = engine_spec(self.engine, LZC_AIMD)
        request = AimdRequest(structure, engine, self.protocol, self.seed, stop_at_s=get_settings().stop_at_s)
        run = finished_run(request, here, earlier_folders(here, prev_dir))
        if run is None:
            return Response(replace=self.make(structure, prev_dir=str(here)))
        return with_trajectory(request, run, self.mobile)


def finished_run(request: AimdRequest, folder: Path, earlier: list[Path]) -> AimdRun | None:
    """Return the run in a folder, gone on with from where an earlier one stopped; None if its time was over first."""
    take_over(request, earlier, folder)
    run = run_dynamics(request, folder)
    return run if run.outcome.finished else None


def with_trajectory(request: AimdRequest, run: AimdRun, mobile: str) -> AimdDoc:
    """Return the document of a finished run with its trajectory."""
    packed = {"hdf5_base64": base64.b64encode(run.trajectory.read_bytes()).decode()}
    return aimd_document(request, run, mobile).model_copy(update={"trajectory": packed})


def aimd_document(request: AimdRequest, run: AimdRun, mobile: str) -> AimdDoc:
    """Return the document of a finished run, without the trajectory itself.

    An analysis that refuses the run says why in the document: the dynamics, which took the time, are kept.
    """
    whole = read_trajectory(run.trajectory)
    density, no_density_because = _found_or_why(lambda motion: _density(motion, mobile), whole)
    found, no_diffusion_because = _found_or_why(
        lambda motion: diffusion(motion, mobile, request.protocol.segments[-1].end_k), whole
    )
    return AimdDoc(
        structure=request.structure,
        final_structure=_last_structure(request.structure, whole),
        kinetics=_kinetics(whole, request),
        stability=_stability(whole, mobile),
        density=density,
        no_density_because=no_density_because,
        diffusion=None if found is None else diffusion_document(found),
        no_diffusion_because=no_diffusion_because,
        halvings=run.outcome.halvings,
        launches=run.history.launches,
        wall_s=run.history.wall_s,
        engine=engine_of(request.engine).stamp(),
        protocol=request.protocol,
        seed=request.seed,
        corrections=run.history.corrections,
    )


Found = TypeVar("Found")


def _found_or_why(analysis: Callable[[Motion], Found], whole: Trajectory) -> tuple[Found | None, str | None]:
    """Return what an analysis finds in the production part, or why it refuses it."""
    try:
        return analysis(motion_of(production(whole))), None
    except InputError as error:
        return None, str(error)


def _stability(whole: Trajectory, mobile: str) -> StabilityDoc:
    found, refusal = _found_or_why(lambda motion: stability(motion, mobile), whole)
    if found is None:
        return StabilityDoc(label=UNKNOWN, intact=False, motion={}, coordination={}, notes=[str(refusal)])
    return StabilityDoc(
        label=found.label,
        intact=found.intact,
        motion={name: SpeciesMotionDoc(**vars(entry)) for name, entry in found.motion.items()},
        coordination={
            name: CoordinationDoc(**{field: getattr(entry, field) for field in CoordinationDoc.model_fields})
            for name, entry in found.coordination.items()
        },
        notes=list(found.notes),
    )


def _density(motion: Motion, mobile: str) -> DensityDoc:
    found = connectivity(probability_density(motion, mobile))
    return DensityDoc(
        resolution_angstrom=RESOLUTION_ANGSTROM,
        fraction=found.fraction,
        percolates={str(target): connects for target, connects in found.percolates.items()},
        levels={str(target): level for target, level in found.levels.items()},
        samples_per_node=found.samples_per_node,
        notes=list(found.notes),
    )


def _kinetics(whole: Trajectory, request: AimdRequest) -> Kinetics:
    # the last segment, also where it is a ramp, which no analysis takes; its frames are those after its start
    protocol = request.protocol
    part = whole.between(protocol.ps - protocol.segments[-1].ps + 0.5e-3 * protocol.frame_interval_fs)
    assert part.observables is not None  # of our own file
    temperatures, conserved = part.observables.temperatures_k, part.observables.conserved_ev
    return Kinetics(
        ps=float(whole.times_ps[-1]),
        production_ps=float(part.times_ps[-1] - part.times_ps[0]),
        frames=len(whole),
        temperature_k=float(temperatures.mean()),
        temperature_deviation_k=float(temperatures.std()),
        drift_ev_per_atom=float(np.abs(conserved - conserved[0]).max()) / len(whole.species),
    )


def _last_structure(labelled: Structure, whole: Trajectory) -> Structure:
    last = whole.between(float(whole.times_ps[-1]))
    cell = last.cells[-1]
    end = Structure(cell, labelled.species, last.positions[-1] @ np.linalg.inv(cell))
    return with_sites_of(labelled, end)
