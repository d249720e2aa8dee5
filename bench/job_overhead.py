"""What a job costs beside its own work: claim, start, store, finish, on jobs that do nothing.

Run ``python bench/job_overhead.py`` (some minutes), ``--jobs N`` for the number of jobs measured, ``--json FILE`` for
the numbers. The jobs leave a small document and carry the labels of a stage's; the way to them is the workers' own, on
an embedded server in a temporary folder, with 200 and with 3,000 jobs queued. *Packed* is one worker process that runs
one job after another; *a process a job* starts Python and imports everything for each.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from fireworks import FWorker
from jobflow import SETTINGS, Job, job
from jobflow.managers.fireworks import flow_to_workflow
from rich.console import Console
from rich.table import Table

from lzc_flows.database.processes import ProcessName
from lzc_flows.database.server import start_server, stop_server
from lzc_flows.database.stores import TASKS, connect
from lzc_flows.launch.launchpad import add_workflows, open_launchpad
from lzc_flows.launch.rocket import run_firework
from lzc_flows.launch.worker import ready_ids

QUEUED = (200, 3000)
TARGETS_S = {"packed": 0.1, "a process a job": 0.5}


@job
def nothing(number: int) -> dict[str, int]:
    """Return a small document, as a stage would."""
    return {"number": number}


def labelled(number: int) -> Job:
    """Return a job with the metadata of a stage's."""
    made = nothing(number)
    made.update_metadata({"key": f"nothing-{number}", "stage": "relax", "campaign": "overhead"})
    made.name = f"relax nothing-{number}"
    return made


def keys(queued: int) -> set[str]:
    """Return the keys of the queued jobs."""
    return {f"nothing-{number}" for number in range(queued)}


def run_some(count: int, queued: int, folder: Path) -> tuple[float, float]:
    """Run ready jobs in this process; return the time of listing them and that of a job, in s."""
    database = connect()
    SETTINGS.JOB_STORE = database.job_store()
    launchpad = open_launchpad(database)
    worker = FWorker(name=str(ProcessName.of_this_process()))
    start = time.perf_counter()
    ready = ready_ids(launchpad, keys(queued))
    listed = time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr):  # FireWorks and jobflow log there
        for fw_id in ready[:count]:
            if not run_firework(launchpad, worker, fw_id, folder):
                raise SystemExit(f"firework {fw_id} was not ready: this is not what was to be measured")
    return listed - start, (time.perf_counter() - listed) / count


def measure(count: int, queued: int, folder: Path) -> dict[str, float]:
    """Return seconds by what was measured, with so many jobs queued."""
    with TemporaryDirectory(prefix="lzc-overhead-", dir=folder) as name:
        os.environ["LZC_CAMPAIGNS_DIR"] = name
        start_server(Path(name))
        try:
            database = connect()
            launchpad = open_launchpad(database)
            database.ensure_indexes()
            add_workflows(
                launchpad, [flow_to_workflow(made, metadata=made.metadata) for made in map(labelled, range(queued))]
            )
            listing, packed = run_some(count, queued, Path(name))
            alone = max(2, count // 20)
            start = time.perf_counter()
            for _ in range(alone):
                command = [sys.executable, __file__, "--one", str(queued), "--folder", name]
                subprocess.run(command, check=True, capture_output=True)
            process = (time.perf_counter() - start) / alone
            stored = database.collection(TASKS).count_documents({})
            if stored != count + alone:
                raise SystemExit(f"{stored} results of {count + alone} jobs: this is not what was to be measured")
        finally:
            stop_server(Path(name))
    return {"listing what is ready": listing, "packed": packed, "a process a job": process}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100, help="jobs measured in one process")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--one", type=int, metavar="QUEUED", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        run_some(1, given.one, given.folder)
        return
    with TemporaryDirectory() as folder:
        found = {str(queued): measure(given.jobs, queued, Path(folder)) for queued in QUEUED}
    table = Table(title="Seconds a job that does nothing", title_justify="left")
    for heading in ("", *(f"{queued} queued" for queued in QUEUED), "target"):
        table.add_column(heading)
    for name in found[str(QUEUED[0])]:
        target = f"≤ {TARGETS_S[name]:g}" if name in TARGETS_S else ""
        table.add_row(name, *(f"{found[str(queued)][name]:.3f}" for queued in QUEUED), target)
    Console().print(table)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    # a job names its function's module, which must be the same in every process
    from job_overhead import main as main_of_module

    main_of_module()
