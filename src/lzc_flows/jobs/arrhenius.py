"""The arrhenius job: molecular dynamics at several temperatures, one after the other, and the line through them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobflow import Maker, Response, job
from pymatgen.core import Structure

from lzc_flows.documents.aimd import AimdDoc
from lzc_flows.documents.aimd_protocol import AimdProtocol, hottest_protocol
from lzc_flows.documents.arrhenius import ArrheniusStageDoc
from lzc_flows.documents.dft import LZC_AIMD
from lzc_flows.documents.diffusion import ArrheniusDoc, DiffusionDoc
from lzc_flows.documents.engine import EngineSpec, engine_spec
from lzc_flows.engines.aimd_worker import AimdRequest
from lzc_flows.errors import InputError
from lzc_flows.jobs.aimd import finished_run, with_trajectory
from lzc_flows.jobs.diffusion import arrhenius_document, arrhenius_points
from lzc_flows.recovery.folder import earlier_folders
from lzc_flows.settings import get_settings
from lzc_flows.transport.arrhenius import arrhenius


@dataclass
class ArrheniusMaker(Maker):
    """Run molecular dynamics at several temperatures and fit the line of Arrhenius.

    Parameters
    ----------
    name
        Name of the job.
    engine
        What computes the forces, or its name.
    protocol
        Segments of each run; the temperatures take the place of that of the last segment.
    temperatures_k
        In the order in which they run, in K.
    mobile
        Element whose diffusion is analysed.
    seed
        Seed of the starting velocities of the first run; each further run has the next one.
    """

    name: str = "arrhenius"
    engine: EngineSpec | str = "nep"
    protocol: AimdProtocol = field(default_factory=lambda: hottest_protocol("lzc-long"))
    temperatures_k: Sequence[float] = (1100.0, 1000.0, 900.0, 800.0)
    mobile: str = "Li"
    seed: int = 1

    def __post_init__(self) -> None:
        self.temperatures_k = tuple(self.temperatures_k)  # a list after its way through the database

    @job(output_schema=ArrheniusStageDoc, data="trajectory")
    def make(self, structure: Structure, prev_dir: str | Path | None = None) -> ArrheniusStageDoc | Response:
        """Return what the runs gave; their trajectories go to the data store.

        Each run has a folder of its own, named by its temperature, and is killed, continued and stopped in order as
        that of the aimd job: temperatures that are done are not run again.

        Parameters
        ----------
        structure
            Ordered structure with oxidation states.
        prev_dir
            Directory of an earlier part of the job.
        """
        here = Path.cwd()
        earlier = earlier_folders(here, prev_dir)
        engine, stop_at_s = engine_spec(self.engine, LZC_AIMD), get_settings().stop_at_s
        runs = []
        for number, temperature_k in enumerate(self.temperatures_k):
            protocol = self.protocol.at(temperature_k)
            request = AimdRequest(structure, engine, protocol, self.seed + number, stop_at_s=stop_at_s)
            name = folder_of(temperature_k)
            (here / name).mkdir(exist_ok=True)
            run = finished_run(request, here / name, [place / name for place in earlier])
            if run is None:
                return Response(replace=self.make(structure, prev_dir=str(here)))
            runs.append(with_trajectory(request, run, self.mobile))
        return stage_document(structure, runs)


def folder_of(temperature_k: float) -> str:
    """Return the name of a run's folder, such as ``900K``."""
    return f"{temperature_k:g}K"


def stage_document(structure: Structure, runs: Sequence[AimdDoc]) -> ArrheniusStageDoc:
    """Return the document of finished runs; a run whose framework changed is not in the line."""
    left_out: dict[str, str] = {}
    fit: list[DiffusionDoc] = []
    for run in runs:
        unfit = _unfit_because(run)
        if run.diffusion is not None and unfit is None:
            fit.append(run.diffusion)
        else:
            left_out[f"{run.protocol.segments[-1].end_k:g} K"] = unfit or ""
    line, no_line_because = _line(fit)
    return ArrheniusStageDoc(
        structure=structure,
        runs=list(runs),
        left_out=left_out,
        line=line,
        no_line_because=no_line_because,
        wall_s=sum(run.wall_s for run in runs),
        engine=runs[0].engine,
        corrections=[correction for run in runs for correction in run.corrections],
    )


def _unfit_because(run: AimdDoc) -> str | None:
    if not run.stability.intact:
        return f"{run.stability.label}: this is not diffusion in the crystal"
    if run.diffusion is None:
        return run.no_diffusion_because
    if run.diffusion.D_interval[0] <= 0:
        return "its diffusivity may be zero"
    return None


def _line(results: Sequence[DiffusionDoc]) -> tuple[ArrheniusDoc | None, str | None]:
    try:
        return arrhenius_document(arrhenius(arrhenius_points(results)), results), None
    except InputError as error:
        return None, str(error)
