"""One job that two workers run at the same time: the first was taken for lost, and lives."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fireworks import FWorker, LaunchPad
from jobflow import SETTINGS

from lzc_flows.database.candidates import build_candidates
from lzc_flows.database.processes import ProcessName
from lzc_flows.database.result_stores import ResultStore
from lzc_flows.database.stores import CANDIDATES, RECOVERIES, TASKS, Database, connect
from lzc_flows.flows.candidate import Campaign
from lzc_flows.launch.heartbeat import heartbeat
from lzc_flows.launch.launchpad import open_launchpad
from lzc_flows.launch.recover import recover_lost
from lzc_flows.launch.rocket import run_firework
from lzc_flows.launch.submit import advance, submit


@dataclass(frozen=True)
class Hand:
    """A worker of another machine that runs the first job, and waits at its result until it may go on."""

    name: str
    folder: Path
    stores_first: bool = False

    @property
    def waits(self) -> Path:
        return self.folder / f"{self.name}-waits"

    @property
    def go(self) -> Path:
        return self.folder / f"{self.name}-go"

    def run(self) -> None:
        """Run the job; to be called in a process of its own."""
        update = ResultStore.update

        def wait() -> None:
            self.waits.touch()
            while not self.go.exists():
                time.sleep(0.02)

        def waiting(store: ResultStore, *arguments: Any, **named: Any) -> None:
            if not self.stores_first:
                wait()
            update(store, *arguments, **named)
            if self.stores_first:
                wait()

        socket.gethostname = lambda: self.name
        ResultStore.update = waiting
        database = connect().patient()
        SETTINGS.JOB_STORE = database.job_store()
        worker = FWorker(name=str(ProcessName.of_this_process()))
        with heartbeat(database, "tiny"):
            assert run_firework(open_launchpad(database), worker, 1, self.folder)


@pytest.mark.parametrize("order", ["first, then second", "first within second", "second, then first"])
@pytest.mark.parametrize("stores_first", [False, True])
def test_one_job_in_two_hands_leaves_one_result_and_the_history_of_both(
    database: Database,
    campaign: Campaign,
    launchpad: LaunchPad,
    fork: Callable,
    wait_until: Callable,
    set_lzc: Callable,
    tmp_path: Path,
    order: str,
    stores_first: bool,
) -> None:
    submit(campaign, database, launchpad)
    first, second = Hand("first", tmp_path, stores_first), Hand("second", tmp_path)
    hands = {first: fork(first.run)}

    def end(hand: Hand) -> None:
        hand.go.touch()
        hands[hand].join(60)
        assert hands[hand].exitcode == 0

    wait_until(first.waits.exists)
    here = {"LZC_MONGO_URI": database.uri.get_secret_value(), "LZC_MONGO_DATABASE": database.name}
    with set_lzc(**here, LZC_HEARTBEAT_TIMEOUT_S="0.001"):
        assert recover_lost(database, launchpad, "tiny") == [1]
    if order == "first, then second":
        end(first)
    hands[second] = fork(second.run)
    wait_until(second.waits.exists)
    if order == "first within second":
        end(first)
    end(second)
    if order == "second, then first":
        end(first)

    assert launchpad.get_fw_by_id(1).state == "COMPLETED"
    (key,) = {launchpad.get_fw_by_id(1).spec["key"]}
    (task,) = database.collection(TASKS).find({"metadata.key": key})
    launches = sorted(launchpad.launches.find({"fw_id": 1}), key=lambda launch: launch["launch_id"])
    assert [launch["fworker"]["name"].split("/")[1] for launch in launches] == ["first", "second"]
    assert [launch["state"] for launch in launches] == ["COMPLETED", "COMPLETED"]
    firework = launchpad.fireworks.find_one({"fw_id": 1})
    assert (firework["archived_launches"], firework["launches"]) == (
        [launches[0]["launch_id"]],
        [launches[1]["launch_id"]],
    )
    (tried,) = database.collection(RECOVERIES).find()
    assert (tried["fw_id"], tried["launch_id"], tried["cause"]) == (1, launches[0]["launch_id"], "worker silent")

    build_candidates(database)
    summaries = [entry for entry in database.collection(CANDIDATES).find() if entry["stages"]]
    assert [summary["stages"]["order"]["uuid"] for summary in summaries] == [task["uuid"]]
    assert advance(campaign, database, launchpad) == 1
    assert advance(campaign, database, launchpad) == 0
