from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from jobflow import JobStore
from jobflow.core.job import Job, Response
from maggma.stores import MemoryStore
from pymatgen.core import Structure

from lzc_flows.crystal.host import WYCKOFF, ideal_host
from lzc_flows.documents.aimd import AimdDoc
from lzc_flows.documents.aimd_protocol import AimdProtocol, Segment
from lzc_flows.documents.engine import EngineSpec
from lzc_flows.dynamics.checkpoint import steps_done
from lzc_flows.engines.aimd_worker import CHECKPOINT_FILE, TRAJECTORY_FILE, AimdOutcome, AimdRequest
from lzc_flows.engines.mlip import MLIPS
from lzc_flows.errors import InputError
from lzc_flows.jobs.aimd import AimdMaker
from lzc_flows.recovery.aimd import run_dynamics
from lzc_flows.settings import get_settings
from lzc_flows.trajectory.model import Trajectory
from lzc_flows.trajectory.reader import read_trajectory

NEP = EngineSpec(name="nep")

Run = Callable[[Job, Path], AimdDoc]


def protocol(kelvin: float = 900.0, ps: float = 1.0) -> AimdProtocol:
    """A ramp of 0.2 ps, then a constant temperature, with a checkpoint every 50 steps."""
    ramp = Segment(ensemble="nvt", temperature=(300.0, kelvin), ps=0.2, time_step_fs=2)
    hold = Segment(ensemble="nvt", temperature=kelvin, ps=ps, time_step_fs=2)
    return AimdProtocol(segments=(ramp, hold), checkpoint_interval_fs=100)


REQUEST = AimdRequest(ideal_host().structure, NEP, protocol(), seed=7)
MAKER = AimdMaker(engine="nep", protocol=REQUEST.protocol, seed=REQUEST.seed)


pytestmark = pytest.mark.usefixtures("quick_polls")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("aimd")


@pytest.fixture(scope="module")
def document(run: Run, folder: Path) -> AimdDoc:
    return run(MAKER.make(REQUEST.structure), folder)


@pytest.fixture(scope="module")
def trajectory(document: AimdDoc, tmp_path_factory: pytest.TempPathFactory) -> Trajectory:
    return unpacked(document, tmp_path_factory.mktemp("unpacked"))


def unpacked(document: AimdDoc, folder: Path) -> Trajectory:
    assert document.trajectory is not None
    path = folder / "unpacked.h5"
    path.write_bytes(base64.b64decode(document.trajectory["hdf5_base64"]))
    return read_trajectory(path)


def make_in(folder: Path, store: JobStore, job: Job) -> Response:
    with contextlib.chdir(folder):
        return job.run(store)


def stopped_at(step: int, request: AimdRequest, folder: Path) -> int:
    """Run until SIGTERM comes once the checkpoint is so far; return where it stopped."""
    me = psutil.Process()

    def stop() -> None:
        while steps_done(folder / CHECKPOINT_FILE) < step:
            time.sleep(0.005)
        for child in me.children():
            if "lzc_flows.engines.aimd_worker" in child.cmdline():
                child.terminate()

    threading.Thread(target=stop, daemon=True).start()
    return run_dynamics(request, folder).outcome.step


# ---- the document ----


def test_the_run_is_in_the_document(document: AimdDoc, trajectory: Trajectory) -> None:
    assert (document.seed, document.halvings, document.launches, document.corrections) == (7, 0, 1, [])
    assert document.protocol == REQUEST.protocol
    assert document.engine == MLIPS["nep"].stamp()
    assert 0 < document.wall_s < 300
    assert trajectory.observables is not None
    kinetics, last = document.kinetics, trajectory.observables.cut(slice(11, None))
    assert (kinetics.ps, kinetics.production_ps, kinetics.frames) == (pytest.approx(1.2), pytest.approx(0.98), 61)
    assert kinetics.temperature_k == pytest.approx(last.temperatures_k.mean(), rel=1e-12)
    assert kinetics.temperature_deviation_k == pytest.approx(last.temperatures_k.std(), rel=1e-12)
    drift = np.abs(last.conserved_ev - last.conserved_ev[0]).max() / 27
    assert kinetics.drift_ev_per_atom == pytest.approx(drift, rel=1e-9)


