from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.context import ForkProcess
from pathlib import Path

import numpy as np
import pytest

from lzc_flows.band.lbfgs import LONGEST_STEP_ANGSTROM
from lzc_flows.band.path import images_for, linear
from lzc_flows.band.search import PathSearch, Potential, SearchState, new_leg
from lzc_flows.band.stored import read_search, write_search
from lzc_flows.documents.engine import EngineSpec
from lzc_flows.documents.protocols import NebProtocol
from lzc_flows.dynamics.forces import ForceField, Forces
from lzc_flows.engines import neb_worker
from lzc_flows.engines.base import Ions
from lzc_flows.engines.mlip import MLIPS, NepEngine
from lzc_flows.engines.neb_tasks import (
    OUTCOME_FILE,
    RESULT_FILE,
    EndResult,
    Outcome,
    PathResult,
    Task,
    end_task,
    path_task,
)
from lzc_flows.engines.neb_worker import (
    ATTEMPTS,
    REQUEST_FILE,
    SEARCH_FILE,
    STOPPED_FILE,
    HeardForceField,
    NebRequest,
    Progress,
    Recorder,
    read_progress,
)
from lzc_flows.hopping.ends import Ends

NEP = EngineSpec(name="nep")

PROTOCOL = NebProtocol()
STEPS = 12
"""Too few for the first attempt, enough for the second."""
Fork = Callable[..., ForkProcess]


def work(folder: Path, save_s: float = 0.0) -> None:
    """What the worker's process does, with a band saved after every step."""
    neb_worker.SAVE_S = save_s
    neb_worker.run(folder)


@pytest.fixture
def done_by(fork: Fork) -> Callable[[Path], None]:
    """Run a worker to its end, in a process that need not import everything again."""

    def act(folder: Path) -> None:
        worker = fork(work, folder)
        worker.join(timeout=120)
        assert worker.exitcode == 0

    return act


@dataclass(frozen=True)
class Case:
    """A hop's tasks, and what a worker in a process of its own made of them."""

    folder: Path
    ends: tuple[Task, Task]
    path: Task

    @property
    def result(self) -> PathResult:
        return PathResult.read(self.folder / "path-0")

    @property
    def outcome(self) -> Outcome:
        outcome = Outcome.read(self.folder / "path-0")
        assert outcome is not None
        return outcome


