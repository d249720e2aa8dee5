from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import psutil
import pytest

from lzc_flows.crystal.host import ideal_host
from lzc_flows.documents.aimd_protocol import AimdProtocol, Segment
from lzc_flows.documents.engine import EngineSpec
from lzc_flows.engines import aimd_worker
from lzc_flows.engines.aimd_worker import CHECKPOINT_FILE, TRAJECTORY_FILE, AimdRequest, Recorder, header_of
from lzc_flows.engines.mlip import MLIPS
from lzc_flows.errors import CalculationError, InputError, InputWarning
from lzc_flows.recovery import worker as recovery
from lzc_flows.recovery.aimd import AimdRun, done_ps, run_dynamics, take_over
from lzc_flows.trajectory.model import Frame, Trajectory
from lzc_flows.trajectory.reader import read_trajectory
from lzc_flows.trajectory.stored import load_stored
from lzc_flows.trajectory.writer import Writer

NEP = EngineSpec(name="nep")


def protocol(time_step_fs: float = 2.0, ps: float = 0.4) -> AimdProtocol:
    """A ramp, then a constant temperature, with a checkpoint every 20 steps of 2 fs."""
    ramp = Segment(ensemble="nvt", temperature=(300.0, 900.0), ps=0.2, time_step_fs=time_step_fs)
    hold = Segment(ensemble="nvt", temperature=900.0, ps=ps, time_step_fs=time_step_fs)
    return AimdProtocol(segments=(ramp, hold), frame_interval_fs=20, checkpoint_interval_fs=40)


REQUEST = AimdRequest(ideal_host().structure, NEP, protocol(), seed=7)


@pytest.fixture(autouse=True)
def quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "POLL_S", 0.05)


@pytest.fixture(scope="module")
def uncut(tmp_path_factory: pytest.TempPathFactory) -> AimdRun:
    return run_dynamics(REQUEST, tmp_path_factory.mktemp("uncut"))


def content(run: AimdRun) -> dict[str, np.ndarray]:
    trajectory = read_trajectory(run.trajectory)
    assert trajectory.observables is not None
    return {"positions": trajectory.positions, "cells": trajectory.cells, **vars(trajectory.observables)}


def assert_same(one: AimdRun, other: AimdRun) -> None:
    """Bit for bit, frame by frame, and in the state at the end."""
    there = content(other)
    for name, values in content(one).items():
        assert np.array_equal(values, there[name]), name
    with np.load(one.folder / CHECKPOINT_FILE) as left, np.load(other.folder / CHECKPOINT_FILE) as right:
        assert all(np.array_equal(left[name], right[name]) for name in left.files)


def workers() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [child for child in children if "lzc_flows.engines.aimd_worker" in child.cmdline()]


@cache
def after(steps: int) -> Callable[[Path], bool]:
    """Whether a run has come so far, by its checkpoint."""
    return lambda folder: done_ps(folder, REQUEST.protocol) * 500 >= steps


class Meddler(threading.Thread):
    """Does something to the worker once it has come so far, and again at each of `steps`."""

    def __init__(self, folder: Path, steps: list[int], act: Callable[[psutil.Process], None]) -> None:
        super().__init__(daemon=True)
        self.folder, self.steps, self.act = folder, list(steps), act
        self.acts = 0
        self.start()

    def run(self) -> None:
        end = time.monotonic() + 120
        while self.steps and time.monotonic() < end:
            time.sleep(0.005)
            if not after(self.steps[0])(self.folder):
                continue
            for process in workers():
                self.acts += 1  # before: what waits for the worker goes on as soon as it is gone
                self.steps.pop(0)
                self.act(process)
                break


def kill(process: psutil.Process) -> None:
    """Its parent must be the one to hear of it: psutil's `wait` would take the exit status away."""
    os.kill(process.pid, signal.SIGKILL)
    wait_for_end(process)


def terminate(process: psutil.Process) -> None:
    process.terminate()
    wait_for_end(process)


def wait_for_end(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        while process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)


