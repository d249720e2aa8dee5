from __future__ import annotations

import math
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil
import pytest
from pymatgen.core import Structure

from lzc_flows.crystal.host import ideal_host
from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.engines.relax_worker import (
    LOG_FILE,
    RESULT_FILE,
    Relaxed,
    RelaxRequest,
    RelaxResult,
)
from lzc_flows.errors import CalculationError
from lzc_flows.recovery import worker as recovery
from lzc_flows.recovery.relax import (
    RELAX,
    STDERR_FILE,
    ExplodedHandler,
    UnconvergedHandler,
    is_sound,
    relax_shortly,
    relax_to_convergence,
)
from lzc_flows.recovery.worker import CrashedHandler, FrozenHandler, WorkerJob

START = ideal_host().structure.copy().perturb(0.05, seed=1)
PROTOCOL = RelaxProtocol(fmax_ev_per_angstrom=0.1, max_steps=300, optimizer="LBFGS")


def request(*, structures: int = 1, **protocol: object) -> RelaxRequest:
    return RelaxRequest([START.copy()] * structures, "nep", PROTOCOL.model_copy(update=protocol))


def outcome(**changed: object) -> Relaxed:
    sound = {"energy_ev": -122.5, "max_force_ev_per_angstrom": 0.01, "converged": True, "steps": 17, "wall_s": 0.5}
    return Relaxed(**({"structure": START.copy()} | sound | changed))  # type: ignore[arg-type]


def overlapping() -> Structure:
    structure = START.copy()
    # 0.3 Å apart through the cell's face
    structure.translate_sites([0], -structure[0].frac_coords + [0.001, 0, 0], to_unit_cell=False)
    structure.translate_sites([1], -structure[1].frac_coords + [1 - 0.026, 0, 0], to_unit_cell=False)
    return structure


def stretched(factor: float) -> Structure:
    structure = START.copy()
    structure.scale_lattice(structure.volume * factor)
    return structure


# ---- which handler answers to which case ----

EXPLOSIONS = {
    "energy is NaN": outcome(energy_ev=math.nan),
    "force is infinite": outcome(max_force_ev_per_angstrom=math.inf, converged=False),
    "atoms overlap": outcome(structure=overlapping(), converged=False),
    "cell ran away": outcome(structure=stretched(2.1), converged=False),
    "cell collapsed": outcome(structure=stretched(0.45)),
}
UNCONVERGED = outcome(converged=False, max_force_ev_per_angstrom=0.31)


@pytest.mark.parametrize(
    ("requested", "attempts", "expected"),
    [
        (1, [outcome()], []),
        (1, [], ["CrashedHandler"]),
        (3, [outcome(), outcome()], ["CrashedHandler"]),
        # the second attempt crashed: the first, unconverged one has been answered already
        (2, [UNCONVERGED], ["CrashedHandler"]),
        (2, [EXPLOSIONS["energy is NaN"]], ["CrashedHandler"]),
        (1, [UNCONVERGED], ["UnconvergedHandler"]),
        (2, [UNCONVERGED, UNCONVERGED], ["UnconvergedHandler"]),
        (2, [UNCONVERGED, outcome()], []),
        (2, [EXPLOSIONS["cell ran away"], UNCONVERGED], ["UnconvergedHandler"]),
        *[(1, [explosion], ["ExplodedHandler"]) for explosion in EXPLOSIONS.values()],
        (2, [UNCONVERGED, EXPLOSIONS["atoms overlap"]], ["ExplodedHandler"]),
    ],
)
def test_one_handler_a_case(tmp_path: Path, requested: int, attempts: list[Relaxed], expected: list[str]) -> None:
    request(structures=requested).write(tmp_path)
    if attempts:
        RelaxResult(attempts).write(tmp_path)
    job = WorkerJob(RELAX)
    handlers = [CrashedHandler(job), ExplodedHandler(), UnconvergedHandler(), FrozenHandler(job, 900.0)]
    # in whatever order custodian asks
    for ordered in (handlers, handlers[::-1]):
        fired = [type(handler).__name__ for handler in ordered if handler.check(os.fspath(tmp_path))]
        assert fired == expected


@contextmanager
def endless_job() -> Iterator[WorkerJob]:
    """A job whose process does not end by itself."""
    job = WorkerJob(RELAX)
    job.process = subprocess.Popen(["sleep", "600"])
    try:
        yield job
    finally:
        job.terminate()


def test_only_a_running_job_without_news_is_frozen(tmp_path: Path) -> None:
    request().write(tmp_path)
    directory = os.fspath(tmp_path)
    with endless_job() as job:
        frozen = FrozenHandler(job, 900.0)
        assert not frozen.check(directory)
        age(tmp_path, 901)
        assert frozen.check(directory)
        (tmp_path / LOG_FILE).touch()
        assert not frozen.check(directory)
        age(tmp_path, 901)
        job.terminate()
        assert not frozen.check(directory)
        assert not CrashedHandler(job).check(directory)  # it did not end by itself


