"""Whole campaigns, from file to heatmap: the real server, engine, workers and commands."""

from __future__ import annotations

import base64
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import bson
import pandas as pd
import psutil
import pytest
import yaml
from pymongo import MongoClient
from pymongo.database import Database

from lzc_flows.database.server import find_server, start_server, stop_server
from lzc_flows.database.stores import connect
from lzc_flows.trajectory.reader import read_trajectory

STAGES = ("order", "relax", "bvse")
LZC = Path(sys.executable).with_name("lzc")
USER, PASSWORD = "marie-curie", "Sesame/0pen@x"
Content = dict[str, Any]


@dataclass
class Place:
    """A folder of campaigns with its server."""

    folder: Path
    settings: dict[str, str]

    def write(self, content: Content) -> Path:
        path = self.folder / f"{content['name']}.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LZC_")}
        kept = {name: value for name, value in os.environ.items() if name == "LZC_MODELS_DIR"}
        return subprocess.Popen(
            [LZC, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean | kept | self.settings,
            cwd=self.folder,
            start_new_session=True,
        )

    def lzc(self, *arguments: object, code: int = 0) -> tuple[str, str]:
        """Run `lzc` to its end; return what it printed."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=300)
        assert process.returncode == code, err
        return out, err

    def database(self) -> Database:
        server = find_server(self.folder / "campaigns")
        assert server is not None
        uri = self.settings.get("LZC_MONGO_URI", server.uri)
        return MongoClient(uri)["lzc_flows"]

    def workers(self) -> list[psutil.Process]:
        """The living workers of this folder's campaigns."""
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            words = process.info["cmdline"] or []
            if "lzc_flows.launch.worker" in words and any(str(self.folder) in word for word in words):
                found.append(process)
        return found


def place(folder: Path) -> Place:
    return Place(folder, {"LZC_CAMPAIGNS_DIR": str(folder / "campaigns")})


def clear(place: Place) -> None:
    for worker in place.workers():
        worker.kill()
    stop_server(place.folder / "campaigns")


def done(database: Database) -> Counter[tuple[str, str]]:
    """Number of completed fireworks of each candidate's stage."""
    found = database.fireworks.find({"state": "COMPLETED", "spec.key": {"$exists": True}})
    return Counter((entry["spec"]["key"], entry["spec"]["stage"]) for entry in found)


def check_complete(database: Database, campaign: str) -> None:
    """Every stage of every candidate has one firework, one result, and the summary is made of these."""
    plans = list(database.plan.find({"campaigns": campaign}))
    assert plans
    wanted = [(key, stage) for plan in plans for stage, key in plan["stage_keys"].items()]
    assert done(database) == dict.fromkeys(wanted, 1)
    assert database.fireworks.count_documents({"spec.key": {"$exists": True}}) == len(wanted)
    tasks = list(database.tasks.find({"metadata.key": {"$exists": True}}, {"uuid": 1, "metadata": 1}))
    results = {(task["metadata"]["key"], task["metadata"]["stage"]): task["uuid"] for task in tasks}
    assert len(tasks) == len(results) == len(wanted)
    for summary in database.candidates.find({"campaigns": campaign}):
        assert {stage: record["uuid"] for stage, record in summary["stages"].items()} == {
            stage: results[key, stage] for stage, key in summary["stage_keys"].items()
        }


# ---- a campaign on a server with users, run to its end ----


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server that answers only the user of `LZC_MONGO_URI`."""
    guarded = place(tmp_path_factory.mktemp("guarded"))
    server = start_server(guarded.folder / "campaigns")
    with MongoClient(server.uri) as client:
        client.admin.command("createUser", USER, pwd=PASSWORD, roles=["root"])
    command = psutil.Process(server.pid).cmdline()
    stop_server(guarded.folder / "campaigns")
    with (guarded.folder / "server.log").open("wb") as log:
        process = subprocess.Popen([*command, "--auth"], stdout=log, stderr=log)
    address = f"127.0.0.1:{server.port}"
    with MongoClient(f"mongodb://{address}", serverSelectionTimeoutMS=20000) as client:
        client.admin.command("ping")
    guarded.settings["LZC_MONGO_URI"] = f"mongodb://{USER}:{quote_plus(PASSWORD)}@{address}/?authSource=admin"
    yield guarded
    for worker in guarded.workers():
        worker.kill()
    process.terminate()
    process.wait(timeout=60)


@dataclass
class Finished:
    place: Place
    path: Path
    database: Database
    printed: list[str]


@pytest.fixture(scope="module")
def finished(guarded: Place, tiny: Callable[[], Content]) -> Finished:
    """The tiny campaign with a choice between two arrangements, run once."""
    content = tiny()
    content["stages"]["order"]["protocol"]["shortlist"] = 2
    path = guarded.write(content)
    out, err = guarded.lzc("run", path, "--json")
    database = MongoClient(guarded.settings["LZC_MONGO_URI"])["lzc_flows"]
    return Finished(guarded, path, database, [out, err])


@pytest.fixture
def run_here(finished: Finished, lzc: Callable, set_lzc: Callable) -> Iterator[Callable]:
    """Run `lzc` in this process with the settings of the finished campaign."""
    with set_lzc(**finished.place.settings):
        yield lzc


def report(finished: Finished) -> dict[str, bytes]:
    folder = finished.place.folder / "campaigns" / "tiny" / "report"
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_everything_is_completed_and_reported(finished: Finished) -> None:
    status = json.loads(finished.printed[0])  # one document and nothing else on stdout
    assert status == {
        "campaign": "tiny",
        "candidates": 2,
        "counts": {stage: {"COMPLETED": 2} for stage in STAGES},
        "failures": [],
        "causes": [],
    }
    assert "tiny: order 2/2, relax 2/2, bvse 2/2" in finished.printed[1]
    check_complete(finished.database, "tiny")
    assert finished.database.launches.count_documents({}) == 2 * len(STAGES) + 1  # and the ranking
    assert list(report(finished)) == ["heatmap.png", "heatmap.svg", "ranking.csv"]
    assert finished.place.workers() == []
    assert finished.database.workers.count_documents({}) == 0  # none looks lost


def test_summaries_hold_the_numbers_and_who_made_them(finished: Finished) -> None:
    doped = finished.database.candidates.find_one({"cation": "Ti3+"})
    assert doped["ordered_by"] == "relaxed-energy"
    assert doped["max_force_ev_per_angstrom"] <= 0.2
    assert 0 < doped["barrier_1d"] <= doped["barrier_2d"] <= doped["barrier_3d"] < math.inf
    assert doped["cost_usd_per_kg"] > 0
    assert set(doped["engines"]) == {"order", "relax"}
    assert all(
        re.match(r"nep \(calorine [\d.]+, nep89 sha256 [0-9a-f]{12}\)", text) for text in doped["engines"].values()
    )


def test_the_ranking_has_every_component(finished: Finished, run_here: Callable) -> None:
    stored = finished.database.tasks.find_one({"metadata.stage": "rank"})["output"]
    assert stored["ranking"]["performance"] == {"barrier_1d": 1.0, "barrier_3d": 1.0}
    ranked = json.loads(run_here("rank", "tiny", "--json").out)
    assert ranked["fingerprint"] == stored["fingerprint"]
    assert [row["rank_performance"] for row in ranked["rows"]] in ([1, 2], [2, 1])
    for row in ranked["rows"]:
        for criterion in ("barrier_1d", "barrier_3d", "cost_usd_per_kg"):
            assert row[criterion] > 0
            assert 0 <= row[f"{criterion}_normalised"] <= 1
        parts = [row[f"{name}_in_performance_cost"] for name in ("barrier_1d", "barrier_3d", "cost_usd_per_kg")]
        assert sum(parts) == pytest.approx(row["performance_cost"], rel=1e-12, abs=1e-12)
        assert row["missing"] == ""
    table = pd.read_csv(finished.place.folder / "campaigns/tiny/report/ranking.csv", comment="#")
    assert list(table["key"]) == [row["key"] for row in ranked["rows"]]


def test_a_second_run_does_nothing_quickly(finished: Finished) -> None:
    launches = finished.database.launches.count_documents({})
    before = report(finished)
    begin = time.monotonic()
    out, err = finished.place.lzc("run", finished.path, "--json")
    assert time.monotonic() - begin < 60
    finished.printed += [out, err]
    assert json.loads(out)["counts"] == {stage: {"COMPLETED": 2} for stage in STAGES}
    assert finished.database.launches.count_documents({}) == launches
    assert finished.database.fireworks.count_documents({}) == launches
    assert report(finished) == before


def test_ranking_twice_gives_the_same_bytes(finished: Finished, run_here: Callable) -> None:
    before = report(finished)
    first, second = (run_here("rank", "tiny", "--json") for _ in range(2))
    assert first == second
    assert [row["key"] for row in json.loads(first.out)["rows"]]
    assert report(finished) == before
    finished.printed += [first.out, first.err]


def test_queries_find_what_ran(finished: Finished, run_here: Callable) -> None:
    for where, number in [
        ("cation=Ti", 1),
        ("cation=Ti3+", 1),
        ("cation=none", 1),
        ("barrier_3d>0", 2),
        ("barrier_3d<0", 0),
    ]:
        result = run_here("query", "tiny", "--where", where, "--json")
        assert len(json.loads(result.out)) == number
        finished.printed += [result.out, result.err]
    threshold = finished.database.candidates.find_one({"cation": "Ti3+"})["barrier_1d"]
    found = json.loads(run_here("query", "tiny", "--where", f"barrier_1d<={threshold!r}, cation=Ti", "--json").out)
    assert [entry["cation"] for entry in found] == ["Ti3+"]
    table = run_here("query", "tiny").out
    assert "2 candidates" in table


def test_a_second_campaign_shares_the_results_and_may_drop_a_cation(finished: Finished, run_here: Callable) -> None:
    content = yaml.safe_load(finished.path.read_text()) | {"name": "shared", "description": "the same candidates"}
    content["ranking"]["cost_weight"] = 0.9
    launches = finished.database.launches.count_documents({})
    result = run_here("run", finished.place.write(content), "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["counts"] == {stage: {"COMPLETED": 2} for stage in STAGES}
    assert finished.database.launches.count_documents({}) == launches + 1  # its own ranking
    content["grid"] |= {"cations": [], "anions": []}
    shrunk = finished.place.write(content)
    assert "let them go with --replace" in run_here("run", shrunk).err
    assert run_here("run", shrunk, "--replace").code == 0
    assert finished.database.launches.count_documents({}) == launches + 2
    assert [row["cation"] for row in json.loads(run_here("rank", "shared", "--json").out)["rows"]] == ["pristine"]
    assert len(json.loads(run_here("rank", "tiny", "--json").out)["rows"]) == 2
    check_complete(finished.database, "tiny")


def test_user_and_password_are_nowhere(finished: Finished) -> None:
    """After all that ran: in no document, launch directory, log, report or printed line."""
    secrets = [word.encode() for word in (USER, PASSWORD, quote_plus(PASSWORD), "Sesame")]
    names = finished.database.list_collection_names()
    assert {"tasks", "fireworks", "launches", "workflows", "plan", "candidates", "campaigns"} <= set(names)
    documents = [bson.encode(entry) for name in names for entry in finished.database[name].find()]
    files = [path for path in finished.place.folder.rglob("*") if path.is_file() and "db/data" not in str(path)]
    written = [path.read_bytes() for path in files]
    assert any("workers" in str(path) for path in files)
    assert any(path.name == "FW.json" for path in files)
    for content in (*documents, *written, *(text.encode() for text in finished.printed)):
        for secret in secrets:
            assert secret not in content


# ---- killed and started again ----


def wait_for(condition: Callable[[], object], timeout_s: float = 120.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_and_nothing_runs_twice(tmp_path: Path, tiny: Callable[[], Content]) -> None:
    chance = random.Random(11)
    here = place(tmp_path)
    path = here.write(tiny())
    try:
        for _ in range(2):
            # the whole group of `lzc run`; its workers are left without parent
            run = here.start("run", path, "--workers", 2)
            wait_for(here.workers)
            time.sleep(chance.uniform(1.0, 8.0))
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
            if chance.random() < 0.5:
                for worker in here.workers()[:1]:
                    worker.kill()
            wait_for(lambda: not here.workers())  # orphans stop by themselves

        run = here.start("run", path, "--workers", 2, "--json")
        # one worker of two is killed while it runs a job: the other takes the job over
        wait_for(lambda: running_worker(here) or run.poll() is not None)
        if (victim := running_worker(here)) is not None:
            victim.kill()
        out, err = run.communicate(timeout=300)
        assert run.returncode == 0, err
        assert json.loads(out)["counts"] == {stage: {"COMPLETED": 2} for stage in STAGES}
        check_complete(here.database(), "tiny")
        assert (tmp_path / "campaigns" / "tiny" / "report" / "heatmap.svg").is_file()
    finally:
        clear(here)


def running_worker(here: Place) -> psutil.Process | None:
    """A worker that runs a job at this moment."""
    server = find_server(here.folder / "campaigns")
    if server is None:
        return None
    with MongoClient(server.uri) as client:
        launch = client.lzc_flows.launches.find_one({"state": "RUNNING"})
    alive = {worker.pid: worker for worker in here.workers()}
    return alive.get(int(launch["fworker"]["name"].split("/")[2])) if launch else None


# ---- a job that fails ----


def test_a_failed_job_is_named_and_the_rest_is_ranked(
    tmp_path: Path, tiny: Callable[[], Content], lzc: Callable, set_lzc: Callable
) -> None:
    content = tiny()
    # enough steps for the undoped host, which is nearly relaxed, and too few for the doped cell
    content["stages"]["relax"]["protocol"] |= {"max_steps": 4}
    here = place(tmp_path)
    path = here.write(content)
    try:
        with set_lzc(**here.settings):
            result = lzc("run", path, "--workers", 1, "--json")
            assert result.code == 1, result.err
            status = json.loads(result.out)
            assert status["counts"]["relax"] == {"COMPLETED": 1, "FIZZLED": 1}
            assert status["counts"]["bvse"] == {"COMPLETED": 1, "TO DO": 1}
            (failure,) = status["failures"]
            assert failure["stage"] == "relax"
            assert failure["key"].startswith("Ti3-1a-x1_F1-6i-x1_1x1x1_")
            assert re.search(r"relaxation failed after 2 corrections: not converged after \d+ steps", failure["reason"])

            shown = lzc("status", "tiny")
            (line,) = [line for line in shown.out.splitlines() if line.startswith("failed: ")]
            assert line == f"failed: relax {failure['key']}: {failure['reason']}"

            rows = {row["cation"]: row for row in json.loads(lzc("rank", "tiny", "--json").out)["rows"]}
            assert rows["pristine"]["performance"] == 1.0
            assert rows["pristine"]["missing"] == ""
            assert rows["Ti3+"]["missing"] == "barrier_1d;barrier_3d"
            for name in ("barrier_1d", "barrier_1d_normalised", "performance", "performance_cost", "rank_performance"):
                assert rows["Ti3+"][name] is None
            csv = tmp_path / "campaigns" / "tiny" / "report" / "ranking.csv"
            table = pd.read_csv(csv, comment="#").set_index("cation")
            assert table.loc["Ti3+", ["performance", "performance_cost", "barrier_3d"]].isna().all()
            assert f"missing barrier_3d (1): {failure['key']}" in csv.read_text()

            # a failed job is not tried again unasked
            launches = here.database().launches.count_documents({})
            assert lzc("run", path, "--workers", 1).code == 1
            assert here.database().launches.count_documents({}) == launches
            recovered = json.loads(lzc("recover", "tiny", "--json").out)
            assert [recovered[name] for name in ("lost", "failed", "given_up")] == [0, 0, 1]
            assert json.loads(lzc("status", "tiny", "--json").out)["counts"]["relax"] == {"COMPLETED": 1, "DEFUSED": 1}
            assert json.loads(lzc("recover", "tiny", "--retry-given-up", "--json").out)["failed"] == 1
            assert json.loads(lzc("status", "tiny", "--json").out)["counts"]["relax"] == {"COMPLETED": 1, "READY": 1}
    finally:
        clear(here)


# ---- a stage behind a gate ----


def test_the_best_candidate_alone_runs_molecular_dynamics(
    tmp_path: Path, tiny: Callable[[], Content], lzc: Callable, set_lzc: Callable
) -> None:
    """One of two passes; its numbers are in the summary, its trajectory in the data store."""
    here, content = place(tmp_path), tiny()
    ramp = {"ensemble": "nvt", "temperature": [100, 1100], "ps": 0.2, "time_step_fs": 2}
    hold = {"ensemble": "nvt", "temperature": 1100, "ps": 4, "time_step_fs": 2}
    content["stages"]["aimd"] = {"engine": "nep", "protocol": {"segments": [ramp, hold]}, "seed": 3, "top": 1}
    try:
        with set_lzc(**here.settings):
            result = lzc("run", here.write(content), "--json")
            assert result.code == 0, result.err
            counts = json.loads(result.out)["counts"]
            assert counts["bvse"] == {"COMPLETED": 2}
            assert counts["aimd"] == {"COMPLETED": 1}
            (best,) = json.loads(lzc("query", "tiny", "--where", "stability!=none", "--json").out)
            ranked = json.loads(lzc("rank", "tiny", "--json").out)["rows"]
            assert best["key"] == min(ranked, key=lambda row: row["rank_performance"])["key"]
            assert best["aimd_temperature_k"] == 1100
            database = here.database()
            document = database.tasks.find_one({"metadata.stage": "aimd"})["output"]
            assert document["kinetics"]["ps"] == pytest.approx(4.2, rel=1e-9)
            assert document["kinetics"]["frames"] == 211
            if document["diffusion"] is None:  # 4 ps of 27 atoms may be too little, and then says so
                assert best["sigma_mS_cm"] is None
                assert document["no_diffusion_because"]
            elif document["stability"]["intact"]:
                assert best["sigma_low_mS_cm"] < best["sigma_mS_cm"] < best["sigma_high_mS_cm"]
            assert len(str(document["trajectory"])) < 200  # a reference
            with connect().job_store() as store:
                packed = store.get_output(best["stages"]["aimd"]["uuid"], load=True)["trajectory"]
            (tmp_path / "trajectory.h5").write_bytes(base64.b64decode(packed["hdf5_base64"]))
            assert len(read_trajectory(tmp_path / "trajectory.h5")) == 211
            # a second run has nothing left to do
            launches = database.launches.count_documents({})
            assert lzc("run", tmp_path / "tiny.yaml").code == 0
            assert database.launches.count_documents({}) == launches
    finally:
        clear(here)


# ---- a full disk ----


@pytest.mark.parametrize("size", ["1m", "64m"])
def test_a_full_disk_is_one_line(
    tmp_path: Path, tiny: Callable[[], Content], lzc: Callable, set_lzc: Callable, size: str
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system takes root")
    here = Place(tmp_path, {"LZC_CAMPAIGNS_DIR": str(disk / "campaigns")})
    try:
        with set_lzc(**here.settings):
            result = lzc("run", here.write(tiny()))
        assert (result.code, result.out) == (2, "")
        assert len(result.err.splitlines()) == 1
        assert re.search("No space left|disk full", result.err)
        assert str(disk) in result.err
    finally:
        stop_server(disk / "campaigns")
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
