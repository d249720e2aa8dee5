from __future__ import annotations

import base64
import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jobflow import JobStore
from jobflow.core.job import Job

from lzc_flows.crystal.host import ideal_host
from lzc_flows.documents.aimd import AimdDoc, Kinetics
from lzc_flows.documents.aimd_protocol import AimdProtocol, Segment
from lzc_flows.documents.arrhenius import ArrheniusStageDoc
from lzc_flows.documents.base import EngineStamp
from lzc_flows.documents.diffusion import CurvesDoc, DiffusionDoc, DiffusivityDoc
from lzc_flows.documents.stability import StabilityDoc
from lzc_flows.engines.aimd_worker import TRAJECTORY_FILE
from lzc_flows.jobs.arrhenius import ArrheniusMaker, folder_of, stage_document
from lzc_flows.settings import get_settings
from lzc_flows.trajectory.reader import read_trajectory
from lzc_flows.transport.conductivity import BOLTZMANN_EV

pytestmark = pytest.mark.usefixtures("quick_polls")

HOST = ideal_host().structure
PROTOCOL = AimdProtocol(
    segments=(
        Segment(ensemble="nvt", temperature=(300.0, 900.0), ps=0.1, time_step_fs=2),
        Segment(ensemble="nvt", temperature=900.0, ps=0.3, time_step_fs=2),
    ),
    checkpoint_interval_fs=100,
)
MAKER = ArrheniusMaker(protocol=PROTOCOL, temperatures_k=(900.0, 700.0, 500.0), seed=3)


# ---- the document ----


def run_at(kelvin: float, diffusivity: float, label: str = "stable") -> AimdDoc:
    """A finished run of which only the diffusivity and the framework matter, 5 % uncertain."""
    interval = (0.95 * diffusivity, 1.05 * diffusivity)
    either = DiffusivityDoc(D_cm2_s=diffusivity, D_interval=interval)
    found = DiffusionDoc(
        **either.model_dump(),
        species="Li",
        temperature_k=kelvin,
        charge=1,
        ions=6,
        length_ps=20,
        D_standard_error=0.05 * diffusivity,
        degrees_of_freedom=9,
        rsd_he=0.2,
        tmsd_A2=1000,
        carriers_per_cm3=1e22,
        sigma_mS_cm=1,
        sigma_interval=(0.9, 1.1),
        by_direction={},
        charge_diffusivity=either,
        haven_ratio=None,
        haven_interval=None,
        window_ps=(1, 2),
        exponent=1,
        n_hops=100,
        hop_distance_A=3,
        curves=CurvesDoc(lag_ps=[], msd_A2={}, charge_msd_A2=[]),
        notes=[],
    )
    return AimdDoc(
        structure=HOST,
        final_structure=HOST,
        kinetics=Kinetics(
            ps=1, production_ps=1, frames=2, temperature_k=kelvin, temperature_deviation_k=1, drift_ev_per_atom=0
        ),
        stability=StabilityDoc(label=label, intact=label == "stable", motion={}, coordination={}, notes=[]),
        density=None,
        no_density_because="not asked",
        diffusion=found,
        no_diffusion_because=None,
        halvings=0,
        launches=1,
        wall_s=2,
        engine=EngineStamp(name="nep", version="1"),
        protocol=PROTOCOL.at(kelvin),
        seed=1,
    )


def activated(kelvin: float, energy_ev: float = 0.3) -> float:
    return 1e-3 * math.exp(-energy_ev / (BOLTZMANN_EV * kelvin))


def test_the_line_is_that_of_the_diffusivities() -> None:
    runs = [run_at(kelvin, activated(kelvin)) for kelvin in (1100.0, 900.0, 700.0)]
    document = stage_document(HOST, runs)
    assert document.line is not None
    assert document.line.Ea_eV == pytest.approx(0.3, rel=1e-9)
    assert 0 < document.line.Ea_standard_error < 0.02
    low, high = document.line.sigma_300K_interval
    assert 0 < low < document.line.sigma_300K_mS_cm < high
    assert (document.left_out, document.no_line_because, document.wall_s) == ({}, None, 6)


