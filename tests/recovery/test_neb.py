from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from lzc_flows.documents.dft import DftProtocol, VaspSettings
from lzc_flows.documents.engine import EngineSpec
from lzc_flows.documents.protocols import NebProtocol
from lzc_flows.engines.base import Ions
from lzc_flows.engines.mlip import MLIPS
from lzc_flows.engines.neb_tasks import (
    OUTCOME_FILE,
    RESULT_FILE,
    TASK_FILE,
    EndResult,
    Outcome,
    PathResult,
    Task,
    end_task,
    path_task,
)
from lzc_flows.engines.neb_worker import ATTEMPTS, PROGRESS_FILE, SEARCH_FILE, STOPPED_FILE, NebRequest
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.hopping.ends import Ends
from lzc_flows.recovery import neb as recovery_neb
from lzc_flows.recovery import worker as recovery
from lzc_flows.recovery.folder import alone_in
from lzc_flows.recovery.neb import LOCK_FILE, NEB, FailedHandler, NebRun, NebSetting, run_tasks
from lzc_flows.recovery.worker import CrashedHandler, FrozenHandler, WorkerHandler, WorkerJob

NEP = EngineSpec(name="nep")

PROTOCOL = NebProtocol()
PATIENCE = [attempt.patience for attempt in ATTEMPTS]
MORE_STEPS = f"{PATIENCE[1]} times the steps, of at most 0.1 Å, from the last images"


@pytest.fixture(autouse=True)
def quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "POLL_S", 0.02)


@dataclass(frozen=True)
class Done:
    """A hop's tasks, done once."""

    folder: Path
    ends: list[Task]
    path: Task
    relaxation: NebRun
    search: NebRun

    @property
    def path_folder(self) -> Path:
        return self.folder / self.search.names[0]


