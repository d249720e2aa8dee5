"""What SLURM says here of its jobs."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

PATIENCE_S = 20.0


@dataclass(frozen=True)
class BatchQueue:
    """The jobs of this machine's SLURM that have not ended.

    Attributes
    ----------
    cluster
        SLURM's name of itself; None where it does not say.
    jobs
        Their ids; an element of an array has its own.
    """

    cluster: str | None
    jobs: frozenset[str]

    def has_ended(self, job: str | None, cluster: str | None = None) -> bool:
        """Return whether a job is known to have ended: not one of another cluster, or of another batch system."""
        if job is None or not job.isdigit() or (cluster is not None and cluster != self.cluster):
            return False
        return job not in self.jobs


def batch_queue() -> BatchQueue | None:
    """Return SLURM's jobs; None where it is not there or does not answer, which says nothing of them."""
    jobs = _answer("squeue", "--noheader", "--array", "--format=%A")
    if jobs is None:
        return None
    return BatchQueue(slurm_cluster(), frozenset(jobs.split()))


def slurm_cluster() -> str | None:
    """Return SLURM's name of itself; None where it does not say."""
    named = re.search(r"^ClusterName\s*=\s*(\S+)", _answer("scontrol", "show", "config") or "", re.MULTILINE)
    return named[1] if named else None


AskQueue = Callable[[], BatchQueue | None]
"""Tells of SLURM's jobs as they are now; None where nothing is known of them."""


def ask_nobody() -> BatchQueue | None:
    """Return None: nothing is known of SLURM's jobs."""
    return None


@dataclass
class SeldomAsked:
    """Asks SLURM at most every `every_s`, and knows nothing in between: what it said before may be true no more."""

    every_s: float = 60.0
    asked_at: float = float("-inf")

    def __call__(self) -> BatchQueue | None:
        """Return SLURM's jobs; None where it was asked a short while ago, or does not answer."""
        if time.monotonic() < self.asked_at + self.every_s:
            return None
        self.asked_at = time.monotonic()
        return batch_queue()


def _answer(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