def age(folder: Path, seconds: float) -> None:
    then = time.time() - seconds
    for file in folder.iterdir():
        os.utime(file, (then, then))


def test_a_stopped_process_is_terminated() -> None:
    with endless_job() as job:
        assert job.process is not None
        os.kill(job.process.pid, signal.SIGSTOP)
        job.terminate()
        assert job.process.returncode == -signal.SIGKILL
        assert job.terminated


@pytest.mark.parametrize("name", EXPLOSIONS)
def test_after_an_explosion_the_start_is_relaxed_by_another_optimizer(tmp_path: Path, name: str) -> None:
    request(max_steps=3).write(tmp_path)
    RelaxResult([EXPLOSIONS[name]]).write(tmp_path)
    answer = ExplodedHandler().correct(os.fspath(tmp_path))
    assert answer["actions"] == ["optimizer BFGS"]
    assert answer["errors"][0].startswith("relaxation exploded after 17 steps")
    asked = RelaxRequest.read(tmp_path)
    assert asked.structures == [START, START]
    assert asked.protocol == PROTOCOL.model_copy(update={"optimizer": "BFGS", "max_steps": 3})


def test_an_unconverged_run_goes_on_from_its_end(tmp_path: Path) -> None:
    request().write(tmp_path)
    end = stretched(1.01)
    RelaxResult([outcome(structure=end, converged=False, max_force_ev_per_angstrom=0.3114)]).write(tmp_path)
    answer = UnconvergedHandler().correct(os.fspath(tmp_path))
    assert answer == {
        "errors": ["not converged after 17 steps, 0.311 eV/Å"],
        "actions": ["optimizer BFGS"],
    }
    assert RelaxRequest.read(tmp_path).structures == [START, end]


def test_a_real_explosion_is_seen(tmp_path: Path) -> None:
    # pressed to 40 % of its volume the cell springs open, past twice the start
    pressed = stretched(0.4)
    RelaxRequest([pressed.copy()], "nep", PROTOCOL.model_copy(update={"max_steps": 40})).write(tmp_path)
    assert WorkerJob(RELAX).run(os.fspath(tmp_path)).wait(timeout=120) == 0
    handlers = (ExplodedHandler(), UnconvergedHandler())
    assert [handler.check(os.fspath(tmp_path)) for handler in handlers] == [True, False]
    handlers[0].correct(os.fspath(tmp_path))
    assert RelaxRequest.read(tmp_path).structures == [pressed, pressed]


def test_sound_is_what_every_limit_allows() -> None:
    assert is_sound(outcome(), START.volume)
    assert not any(is_sound(explosion, START.volume) for explosion in EXPLOSIONS.values())
    assert is_sound(outcome(structure=stretched(1.99)), START.volume)
    assert is_sound(outcome(structure=stretched(0.51)), START.volume)


# ---- under custodian, with real workers ----


@pytest.fixture(autouse=True)
def quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "POLL_S", 0.05)
    monkeypatch.setattr(recovery, "POLLS_A_CHECK", 4)


def workers() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE and "lzc_flows.engines.relax_worker" in child.cmdline()
    ]


class Meddler(threading.Thread):
    """Waits for each of `times` new workers to be `ready` and does something to it."""

    def __init__(self, times: int, ready: Callable[[], bool], act: Callable[[psutil.Process], None]) -> None:
        super().__init__(daemon=True)
        self.times, self.ready, self.act = times, ready, act
        self.met: set[int] = set()

    def run(self) -> None:
        deadline = time.monotonic() + 120
        while len(self.met) < self.times and time.monotonic() < deadline:
            time.sleep(0.01)
            if not self.ready():
                continue
            for worker in workers():
                if worker.pid not in self.met:
                    self.met.add(worker.pid)
                    self.act(worker)