def subprocess_worker(folder: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "lzc_flows.engines.neb_worker", str(os.getpid())]
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def case(hop_ends: Ends, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Two ends, then the path between them."""
    folder = tmp_path_factory.mktemp("uncut")
    cell = hop_ends.initial.lattice.matrix.copy()
    species = tuple(site.specie.symbol for site in hop_ends.initial)
    ends = tuple(end_task(Ions(species), cell, end.cart_coords) for end in (hop_ends.initial, hop_ends.final))
    for number, task in enumerate(ends):
        task.write(folder / f"end-{number}")
    for names in (("end-0", "end-1"), ("path-0",)):
        if names == ("path-0",):
            path = path_task(Ions(species), cell, [EndResult.read(folder / f"end-{number}") for number in range(2)])
            path.write(folder / "path-0")
        NebRequest(NEP, PROTOCOL, names).write(folder)
        worker = subprocess_worker(folder)
        assert worker.communicate(timeout=120) == (None, "")
        assert worker.returncode == 0
    return Case(folder, ends, path)


def asked(folder: Path, task: Task, protocol: NebProtocol = PROTOCOL, **request: object) -> str:
    """Ask for one task; return its name."""
    name = f"{task.kind}-0"
    task.write(folder / name)
    NebRequest(NEP, protocol, (name,), **request).write(folder)  # type: ignore[arg-type]
    return name


def outcome_of(folder: Path) -> Outcome:
    outcome = Outcome.read(folder)
    assert outcome is not None
    return outcome


def assert_same(one: PathResult, other: PathResult) -> None:
    """Bit for bit."""
    assert one.legs == other.legs
    for name, value in vars(one).items():
        assert np.array_equal(value, getattr(other, name)), name


def steps(folder: Path) -> int:
    """How many steps the saved band has done."""
    saved = folder / SEARCH_FILE
    return sum(leg.band.steps for leg in read_search(saved).legs) if saved.is_file() else -1


def wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


# ---- a whole request ----


def test_ends_are_relaxed(case: Case) -> None:
    force_field = MLIPS["nep"].force_field(case.path.ions)
    for number, task in enumerate(case.ends):
        folder = case.folder / f"end-{number}"
        end, outcome = EndResult.read(folder), outcome_of(folder)
        there = force_field.evaluate(end.positions, task.cell)
        assert end.energy_ev == there.energy_ev
        assert end.fmax == np.linalg.norm(there.forces, axis=1).max() <= PROTOCOL.fmax_ends_ev_per_angstrom
        assert (outcome.status, outcome.reason, outcome.attempt) == ("converged", None, 0)
        assert outcome.evaluations >= 1
        assert np.linalg.norm(end.positions - task.positions[0], axis=1).max() < 1.0


def test_the_path_is_one_over_a_saddle(case: Case) -> None:
    path, force_field = case.result, MLIPS["nep"].force_field(case.path.ions)
    assert case.outcome.status == "converged"
    np.testing.assert_allclose(path.positions[[0, -1]], case.path.positions, rtol=0, atol=1e-12)
    assert np.array_equal(path.energies_ev[[0, -1]], case.path.energies_ev)
    answers = [force_field.evaluate(image, case.path.cell) for image in path.positions[1:-1]]
    assert [answer.energy_ev for answer in answers] == path.energies_ev[1:-1].tolist()
    (leg,) = path.legs
    assert (leg.first_image, leg.last_image) == (0, len(path.positions) - 1)
    assert leg.saddle_image == path.energies_ev.argmax()
    at_saddle = np.linalg.norm(answers[leg.saddle_image - 1].forces, axis=1).max()
    # nudged or not: a climbing image feels the whole force, turned around along the path
    assert leg.fmax_climbing == pytest.approx(at_saddle, rel=0.5)
    assert leg.fmax_climbing <= PROTOCOL.fmax_climbing_ev_per_angstrom
    assert leg.fmax_band <= PROTOCOL.fmax_band_ev_per_angstrom
    # NEP89's barrier from 6h to 6g
    assert path.energies_ev.max() - path.energies_ev[0] == pytest.approx(0.319, abs=0.002)
    assert case.outcome.evaluations >= len(answers) * 2


def test_how_far_a_worker_got_is_told(case: Case) -> None:
    progress = read_progress(case.folder)
    assert progress is not None
    assert (progress.what, progress.done, progress.of) == ("paths", 0, 1)


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"what": "ends"}', '{"a": 1}'])
def test_progress_that_cannot_be_read_is_none(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / neb_worker.PROGRESS_FILE).write_text(content)
    assert read_progress(tmp_path) is None


def test_a_request_comes_back(tmp_path: Path) -> None:
    for request in (
        NebRequest(NEP, PROTOCOL, ("a", "b")),
        NebRequest(EngineSpec(name="chgnet"), NebProtocol(images=7), ("path-1",), {"path-1": 2}, 1 / 3),
    ):
        request.write(tmp_path)
        assert NebRequest.read(tmp_path) == request
    assert [path.name for path in tmp_path.iterdir()] == [REQUEST_FILE]


def test_a_task_is_missing_until_the_attempt_that_is_asked_for_has_ended(tmp_path: Path) -> None:
    for name, attempt in (("b", 0), ("c", 1)):
        Outcome("unconverged", "why", attempt, 1, 0.1).write(tmp_path / name)
    assert NebRequest(NEP, PROTOCOL, ("a", "b", "c")).missing(tmp_path) == ("a",)
    assert NebRequest(NEP, PROTOCOL, ("a", "b", "c"), {"b": 1, "c": 1}).missing(tmp_path) == ("a", "b")


def test_tasks_that_are_done_are_left_alone(case: Case, tmp_path: Path, done_by: Callable[[Path], None]) -> None:
    """The second of three is done already; the others are done in their order."""
    for name in ("end-0", "end-1", "end-2"):
        case.ends[1].write(tmp_path / name)
    kept = Outcome("many minima", "as it is", 0, 7, 0.5)
    kept.write(tmp_path / "end-1")
    NebRequest(NEP, PROTOCOL, ("end-0", "end-1", "end-2")).write(tmp_path)
    done_by(tmp_path)
    assert Outcome.read(tmp_path / "end-1") == kept
    assert not (tmp_path / "end-1" / RESULT_FILE).exists()
    first, last = (EndResult.read(tmp_path / name) for name in ("end-0", "end-2"))
    assert np.array_equal(first.positions, last.positions)  # whatever was done before
    progress = read_progress(tmp_path)
    assert progress is not None
    assert (progress.what, progress.done, progress.of) == ("ends", 2, 3)


# ---- cut off ----


@pytest.mark.parametrize("after", [0, 9])
def test_a_killed_worker_goes_on_as_the_uncut_one(
    case: Case, tmp_path: Path, fork: Fork, done_by: Callable[[Path], None], after: int
) -> None:
    folder = tmp_path / asked(tmp_path, case.path)
    worker = fork(work, tmp_path)
    wait(lambda: steps(folder) >= after)
    worker.kill()
    worker.join()
    assert not (folder / OUTCOME_FILE).exists()
    assert not (tmp_path / STOPPED_FILE).exists()
    saved = steps(folder)
    done_by(tmp_path)
    assert_same(PathResult.read(folder), case.result)
    assert sum(leg.steps for leg in case.result.legs) > saved >= after
    assert outcome_of(folder).evaluations == case.outcome.evaluations


def test_a_worker_that_is_told_to_stop_saves_its_band_and_stops_in_order(
    case: Case, tmp_path: Path, fork: Fork, done_by: Callable[[Path], None]
) -> None:
    folder = tmp_path / asked(tmp_path, case.path)
    worker = fork(work, tmp_path)
    wait(lambda: steps(folder) >= 5)
    os.kill(worker.pid, signal.SIGTERM)
    worker.join(timeout=60)
    assert worker.exitcode == 0
    assert (tmp_path / STOPPED_FILE).is_file()
    assert not (folder / OUTCOME_FILE).exists()
    assert steps(folder) >= 5
    (tmp_path / STOPPED_FILE).unlink()
    done_by(tmp_path)
    assert_same(PathResult.read(folder), case.result)


def test_a_process_of_its_own_hears_sigterm_and_ends_with_its_parent(case: Case, tmp_path: Path) -> None:
    asked(tmp_path, case.path)
    worker = subprocess_worker(tmp_path)
    wait(lambda: read_progress(tmp_path) is not None)  # from then on it listens
    worker.terminate()
    assert worker.communicate(timeout=60) == (None, "")
    assert worker.returncode == 0
    assert (tmp_path / STOPPED_FILE).is_file()
    orphan = subprocess.run(
        [sys.executable, "-m", "lzc_flows.engines.neb_worker", "1"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (orphan.returncode, orphan.stderr) == (1, "the parent was gone before the work began\n")


@pytest.mark.parametrize("kind", ["end", "path"])
def test_after_its_time_nothing_begins(case: Case, tmp_path: Path, done_by: Callable[[Path], None], kind: str) -> None:
    task = case.path if kind == "path" else case.ends[1]
    folder = tmp_path / asked(tmp_path, task, stop_at_s=time.time() - 1)
    done_by(tmp_path)
    assert (tmp_path / STOPPED_FILE).is_file()
    assert [path.name for path in folder.iterdir()] == ["task.npz"]


def test_an_end_stops_between_evaluations(case: Case, tmp_path: Path) -> None:
    """It is begun anew: an end takes a hundredth of a path."""
    asked(tmp_path, case.ends[1])
    recorder = Recorder(tmp_path, NebRequest.read(tmp_path))
    recorder.begin("end-0")
    heard = HeardForceField(MLIPS["nep"].force_field(case.path.ions), recorder.evaluated_or_stop)
    heard.evaluate(case.ends[1].positions[0], case.path.cell)
    recorder.tell_to_stop()
    with pytest.raises(neb_worker.StoppedError):
        heard.evaluate(case.ends[1].positions[0], case.path.cell)
    assert recorder.evaluations == 2


def test_a_slow_engine_shows_that_it_is_not_frozen(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a relaxation takes longer than what is taken for frozen, and nothing is saved."""
    monkeypatch.setattr(neb_worker, "SAVE_S", 0.0)
    asked(tmp_path, case.path)
    recorder = Recorder(tmp_path, NebRequest.read(tmp_path))
    recorder.begin("path-0")
    heard = HeardForceField(MLIPS["nep"].force_field(case.path.ions), recorder.evaluated)
    images = case.result.positions[1:-1]
    for call, expected in ((heard.evaluate, 1), (heard.evaluate_with_virial, 2)):
        assert call(images[0], case.path.cell).energy_ev == pytest.approx(case.result.energies_ev[1], abs=1e-9)
        assert read_progress(tmp_path) == Progress("paths", 0, 1, expected)
    found = heard.evaluate_many(images, case.path.cell)
    assert [answer.energy_ev for answer in found] == case.result.energies_ev[1:-1].tolist()
    assert read_progress(tmp_path) == Progress("paths", 0, 1, 2 + len(images))


# ---- tried again ----


def unconverged(case: Case, folder: Path, done_by: Callable[[Path], None]) -> tuple[Path, NebProtocol]:
    """A path whose first attempt ran out of steps."""
    protocol = PROTOCOL.model_copy(update={"max_steps": STEPS})
    name = asked(folder, case.path, protocol)
    done_by(folder)
    return folder / name, protocol


def test_too_few_steps_are_a_failure_with_its_reason(
    case: Case, tmp_path: Path, done_by: Callable[[Path], None]
) -> None:
    folder, _ = unconverged(case, tmp_path, done_by)
    outcome = outcome_of(folder)
    assert (outcome.status, outcome.attempt) == ("unconverged", 0)
    assert outcome.reason is not None
    assert outcome.reason.startswith(f"not converged after {STEPS} steps: ")
    assert outcome.reason.endswith(" eV/Å on the others")
    assert not (folder / RESULT_FILE).exists()
    assert steps(folder) == STEPS


def test_an_end_that_is_not_relaxed_is_a_failure_with_its_force(
    case: Case, tmp_path: Path, done_by: Callable[[Path], None]
) -> None:
    folder = tmp_path / asked(tmp_path, case.ends[1], PROTOCOL.model_copy(update={"max_steps": 3}))
    done_by(tmp_path)
    outcome = outcome_of(folder)
    assert (outcome.status, outcome.evaluations) == ("unconverged", 4)
    assert outcome.reason is not None
    assert outcome.reason.startswith("end not relaxed after 3 steps: ")
    assert not (folder / RESULT_FILE).exists()


def test_the_second_attempt_goes_on_from_the_last_images(
    case: Case, tmp_path: Path, done_by: Callable[[Path], None]
) -> None:
    """With more steps, each of half the length; evaluations are counted once."""
    folder, protocol = unconverged(case, tmp_path, done_by)
    before, state = outcome_of(folder), read_search(folder / SEARCH_FILE)
    assert before.evaluations == state.evaluations
    asked(tmp_path, case.path, protocol, attempts={"path-0": 1})
    done_by(tmp_path)
    after = outcome_of(folder)
    assert (after.status, after.reason, after.attempt) == ("converged", None, 1)
    assert after.wall_s > before.wall_s
    for leg in state.legs:
        leg.band.optimiser.longest_step_angstrom = LONGEST_STEP_ANGSTROM / 2
        leg.band.optimiser = leg.band.optimiser.anew()
    force_field = MLIPS["nep"].force_field(case.path.ions)
    bands = PathSearch(state, Potential(force_field, case.path.cell), protocol).run(
        STEPS * ATTEMPTS[1].patience, Quiet()
    )
    assert_same(PathResult.read(folder), neb_worker.joined(bands))
    assert after.evaluations == state.evaluations


class Quiet:
    """Hears nothing."""

    def step(self, state: SearchState) -> None: ...


def test_the_third_attempt_begins_anew_from_the_straight_path(
    case: Case, tmp_path: Path, done_by: Callable[[Path], None]
) -> None:
    folder, protocol = unconverged(case, tmp_path, done_by)
    Outcome("unconverged", "why", 1, 1000, 0.1).write(folder)
    asked(tmp_path, case.path, protocol, attempts={"path-0": 2})
    done_by(tmp_path)
    after, attempt = outcome_of(folder), ATTEMPTS[2]
    assert (after.status, after.attempt, attempt.start) == ("converged", 2, "linear")
    first, last = case.path.positions
    potential = Potential(MLIPS["nep"].force_field(case.path.ions), case.path.cell)
    energies = (float(case.path.energies_ev[0]), float(case.path.energies_ev[1]))
    path = linear(first, last, images_for(first, last))
    state = SearchState([new_leg(path, energies, potential, attempt.longest_step_angstrom)])
    bands = PathSearch(state, potential, protocol).run(STEPS * attempt.patience, Quiet())
    assert_same(PathResult.read(folder), neb_worker.joined(bands))
    assert after.evaluations == 1000 + state.evaluations


def test_a_later_attempt_that_is_cut_goes_on_itself(
    case: Case, tmp_path: Path, fork: Fork, done_by: Callable[[Path], None]
) -> None:
    """Not from what the attempt before it left."""
    uncut, cut = tmp_path / "uncut", tmp_path / "cut"
    for folder in (uncut, cut):
        _, protocol = unconverged(case, folder, done_by)
        asked(folder, case.path, protocol, attempts={"path-0": 1})
    done_by(uncut)
    worker = fork(work, cut)
    wait(lambda: steps(cut / "path-0") > STEPS)
    worker.kill()
    worker.join()
    assert outcome_of(cut / "path-0").attempt == 0
    done_by(cut)
    assert_same(PathResult.read(cut / "path-0"), PathResult.read(uncut / "path-0"))
    assert outcome_of(cut / "path-0").evaluations == outcome_of(uncut / "path-0").evaluations


# ---- what goes wrong ----


def test_an_explosion_is_named(case: Case, tmp_path: Path, done_by: Callable[[Path], None]) -> None:
    """Two atoms in one place have no finite energy."""
    task = case.ends[0]
    positions = task.positions.copy()
    positions[:, 1] = positions[:, 0]
    asked(tmp_path, Task("end", task.ions, task.cell, positions, task.energies_ev))
    done_by(tmp_path)
    outcome = outcome_of(tmp_path / "end-0")
    assert (outcome.status, outcome.evaluations) == ("exploded", 1)
    assert outcome.reason == "relaxation, step 0: energy or forces are not finite"
    assert not (tmp_path / "end-0" / RESULT_FILE).exists()


@dataclass
class Failing:
    """NEP89, which fails once in its sixth call for a band."""

    real: ForceField
    answer: Callable[[], list[Forces]]
    calls: int = 0

    def evaluate(self, positions: np.ndarray, cell: np.ndarray) -> Forces:
        return self.real.evaluate(positions, cell)

    def evaluate_with_virial(self, positions: np.ndarray, cell: np.ndarray) -> Forces:
        return self.real.evaluate_with_virial(positions, cell)

    def evaluate_many(self, positions: np.ndarray, cell: np.ndarray) -> list[Forces]:
        self.calls += 1
        return self.answer() if self.calls == 6 else self.real.evaluate_many(positions, cell)


@pytest.fixture
def failing(case: Case, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Failing]]:
    """Put an engine that fails into this process, which works as the worker."""
    monkeypatch.setattr(neb_worker, "SAVE_S", 0.0)
    handler = signal.getsignal(signal.SIGTERM)

    def put(answer: Callable[[], list[Forces]]) -> Failing:
        engine = Failing(MLIPS["nep"].force_field(case.path.ions), answer)
        monkeypatch.setattr(NepEngine, "force_field", lambda self, ions: engine)
        return engine

    yield put
    signal.signal(signal.SIGTERM, handler)


