"""FireWorks' checkout and completion in few steps, for workflows of one firework.

FireWorks locks, reads and rewrites the whole workflow at each change, some forty operations a job. Where a workflow
is one firework, which is ours alone by its claim, a handful leaves the same documents. Wherever more is asked (further
fireworks, an earlier launch, detours, a lock), FireWorks' own way is taken.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from fireworks import Firework, FWAction, FWorker, LaunchPad
from fireworks.core.firework import Launch

LEAST_PING_S = 60.0
"""A sign of life says nothing new if the last one is younger, in s; losses are looked for after hours."""


class SingleFireworkLaunchPad(LaunchPad):
    """A LaunchPad with short ways for workflows of one firework."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._heard: dict[int, float] = {}

    def checkout_fw(
        self,
        fworker: FWorker,
        launch_dir: str,
        fw_id: int | None = None,
        host: str | None = None,
        ip: str | None = None,
        state: str = "RUNNING",
    ) -> tuple[Firework | None, int | None]:
        """Return the firework, running from now on, and the id of its launch; (None, None) if there is none."""
        claimed = {"fw_id": fw_id, "state": "RESERVED", "claimed_by": fworker.name, "launches": []}
        found = None if fw_id is None or state != "RUNNING" else self.fireworks.find_one(claimed)
        if found is None or found["archived_launches"] or {"_dupefinder", "_trackers"} & found["spec"].keys():
            return super().checkout_fw(fworker, launch_dir, fw_id=fw_id, host=host, ip=ip, state=state)
        firework = Firework.from_dict(found)
        launch = Launch(state, launch_dir, fworker, host, ip, launch_id=self.get_new_launch_id(), fw_id=fw_id)
        self.launches.insert_one(launch.to_db_dict())
        firework.launches.append(launch)
        firework.state = state
        running = {"state": state, "launches": [launch.launch_id], "updated_on": _now().isoformat()}
        if self.fireworks.find_one_and_update(claimed, {"$set": running, "$unset": {"claimed_by": True}}) is None:
            return None, None  # it was taken from us, for dead
        self._follow(firework.fw_id, state)
        self._heard[launch.launch_id] = time.monotonic()
        # as FireWorks keeps them, for a result that cannot be processed
        self.backup_launch_data = {launch.launch_id: launch.to_db_dict()}
        self.backup_fw_data = {firework.fw_id: firework.to_db_dict()}
        return firework, launch.launch_id

    def complete_launch(
        self, launch_id: int, action: FWAction | None = None, state: str = "COMPLETED"
    ) -> dict[str, Any]:
        """Note that a launch has ended; return it."""
        launch = self.get_launch_by_id(launch_id)
        if state != "COMPLETED" or action is None or not _is_plain(action):
            return super().complete_launch(launch_id, action, state)
        if self.workflows.find_one(_alone(launch.fw_id), {"_id": True}) is None:
            return super().complete_launch(launch_id, action, state)
        launch.state, launch.action = state, action
        self.launches.replace_one({"launch_id": launch_id}, launch.to_db_dict())
        running = {"fw_id": launch.fw_id, "state": "RUNNING", "launches": [launch_id]}
        ended = {"$set": {"state": state, "updated_on": _now().isoformat()}}
        if self.fireworks.update_one(running, ended).matched_count == 1:
            self._follow(launch.fw_id, state)
        else:
            self._refresh_wf(launch.fw_id)
        return launch.to_dict()

    def ping_launch(self, launch_id: int, ptime: datetime | None = None, checkpoint: dict | None = None) -> None:
        """Note a sign of life of a launch, unless it has just given one."""
        started_over = checkpoint is not None and checkpoint["_task_n"] > 0
        if not started_over and time.monotonic() - self._heard.get(launch_id, -LEAST_PING_S) < LEAST_PING_S:
            return
        super().ping_launch(launch_id, ptime, checkpoint)
        self._heard[launch_id] = time.monotonic()

    def _follow(self, fw_id: int, state: str) -> None:
        """Let a workflow follow its only firework."""
        followed = {"$set": {"state": state, f"fw_states.{fw_id}": state, "updated_on": _now()}}
        if self.workflows.update_one(_alone(fw_id), followed).matched_count == 0:
            self._refresh_wf(fw_id)


def _alone(fw_id: int) -> dict[str, Any]:
    return {"nodes": fw_id, "nodes.1": {"$exists": False}, "locked": {"$exists": False}}


def _is_plain(action: FWAction) -> bool:
    """Return whether nothing follows from an action for a workflow of one firework."""
    follows = (action.additions, action.detours, action.defuse_children, action.defuse_workflow)
    return not any(follows)


def _now() -> datetime:
    return datetime.now(UTC)
