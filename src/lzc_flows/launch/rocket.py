"""One firework, claimed and run in this process."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from fireworks import FWorker, LaunchPad
from fireworks.core.rocket_launcher import launch_rocket


def run_firework(launchpad: LaunchPad, worker: FWorker, fw_id: int, folder: Path) -> bool:
    """Run one firework in a directory of its own, launches/<stage>/<key>/<try>; return False if another was first."""
    return _run_if(launchpad, worker, {"fw_id": fw_id, "state": "READY"}, folder)


def run_reserved(launchpad: LaunchPad, worker: FWorker, reserved: tuple[int, str], folder: Path) -> bool:
    """Run a firework that is reserved, given by its id and its holder's name; return False if it is not any more."""
    fw_id, holder = reserved
    return _run_if(launchpad, worker, {"fw_id": fw_id, "state": "RESERVED", "claimed_by": holder}, folder)


def _run_if(launchpad: LaunchPad, worker: FWorker, condition: dict[str, Any], folder: Path) -> bool:
    # claimed here because FireWorks' checkout by id also takes what another worker has just reserved
    claimed = launchpad.fireworks.find_one_and_update(
        condition, {"$set": {"state": "RESERVED", "claimed_by": worker.name}}
    )
    if claimed is None:
        return False
    spec = claimed["spec"]
    launch_dir = folder.resolve() / "launches" / spec["stage"] / spec.get("key", "") / f"{time.time_ns()}"
    launch_dir.mkdir(parents=True)
    with contextlib.chdir(launch_dir):
        launch_rocket(launchpad, worker, fw_id=claimed["fw_id"], strm_lvl="CRITICAL")
    return True
