"""An engine's worker process under custodian: started, watched, run again; what every kind of worker shares."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custodian.custodian import Custodian, CustodianError, ErrorHandler, Job, MaxCorrectionsPerHandlerError

from lzc_flows.documents.base import Correction
from lzc_flows.documents.engine import EngineSpec
from lzc_flows.errors import CalculationError
from lzc_flows.recovery.corrections import corrections_of
from lzc_flows.settings import get_settings

# custodian logs each handler's name, which Python prints on stderr where nobody listens; the document has them
logging.getLogger("custodian").addHandler(logging.NullHandler())

FROZEN_S = 900.0
"""A worker of a machine-learned engine without a step for so long is frozen, in s."""

POLL_S = 0.2
"""How often custodian looks whether the worker has ended, in s."""

POLLS_A_CHECK = 50
"""How many of these looks go by until it checks whether the worker is frozen."""

MOST_ERRORS = 6


@dataclass(frozen=True)
class WorkerKind:
    """A kind of worker.

    Attributes
    ----------
    what
        What it does, as an error calls it, such as ``relaxation``.
    module
        What is run, with the parent's process id as its argument, in the folder of its files.
    stderr
        File for what it says on standard error.
    news
        Files of which one changes with every step: a worker that changes none is frozen.
    step
        What such a step is, as an error calls it.
    is_done
        Whether the worker in a folder has nothing left to do.
    """

    what: str
    module: str
    stderr: str
    news: tuple[str, ...]
    step: str
    is_done: Callable[[Path], bool]


class WorkerJob(Job):
    """Runs a worker in a subprocess."""

    def __init__(self, kind: WorkerKind) -> None:
        self.kind = kind
        self.process: subprocess.Popen | None = None
        self.terminated = False

    @property
    def running(self) -> bool:
        """Whether the worker has been started and has not ended."""
        return self.process is not None and self.process.poll() is None

    def setup(self, directory: str = "./") -> None:
        """Nothing to prepare: the request is in the directory."""

    def run(self, directory: str = "./") -> subprocess.Popen:
        """Start the worker."""
        self.terminated = False
        # the linear algebra of workers is of 3×3 matrices: threads only cost there, on a busy node 5 times the run
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        with open(Path(directory) / self.kind.stderr, "w") as stderr:
            command = [sys.executable, "-m", self.kind.module, str(os.getpid())]
            self.process = subprocess.Popen(command, cwd=directory, stdout=stderr, stderr=stderr, env=environment)
        return self.process

    def terminate(self, directory: str = "./") -> None:
        """End the worker, whatever it does; a stopped process would not hear a SIGTERM."""
        if self.process is not None and self.running:
            self.terminated = True
            self.process.kill()
            self.process.wait()

    def postprocess(self, directory: str = "./") -> None:
        """Nothing to clean up."""


class WorkerHandler(ErrorHandler):
    """What the handlers share: each rules on a case that no other one has, at most twice."""

    max_num_corrections = 2
    raise_on_max = True

    @abstractmethod
    def error(self, folder: Path) -> str:
        """Return in one line what is wrong with the run in `folder`."""


class CrashedHandler(WorkerHandler):
    """The worker ended by itself before its work was done: run it again; it keeps what was finished."""

    def __init__(self, job: WorkerJob) -> None:
        self.job = job

    def check(self, directory: str = "./") -> bool:
        """Return whether results are missing and no handler ended the worker."""
        return not self.job.kind.is_done(Path(directory)) and not self.job.terminated

    def error(self, folder: Path) -> str:
        """Return how the worker ended and the last line that it wrote."""
        status = self.job.process.returncode if self.job.process else None
        said = _last_line(folder / self.job.kind.stderr)
        if status == -signal.SIGKILL:
            said = "killed from outside, as where memory runs out"
        return f"worker crashed with exit status {status}: {said}"

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Leave everything as it is and run again."""
        return {"errors": [self.error(Path(directory))], "actions": ["rerun"]}


class FrozenHandler(WorkerHandler):
    """The worker has not made a step for a long time: end it and run it again."""

    is_monitor = True

    def __init__(self, job: WorkerJob, timeout_s: float) -> None:
        self.job = job
        self.timeout_s = timeout_s

    def check(self, directory: str = "./") -> bool:
        """Return whether the worker runs but has changed none of its files within the timeout."""
        files = [Path(directory) / name for name in (*self.job.kind.news, self.job.kind.stderr)]
        newest = max(file.stat().st_mtime for file in files if file.exists())
        return self.job.running and time.time() - newest > self.timeout_s

    def error(self, folder: Path) -> str:
        """Return how long nothing happened."""
        return f"no {self.job.kind.step} for {self.timeout_s:g} s"

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Run again."""
        return {"errors": [self.error(Path(directory))], "actions": ["rerun"]}


def patience_s(engine: EngineSpec) -> float:
    """Return how long a worker of this engine may go without a step, in s: DFT takes longer."""
    return get_settings().dft_frozen_s if engine.is_dft else FROZEN_S


def run_worker(
    kind: WorkerKind, folder: Path, handlers: Sequence[WorkerHandler], frozen_s: float = FROZEN_S
) -> list[Correction]:
    """Run a worker with `handlers` and those of every kind (what crashed, what froze); return what was mended.

    One without a step for `frozen_s` seconds is ended and run again.

    Raises
    ------
    CalculationError
        The handlers could not mend it; the line says what was wrong last.
    """
    job = WorkerJob(kind)
    return run_job(job, [CrashedHandler(job), *handlers, FrozenHandler(job, frozen_s)], kind.what, folder)


def run_job(job: Job, handlers: Sequence[ErrorHandler], what: str, folder: Path) -> list[Correction]:
    """Run a job in its folder, again after each correction, until it ends well; return what was mended.

    Parameters
    ----------
    job
        One whose `terminate` ends its process, if that still runs.
    handlers
        What watches it, and mends.
    what
        What it does, as an error calls it.
    folder
        Where it runs.

    Raises
    ------
    CalculationError
        The handlers could not mend it; the line says what was wrong last.
    """
    custodian = Custodian(
        list(handlers),
        [job],
        max_errors=MOST_ERRORS,
        polling_time_step=POLL_S,
        monitor_freq=POLLS_A_CHECK,
        terminate_on_nonzero_returncode=False,
        directory=os.fspath(folder),
    )
    try:
        custodian.run()
    except CustodianError as error:
        corrections = corrections_of(custodian)
        cause = corrections[-1].errors[-1] if corrections else error.message
        if isinstance(error, MaxCorrectionsPerHandlerError) and isinstance(error.handler, WorkerHandler):
            cause = error.handler.error(folder)  # what no correction answered
        raise CalculationError(f"{what} failed after {len(corrections)} corrections: {cause}") from error
    finally:
        job.terminate(os.fspath(folder))  # custodian leaves it running where it gives up on a frozen one
    return corrections_of(custodian)


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1] if lines else "no message"