@pytest.fixture(scope="module")
def done(hop_ends: Ends, tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("done")
    species = tuple(site.specie.symbol for site in hop_ends.initial)
    cell = hop_ends.initial.lattice.matrix.copy()
    ends = [end_task(Ions(species), cell, end.cart_coords) for end in (hop_ends.initial, hop_ends.final)]
    setting = NebSetting(NEP, PROTOCOL, folder)
    relaxation = run_tasks([("end", task) for task in ends], setting)
    path = path_task(Ions(species), cell, [EndResult.read(folder / name) for name in relaxation.names])
    return Done(folder, ends, path, relaxation, run_tasks([("path", path)], setting))


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that starts is a failure."""

    def run_worker(*_: object) -> None:
        raise AssertionError("a worker was started")

    monkeypatch.setattr(recovery_neb, "run_worker", run_worker)


def malformed(task: Task, shift: float = 0.0) -> Task:
    """A path with one end only: the worker that takes it up ends with a traceback."""
    return replace(task, positions=task.positions[:1] + shift)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_same(one: PathResult, other: PathResult) -> None:
    """Bit for bit."""
    assert one.legs == other.legs
    for name, value in vars(one).items():
        assert np.array_equal(value, getattr(other, name)), name


# ---- what is done, and done once ----


def test_tasks_are_done_in_folders_named_by_their_checksums(done: Done) -> None:
    stamp = MLIPS["nep"].stamp()
    assert done.relaxation.names == [f"end-{task.checksum(stamp, PROTOCOL)}" for task in done.ends]
    assert done.search.names == [f"path-{done.path.checksum(stamp, PROTOCOL)}"]
    for run in (done.relaxation, done.search):
        assert run.finished
        assert run.corrections == []
        assert {outcome.status for outcome in run.outcomes.values()} == {"converged"}
        assert {outcome.attempt for outcome in run.outcomes.values()} == {0}


@pytest.mark.usefixtures("no_worker")
def test_what_was_done_is_not_done_again(done: Done) -> None:
    """In the same folder, and from an earlier one; also with time that is over."""
    before = contents(done.folder)
    over = NebSetting(NEP, PROTOCOL, done.folder, stop_at_s=time.time() - 1)
    assert run_tasks([("path", done.path)], over) == done.search
    assert run_tasks([("end", task) for task in done.ends], over) == done.relaxation
    # one task twice, as two hops may share an end
    twice = run_tasks([("end", done.ends[0])] * 2, over)
    assert twice.finished
    assert twice.names == done.relaxation.names[:1] * 2
    after = contents(done.folder)
    assert {name: after[name] for name in after if "/" in name} == {n: before[n] for n in before if "/" in n}


@pytest.mark.usefixtures("no_worker")
def test_nothing_to_do_is_done(tmp_path: Path) -> None:
    run = run_tasks([], NebSetting(NEP, PROTOCOL, tmp_path / "new"))
    assert (run.names, run.outcomes, run.corrections, run.finished) == ([], {}, [], True)


@pytest.mark.usefixtures("no_worker")
def test_earlier_folders_are_taken_over_from_the_one_that_got_farthest(done: Done, tmp_path: Path) -> None:
    """Copied, not moved; what is being written there, and what was never whole, is left."""
    name = done.search.names[0]
    begun, bare, partial, here = (tmp_path / place for place in ("begun", "bare", "partial", "here"))
    done.path.write(begun / name)
    (begun / name / SEARCH_FILE).write_bytes(b"half-way")
    done.path.write(bare / name)
    (partial / name / ".task.npz.abc").mkdir(parents=True)
    before = contents(done.folder)
    earlier = (tmp_path / "absent", partial, bare, begun, done.folder)
    run = run_tasks([("path", done.path)], NebSetting(NEP, PROTOCOL, here, earlier))
    assert run.outcomes == done.search.outcomes
    assert_same(PathResult.read(here / name), PathResult.read(done.path_folder))
    assert contents(done.folder) == before
    assert {path.name for path in (here / name).iterdir()} == {path.name for path in done.path_folder.iterdir()}


# ---- what failed is tried in other ways ----


def test_too_few_steps_are_mended_by_the_next_attempts(done: Done, tmp_path: Path) -> None:
    """Both tasks run out of 12 steps; one of them is done before the other."""
    protocol = PROTOCOL.model_copy(update={"max_steps": 12})
    run = run_tasks([("path", done.path), ("end", done.ends[1])], NebSetting(NEP, protocol, tmp_path))
    path, end = (run.outcomes[name] for name in run.names)
    assert (path.status, path.attempt, end.status) == ("converged", 1, "converged")
    correction = run.corrections[0]
    assert correction.handler == "FailedHandler"
    assert correction.errors[0].startswith(f"{run.names[0]}: not converged after 12 steps: ")
    assert correction.errors[0].endswith("(and 1 more)") == (end.attempt > 0)
    assert correction.actions == [MORE_STEPS]
    found, there = PathResult.read(tmp_path / run.names[0]), PathResult.read(done.path_folder)
    assert found.energies_ev.max() == pytest.approx(there.energies_ev.max(), abs=1e-3)


def test_what_never_converges_is_a_named_failure_without_a_number(done: Done, tmp_path: Path) -> None:
    protocol = PROTOCOL.model_copy(update={"max_steps": 2, "fmax_ends_ev_per_angstrom": 1e-6})
    setting = NebSetting(NEP, protocol, tmp_path)
    run = run_tasks([("path", done.path), ("end", done.ends[1])], setting)
    assert run.finished
    for name, words in zip(
        run.names,
        (f"not converged after {2 * PATIENCE[2]} steps: ", f"end not relaxed after {2 * PATIENCE[2]} steps: "),
        strict=True,
    ):
        outcome = run.outcomes[name]
        assert (outcome.status, outcome.attempt) == ("unconverged", len(ATTEMPTS) - 1)
        assert outcome.reason is not None
        assert outcome.reason.startswith(words)
        assert not (tmp_path / name / RESULT_FILE).exists()
    assert [correction.actions for correction in run.corrections] == [
        [MORE_STEPS],
        [f"{PATIENCE[2]} times the steps, of at most 0.05 Å, from a new linear path"],
    ]
    # an end's relaxations begin anew, and evaluate once more than they step
    assert run.outcomes[run.names[1]].evaluations == sum(2 * patience + 1 for patience in PATIENCE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recovery_neb, "run_worker", None)
        again = run_tasks([("path", done.path), ("end", done.ends[1])], setting)
    assert (again.outcomes, again.corrections) == (run.outcomes, [])


def test_a_run_that_was_killed_between_attempts_goes_on_with_the_next(done: Done, tmp_path: Path) -> None:
    setting = NebSetting(NEP, PROTOCOL, tmp_path)
    stamp = MLIPS["nep"].stamp()
    name = f"end-{done.ends[1].checksum(stamp, PROTOCOL)}"
    done.ends[1].write(tmp_path / name)
    Outcome("unconverged", "why", 1, 100, 5.0).write(tmp_path / name)
    run = run_tasks([("end", done.ends[1])], setting)
    outcome = run.outcomes[name]
    assert (outcome.status, outcome.attempt) == ("converged", 2)
    assert outcome.evaluations > 100
    assert outcome.wall_s > 5


@pytest.mark.parametrize(
    ("outcome", "again"),
    [
        (None, False),
        (Outcome("converged", None, 0, 1, 0.1), False),
        (Outcome("unconverged", "why", 0, 1, 0.1), True),
        (Outcome("exploded", "why", 1, 1, 0.1), True),
        (Outcome("unconverged", "why", 2, 1, 0.1), False),
        (Outcome("many minima", "why", 0, 1, 0.1), False),
        (Outcome("crashed", "why", 0, 1, 0.1), False),
        (Outcome("refused", "why", 0, 1, 0.1), False),
    ],
)
def test_one_handler_a_case(done: Done, tmp_path: Path, outcome: Outcome | None, again: bool) -> None:
    """None where the run was stopped: then nothing more begins."""
    done.path.write(tmp_path / "path-0")
    NebRequest(NEP, PROTOCOL, ("path-0",)).write(tmp_path)
    if outcome is not None:
        outcome.write(tmp_path / "path-0")
    job = WorkerJob(NEB)
    handlers = [CrashedHandler(job), FailedHandler(), FrozenHandler(job, 900.0)]
    fired = [type(handler).__name__ for handler in handlers if handler.check(os.fspath(tmp_path))]
    assert fired == (["FailedHandler"] if again else ["CrashedHandler"] if outcome is None else [])
    (tmp_path / STOPPED_FILE).touch()
    assert not any(handler.check(os.fspath(tmp_path)) for handler in handlers)


# ---- crashes ----


def test_a_task_that_crashes_its_worker_is_one_and_the_rest_goes_on(
    done: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WorkerHandler, "max_num_corrections", 1)  # not run three times
    setting = NebSetting(NEP, PROTOCOL, tmp_path)
    run = run_tasks([("path", malformed(done.path)), ("end", done.ends[1])], setting)
    crashed, other = (run.outcomes[name] for name in run.names)
    assert crashed.status == "crashed"
    assert crashed.reason is not None
    assert crashed.reason.startswith("elastic band failed after 1 corrections: worker crashed with exit status 1: ")
    assert "Error" in crashed.reason
    assert other.status == "converged"
    assert not (tmp_path / run.names[0] / RESULT_FILE).exists()


def test_what_crashed_before_is_tried_again_and_what_was_never_whole_is_done(done: Done, tmp_path: Path) -> None:
    """The machine may have been to blame, here or where an earlier launch was; a killed one may leave a bare folder."""
    earlier, here = tmp_path / "earlier", tmp_path / "here"
    for task, name, place in zip(done.ends, done.relaxation.names, (earlier, here), strict=True):
        task.write(place / name)
        Outcome("crashed", "no memory", 0, 0, 0.0).write(place / name)
    other = replace(done.ends[0], positions=done.ends[0].positions + 0.1)
    (here / f"end-{other.checksum(MLIPS['nep'].stamp(), PROTOCOL)}").mkdir()
    tasks = [("end", task) for task in (*done.ends, other)]
    run = run_tasks(tasks, NebSetting(NEP, PROTOCOL, here, (earlier,)))
    assert [outcome.status for outcome in run.outcomes.values()] == ["converged"] * 3


def test_workers_that_crash_whatever_the_task_are_an_error(
    done: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WorkerHandler, "max_num_corrections", 0)
    tasks = [("path", malformed(done.path, shift)) for shift in (0.0, 0.1, 0.2, 0.3)]
    with pytest.raises(CalculationError, match=r"^elastic band failed after 0 corrections: worker crashed with exit "):
        run_tasks(tasks, NebSetting(NEP, PROTOCOL, tmp_path))
    ended = sorted(path.parent.name for path in tmp_path.rglob(OUTCOME_FILE))
    assert len(ended) == recovery_neb.MOST_CRASHES - 1


# ---- killed, stopped, refused ----


def workers() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [child for child in children if "lzc_flows.engines.neb_worker" in " ".join(child.cmdline())]


def when_it_works(folder: Path, act: Callable[[psutil.Process], None]) -> threading.Thread:
    """Do something to the first worker that has begun."""

    def watch() -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            time.sleep(0.002)
            found = workers()
            if found and (folder / PROGRESS_FILE).exists():
                act(found[0])
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def test_a_killed_worker_is_run_again_and_the_path_is_the_same(done: Done, tmp_path: Path) -> None:
    thread = when_it_works(tmp_path, lambda worker: os.kill(worker.pid, signal.SIGKILL))
    run = run_tasks([("path", done.path)], NebSetting(NEP, PROTOCOL, tmp_path))
    thread.join()
    (correction,) = run.corrections
    assert (correction.handler, correction.actions) == ("CrashedHandler", ["rerun"])
    assert correction.errors[0].startswith("worker crashed with exit status -9: killed from outside")
    assert_same(PathResult.read(tmp_path / run.names[0]), PathResult.read(done.path_folder))


def test_a_run_that_is_told_to_stop_goes_on_in_the_next_launch(done: Done, tmp_path: Path) -> None:
    setting = NebSetting(NEP, PROTOCOL, tmp_path)
    thread = when_it_works(tmp_path, lambda worker: worker.terminate())
    first = run_tasks([("path", done.path)], setting)
    thread.join()
    assert (first.finished, first.outcomes, first.corrections) == (False, {}, [])
    assert (tmp_path / STOPPED_FILE).is_file()
    again = run_tasks([("path", done.path)], setting)
    assert again.finished
    assert_same(PathResult.read(tmp_path / again.names[0]), PathResult.read(done.path_folder))


def test_after_its_time_nothing_begins(done: Done, tmp_path: Path) -> None:
    run = run_tasks([("path", done.path)], NebSetting(NEP, PROTOCOL, tmp_path, stop_at_s=time.time() - 1))
    assert (run.finished, run.outcomes, run.corrections) == (False, {}, [])
    assert [path.name for path in (tmp_path / run.names[0]).iterdir()] == [TASK_FILE]


@pytest.mark.usefixtures("no_worker")
def test_two_processes_in_one_folder_are_refused(done: Done, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with alone_in(folder, LOCK_FILE), pytest.raises(InputError, match="another process runs there now"):
        run_tasks([("path", done.path)], NebSetting(NEP, PROTOCOL, folder))
    assert [path.name for path in folder.iterdir()] == [LOCK_FILE]


def test_an_element_that_the_model_does_not_know_is_refused(done: Done, tmp_path: Path) -> None:
    """What else is in the folder stays; nothing is left that a better model would take for an answer."""
    end = done.ends[0]
    done.ends[1].write(tmp_path / "end-0")
    radon = replace(end, ions=Ions(("Rn", *end.species[1:])))
    with pytest.raises(InputError, match=r"^engine 'nep': its model does not know Rn$"):
        run_tasks([("end", radon)], NebSetting(NEP, PROTOCOL, tmp_path))
    assert (tmp_path / "end-0" / TASK_FILE).is_file()
    assert not list(tmp_path.rglob(OUTCOME_FILE))


@pytest.mark.usefixtures("no_worker")
def test_an_engine_that_is_not_there_leaves_nothing(done: Done, tmp_path: Path) -> None:
    absent = EngineSpec(name="vasp", dft=DftProtocol(vasp=VaspSettings(climbing="lzc")))
    with pytest.raises(InputError, match=r"^engine 'vasp': no command 'vasp_std' here; "):
        run_tasks([("path", done.path)], NebSetting(absent, PROTOCOL, tmp_path / "new"))
    assert list(tmp_path.iterdir()) == []
