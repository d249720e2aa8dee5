"""One firework, claimed and run in this process."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from fireworks import FWorker, LaunchPad
from fireworks.core.rocket_launcher import launch_rocket


def run_firework(launchpad: LaunchPad, worker: FWorker, fw_id: int, folder: Path) -> None:
    """Run one firework, unless another worker was first, in a directory of its own: launches/<stage>/<key>/<try>."""
    # claimed here because FireWorks' checkout by id also takes what another worker has just reserved
    claimed = launchpad.fireworks.find_one_and_update(
        {"fw_id": fw_id, "state": "READY"}, {"$set": {"state": "RESERVED", "claimed_by": worker.name}}
    )
    if claimed is None:
        return
    spec = claimed["spec"]
    launch_dir = folder.resolve() / "launches" / spec["stage"] / spec.get("key", "") / f"{time.time_ns()}"
    launch_dir.mkdir(parents=True)
    with contextlib.chdir(launch_dir):
        launch_rocket(launchpad, worker, fw_id=fw_id, strm_lvl="CRITICAL")
