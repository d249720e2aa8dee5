"""What a job costs beside its own work: claim, start, store, finish, on jobs that do nothing.

Run ``python bench/job_overhead.py`` (some minutes), ``--jobs N`` for the number of jobs measured, ``--json FILE`` for
the numbers. The jobs leave a small document and carry the labels of a stage's; they are queued on an embedded server in
a temporary folder, 200 and 3,000 of them, each number measured in a process of its own. The lines are

- *packed*: one worker process that runs one job after another, as `lzc work` and rapid mode do;
- *claim to finished*: in a process that runs one job, after its imports, until its end is in the database;
- *lzc singleshot*: the whole command that reservation mode's batch jobs run, start of Python, imports, the look at the
  campaign and at what follows the job included; *its imports* are a process that does nothing else;
- *rlaunch singleshot*: FireWorks' own command on the same jobs and the same server, turn by turn with ours.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from fireworks import FWorker, LaunchPad
from jobflow import SETTINGS, Job, job
from jobflow.managers.fireworks import flow_to_workflow
from rich.console import Console
from rich.table import Table

from lzc_flows.cli.session import Session
from lzc_flows.database.processes import ProcessName
from lzc_flows.database.server import start_server, stop_server
from lzc_flows.database.stores import TASKS, connect
from lzc_flows.flows.candidate import Campaign
from lzc_flows.flows.spec import parse_campaign
from lzc_flows.launch.launchpad import add_workflows, open_launchpad
from lzc_flows.launch.rocket import run_firework, run_reserved
from lzc_flows.launch.submit import submit
from lzc_flows.launch.worker import ready_ids

NAME = "overhead"
QUEUED = (200, 3000)
PACKED, CLAIM = "packed", "claim to finished, one job a process"
OURS, IMPORTS, PEER = "lzc singleshot", "its imports", "rlaunch singleshot"
TARGETS_S = {PACKED: 0.1, CLAIM: 0.5}
RATIO = f"{OURS} / {PEER}"
SCRIPTS = Path(sys.executable).parent


@job
def nothing(number: int) -> dict[str, int]:
    """Return a small document, as a stage would."""
    return {"number": number}


def labelled(number: int) -> Job:
    """Return a job with the metadata of a stage's."""
    made = nothing(number)
    made.update_metadata({"key": f"nothing-{number}", "stage": "relax", "campaign": NAME})
    made.name = f"relax nothing-{number}"
    return made


def campaign() -> Campaign:
    """Return the campaign that the jobs are said to be of; it has one candidate."""
    content = {"name": NAME, "host": "lzc", "grid": {"supercell": [1, 1, 1], "undoped": True}}
    return Campaign(parse_campaign({**content, "stages": {"relax": {"engine": "nep"}}}, NAME, Path()))


def seconds(action: Callable[[], object]) -> float:
    """Return how long something takes, in s."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def run_packed(launchpad: LaunchPad, ready: list[int], folder: Path) -> float:
    """Run jobs in this process; return the time of one, in s."""
    worker = FWorker(name=str(ProcessName.of_this_process()))
    start = time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr):  # FireWorks and jobflow log there
        for fw_id in ready:
            if not run_firework(launchpad, worker, fw_id, folder):
                raise SystemExit(f"firework {fw_id} was not ready: this is not what was to be measured")
    return (time.perf_counter() - start) / len(ready)


def run_one(fw_id: int, holder: str) -> float:
    """Run a reserved job as `lzc singleshot` does; return the time from its claim to its end, in s."""
    setting = Session(NAME).setting(1)
    SETTINGS.JOB_STORE = setting.database.job_store()
    worker = FWorker(name=str(ProcessName.of_this_process()))
    start = time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr):
        run_reserved(setting.launchpad, worker, (fw_id, holder), setting.folder)
    return time.perf_counter() - start


def command(*words: object) -> str:
    """Run a command that finds this module's jobs; return what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    folder = os.environ.get("LZC_CAMPAIGNS_DIR")  # FireWorks leaves files where it runs
    done = subprocess.run(
        list(map(str, words)), capture_output=True, text=True, check=False, env=environment, cwd=folder
    )
    if done.returncode != 0:
        raise SystemExit(f"{words}: {done.stderr[-2000:]}")
    return done.stdout