def test_the_run_is_what_the_protocol_says(uncut: AimdRun) -> None:
    assert uncut.outcome.finished
    assert (uncut.outcome.step, uncut.outcome.explosion, uncut.history.corrections) == (300, None, [])
    trajectory = read_trajectory(uncut.trajectory)
    assert trajectory.times_ps == pytest.approx(np.arange(31) * 0.02, rel=1e-12, abs=1e-12)
    assert trajectory.species == tuple(site.specie.symbol for site in REQUEST.structure)
    assert trajectory.positions[0] == pytest.approx(REQUEST.structure.cart_coords, rel=0, abs=1e-9)
    assert done_ps(uncut.folder, REQUEST.protocol) == pytest.approx(0.6, rel=1e-12)


def test_a_killed_worker_goes_on_and_the_run_is_the_uncut_one(uncut: AimdRun, tmp_path: Path) -> None:
    meddler = Meddler(tmp_path, [random.Random(1).randrange(10, 280)], kill)
    run = run_dynamics(REQUEST, tmp_path)
    assert meddler.acts == 1
    assert [correction.handler for correction in run.history.corrections] == ["CrashedHandler"]
    assert "exit status -9" in run.history.corrections[0].errors[0]
    assert_same(run, uncut)


def test_a_worker_that_is_killed_again_and_again_fails_with_its_status_and_can_go_on(
    uncut: AimdRun, tmp_path: Path
) -> None:
    """As the kernel kills what takes too much memory."""
    meddler = Meddler(tmp_path, [20, 60, 100], kill)
    with pytest.raises(
        CalculationError, match=r"^molecular dynamics failed after 2 corrections: worker crashed with exit status -9: "
    ):
        run_dynamics(REQUEST, tmp_path)
    assert (meddler.acts, workers()) == (3, [])
    assert_same(run_dynamics(REQUEST, tmp_path), uncut)


def test_what_was_computed_is_kept_where_a_run_cannot_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "new"

    def damage(process: psutil.Process) -> None:
        kill(process)
        (folder / TRAJECTORY_FILE).write_bytes(b"no trajectory")

    Meddler(folder, [100], damage)
    with pytest.raises(InputError, match="trajectory"):
        run_dynamics(REQUEST, folder)
    assert done_ps(folder, REQUEST.protocol) >= 0.2


def test_a_run_that_is_told_to_stop_goes_on_in_the_next_launch(uncut: AimdRun, tmp_path: Path) -> None:
    Meddler(tmp_path, [100], terminate)
    first = run_dynamics(REQUEST, tmp_path)
    assert not first.outcome.finished
    assert 100 <= first.outcome.step < 300
    again = run_dynamics(REQUEST, tmp_path)
    assert (again.outcome.finished, again.history.launches, again.history.corrections) == (True, 2, [])
    assert_same(again, uncut)


def test_no_step_begins_after_the_walltime(uncut: AimdRun, tmp_path: Path) -> None:
    run = run_dynamics(replace(REQUEST, stop_at_s=time.time() - 1), tmp_path)
    assert (run.outcome.finished, run.outcome.step) == (False, 0)
    assert_same(run_dynamics(REQUEST, tmp_path), uncut)


def test_a_finished_run_is_only_looked_at(uncut: AimdRun) -> None:
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in uncut.folder.iterdir()}
    assert run_dynamics(replace(REQUEST, stop_at_s=time.time() - 1), uncut.folder) == uncut
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in uncut.folder.iterdir()} == before


def test_a_checkpoint_stands_for_a_whole_copy(uncut: AimdRun, tmp_path: Path) -> None:
    """A process that was killed while it copied leaves no checkpoint; the next one copies anew."""
    (tmp_path / TRAJECTORY_FILE).write_bytes((uncut.folder / TRAJECTORY_FILE).read_bytes()[:5000])
    assert take_over(REQUEST, [uncut.folder], tmp_path) == uncut.folder
    for name in (CHECKPOINT_FILE, TRAJECTORY_FILE):
        assert (tmp_path / name).read_bytes() == (uncut.folder / name).read_bytes()


def test_folders_that_cannot_be_read_are_passed_over(uncut: AimdRun, tmp_path: Path) -> None:
    """A path too long for the system fails as a folder without permission does, which no test of root's meets."""
    assert take_over(REQUEST, [tmp_path.joinpath(*["x" * 250] * 20), uncut.folder], tmp_path) == uncut.folder


