"""What is done to a firework that was lost, has failed or was given up: each can be done again by one who goes on."""

from __future__ import annotations

from contextlib import suppress

from fireworks import LaunchPad


def put_back(launchpad: LaunchPad, fw_id: int) -> None:
    """Queue it again."""
    _unlock(launchpad, fw_id)
    launchpad.rerun_fw(fw_id)


def settle(launchpad: LaunchPad, fw_id: int) -> None:
    """Let what its launch left be known: its state, its workflow's, and the fireworks in which it goes on."""
    _unlock(launchpad, fw_id)
    _remove_strays(launchpad, fw_id)
    workflow = launchpad.workflows.find_one({"nodes": fw_id}, {"fw_states": True})
    if workflow["fw_states"][str(fw_id)] != "COMPLETED":
        # FireWorks adds what follows from a job only when it sees it end
        launchpad.fireworks.update_one({"fw_id": fw_id, "state": "COMPLETED"}, {"$set": {"state": "RUNNING"}})
    with suppress(RuntimeError):  # what the launch left cannot be read: FireWorks has marked the job as failed
        launchpad._refresh_wf(fw_id)
        for child in launchpad.workflows.find_one({"nodes": fw_id}, {"links": True})["links"][str(fw_id)]:
            if launchpad.fireworks.find_one({"fw_id": child, "state": "WAITING"}, {"_id": True}) is not None:
                launchpad._refresh_wf(child)


def give_up(launchpad: LaunchPad, fw_id: int) -> None:
    """Defuse it."""
    _unlock(launchpad, fw_id)
    launchpad.fireworks.update_one({"fw_id": fw_id}, {"$set": {"state": "DEFUSED"}})
    launchpad._refresh_wf(fw_id)


def retry(launchpad: LaunchPad, fw_id: int) -> None:
    """Queue it again although it was given up."""
    # FireWorks reruns nothing that is defused; killed after this line, it is a failed job like others
    launchpad.fireworks.update_one({"fw_id": fw_id}, {"$set": {"state": "FIZZLED"}})
    put_back(launchpad, fw_id)


def _unlock(launchpad: LaunchPad, fw_id: int) -> None:
    # a worker killed while it held the workflow's lock would stall everyone for FireWorks' 5 minutes
    launchpad.workflows.update_one({"nodes": fw_id}, {"$unset": {"locked": True}})


def _remove_strays(launchpad: LaunchPad, fw_id: int) -> None:
    """Remove the fireworks in which it would have gone on, if its worker died before the workflow knew of them."""
    key = launchpad.fireworks.find_one({"fw_id": fw_id}, {"spec.key": True})["spec"]["key"]
    for firework in list(launchpad.fireworks.find({"spec.key": key, "state": "WAITING"}, {"fw_id": True})):
        if launchpad.workflows.find_one({"nodes": firework["fw_id"]}, {"_id": True}) is None:
            launchpad.fireworks.delete_one({"fw_id": firework["fw_id"], "state": "WAITING"})