def time_of(*words: object) -> float:
    """Return how long a command takes, in s."""
    return seconds(lambda: command(*words))


def run_alone(launchpad: LaunchPad, ready: Sequence[int], folder: Path) -> dict[str, float]:
    """Run jobs, a process each, three of them a turn; return the median seconds of each way."""
    command(SCRIPTS / "lzc", "init", folder / "launchpad", "--cores", 1, "--yes", "--json")
    in_shell = ["/bin/sh", "-c", '. "$0" && exec "$@"', folder / "launchpad" / "env.sh", SCRIPTS / "rlaunch"]
    taken: dict[str, list[float]] = {way: [] for way in (CLAIM, OURS, IMPORTS, PEER)}
    for turn in range(0, len(ready), 3):
        for fw_id in ready[turn : turn + 3]:
            launchpad.reserve_fw(FWorker(name="bench"), str(folder), fw_id=fw_id)
        one, ours, peer = ready[turn : turn + 3]
        taken[CLAIM].append(float(command(sys.executable, __file__, "--one", one)))
        single = (SCRIPTS / "lzc", "singleshot", NAME, "--fw-id", ours, "--reservation", "bench")
        taken[OURS].append(time_of(*single))
        imports = (sys.executable, "-c", "import lzc_flows.cli.main, lzc_flows.launch.allocation")
        taken[IMPORTS].append(time_of(*imports))
        theirs = (*in_shell, "singleshot", "--fw_id", peer)
        taken[PEER].append(time_of(*theirs))
    return {way: median(each) for way, each in taken.items()}


def measure(count: int, queued: int, folder: Path) -> dict[str, float]:
    """Return seconds by what was measured, with so many jobs queued on a new server."""
    os.environ["LZC_CAMPAIGNS_DIR"] = str(folder)
    start_server(folder)
    try:
        database = connect()
        SETTINGS.JOB_STORE = database.job_store()
        launchpad = open_launchpad(database)
        submit(campaign(), database, launchpad)
        add_workflows(
            launchpad, [flow_to_workflow(made, metadata=made.metadata) for made in map(labelled, range(queued))]
        )
        keys = {f"nothing-{number}" for number in range(queued)}
        listing = seconds(lambda: ready_ids(launchpad, keys))
        ready = ready_ids(launchpad, keys)
        alone = 3 * max(2, count // 20)
        found = {"listing what is ready": listing, PACKED: run_packed(launchpad, ready[:count], folder)}
        found |= run_alone(launchpad, ready[count : count + alone], folder)
        stored = database.collection(TASKS).count_documents({"metadata.stage": "relax"})
        if stored != count + alone:
            raise SystemExit(f"{stored} results of {count + alone} jobs: this is not what was to be measured")
    finally:
        stop_server(folder)
    return found | {RATIO: found[OURS] / found[PEER]}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100, help="jobs measured in one process")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--queued", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--one", type=int, metavar="FW_ID", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        print(run_one(given.one, "bench"))
        return
    if given.queued is not None:  # settings and connections are a process's: one server each
        with TemporaryDirectory(prefix="lzc-overhead-") as folder:
            print(json.dumps(measure(given.jobs, given.queued, Path(folder))))
        return
    found = {}
    for queued in QUEUED:
        words = (sys.executable, __file__, "--queued", queued, "--jobs", given.jobs)
        found[str(queued)] = json.loads(command(*words).splitlines()[-1])
    show(found)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2))


def show(found: dict[str, dict[str, float]]) -> None:
    """Print the table."""
    table = Table(title="Seconds a job that does nothing", title_justify="left")
    for heading in ("", *(f"{queued} queued" for queued in QUEUED), "target"):
        table.add_column(heading)
    for name in found[str(QUEUED[0])]:
        target = f"≤ {TARGETS_S[name]:g}" if name in TARGETS_S else ""
        table.add_row(name, *(f"{found[str(queued)][name]:.3f}" for queued in QUEUED), target)
    Console().print(table)


if __name__ == "__main__":
    # a job names its function's module, which must be the same in every process
    from job_overhead import main as main_of_module

    main_of_module()