def test_structures_keep_ions_and_labels(document: AimdDoc, trajectory: Trajectory) -> None:
    start, end = document.structure, document.final_structure
    assert start == REQUEST.structure
    assert end.species == start.species
    assert end.site_properties[WYCKOFF] == start.site_properties[WYCKOFF]
    assert end.cart_coords == pytest.approx(trajectory.positions[-1], rel=0, abs=1e-6)


def test_the_trajectory_is_in_the_data_store_alone(folder: Path, tmp_path: Path) -> None:
    documents, data = MemoryStore(), MemoryStore()
    store = JobStore(documents, additional_stores={"data": data})
    store.connect()
    job = MAKER.make(REQUEST.structure)
    (launch,) = {path.parent for path in folder.rglob(CHECKPOINT_FILE)}
    job.function_kwargs["prev_dir"] = str(launch)  # finished: nothing is left to run
    make_in(tmp_path, store, job)
    (stored,) = documents.query({})
    assert "hdf5_base64" not in json.dumps(stored, default=str)
    (blob,) = data.query({})
    assert base64.b64decode(blob["data"]["hdf5_base64"]) == (tmp_path / TRAJECTORY_FILE).read_bytes()
    assert store.get_output(job.uuid)["kinetics"]["frames"] == 61


def test_a_run_too_short_for_a_diffusivity_says_so(document: AimdDoc) -> None:
    assert document.diffusion is None
    assert document.no_diffusion_because is not None
    assert document.no_diffusion_because.startswith("trajectory of 50 frames (0.98 ps): too short for a fit")
    assert document.stability.intact
    assert document.density is not None
    assert document.no_density_because is None


def test_a_run_too_short_for_anything_is_kept(run: Run, tmp_path: Path) -> None:
    """The dynamics took the time: what the analyses say of them costs none of it."""
    job = AimdMaker(protocol=protocol(300.0, ps=0.1), seed=1).make(REQUEST.structure)
    document = run(job, tmp_path)
    assert (document.stability.label, document.stability.intact) == ("unknown", False)
    assert document.stability.notes == ["trajectory of 5 frames: at least 40 show whether it is stable"]
    assert (document.diffusion, document.kinetics.frames) == (None, 16)
    assert len(unpacked(document, tmp_path)) == 16


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (Segment(ensemble="nvt", temperature=(300.0, 400.0), ps=0.1, time_step_fs=2), "goes from 300 to 400 K"),
        (Segment(ensemble="npt", temperature=300.0, ps=0.1, time_step_fs=2), "the cell of frame 2 differs"),
    ],
)
def test_a_run_without_a_part_to_analyse_is_kept(run: Run, tmp_path: Path, last: Segment, reason: str) -> None:
    job = AimdMaker(protocol=AimdProtocol(segments=(last,))).make(REQUEST.structure)
    document = run(job, tmp_path)
    assert (document.density, document.diffusion, document.stability.label) == (None, None, "unknown")
    assert document.no_density_because == document.no_diffusion_because == document.stability.notes[0]
    assert reason in document.stability.notes[0]
    # of the last segment, whatever it is: without the frame at its start
    assert document.kinetics.production_ps == pytest.approx(0.08)
    assert len(unpacked(document, tmp_path)) == 6


def test_a_mobile_ion_that_is_not_there_costs_no_run(run: Run, tmp_path: Path) -> None:
    job = AimdMaker(protocol=protocol(300.0, ps=0.1), mobile="Na").make(REQUEST.structure)
    document = run(job, tmp_path)
    assert document.diffusion is None
    assert document.density is None
    assert document.no_density_because == "species Na: not in the trajectory, which holds Cl, Li, Zr"


