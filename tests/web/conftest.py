from __future__ import annotations

import contextlib
import io
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fireworks import FWorker, LaunchPad
from jobflow import SETTINGS

from lzc_flows.database.candidates import build_candidates
from lzc_flows.database.server import ServerInfo
from lzc_flows.database.stores import CANDIDATES, Database, connect
from lzc_flows.flows.candidate import Campaign
from lzc_flows.flows.spec import parse_campaign
from lzc_flows.launch.launchpad import open_launchpad
from lzc_flows.launch.submit import queue_job, submit

pytest.importorskip("starlette", reason="the page is not installed: pip install 'lzc-flows[web]'")

UNDOPED, DOPED = "undoped", "Ti3"


@dataclass
class Site:
    """The tiny campaign: both candidates ordered, the undoped one with barriers, the doped one's bvse failed."""

    database: Database
    launchpad: LaunchPad
    campaign: Campaign
    folder: Path

    def key(self, word: str) -> str:
        """The key of the candidate whose name begins so."""
        return next(one.key for one in self.campaign.candidates if one.key.startswith(word))

    def run(self) -> None:
        """Run all that is ready, in this process."""
        # imported late: others' jobs are none of the page's business
        from lzc_flows.launch.rocket import run_firework

        ready = [entry["fw_id"] for entry in self.launchpad.fireworks.find({"state": "READY"}, {"fw_id": True})]
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
            patch.setattr(SETTINGS, "JOB_STORE", self.database.job_store())
            for fw_id in sorted(ready):
                run_firework(self.launchpad, FWorker(name="lzc/here/1/1.0"), fw_id, self.folder)
        build_candidates(self.database)

    def bvse(self, word: str, uuid: str | None = None) -> None:
        """Run the bvse stage on the unrelaxed crystal, or on what a UUID stands for."""
        candidate = next(one for one in self.campaign.candidates if one.key.startswith(word))
        summary = self.database.collection(CANDIDATES).find_one({"key": candidate.key})
        queue_job(self.launchpad, self.campaign.next_job(candidate, "bvse", uuid or summary["stages"]["order"]["uuid"]))
        self.run()


@pytest.fixture(scope="module")
def site(
    server: ServerInfo,
    tmp_path_factory: pytest.TempPathFactory,
    set_lzc: Callable[..., contextlib.AbstractContextManager[None]],
    tiny: Callable[[], dict[str, Any]],
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    name = f"test_{secrets.token_hex(6)}"
    with set_lzc(LZC_MONGO_URI=server.uri, LZC_MONGO_DATABASE=name, LZC_CAMPAIGNS_DIR=str(folder)):
        database = connect()
        campaign = Campaign(parse_campaign(tiny(), where="c.yaml", folder=Path()))
        site = Site(database, open_launchpad(database), campaign, folder / "tiny")
        submit(campaign, database, site.launchpad)
        site.run()
        site.bvse(UNDOPED)
        site.bvse(DOPED, "no-such-uuid")
        yield site


EVIL = """<script>window.ran = 1</script>"'><img src=x onerror="window.ran = 1">&amp;{{ 7 * 7 }}"""


@pytest.fixture
def evil(site: Site) -> Iterator[str]:
    """A campaign of which every text tries to be more than text; its name, which is its candidate's key too."""
    collections = site.database.collection
    spec = {"name": EVIL, "description": EVIL, "stages": {"order": {}}, "ranking": {"performance": {"barrier_1d": 1}}}
    collections("campaigns").insert_one({"name": EVIL, "spec": spec})
    texts = dict.fromkeys(("key", "cation_axis", "cation", "column", "formula", "host"), EVIL)
    plan = {**texts, "campaigns": [EVIL], "stage_keys": {"order": "evil-result"}, "arrangements": EVIL}
    collections("plan").insert_one(dict(plan))
    summary = {**plan, "corrections": [EVIL], "engines": {"order": EVIL}, "stages": {}, "stability": EVIL}
    collections("candidates").insert_one({**summary, "built_from": []})
    firework = {"fw_id": 900, "state": "FIZZLED", "launches": [900], "updated_on": "2026-01-01T00:00:00.000000+00:00"}
    collections("fireworks").insert_one({**firework, "name": EVIL, "spec": {"key": "evil-result", "stage": "order"}})
    action = {"stored_data": {"_exception": {"_stacktrace": f"Traceback\nInputError: {EVIL}"}}}
    launch = {"launch_id": 900, "fw_id": 900, "state": "FIZZLED", "action": action, "state_history": []}
    collections("launches").insert_one(
        {**launch, "host": EVIL, "launch_dir": EVIL, "fworker": {"name": EVIL}, "time_start": EVIL, "time_end": EVIL}
    )
    yield EVIL
    collections("campaigns").delete_one({"name": EVIL})
    for name in ("plan", "candidates"):
        collections(name).delete_one({"key": EVIL})
    for name in ("fireworks", "launches"):
        collections(name).delete_one({"fw_id": 900})
