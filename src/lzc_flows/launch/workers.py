"""Which workers live, which are lost, and how one is ended that nobody waits for any more."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psutil
from pymongo.errors import OperationFailure

from lzc_flows.database.processes import ProcessName
from lzc_flows.database.stores import WORKERS, Database
from lzc_flows.launch.batch import AskQueue, ask_nobody
from lzc_flows.settings import get_settings

GRACE_S = 10.0
"""What a process has between SIGTERM and SIGKILL, in s."""


@dataclass(frozen=True)
class Worker:
    """A worker as it announced itself.

    Attributes
    ----------
    name
        Its process.
    campaign
        Whom it works for.
    parent
        The process that started it and waits for it; None where it did not see one.
    slurm_job, slurm_cluster
        The SLURM job that it runs in.
    silent_s
        How long it has given no sign of life to a server that could hear it, in s.
    """

    name: ProcessName
    campaign: str
    parent: ProcessName | None = None
    slurm_job: str | None = None
    slurm_cluster: str | None = None
    silent_s: float = 0.0

    @property
    def is_orphan(self) -> bool:
        """Whether it lives on this host, and the process that started it does not."""
        return self.lives_here and self.parent is not None and self.parent.is_dead()

    @property
    def lives_here(self) -> bool:
        """Whether its process runs on this host."""
        return self.name.is_here() and not self.name.is_dead()

    def loss(self, ask_queue: AskQueue = ask_nobody) -> str | None:
        """Return the name of the cause by which it is lost (see `causes`); None for one that is not known to be."""
        if self.name.is_dead():
            return "worker died"
        queue = ask_queue() if self.slurm_job is not None else None
        if queue is not None and queue.has_ended(self.slurm_job, self.slurm_cluster):
            return "batch job ended"
        if self.silent_s > get_settings().heartbeat_timeout_s:
            return "worker silent"
        return None


def announced_workers(database: Database) -> dict[str, Worker]:
    """Return the workers of all campaigns that have not withdrawn, by name."""
    now, up_s = server_clock(database)
    entries = list(database.collection(WORKERS).find())
    workers = (_worker(entry, now, up_s) for entry in entries)
    return {str(worker.name): worker for worker in workers if worker is not None}


def server_clock(database: Database) -> tuple[datetime, float]:
    """Return the server's time, and for how long it has been up, in s: before it heard nobody."""
    admin = database.collection(WORKERS).database.client.admin
    try:
        status = admin.command("serverStatus")
        return status["localTime"], status["uptimeMillis"] / 1000
    except OperationFailure:  # a user without the role for it
        return admin.command("hello")["localTime"], float("inf")


def _worker(entry: dict[str, Any], now: datetime, up_s: float) -> Worker | None:
    name = ProcessName.parse(entry["_id"])
    if name is None:
        return None
    return Worker(
        name=name,
        campaign=entry.get("campaign", ""),
        parent=ProcessName.parse(entry.get("parent") or ""),
        slurm_job=entry.get("slurm_job"),
        slurm_cluster=entry.get("slurm_cluster"),
        silent_s=min((now - entry["beat"]).total_seconds(), up_s),
    )


def end_process(name: ProcessName) -> None:
    """End a process of this host, then its descendants: asked to first, after `GRACE_S` made to.

    Nothing happens to another process that got the same id.
    """
    try:
        process = psutil.Process(name.pid)
        if not name.is_here() or name.is_dead():
            return
        descendants = process.children(recursive=True)
    except psutil.Error:
        return
    # first itself: it would take an engine that ends for one that crashed
    _end([process])
    _end(descendants)


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.terminate()  # psutil looks first whether the id still means this process
    _, left = psutil.wait_procs(processes, timeout=GRACE_S)
    for process in left:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=GRACE_S)
