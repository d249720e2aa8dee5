"""Workers and a server that is killed, or whose disk is full."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fireworks import LaunchPad
from pymongo.errors import OperationFailure

from lzc_flows.database.server import find_server, is_broken, stop_server
from lzc_flows.database.stores import TASKS, connect
from lzc_flows.flows.candidate import Campaign
from lzc_flows.launch import worker
from lzc_flows.launch.launchpad import open_launchpad
from lzc_flows.launch.submit import submit


@pytest.fixture
def campaigns(tmp_path: Path, set_lzc: Callable) -> Iterator[Path]:
    """A campaigns folder with an embedded server of its own."""
    folder = tmp_path / "campaigns"
    with set_lzc(LZC_CAMPAIGNS_DIR=str(folder), LZC_MONGO_TIMEOUT_S="2"):
        yield folder
    stop_server(folder)


@pytest.fixture
def small_disk(tmp_path: Path, set_lzc: Callable) -> Iterator[Path]:
    """A campaigns folder on a small file system of its own; only where one may be mounted."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system may be mounted here")
    try:
        with set_lzc(LZC_CAMPAIGNS_DIR=str(folder), LZC_MONGO_TIMEOUT_S="2"):
            yield folder
        stop_server(folder)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def kill_server(folder: Path) -> None:
    server = find_server(folder)
    assert server is not None
    os.kill(server.pid, signal.SIGKILL)


def run_worker(folder: Path, number: int, log: Path) -> None:
    sys.stdout = sys.stderr = log.open("w", buffering=1)
    sys.argv = ["worker", "tiny", str(folder), str(number), "2", str(os.getppid())]
    worker.main()


def run_worker_until_claim(folder: Path, before: Callable[[], None], log: Path) -> None:
    """Run a worker to which something happens right before its first job."""

    def run(*arguments: Any) -> bool:
        before()
        return run_firework(*arguments)

    run_firework, worker.run_firework = worker.run_firework, run
    run_worker(folder, 0, log)


def states(launchpad: LaunchPad) -> Counter[str]:
    return Counter(entry["state"] for entry in launchpad.fireworks.find({}, {"state": True}))


def fill(disk: Path) -> None:
    """Write until nothing more fits, and until the server has noticed."""
    collection = connect().collection("ballast")
    with suppress(OSError), (disk / "ballast").open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))
    with suppress(OperationFailure):
        while True:
            collection.insert_one({"ballast": os.urandom(10**6)})


@pytest.mark.slow
def test_jobs_outlive_kills_of_the_server_and_run_once(
    campaigns: Path,
    tiny: Callable,
    campaign_of: Callable[..., Campaign],
    fork: Callable,
    wait_until: Callable,
    tmp_path: Path,
) -> None:
    content = tiny()
    content["grid"]["cations"] = ["Hf4+", "Sn4+", "Ti4+", "Ge4+", "Ce4+", "P5+", "Nb5+", "Ta5+", "Sb5+"]
    database = connect().patient()
    launchpad = open_launchpad(database)
    submit(campaign_of(content), database, launchpad)
    workers = [fork(run_worker, tmp_path, number, tmp_path / f"{number}.log") for number in range(2)]
    for kills in range(5):
        wait_until(lambda kills=kills: states(launchpad)["COMPLETED"] >= 2 * kills, 120)
        kill_server(campaigns)
    wait_until(lambda: states(launchpad)["COMPLETED"] == 10, 120)
    assert all(process.is_alive() for process in workers)
    assert launchpad.launches.count_documents({}) == 10
    tasks = list(database.collection(TASKS).find({}, {"metadata.key": True}))
    assert len({task["metadata"]["key"] for task in tasks}) == len(tasks) == 10


def test_a_worker_goes_on_where_its_server_was_killed(
    campaigns: Path, campaign: Campaign, fork: Callable, wait_until: Callable, tmp_path: Path
) -> None:
    database = connect().patient()
    launchpad = open_launchpad(database)
    submit(campaign, database, launchpad)
    fork(run_worker_until_claim, tmp_path, lambda: kill_server(campaigns), tmp_path / "log")
    wait_until(lambda: states(launchpad)["COMPLETED"] == 2)
    assert launchpad.launches.count_documents({}) == 2


def test_a_worker_whose_server_stays_away_ends_in_one_line_and_its_job_is_put_back(
    campaigns: Path, campaign: Campaign, fork: Callable, set_lzc: Callable, lzc: Callable, tmp_path: Path
) -> None:
    database = connect()
    submit(campaign, database, open_launchpad(database))
    # with an address of its own, the server is not this worker's to start
    uri = database.uri.get_secret_value()
    with set_lzc(LZC_MONGO_URI=uri, LZC_MONGO_PATIENCE_S="1", LZC_MONGO_TIMEOUT_S="0.5"):
        process = fork(run_worker_until_claim, tmp_path, lambda: kill_server(campaigns), tmp_path / "log")
        process.join(60)
    assert process.exitcode == 1
    last = (tmp_path / "log").read_text().splitlines()[-1]
    assert last.startswith("lzc: the database has been away for 1 s (")
    assert last.endswith("; this worker ends, `lzc recover` mends its job")
    assert lzc("recover", "tiny").code == 0
    assert states(open_launchpad(connect())) == {"READY": 2}


@pytest.mark.slow
def test_a_full_disk_ends_the_worker_in_one_line_and_nothing_is_lost(
    small_disk: Path, campaign: Campaign, fork: Callable, set_lzc: Callable, lzc: Callable, tmp_path: Path
) -> None:
    database = connect()
    submit(campaign, database, open_launchpad(database))
    environment = {"LZC_CAMPAIGNS_DIR": str(small_disk), "LZC_MONGO_TIMEOUT_S": "2"}
    with set_lzc(**environment, LZC_MONGO_PATIENCE_S="1"):
        worker_log = tmp_path / "log"
        process = fork(run_worker_until_claim, tmp_path, lambda: fill(small_disk), worker_log)
        process.join(120)
        assert process.exitcode == 1
        assert worker_log.read_text().splitlines()[-1].startswith("lzc: disk full: 0 MiB free at ")
        # nor is it started again before there is room: that would spoil the data
        refused = lzc("status", "tiny")
        assert refused.code == 2
        assert "disk full" in refused.err
        assert len(refused.err.splitlines()) == 1
    (small_disk / "ballast").unlink()
    assert not is_broken(small_disk)
    assert lzc("recover", "tiny").code == 0
    database = connect().patient()
    launchpad = open_launchpad(database)
    assert states(launchpad) == {"READY": 2}
    assert database.collection(TASKS).count_documents({}) == 0
