from __future__ import annotations

import contextlib
import io
from pathlib import Path

from fireworks import FWorker, LaunchPad
from jobflow import SETTINGS, job

from lzc_flows.database.stores import TASKS, Database
from lzc_flows.launch.rocket import run_reserved
from lzc_flows.launch.submit import queue_job


@job
def small() -> dict[str, int]:
    return {"number": 1}


def queue(launchpad: LaunchPad) -> int:
    made = small()
    made.update_metadata({"key": "a", "stage": "relax"})
    queue_job(launchpad, made)
    return max(launchpad.get_fw_ids())


def run(launchpad: LaunchPad, fw_id: int, holder: str, folder: Path) -> bool:
    with contextlib.redirect_stdout(io.StringIO()):  # FireWorks logs there
        return run_reserved(launchpad, FWorker(name="me"), (fw_id, holder), folder)


def test_what_is_reserved_runs_for_its_holder_alone_and_once(
    database: Database, launchpad: LaunchPad, tmp_path: Path
) -> None:
    SETTINGS.JOB_STORE = database.job_store()
    fw_id = queue(launchpad)
    _, launch_id = launchpad.reserve_fw(FWorker(name="first"), str(tmp_path), fw_id=fw_id)
    launchpad.set_reservation_id(launch_id, 12)
    assert not run(launchpad, fw_id, "another", tmp_path)
    launchpad.rerun_fw(fw_id)  # taken back, and given to another
    launchpad.reserve_fw(FWorker(name="second"), str(tmp_path), fw_id=fw_id)
    assert not run(launchpad, fw_id, "first", tmp_path)
    assert run(launchpad, fw_id, "second", tmp_path)
    assert not run(launchpad, fw_id, "second", tmp_path)
    assert launchpad.get_fw_by_id(fw_id).state == "COMPLETED"
    assert database.collection(TASKS).count_documents({}) == 1


def test_what_is_reserved_is_not_reserved_again(launchpad: LaunchPad, tmp_path: Path) -> None:
    fw_id = queue(launchpad)
    firework, _ = launchpad.reserve_fw(FWorker(name="first"), str(tmp_path), fw_id=fw_id)
    assert firework.fw_id == fw_id
    assert launchpad.reserve_fw(FWorker(name="second"), str(tmp_path), fw_id=fw_id) == (None, None)
