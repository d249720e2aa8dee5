"""Relaxed ends and paths under custodian: what failed is tried in other ways, what was done before is kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lzc_flows.documents.base import Correction
from lzc_flows.documents.engine import EngineSpec
from lzc_flows.documents.protocols import NebProtocol
from lzc_flows.engines.neb_tasks import OUTCOME_FILE, RESULT_FILE, TASK_FILE, Outcome, Task
from lzc_flows.engines.neb_worker import (
    ATTEMPTS,
    PROGRESS_FILE,
    REQUEST_FILE,
    SEARCH_FILE,
    STOPPED_FILE,
    NebRequest,
)
from lzc_flows.engines.registry import engine_of
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.files import write_atomically
from lzc_flows.recovery.folder import alone_in
from lzc_flows.recovery.worker import WorkerHandler, WorkerKind, patience_s, run_worker

STDERR_FILE = "neb.stderr"
LOCK_FILE = "neb.lock"

MOST_CRASHES = 3
"""So many tasks on end whose worker crashes: it is not the tasks."""

_TRIED_AGAIN = ("unconverged", "exploded")

_IN_THE_ORDER_OF_READING = (OUTCOME_FILE, RESULT_FILE, SEARCH_FILE)
"""Whoever sees an outcome then sees its result."""


def _is_done(folder: Path) -> bool:
    return (folder / STOPPED_FILE).exists() or not NebRequest.read(folder).missing(folder)


NEB = WorkerKind(
    what="elastic band",
    module="lzc_flows.engines.neb_worker",
    stderr=STDERR_FILE,
    news=(REQUEST_FILE, PROGRESS_FILE),
    step="progress",
    is_done=_is_done,
)
"""The worker of relaxed ends and paths."""


class FailedHandler(WorkerHandler):
    """Tasks that did not converge, or exploded: more and shorter steps from the last images, then another start."""

    def check(self, directory: str = "./") -> bool:
        """Return whether all tasks are done and some of them may be tried again."""
        folder = Path(directory)
        return _is_done(folder) and bool(self._failed(folder))

    def error(self, folder: Path) -> str:
        """Return which tasks failed, and why the first one did."""
        failed = self._failed(folder)
        name, outcome = next(iter(failed.items()))
        others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        return f"{name}: {outcome.reason}{others}"

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Ask for the next attempt of each."""
        folder = Path(directory)
        error, failed, request = self.error(folder), self._failed(folder), NebRequest.read(folder)
        again = {name: outcome.attempt + 1 for name, outcome in failed.items()}
        replace(request, attempts={**request.attempts, **again}).write(folder)
        settings = ATTEMPTS[max(again.values())]
        start = "from the last images" if settings.goes_on else f"from a new {settings.start} path"
        action = f"{settings.patience} times the steps, of at most {settings.longest_step_angstrom:g} Å, {start}"
        return {"errors": [error], "actions": [action]}

    def _failed(self, folder: Path) -> dict[str, Outcome]:
        """Return the tasks that may be tried again."""
        if (folder / STOPPED_FILE).exists():
            return {}
        outcomes = {name: Outcome.read(folder / name) for name in NebRequest.read(folder).tasks}
        return {name: outcome for name, outcome in outcomes.items() if outcome and _may_go_on(outcome)}


@dataclass(frozen=True)
class NebSetting:
    """How and where tasks are done.

    Attributes
    ----------
    engine
        What computes the forces.
    protocol
        Limits and numbers of images.
    folder
        Where the tasks' folders are.
    earlier
        Folders of earlier launches: what they did of a task is taken over.
    stop_at_s
        Time since the epoch, in s, after which nothing begins; None for no such time.
    """

    engine: EngineSpec
    protocol: NebProtocol
    folder: Path
    earlier: tuple[Path, ...] = ()
    stop_at_s: float | None = None


@dataclass(frozen=True)
class NebRun:
    """What a run under custodian gave.

    Attributes
    ----------
    names
        Folder of each task, in the order of the tasks.
    outcomes
        By name, of the tasks that have ended; all have, unless the run was stopped.
    corrections
        What custodian mended.
    """

    names: list[str]
    outcomes: dict[str, Outcome]
    corrections: list[Correction]

    @property
    def finished(self) -> bool:
        """Whether every task has an outcome."""
        return len(self.outcomes) == len(set(self.names))