def test_a_crystal_that_changed_is_not_in_the_line() -> None:
    runs = [run_at(kelvin, activated(kelvin)) for kelvin in (1000.0, 900.0, 700.0)]
    document = stage_document(HOST, [run_at(1100.0, 1.0, "melted"), *runs])
    assert document.left_out == {"1100 K": "melted: this is not diffusion in the crystal"}
    assert document.line is not None
    assert document.line.Ea_eV == pytest.approx(0.3, rel=1e-9)


def test_too_few_temperatures_give_no_line_and_say_why() -> None:
    document = stage_document(HOST, [run_at(1100.0, activated(1100.0)), run_at(900.0, activated(900.0))])
    assert document.line is None
    assert document.no_line_because == "2 distinct temperature(s): at least 3 are needed for a fit"


# ---- the runs ----


def made_in(folder: Path, store: JobStore, job: Job) -> ArrheniusStageDoc:
    with contextlib.chdir(folder):
        response = job.run(store)
    assert response.replace is None
    return ArrheniusStageDoc.from_stored(store.get_output(job.uuid, load=True))


@pytest.fixture(scope="module")
def done(
    stores: Callable[[], JobStore], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, JobStore, Job, ArrheniusStageDoc]:
    folder, store, job = tmp_path_factory.mktemp("launches") / "first", stores(), MAKER.make(HOST)
    folder.mkdir()
    return folder, store, job, made_in(folder, store, job)


def test_each_temperature_runs_in_its_folder_with_its_seed(
    done: tuple[Path, JobStore, Job, ArrheniusStageDoc],
) -> None:
    folder, _, _, document = done
    assert [run.protocol.segments[-1].end_k for run in document.runs] == [900, 700, 500]
    assert [run.protocol.segments[0].end_k for run in document.runs] == [900, 700, 500]
    assert [run.seed for run in document.runs] == [3, 4, 5]
    assert all((folder / folder_of(kelvin) / TRAJECTORY_FILE).is_file() for kelvin in MAKER.temperatures_k)
    assert document.structure == HOST
    assert document.line is None or document.line.species == "Li"  # 0.3 ps say nothing of diffusion


def test_trajectories_are_in_the_data_store_alone(
    done: tuple[Path, JobStore, Job, ArrheniusStageDoc], tmp_path: Path
) -> None:
    folder, store, job, document = done
    bare = store.get_output(job.uuid, load=False)
    assert all(set(run["trajectory"]) >= {"blob_uuid"} for run in bare["runs"])
    data: dict[str, Any] = vars(store)["additional_stores"]
    assert data["data"].count() == len(document.runs)
    for run, kelvin in zip(document.runs, MAKER.temperatures_k, strict=True):
        assert run.trajectory is not None
        path = tmp_path / f"{kelvin:g}.h5"
        path.write_bytes(base64.b64decode(run.trajectory["hdf5_base64"]))
        assert len(read_trajectory(path)) == run.kinetics.frames
        assert path.read_bytes() == (folder / folder_of(kelvin) / TRAJECTORY_FILE).read_bytes()


def test_a_later_launch_goes_on_where_an_earlier_one_was_cut(
    done: tuple[Path, JobStore, Job, ArrheniusStageDoc], stores: Callable[[], JobStore]
) -> None:
    """The first temperature is done beside, the others are not: their numbers are those of the uncut job."""
    folder, _, _, document = done
    beside, here = folder.parent / "cut", folder.parent / "here"
    for kelvin in (700.0, 500.0):
        (folder / folder_of(kelvin)).rename(folder / f"kept {kelvin:g}")
    folder.rename(beside)
    here.mkdir()
    found = made_in(here, stores(), MAKER.make(HOST))
    for kelvin in (700.0, 500.0):
        (beside / f"kept {kelvin:g}").rename(beside / folder_of(kelvin))
    beside.rename(folder)
    assert [run.final_structure for run in found.runs] == [run.final_structure for run in document.runs]
    assert [run.launches for run in found.runs] == [2, 1, 1]


def test_a_job_whose_time_is_over_is_replaced_by_one_that_goes_on(
    stores: Callable[[], JobStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LZC_WALLTIME_END_S", "1000000001")  # long ago
    get_settings.cache_clear()
    with contextlib.chdir(tmp_path):
        response = MAKER.make(HOST).run(stores())
    assert response.replace is not None
    assert not (tmp_path / folder_of(700.0)).exists()
