"""Jobs that somebody holds: by whom, and whether they are lost with their holder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from fireworks.fw_config import RUN_EXPIRATION_SECS

from lzc_flows.database.processes import ProcessName
from lzc_flows.launch.batch import AskQueue, BatchQueue, ask_nobody
from lzc_flows.launch.queued import holder_of, moment
from lzc_flows.launch.workers import Worker
from lzc_flows.settings import get_settings

RESERVED_ON = "slurm_cluster"
"""Key of the environment of a reservation's FWorker: SLURM's name of the cluster whose job it is for."""


@dataclass(frozen=True)
class Loss:
    """How a job was lost.

    Attributes
    ----------
    cause
        Name of the cause, see `causes`.
    words
        What is known of it, in one line.
    ends
        The process on this host that is ended before the job is put back; None where there is none.
    """

    cause: str
    words: str
    ends: ProcessName | None = None


@dataclass(frozen=True)
class Holders:
    """What is known here of those who hold jobs.

    Attributes
    ----------
    workers
        The announced workers by name; read after the jobs that they hold.
    ask_queue
        Tells of SLURM's jobs; asked once, when first needed.
    """

    workers: Mapping[str, Worker]
    ask_queue: AskQueue = ask_nobody

    @cached_property
    def queue(self) -> BatchQueue | None:
        """SLURM's jobs; None where nothing is known of them."""
        return self.ask_queue()

    def loss(self, firework: dict[str, Any], launch: dict[str, Any] | None) -> Loss | None:
        """Return how a running or reserved firework was lost; None for one that is not known to be.

        `launch` is its newest one; there is none yet of a worker of ours that was killed between claim and launch.
        """
        name = holder_of(firework, launch)
        worker, process = self.workers.get(name), ProcessName.parse(name)
        if worker is not None:
            return self._of_worker(worker)
        if process is None:
            return self._of_stranger(firework, launch)
        if process.is_dead():
            return Loss("worker died", f"process {process.pid} on {process.host} is gone")
        if process.is_here():
            return None
        if launch is None:
            return Loss("worker died", f"process {process.pid} on {process.host} has withdrawn")
        return self._of_stranger(firework, launch)

    def _of_worker(self, worker: Worker) -> Loss | None:
        """Return how what a worker of ours holds was lost."""
        where = f"process {worker.name.pid} on {worker.name.host}"
        cause = worker.loss(lambda: self.queue)
        if cause is None and not worker.is_orphan:
            return None
        if worker.is_orphan:
            return Loss("orphan", f"{where} lives, what started it does not: it is ended", worker.name)
        if cause == "worker died":
            return Loss(cause, f"{where} is gone")
        if cause == "batch job ended":
            words = f"SLURM job {worker.slurm_job} has ended"
        else:
            words = f"nothing heard of {where} for {worker.silent_s:.0f} s"
        if worker.lives_here:
            return Loss(str(cause), f"{words}; {where} lives: it is ended", worker.name)
        beats = worker.silent_s <= get_settings().heartbeat_timeout_s
        return Loss(str(cause), f"{words}; {where} still beats: end it there" if beats else words)

    def _of_stranger(self, firework: dict[str, Any], launch: dict[str, Any] | None) -> Loss | None:
        """Return how what another program, such as rlaunch, holds was lost."""
        states = launch["state_history"] if launch else []
        reservation = next((str(state["reservation_id"]) for state in states if "reservation_id" in state), None)
        cluster = (launch["fworker"].get("env") or {}).get(RESERVED_ON) if launch else None
        is_running = firework["state"] == "RUNNING"
        if reservation is not None and self.queue is not None and self.queue.has_ended(reservation, cluster):
            return Loss("batch job ended" if is_running else "never started", f"SLURM job {reservation} has ended")
        since = states[-1].get("updated_on") or states[-1]["created_on"] if states else firework["updated_on"]
        age_s = (datetime.now(UTC) - moment(since)).total_seconds()
        where = f" on {launch['host']}" if launch and launch.get("host") else ""
        if is_running and age_s > RUN_EXPIRATION_SECS:
            return Loss("no ping", f"no ping{where} for {age_s / 3600:.1f} h; if it lives, end it there")
        if not is_running and reservation is None and age_s > get_settings().heartbeat_timeout_s:
            return Loss("never started", f"reserved{where} {age_s:.0f} s ago, without a batch job")
        return None