def test_frames_show_between_checkpoints_that_a_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint of a slow engine may be later than what is taken for frozen."""
    identity = REQUEST.identity(MLIPS["nep"].stamp())
    frames = [
        Frame(step, step * 2e-3, REQUEST.crystal.positions, REQUEST.crystal.cell, 300.0, 0.0, 0.0, 0.0)
        for step in (0, 10, 20)
    ]
    with Writer.create(tmp_path / TRAJECTORY_FILE, header_of(REQUEST, identity)) as writer:
        recorder = Recorder(tmp_path, identity, writer, None)
        for flush_s, frame, whole in zip((60.0, 0.0, 60.0), frames, (0, 2, 2), strict=True):
            monkeypatch.setattr(aimd_worker, "FLUSH_S", flush_s)
            recorder.frame(frame)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", InputWarning)  # it still grows
                assert len(load_stored(tmp_path / TRAJECTORY_FILE).table) == whole


def test_a_run_is_taken_over_from_where_it_got_farthest(uncut: AimdRun, tmp_path: Path) -> None:
    """Copied, not moved: the earlier try may still be alive."""
    tries = [tmp_path / name for name in ("one", "two", "other")]
    for folder, steps in zip(tries, (60, 140, 200), strict=True):
        request = REQUEST if folder.name != "other" else replace(REQUEST, seed=8)
        folder.mkdir()
        Meddler(folder, [steps], terminate)
        run_dynamics(request, folder)
    here = tmp_path / "here"
    here.mkdir()
    assert take_over(REQUEST, [*tries, tmp_path / "absent"], here) == tries[1]
    run = run_dynamics(REQUEST, here)
    assert run.history.launches == 2
    assert_same(run, uncut)
    assert take_over(REQUEST, tries, here) is None  # it has its own
    assert (tries[1] / CHECKPOINT_FILE).is_file()


def test_an_explosion_halves_the_time_step_from_the_last_checkpoint_on(tmp_path: Path) -> None:
    """20 fs is a quarter of the fastest vibration: it explodes; 10 or 5 fs do not at once."""
    request = replace(REQUEST, protocol=protocol(time_step_fs=20, ps=0.2))
    run = run_dynamics(request, tmp_path)
    assert run.outcome.finished
    assert run.outcome.halvings == len(run.history.corrections) >= 1
    first = run.history.corrections[0]
    assert first.handler == "ExplodedHandler"
    assert first.actions == ["time step 10 fs from the last checkpoint on"]
    trajectory = read_trajectory(run.trajectory)
    assert trajectory.times_ps == pytest.approx(np.arange(21) * 0.02, rel=1e-9, abs=1e-12)


def test_how_far_a_run_has_got_is_never_beyond_its_end(uncut: AimdRun) -> None:
    """Also where the folder holds a longer run."""
    assert done_ps(uncut.folder, protocol(ps=0.2)) == pytest.approx(0.4, rel=1e-12)


def test_what_always_explodes_fails_with_its_cause(tmp_path: Path) -> None:
    """Two atoms on top of each other: no time step helps."""
    structure = ideal_host().structure.copy()
    structure.translate_sites([1], structure[0].frac_coords - structure[1].frac_coords + [0.01, 0, 0])
    with pytest.raises(CalculationError, match="molecular dynamics failed after 3 corrections: step"):
        run_dynamics(replace(REQUEST, structure=structure), tmp_path)
    assert workers() == []


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"seed": 8}, "of another seed"),
        ({"protocol": protocol(ps=0.6)}, "of another protocol"),
        ({"structure": ideal_host().structure.copy().perturb(0.01, seed=1)}, "of another structure"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(
    uncut: AimdRun, tmp_path: Path, other: dict[str, object], named: str
) -> None:
    for name in (CHECKPOINT_FILE, TRAJECTORY_FILE):
        (tmp_path / name).write_bytes((uncut.folder / name).read_bytes())
    before = (tmp_path / TRAJECTORY_FILE).read_bytes()
    with pytest.raises(InputError, match=named):
        run_dynamics(replace(REQUEST, **other), tmp_path)  # type: ignore[arg-type]
    assert (tmp_path / TRAJECTORY_FILE).read_bytes() == before


def test_frames_of_a_run_that_died_before_its_first_checkpoint_are_dropped(uncut: AimdRun, tmp_path: Path) -> None:
    (tmp_path / TRAJECTORY_FILE).write_bytes((uncut.folder / TRAJECTORY_FILE).read_bytes())
    run = run_dynamics(REQUEST, tmp_path)
    trajectory: Trajectory = read_trajectory(run.trajectory)
    assert len(trajectory) == 31
    assert_same(run, uncut)
