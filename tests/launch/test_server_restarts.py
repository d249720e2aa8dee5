"""Workers and a server that is killed, or whose disk is full."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fireworks import FWorker, LaunchPad
from pymongo.errors import PyMongoError

from lzc_flows.database.processes import ProcessName
from lzc_flows.database.server import is_broken, stop_server
from lzc_flows.database.stores import LOCKS, RECOVERIES, TASKS, connect
from lzc_flows.flows.candidate import Campaign
from lzc_flows.launch import worker
from lzc_flows.launch.launchpad import open_launchpad
from lzc_flows.launch.submit import submit
from lzc_flows.settings import get_settings


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
    """Write until nothing more fits, and until the server has noticed: at its next checkpoint, if not before."""
    collection = connect().collection("ballast")
    with suppress(OSError), (disk / "ballast").open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))
    with suppress(PyMongoError):
        while True:
            collection.insert_one({"ballast": os.urandom(10**6)})
    while not is_broken(disk):
        with suppress(PyMongoError):
            collection.database.client.admin.command("fsync")
        time.sleep(0.1)


@pytest.mark.slow
def test_jobs_outlive_kills_of_the_server_and_run_once(
    own_campaigns: Path,
    kill_server: Callable,
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
        kill_server(own_campaigns)
    wait_until(lambda: states(launchpad)["COMPLETED"] == 10, 120)
    assert all(process.is_alive() for process in workers)
    assert launchpad.launches.count_documents({}) == 10
    tasks = list(database.collection(TASKS).find({}, {"metadata.key": True}))
    assert len({task["metadata"]["key"] for task in tasks}) == len(tasks) == 10


def test_a_worker_goes_on_where_its_server_was_killed(
    own_campaigns: Path,
    kill_server: Callable,
    campaign: Campaign,
    fork: Callable,
    wait_until: Callable,
    tmp_path: Path,
) -> None:
    database = connect().patient()
    launchpad = open_launchpad(database)
    submit(campaign, database, launchpad)
    fork(run_worker_until_claim, tmp_path, lambda: kill_server(own_campaigns), tmp_path / "log")
    wait_until(lambda: states(launchpad)["COMPLETED"] == 2)
    assert launchpad.launches.count_documents({}) == 2


def test_a_worker_whose_server_stays_away_ends_in_one_line_and_its_job_is_put_back(
    own_campaigns: Path,
    kill_server: Callable,
    campaign: Campaign,
    fork: Callable,
    set_lzc: Callable,
    lzc: Callable,
    tmp_path: Path,
) -> None:
    database = connect()
    submit(campaign, database, open_launchpad(database))
    # with an address of its own, the server is not this worker's to start
    uri = database.uri.get_secret_value()
    with set_lzc(LZC_MONGO_URI=uri, LZC_MONGO_PATIENCE_S="1", LZC_MONGO_TIMEOUT_S="0.5"):
        process = fork(run_worker_until_claim, tmp_path, lambda: kill_server(own_campaigns), tmp_path / "log")
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


@pytest.mark.parametrize(("moment", "patience_s"), [(6, 0), (20, 0), (8, 60), (24, 60)])
def test_a_recovery_whose_server_is_killed_goes_on_or_is_done_by_the_next(
    own_campaigns: Path,
    campaign: Campaign,
    fork: Callable,
    act_at: Callable,
    kill_server: Callable,
    monkeypatch: pytest.MonkeyPatch,
    lzc: Callable,
    tmp_path: Path,
    moment: int,
    patience_s: int,
) -> None:
    database = connect()
    launchpad = open_launchpad(database)
    submit(campaign, database, launchpad)
    dead = str(replace(ProcessName.of_this_process(), started=1.0))  # its id went on to this process
    for fw_id in (1, 2):
        launchpad.checkout_fw(FWorker(name=dead), "/tmp", fw_id=fw_id)
    monkeypatch.setenv("LZC_MONGO_PATIENCE_S", str(patience_s))
    get_settings.cache_clear()
    said = tmp_path / "said"

    def recover() -> None:
        result = lzc("recover", "tiny")
        said.write_text(result.err)
        os._exit(result.code)

    process = fork(act_at, moment, lambda: kill_server(own_campaigns), recover)
    process.join(60)
    if patience_s:
        assert process.exitcode == 0
    else:
        assert process.exitcode == 1
        (line,) = said.read_text().splitlines()
        assert line.startswith("lzc: the database failed (")
        assert lzc("recover", "tiny").code == 0
    database = connect()
    assert states(open_launchpad(database)) == {"READY": 2}
    tries = [(entry["fw_id"], entry["attempt"]) for entry in database.collection(RECOVERIES).find()]
    assert sorted(tries) == [(1, 1), (2, 1)]
    assert database.collection(LOCKS).count_documents({}) == 0
    assert lzc("recover", "tiny").code == 0
    assert database.collection(RECOVERIES).count_documents({}) == 2
