"""A campaign on a cluster: batch jobs in SLURM's queue, through FireWorks' own queue launcher.

In the rapid mode each job is an allocation whose workers take one short firework after another. In the reservation
mode each job is for one firework, which stays reserved for it while it waits.
"""

from __future__ import annotations

import hashlib
import math
import shlex
import shutil
import sysconfig
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fireworks import FWorker
from fireworks.queue.queue_launcher import launch_rocket_to_queue

from lzc_flows.database.locks import database_lock
from lzc_flows.database.plans import planned_keys
from lzc_flows.database.processes import ProcessName
from lzc_flows.launch.batch import batch_queue, slurm_cluster
from lzc_flows.launch.held import RESERVED_ON
from lzc_flows.launch.queue_adapter import JOB_NAME, REFUSAL_FILE, SlurmAdapter, words_of_slurm
from lzc_flows.launch.recover import recover_lost
from lzc_flows.launch.run import Setting
from lzc_flows.launch.submit import advance
from lzc_flows.launch.worker import ready_ids

Mode = Literal["rapid", "reservation"]

JOBS_FOLDER = "batch"
"""Below the folder of the campaign: one folder a batch job, with its script and its output."""


@dataclass(frozen=True)
class QueueSetting:
    """How a campaign goes through the queue.

    Attributes
    ----------
    run
        The campaign and where it runs; `run.workers` is the number of workers of one job.
    adapter
        FireWorks' queue adapter.
    max_jobs
        Most batch jobs of this campaign in the queue at a time, running ones included.
    mode
        One firework a job, or as many as fit.
    workers_per_gpu
        Where the jobs have GPUs, so many workers each; None for `run.workers` whatever there is.
    """

    run: Setting
    adapter: SlurmAdapter
    max_jobs: int
    mode: Mode = "rapid"
    workers_per_gpu: int | None = None

    @property
    def job_name(self) -> str:
        """What the names of this campaign's jobs begin with: no other campaign's, nor of another folder or database."""
        place = f"{self.run.folder} {self.run.database.name}"
        return f"lzc-{self.run.name}-{hashlib.sha256(place.encode()).hexdigest()[:6]}"

    @property
    def jobs_folder(self) -> Path:
        """Where the batch jobs have their folders."""
        return self.run.folder / JOBS_FOLDER


@dataclass(frozen=True)
class Round:
    """What one round found and did.

    Attributes
    ----------
    lost, advanced
        Fireworks of dead workers that were put back, and stages that were queued.
    ready
        Fireworks that wait for a worker.
    in_queue
        Batch jobs that were in SLURM's queue, by state.
    submitted
        Numbers of the batch jobs that were added.
    refusal
        Why SLURM took no further one; None where none was refused.
    """

    lost: int
    advanced: int
    ready: int
    in_queue: dict[str, int]
    submitted: list[str]
    refusal: str | None = None


def launch_round(setting: QueueSetting) -> Round:
    """Put back what was lost, queue further stages, and submit the batch jobs that these want; return what was done.

    Two that do this at the same time wait for each other: there are never more than `max_jobs`. Where SLURM refuses a
    job, nothing stays reserved for it, and its folder is removed.

    Raises
    ------
    InputError
        SLURM is not there or does not answer.
    """
    run = setting.run
    keys = planned_keys(run.database, run.name)
    with database_lock(run.database, f"launch {setting.job_name}"):
        in_queue = setting.adapter.queued_jobs(setting.job_name)
        lost = recover_lost(run.database, run.launchpad, run.name, batch_queue)
        advanced = advance(run.campaign, run.database, run.launchpad)
        ready = ready_ids(run.launchpad, keys)
        wanted = jobs_wanted(setting, len(ready), len(in_queue))
        submitted: list[str] = []
        refusal = None
        try:
            for fw_id in ready[:wanted]:
                submitted += (
                    _submit_allocation(setting) if setting.mode == "rapid" else _submit_reserved(setting, fw_id)
                )
        except _RefusalError as error:
            refusal = str(error)
    states = Counter(job.state for job in in_queue)
    return Round(len(lost), advanced, len(ready), dict(states), submitted, refusal)