def run_tasks(tasks: Sequence[tuple[str, Task]], setting: NebSetting) -> NebRun:
    """Do tasks, given with the first word of their folders' names, until each has converged or failed for good.

    A task that was done before, in this folder or an earlier one, is not done again.

    Raises
    ------
    InputError
        The engine is not installed or does not know an element, another process runs in the folder, it cannot be
        written, or a file there is damaged. No new folder is left.
    CalculationError
        The worker crashes whatever the task.
    """
    stamp = engine_of(setting.engine).stamp()
    names = [f"{word}-{task.checksum(stamp, setting.protocol)}" for word, task in tasks]
    is_new = not setting.folder.exists()
    with alone_in(setting.folder, LOCK_FILE):
        try:
            return _launch(names, [task for _, task in tasks], setting)
        except InputError:
            if is_new:
                shutil.rmtree(setting.folder)
            raise


def _launch(names: list[str], tasks: Sequence[Task], setting: NebSetting) -> NebRun:
    """Do tasks in a folder that is ours alone."""
    folder = setting.folder
    for name, task in zip(names, tasks, strict=True):
        _prepare(name, task, setting)
    (folder / STOPPED_FILE).unlink(missing_ok=True)
    attempts = {name: _next_attempt(outcome) for name, outcome in _outcomes(names, folder).items()}
    request = NebRequest(setting.engine, setting.protocol, tuple(dict.fromkeys(names)), attempts, setting.stop_at_s)
    request.write(folder)
    corrections = _run_to_the_end(folder) if request.missing(folder) else []
    outcomes = _outcomes(names, folder)
    refused = {name: outcome.reason for name, outcome in outcomes.items() if outcome.status == "refused"}
    for name in refused:
        (folder / name / OUTCOME_FILE).unlink()
    for reason in refused.values():
        raise InputError(reason)
    return NebRun(names, outcomes, corrections)


def _run_to_the_end(folder: Path) -> list[Correction]:
    """Run workers until every task has an outcome; a task whose worker crashes again and again is one."""
    crashed = 0
    while True:
        request = NebRequest.read(folder)
        missing = request.missing(folder)
        try:
            return run_worker(NEB, folder, [FailedHandler()], patience_s(request.engine))
        except CalculationError as error:
            left = NebRequest.read(folder).missing(folder)
            crashed = crashed + 1 if left == missing else 1
            if not left or crashed == MOST_CRASHES:
                raise
            before = Outcome.read(folder / left[0])
            attempt = NebRequest.read(folder).attempts.get(left[0], 0)
            spent = (before.evaluations, before.wall_s) if before else (0, 0.0)
            Outcome("crashed", str(error), attempt, *spent).write(folder / left[0])


def _prepare(name: str, task: Task, setting: NebSetting) -> None:
    """Make a task's folder, with what an earlier launch did of it; a task stands for the whole of it."""
    folder = setting.folder / name
    if not (folder / TASK_FILE).is_file():
        earlier = [place / name for place in setting.earlier if (place / name / TASK_FILE).is_file()]
        if earlier:
            _copy(max(earlier, key=_progress), folder)
        task.write(folder)
    outcome = Outcome.read(folder)
    if outcome is not None and outcome.status == "crashed":  # the machine may have been to blame
        (folder / OUTCOME_FILE).unlink()


def _progress(folder: Path) -> tuple[bool, bool]:
    """Return how far a task has got, in an order: ended, begun, or neither."""
    return (folder / OUTCOME_FILE).is_file(), (folder / SEARCH_FILE).is_file()


def _copy(source: Path, folder: Path) -> None:
    """Copy what was done of a task; whoever did it may still be at it."""
    found = {name: (source / name).read_bytes() for name in _IN_THE_ORDER_OF_READING if (source / name).is_file()}
    for name in reversed(found):
        write_atomically(folder / name, found[name])


def _may_go_on(outcome: Outcome) -> bool:
    """Return whether a task failed in a way that another attempt may mend."""
    return outcome.status in _TRIED_AGAIN and outcome.attempt + 1 < len(ATTEMPTS)


def _next_attempt(outcome: Outcome) -> int:
    """Return the attempt with which a run goes on that was cut: the same one if nothing is left to do."""
    return outcome.attempt + 1 if _may_go_on(outcome) else outcome.attempt


def _outcomes(names: Iterable[str], folder: Path) -> dict[str, Outcome]:
    found = {name: Outcome.read(folder / name) for name in names}
    return {name: outcome for name, outcome in found.items() if outcome is not None}
