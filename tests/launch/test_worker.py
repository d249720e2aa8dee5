from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fireworks import LaunchPad
from pymongo import monitoring

from lzc_flows.database.plans import planned_keys
from lzc_flows.database.processes import ProcessName
from lzc_flows.database.stores import TASKS, Database, connect
from lzc_flows.flows.candidate import Campaign
from lzc_flows.launch.pool import Place, WorkerPool
from lzc_flows.launch.submit import submit
from lzc_flows.launch.worker import ready_ids, work


def work_silently(folder: Path, place: Place) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # FireWorks logs there
    work(connect(), "tiny", folder, place)


def count(launchpad: LaunchPad, state: str) -> int:
    return launchpad.fireworks.count_documents({"state": state})


def test_ready_ids_are_those_of_the_campaign_first_queued_first(
    database: Database, campaign: Campaign, launchpad: LaunchPad
) -> None:
    submit(campaign, database, launchpad)
    keys = planned_keys(database, "tiny")
    assert ready_ids(launchpad, keys) == [1, 2]
    assert ready_ids(launchpad, {campaign.candidates[1].stage_keys["order"]}) in ([1], [2])
    assert ready_ids(launchpad, set()) == []
    launchpad.fireworks.update_one({"fw_id": 1}, {"$set": {"state": "RUNNING"}})
    assert ready_ids(launchpad, keys) == [2]


def test_workers_that_meet_run_each_job_once(
    database: Database,
    launchpad: LaunchPad,
    tiny: Callable[[], dict[str, Any]],
    campaign_of: Callable[..., Campaign],
    fork: Callable,
    wait_until: Callable,
    tmp_path: Path,
) -> None:
    """All go through the queue in the same order, so that they meet at every job."""
    content = tiny()
    content["grid"]["cations"] = ["Hf4+", "Sn4+", "Ti4+", "Ge4+", "Ce4+", "P5+", "Nb5+", "Ta5+", "Sb5+"]
    submit(campaign_of(content), database, launchpad)
    workers = [fork(work_silently, tmp_path, Place(0, 1, os.getpid())) for _ in range(3)]
    wait_until(lambda: count(launchpad, "COMPLETED") == 10)
    assert all(worker.is_alive() for worker in workers)
    assert launchpad.launches.count_documents({}) == 10
    assert database.collection(TASKS).count_documents({}) == 10
    names = launchpad.launches.distinct("fworker.name")
    assert {ProcessName.parse(name).pid for name in names} <= {worker.pid for worker in workers}
    # each in a directory of its own, whose name says what it is
    for launch in launchpad.launches.find():
        directory = Path(launch["launch_dir"])
        key = launchpad.get_fw_by_id(launch["fw_id"]).spec["key"]
        assert directory.parent == tmp_path / "launches" / "order" / key
        assert (directory / "FW.json").is_file()
    assert len(list(tmp_path.glob("launches/order/*/*"))) == 10


def test_a_worker_whose_parent_is_gone_takes_no_job(
    database: Database, campaign: Campaign, launchpad: LaunchPad, tmp_path: Path
) -> None:
    submit(campaign, database, launchpad)
    work(database, "tiny", tmp_path, Place(0, 1, parent=os.getpid()))  # this process is not its own parent
    assert count(launchpad, "READY") == 2


def start_worker_and_lose_parent(folder: Path) -> None:
    """Fork a worker that kills this process, its parent, in the middle of its first job."""
    parent = os.getpid()

    class Killer(monitoring.CommandListener):
        def started(self, event: monitoring.CommandStartedEvent) -> None:
            if event.command.get("insert") == "launches":
                os.kill(parent, signal.SIGKILL)

        def failed(self, event: monitoring.CommandFailedEvent) -> None: ...

        def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    if os.fork() == 0:
        monitoring.register(Killer())
        work_silently(folder, Place(0, 1, parent))
        (folder / "stopped").touch()
        os._exit(0)
    signal.pause()


def test_an_orphan_ends_its_job_and_stops(
    database: Database, campaign: Campaign, launchpad: LaunchPad, fork: Callable, wait_until: Callable, tmp_path: Path
) -> None:
    submit(campaign, database, launchpad)
    fork(start_worker_and_lose_parent, tmp_path)
    wait_until((tmp_path / "stopped").exists)
    assert count(launchpad, "COMPLETED") == 1
    assert count(launchpad, "READY") == 1


def test_a_worker_that_comes_up_after_its_parent_has_gone_stops_at_once(
    database: Database, campaign: Campaign, launchpad: LaunchPad, tmp_path: Path
) -> None:
    submit(campaign, database, launchpad)
    nobody = subprocess.Popen(["true"])
    nobody.wait()
    command = [sys.executable, "-m", "lzc_flows.launch.worker", "tiny", str(tmp_path), "0", "1", str(nobody.pid)]
    assert subprocess.run(command, timeout=60, check=False).returncode == 0
    assert count(launchpad, "READY") == 2


def test_a_pool_ends_its_workers_also_after_an_error(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wait_until: Callable
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    pool = WorkerPool("tiny", tmp_path, 2)

    def fail_inside() -> None:
        with pool:
            assert pool.alive == 2
            for process in pool.processes:
                assert os.getpgid(process.pid) == process.pid  # Ctrl-C does not reach them
                environment = Path(f"/proc/{process.pid}/environ")
                wait_until(environment.read_bytes)  # empty while the kernel still sets the process up
                assert "OMP_NUM_THREADS=2" in environment.read_text().split("\0")
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert pool.alive == 0
    assert sorted(path.name for path in (tmp_path / "workers").iterdir()) == ["worker-0.log", "worker-1.log"]


def test_a_worker_whose_time_is_over_takes_no_job(
    database: Database, campaign: Campaign, launchpad: LaunchPad, tmp_path: Path, set_lzc: Callable
) -> None:
    submit(campaign, database, launchpad)
    with set_lzc(LZC_WALLTIME_END_S=str(time.time() + 1)):
        work(database, "tiny", tmp_path, Place(0, 1, os.getppid()))
    assert count(launchpad, "READY") == 2
