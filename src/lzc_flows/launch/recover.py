"""Put lost and failed fireworks back into the queue."""

from __future__ import annotations

from fireworks import LaunchPad

from lzc_flows.database.processes import ProcessName
from lzc_flows.launch.launchpad import fireworks_of, last_launch


def recover_lost(launchpad: LaunchPad, keys: set[str]) -> list[int]:
    """Put fireworks of dead workers on this host back into the queue; return their ids."""
    lost = []
    for firework in list(fireworks_of(launchpad, keys, ["RUNNING", "RESERVED"])):
        launch = last_launch(launchpad, firework["launches"])
        # killed between claim and launch: no launch names the worker yet
        worker = ProcessName.parse(launch["fworker"]["name"] if launch else firework.get("claimed_by", ""))
        if worker is not None and worker.is_dead():
            _release(launchpad, firework["fw_id"])
            lost.append(firework["fw_id"])
    return lost


def _release(launchpad: LaunchPad, fw_id: int) -> None:
    # a worker killed while it held the workflow's lock would stall everyone for FireWorks' 5 minutes
    launchpad.workflows.update_one({"nodes": fw_id}, {"$unset": {"locked": True}})
    launchpad.rerun_fw(fw_id)


def recover_failed(launchpad: LaunchPad, keys: set[str]) -> list[int]:
    """Put failed fireworks back into the queue, to run from their start; return their ids."""
    failed = [firework["fw_id"] for firework in fireworks_of(launchpad, keys, ["FIZZLED"])]
    for fw_id in failed:
        _release(launchpad, fw_id)
    return failed