def test_too_few_steps_are_continued_until_it_converges(tmp_path: Path) -> None:
    # files of another job in the same directory: a result, a log, a message, corrections
    RelaxResult([outcome(energy_ev=99.0)] * 3).write(tmp_path)
    (tmp_path / LOG_FILE).write_text("LBFGS: 0 another job\n")
    (tmp_path / STDERR_FILE).write_text("another job's error\n")
    (tmp_path / "custodian.json").write_text('[{"corrections": [{"errors": ["old"]}]}]')

    run = relax_to_convergence(request(max_steps=14), tmp_path)

    assert [attempt.converged for attempt in run.attempts] == [False] * (len(run.attempts) - 1) + [True]
    assert 2 <= len(run.attempts) <= 3
    assert all(attempt.steps == 14 for attempt in run.attempts[:-1])
    assert run.attempts[-1].max_force_ev_per_angstrom <= PROTOCOL.fmax_ev_per_angstrom
    energies = [attempt.energy_ev for attempt in run.attempts]
    assert energies == sorted(energies, reverse=True)
    assert [correction.handler for correction in run.corrections] == ["UnconvergedHandler"] * (len(run.attempts) - 1)
    assert run.corrections[0].errors[0].startswith("not converged after 14 steps, ")
    assert run.corrections[0].actions == ["optimizer BFGS"]
    log = (tmp_path / LOG_FILE).read_text()
    assert "another job" not in log
    steps = [line for line in log.splitlines() if line.split(":")[0] in {"LBFGS", "BFGS", "FIRE"}]
    assert len(steps) == sum(attempt.steps + 1 for attempt in run.attempts)


def test_what_never_converges_fails_with_the_force_that_is_left(tmp_path: Path) -> None:
    with pytest.raises(CalculationError) as error:
        relax_to_convergence(request(fmax_ev_per_angstrom=1e-9, max_steps=2), tmp_path)
    attempts = RelaxResult.read(tmp_path).relaxed
    assert len(attempts) == 3
    force = attempts[-1].max_force_ev_per_angstrom
    expected = f"relaxation failed after 2 corrections: not converged after 2 steps, {force:.3f} eV/Å"
    assert str(error.value) == expected


def test_a_killed_worker_is_run_again_and_keeps_what_was_finished(tmp_path: Path) -> None:
    killed: list[RelaxResult] = []

    def kill(worker: psutil.Process) -> None:
        killed.append(RelaxResult.read(tmp_path))
        worker.kill()

    meddler = Meddler(1, (tmp_path / RESULT_FILE).exists, kill)
    meddler.start()
    run = relax_shortly(request(structures=2, fmax_ev_per_angstrom=1e-9, max_steps=150), tmp_path)
    assert len(killed[0].relaxed) == 1
    assert len(run.attempts) == 2
    assert run.attempts[0] == killed[0].relaxed[0]  # to the last digit of its time
    assert run.attempts[1].energy_ev == pytest.approx(run.attempts[0].energy_ev, abs=1e-6)
    (correction,) = run.corrections
    assert (correction.handler, correction.actions) == ("CrashedHandler", ["rerun"])
    assert correction.errors[0].startswith("worker crashed with exit status -9: ")


def test_a_worker_that_always_crashes_fails_with_its_last_line(
    tmp_path: Path, set_lzc: Callable[..., AbstractContextManager[None]]
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "nep89.txt").write_text("this is no potential\n")
    run = tmp_path / "run"
    run.mkdir()
    with set_lzc(LZC_MODELS_DIR=str(models)), pytest.raises(CalculationError) as error:
        relax_to_convergence(request(), run)
    last = (run / STDERR_FILE).read_text().strip().splitlines()[-1]
    expected = f"relaxation failed after 2 corrections: worker crashed with exit status 1: {last}"
    assert str(error.value) == expected
    assert "Error" in last


def stop(folder: Path) -> Callable[[psutil.Process], None]:
    """Stop a worker and make its last news old."""

    def act(worker: psutil.Process) -> None:
        worker.suspend()
        age(folder, 1000)

    return act


def test_a_frozen_worker_is_ended_and_run_again(tmp_path: Path) -> None:
    meddler = Meddler(1, (tmp_path / LOG_FILE).exists, stop(tmp_path))
    meddler.start()
    run = relax_to_convergence(request(), tmp_path)
    assert [attempt.converged for attempt in run.attempts] == [True]
    assert [(entry.handler, entry.errors, entry.actions) for entry in run.corrections] == [
        ("FrozenHandler", ["no optimizer step for 900 s"], ["rerun"])
    ]
    assert not any(psutil.pid_exists(pid) for pid in meddler.met)


def test_a_worker_that_always_freezes_fails_and_none_is_left(tmp_path: Path) -> None:
    meddler = Meddler(3, (tmp_path / STDERR_FILE).exists, stop(tmp_path))
    meddler.start()
    with pytest.raises(CalculationError, match=r"^relaxation failed after 2 corrections: no optimizer step for 900 s$"):
        relax_to_convergence(request(), tmp_path)
    assert len(meddler.met) == 3
    assert not any(psutil.pid_exists(pid) for pid in meddler.met)


def test_an_interrupted_run_leaves_no_worker(tmp_path: Path) -> None:
    def interrupt(worker: psutil.Process) -> None:
        time.sleep(0.5)  # until custodian watches it
        signal.raise_signal(signal.SIGINT)

    Meddler(1, (tmp_path / STDERR_FILE).exists, interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        relax_to_convergence(request(), tmp_path)
    assert not workers()
