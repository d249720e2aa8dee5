"""Workers announce themselves in the database and beat, so that others know which of them still live."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil
from pymongo.errors import PyMongoError

from lzc_flows.database.processes import ProcessName
from lzc_flows.database.stores import WORKERS, Database
from lzc_flows.settings import get_settings

LONGEST_BEAT_S = 20.0
"""A worker beats at least this often, in s; more often where it counts as lost after less than five beats."""


@contextmanager
def heartbeat(database: Database, campaign: str) -> Iterator[None]:
    """Announce this process as a worker of `campaign`, and beat until the block ends.

    A worker that ends well withdraws. One that leaves with an error does not: what it held is put back once it is
    known to be gone.

    Raises
    ------
    pymongo.errors.PyMongoError
        The first announcement fails; a beat that fails later is tried again at the next one.
    """
    name, facts = str(ProcessName.of_this_process()), _facts(campaign)
    workers = database.collection(WORKERS)
    # times are the server's: the clocks of the machines may differ
    workers.update_one({"_id": name}, {"$set": facts, "$currentDate": {"started": True, "beat": True}}, upsert=True)
    ended = threading.Event()
    interval_s = min(LONGEST_BEAT_S, get_settings().heartbeat_timeout_s / 5)

    def beat() -> None:
        while not ended.wait(interval_s):
            with suppress(PyMongoError):  # the server may be away for a while
                workers.update_one({"_id": name}, {"$set": facts, "$currentDate": {"beat": True}}, upsert=True)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
    thread.join()  # a late beat would announce it again
    workers.delete_one({"_id": name})


def _facts(campaign: str) -> dict[str, Any]:
    """Return what a worker tells of itself: whom it works for, its parent, its SLURM job."""
    parent = None
    with suppress(psutil.Error, ValueError):  # gone already, or in another container
        parent = str(ProcessName.of(psutil.Process(os.getppid())))
    return {
        "campaign": campaign,
        "parent": parent,
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
        "slurm_cluster": os.environ.get("SLURM_CLUSTER_NAME"),
    }