def test_an_engine_that_breaks_within_a_step_leaves_the_whole_step_before(
    case: Case, tmp_path: Path, failing: Callable[..., Failing]
) -> None:
    def broken() -> list[Forces]:
        raise RuntimeError("the engine broke")

    engine = failing(broken)
    asked(tmp_path, case.path)
    with pytest.raises(RuntimeError, match="the engine broke"):
        neb_worker.run(tmp_path)
    assert not (tmp_path / "path-0" / OUTCOME_FILE).exists()
    assert engine.calls == 6
    assert steps(tmp_path / "path-0") == 4  # the first call was for the start
    neb_worker.run(tmp_path)
    assert_same(PathResult.read(tmp_path / "path-0"), case.result)


def test_images_that_exploded_are_not_gone_on_from(case: Case, tmp_path: Path, failing: Callable[..., Failing]) -> None:
    failing(lambda: [Forces(np.nan, np.full((27, 3), np.nan))] * 9)
    folder = tmp_path / asked(tmp_path, case.path, PROTOCOL.model_copy(update={"images": 9}))
    neb_worker.run(tmp_path)
    outcome = outcome_of(folder)
    assert (outcome.status, outcome.reason) == ("exploded", "step 4: image 1: energy or forces are not finite")
    assert steps(folder) == 4
    asked(tmp_path, case.path, PROTOCOL.model_copy(update={"images": 9}), attempts={"path-0": 1})
    neb_worker.run(tmp_path)
    assert outcome_of(folder).status == "converged"
    found = PathResult.read(folder).energies_ev
    assert found.max() - found[0] == pytest.approx(0.319, abs=0.002)