def jobs_wanted(setting: QueueSetting, ready: int, in_queue: int) -> int:
    """Return how many batch jobs to add for so many ready fireworks, so many jobs being in the queue."""
    fireworks_a_job = setting.run.workers if setting.mode == "rapid" else 1
    # jobs in the queue take some of the ready ones in rapid mode; in reservation mode theirs are not ready any more
    taken = in_queue if setting.mode == "rapid" else 0
    return max(min(setting.max_jobs - in_queue, math.ceil(ready / fireworks_a_job) - taken), 0)


def job_script(setting: QueueSetting) -> str:
    """Return the script of the next batch job."""
    adapter = _adapter(setting, setting.job_name, _rapid_command(setting))
    return adapter.get_script_str(str(setting.jobs_folder))


def _submit_allocation(setting: QueueSetting) -> list[str]:
    folder = _job_folder(setting)
    adapter = _adapter(setting, setting.job_name, _rapid_command(setting))
    # fill_mode: that there is work has been seen already, faster
    with _silence():
        job = launch_rocket_to_queue(
            setting.run.launchpad, FWorker(), adapter, launcher_dir=str(folder), fill_mode=True, strm_lvl="CRITICAL"
        )
    if not job:
        raise _refusal(folder)
    return [job]


def _submit_reserved(setting: QueueSetting, fw_id: int) -> list[str]:
    """Return the number of a job for this firework; nothing if a worker was first."""
    folder = _job_folder(setting)
    # who reserves for a job is not who runs it: the name must not be that of this process alone
    holder = f"{ProcessName.of_this_process()}/{folder.name}"
    command = [*_lzc(), "singleshot", setting.run.name, "--reservation", holder]
    with _silence():
        job = launch_rocket_to_queue(
            setting.run.launchpad,
            FWorker(name=holder, query={"fw_id": fw_id}, env={RESERVED_ON: slurm_cluster()}),
            _adapter(setting, f"{setting.job_name}-{fw_id}", command),
            launcher_dir=str(folder),
            reserve=True,
            fw_id=fw_id,
            strm_lvl="CRITICAL",
        )
    if not job and (folder / REFUSAL_FILE).exists():
        raise _refusal(folder)
    if not job:
        shutil.rmtree(folder)
        return []
    return [job]


@contextmanager
def _silence() -> Iterator[None]:
    # FireWorks' launcher uses what monty will drop in 2028
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _adapter(setting: QueueSetting, job_name: str, command: list[str]) -> SlurmAdapter:
    adapter = SlurmAdapter.from_dict(setting.adapter.to_dict())
    adapter[JOB_NAME] = job_name
    adapter["job_name"] = "lzc"  # of the files of its output
    # exec: SLURM's signals reach the command and not a shell around it
    adapter["rocket_launch"] = f"exec {shlex.join(command)}"
    return adapter


def _rapid_command(setting: QueueSetting) -> list[str]:
    size = ["--workers", str(setting.run.workers)]
    if setting.workers_per_gpu is not None:
        size = ["--workers-per-gpu", str(setting.workers_per_gpu)]
    return [*_lzc(), "rapidfire", setting.run.name, *size]


def _lzc() -> list[str]:
    return [str(Path(sysconfig.get_path("scripts")) / "lzc")]


def _job_folder(setting: QueueSetting) -> Path:
    folder = setting.jobs_folder / f"{time.time_ns()}"
    folder.mkdir(parents=True)
    return folder


class _RefusalError(Exception):
    """SLURM takes no job; its words are the message."""


def _refusal(folder: Path) -> _RefusalError:
    refused = folder / REFUSAL_FILE
    words = words_of_slurm(refused.read_text()) if refused.exists() else "its queue script could not be written"
    shutil.rmtree(folder)
    return _RefusalError(f"SLURM takes no job: {words}")
