"""The FireWorks LaunchPad of a database, and what its fireworks say of a campaign."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fireworks import Firework, FWorker, LaunchPad, Workflow
from fireworks.fw_config import GRIDFS_FALLBACK_COLLECTION
from gridfs import GridFS
from pymongo import MongoClient, ReturnDocument

from lzc_flows.database.locks import database_lock
from lzc_flows.database.stores import Database
from lzc_flows.launch.queued import fireworks_of
from lzc_flows.launch.single import SingleFireworkLaunchPad
from lzc_flows.settings import get_settings


@dataclass(frozen=True)
class StageState:
    """One firework of a candidate's stage."""

    fw_id: int
    key: str
    stage: str
    state: str


class UniqueIdsLaunchPad(SingleFireworkLaunchPad):
    """A LaunchPad whose ids are unique on the embedded server too.

    FireWorks reads the counter as it was before its step. Of two that step at the same time, SecantusDB (0.7.0b3) may
    show both the same state from before, so that two launches get one id and one's record replaces the other's; the
    state after the step is always one's own.
    """

    def use(self, client: MongoClient) -> None:
        """Go through this client from now on."""
        self.connection.close()  # type: ignore[has-type]
        self.connection, self.db = client, client[self.name]
        for name in ("fireworks", "launches", "offline_runs", "fw_id_assigner", "workflows"):
            setattr(self, name, self.db[name])
        self.gridfs_fallback = GridFS(self.db, GRIDFS_FALLBACK_COLLECTION)

    def get_new_fw_id(self, quantity: int = 1) -> int:
        """Return the first of `quantity` ids of fireworks that nobody else gets."""
        return self._first_of("next_fw_id", quantity)

    def get_new_launch_id(self) -> int:
        """Return an id of a launch that nobody else gets."""
        return self._first_of("next_launch_id", 1)

    def reserve_fw(
        self,
        fworker: FWorker,
        launch_dir: str,
        host: str | None = None,
        ip: str | None = None,
        fw_id: int | None = None,
    ) -> tuple[Firework | None, int | None]:
        """Reserve one ready firework for a batch job, in the name of `fworker`; (None, None) if another was first."""
        # FireWorks' own checkout by id also takes what another has just reserved
        mine = {"$set": {"state": "RESERVED", "claimed_by": fworker.name}}
        if self.fireworks.find_one_and_update({"fw_id": fw_id, "state": "READY"}, mine) is None:
            return None, None
        firework, launch_id = super().reserve_fw(fworker, launch_dir, host=host, ip=ip, fw_id=fw_id)
        # FireWorks has rewritten the firework, and knows of no claim
        self.fireworks.update_one({"fw_id": fw_id, "state": "RESERVED", "launches": [launch_id]}, mine)
        return firework, launch_id

    def _update_wf(self, wf: Workflow, updated_ids: Iterable[int]) -> None:
        """Write what has changed of a workflow; a new firework can be taken only once its workflow is there to take.

        Of a worker that is killed half-way, FireWorks' own order would leave a firework that nobody can run.
        """
        new = [firework for fw_id in updated_ids if fw_id < 0 and (firework := wf.id_fw[fw_id]).state == "READY"]
        for firework in new:
            firework.state = "WAITING"
        super()._update_wf(wf, updated_ids)
        for firework in new:
            self.workflows.update_one({"nodes": firework.fw_id}, {"$unset": {"locked": True}})
            self.fireworks.update_one({"fw_id": firework.fw_id, "state": "WAITING"}, {"$set": {"state": "READY"}})

    def _first_of(self, counter: str, quantity: int) -> int:
        stepped = self.fw_id_assigner.find_one_and_update(
            {}, {"$inc": {counter: quantity}}, return_document=ReturnDocument.AFTER
        )
        return stepped[counter] - quantity


def open_launchpad(database: Database) -> LaunchPad:
    """Return the LaunchPad that lives in `database`, made ready on its first use.

    Nothing of an existing LaunchPad is ever cleared.
    """
    timeout_ms = int(1000 * get_settings().mongo_timeout_s)
    launchpad = UniqueIdsLaunchPad(
        host=database.uri.get_secret_value(),
        name=database.name,
        uri_mode=True,
        strm_lvl="CRITICAL",
        user_indices=["spec.key"],
        mongoclient_kwargs={"serverSelectionTimeoutMS": timeout_ms},
    )
    launchpad.use(database.client())
    if launchpad.fw_id_assigner.find_one({}) is None:
        _make_ready(launchpad, database)
    return launchpad


def _make_ready(launchpad: LaunchPad, database: Database) -> None:
    # locked and asked again: what another process has queued since then must not be cleared
    with database_lock(database, "launchpad"):
        if launchpad.fw_id_assigner.find_one({}) is None:
            # max_reset_wo_password=0: FireWorks itself refuses if there is any workflow
            launchpad.reset("", require_password=False, max_reset_wo_password=0)


def stage_states(launchpad: LaunchPad, keys: set[str]) -> Iterator[StageState]:
    """Yield the fireworks of these candidates."""
    return map(_stage_state, fireworks_of(launchpad, keys))


def _stage_state(firework: dict[str, Any]) -> StageState:
    spec = firework["spec"]
    return StageState(firework["fw_id"], spec["key"], spec["stage"], firework["state"])


def add_workflows(launchpad: LaunchPad, workflows: list) -> None:
    """Add workflows in bulk; FireWorks' own progress bar is kept off the terminal."""
    if workflows:
        with contextlib.redirect_stderr(io.StringIO()):
            launchpad.bulk_add_wfs(workflows)


def last_launch(launchpad: LaunchPad, launch_ids: list[int]) -> dict[str, Any] | None:
    """Return the newest of these launches; None if there is none."""
    # sorted here: SecantusDB gives what $in finds through an index in the order of the list, whatever the sort
    found = launchpad.launches.find({"launch_id": {"$in": launch_ids}})
    return max(found, key=lambda launch: launch["launch_id"], default=None)


def running_directories(launchpad: LaunchPad, keys: set[str]) -> Iterator[tuple[StageState, Path]]:
    """Yield the running fireworks of these candidates with their launch directories."""
    for firework in fireworks_of(launchpad, keys, ["RUNNING"]):
        launch = last_launch(launchpad, firework["launches"])
        if launch is not None:
            yield _stage_state(firework), Path(launch["launch_dir"])