def test_a_melt_is_labelled(run: Run, tmp_path: Path) -> None:
    """At 3000 K all ions leave their sites within a picosecond or two."""
    job = AimdMaker(protocol=protocol(3000.0, ps=3.0), seed=1).make(REQUEST.structure)
    document = run(job, tmp_path)
    assert (document.stability.label, document.stability.intact) == ("melted", False)
    assert all(motion.left > motion.atoms / 3 for motion in document.stability.motion.values())
    # it has a diffusivity, of the melt
    assert (document.diffusion is None) != (document.no_diffusion_because is None)


# ---- over as many launches as it takes ----


def test_a_job_whose_time_is_over_is_replaced_by_one_that_goes_on(
    stores: Callable[[], JobStore], trajectory: Trajectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, job = stores(), MAKER.make(REQUEST.structure)
    job.update_metadata({"key": "k"})
    first, second = tmp_path / "first" / "one", tmp_path / "second" / "two"
    for place in (first, second):
        place.mkdir(parents=True)
    monkeypatch.setenv("LZC_WALLTIME_END_S", str(time.time() + 60))  # within the margin
    get_settings.cache_clear()
    response = make_in(first, store, job)
    outcome = AimdOutcome.read(first)
    assert outcome is not None
    assert (outcome.finished, outcome.step) == (False, 0)
    (following,) = response.replace.jobs
    assert (following.uuid, following.index, following.metadata["key"]) == (job.uuid, 2, "k")
    assert following.function_kwargs["prev_dir"] == str(first)
    monkeypatch.delenv("LZC_WALLTIME_END_S")
    get_settings.cache_clear()
    assert make_in(second, store, following).replace is None
    document = AimdDoc.from_stored(store.get_output(job.uuid, load=True))
    assert (document.launches, document.corrections) == (2, [])
    assert np.array_equal(unpacked(document, tmp_path).positions, trajectory.positions)


def test_a_fresh_directory_takes_over_what_an_earlier_try_left_beside_it(
    stores: Callable[[], JobStore], trajectory: Trajectory, tmp_path: Path
) -> None:
    """Not what is of another run, nor what cannot be read; the earlier try keeps its files."""
    mine, other, damaged, here = (tmp_path / name for name in ("mine", "other", "damaged", "here"))
    assert 200 <= stopped_at(200, REQUEST, mine) < 600
    assert stopped_at(300, replace(REQUEST, seed=8), other) > 200
    damaged.mkdir()
    (damaged / CHECKPOINT_FILE).write_bytes(b"no")
    (tmp_path / "file").write_text("beside")
    here.mkdir()
    left = {path: path.read_bytes() for path in mine.iterdir()}
    store, job = stores(), MAKER.make(REQUEST.structure)
    make_in(here, store, job)
    document = AimdDoc.from_stored(store.get_output(job.uuid, load=True))
    assert document.launches == 2  # one of them there
    assert {path: path.read_bytes() for path in mine.iterdir()} == left
    assert np.array_equal(unpacked(document, tmp_path).positions, trajectory.positions)


# ---- what fails ----


def test_an_unknown_engine_is_refused_before_anything_runs(stores: Callable[[], JobStore], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="engine 'none'"):
        make_in(tmp_path, stores(), AimdMaker(engine="none").make(REQUEST.structure))
    assert not list(tmp_path.iterdir())


def test_an_element_that_the_model_does_not_know_is_refused_at_once(
    stores: Callable[[], JobStore], tmp_path: Path
) -> None:
    structure = Structure(ideal_host().structure.lattice, ["Li", "Rn"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(InputError, match=r"^engine 'nep': its model does not know Rn$"):
        make_in(tmp_path, stores(), MAKER.make(structure))
    assert not (tmp_path / TRAJECTORY_FILE).exists()