def test_what_no_attempt_would_mend_is_refused(case: Case, tmp_path: Path, done_by: Callable[[Path], None]) -> None:
    """An element that the model does not know; a damaged file."""
    task = case.ends[0]
    ions = Ions(("Rn", *task.species[1:]))
    asked(tmp_path, Task("end", ions, task.cell, task.positions, task.energies_ev))
    done_by(tmp_path)
    assert outcome_of(tmp_path / "end-0") == Outcome("refused", "engine 'nep': its model does not know Rn", 0, 0, 0.0)
    folder = tmp_path / asked(tmp_path, case.path)
    (folder / SEARCH_FILE).write_bytes(b"no")
    done_by(tmp_path)
    outcome = outcome_of(folder)
    assert outcome.status == "refused"
    assert outcome.reason is not None
    assert outcome.reason.startswith(f"{folder / SEARCH_FILE}: damaged")


def test_attempts_grow_more_patient_and_softer() -> None:
    lengths = [attempt.longest_step_angstrom for attempt in ATTEMPTS]
    assert lengths == sorted(lengths, reverse=True)
    assert len(set(lengths)) == len(ATTEMPTS)  # by these a saved band is told from another attempt's
    assert [attempt.patience for attempt in ATTEMPTS] == sorted({attempt.patience for attempt in ATTEMPTS})
    assert [attempt.goes_on for attempt in ATTEMPTS] == [False, True, False]


def test_a_saved_band_is_of_json_and_arrays_alone(case: Case, tmp_path: Path) -> None:
    """No pickles: what is read runs nothing."""
    potential = Potential(MLIPS["nep"].force_field(case.path.ions), case.path.cell)
    leg = new_leg(case.result.positions, (0.0, 0.0), potential)
    write_search(tmp_path / SEARCH_FILE, SearchState([leg]))
    with np.load(tmp_path / SEARCH_FILE, allow_pickle=False) as file:
        assert json.loads(str(file["header"]))["legs"][0]["converged"] is False
