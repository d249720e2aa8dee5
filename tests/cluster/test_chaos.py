"""A campaign whose workers, jobs, launcher and server are killed again and again ends as an undisturbed one.

Two batch jobs at a time on a real SLURM, the embedded server. While it runs, a seeded random killer sends SIGKILL to
workers, to engines, to the commands of batch jobs, to `lzc launch` and to the server, cancels batch jobs, and lets
SLURM cut their walltime. What a person would do is done here too, and nothing else: `lzc recover`, and `lzc launch`
again where it was killed or has ended with failed jobs.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import SecretStr

from lzc_flows.database.server import find_server, start_server
from lzc_flows.database.stores import CANDIDATES, TASKS, Database

SEED = 8
STRIKES = {
    "worker": 14,
    "engine": 14,
    "batch job": 4,
    "launcher": 4,
    "server": 6,
    "scancel": 2,
    "walltime": 3,
}
"""What is done to the campaign, and how often, in random order: 32 kills of workers and jobs, 6 of the server."""

TRIES_A_STRIKE = 2
"""So many jobs begin between two strikes: a slow machine is not struck more often than a fast one. All strikes would be
done after some 100 of at least 315, if each found its victim at once; a batch job that is old enough for the end of its
walltime is rare."""

STUCK_S = 900.0
"""Nothing has begun for so long: it will not end any more."""

STAGES = ("order", "relax", "bvse")

TARGETS = {
    "worker": "lzc_flows.launch.worker",
    "engine": "lzc_flows.engines.",
    "batch job": "rapidfire",
    "launcher": "launch",
}
"""What SIGKILL is sent to, by a word of its command line."""


def campaign() -> dict[str, Any]:
    """105 candidates of 27 atoms, three short jobs each."""
    return {
        "name": "chaos",
        "host": "lzc",
        "grid": {
            "supercell": [1, 1, 1],
            "cations": [
                *("Mg2+", "Zn2+", "Al3+", "Sc3+", "Ti3+", "V3+", "Ga3+", "In3+", "Y3+", "Hf4+", "Sn4+", "Nb5+", "Ta5+")
            ],
            "cation_sites": ["1a", "2d"],
            "cation_counts": [1],
            "anions": ["F-"],
            "anion_sites": ["6i"],
            "anion_counts": [1, 2, 3, 4],
            "undoped": True,
        },
        "stages": {
            "order": {"engine": "nep", "protocol": {"tiers": ["electrostatics", "symmetry"], "shortlist": 1}},
            "relax": {
                "engine": "nep",
                "protocol": {"fmax_ev_per_angstrom": 0.5, "max_steps": 200, "optimizer": "FIRE"},
            },
            "bvse": {"protocol": {"mobile": "Li+", "resolution_angstrom": 0.8, "cutoff_angstrom": 8.0}},
        },
        "ranking": {"performance": {"barrier_1d": 1.0, "barrier_3d": 1.0}, "cost_weight": 0.5},
    }


@dataclass
class Killer:
    """What disturbs a campaign: one random strike at a time."""

    cluster: Any
    log: Path
    random: random.Random = field(default_factory=lambda: random.Random(SEED))
    left: Counter[str] = field(default_factory=lambda: Counter(STRIKES))
    tries: int = 0

    @property
    def is_due(self) -> bool:
        """Whether there are strikes left, and enough has begun since the last one."""
        return self.left.total() > 0 and tries_of(self.cluster) >= self.tries + TRIES_A_STRIKE

    def strike(self) -> None:
        """Do one of the things that are left, if there is something to do it to."""
        (name,) = self.random.choices(list(self.left), list(self.left.values()))
        acts = {"scancel": self._cancel, "walltime": self._cut_walltime, "server": self._kill_server}
        act = acts.get(name, lambda: self._kill(TARGETS[name]))
        victim = act()
        if victim is not None:
            self.tries = tries_of(self.cluster)
            self.left[name] -= 1
            self.say(f"{name} {victim}")

    def say(self, words: str) -> None:
        """Write a line into the log."""
        with self.log.open("a") as stream:
            stream.write(f"{time.strftime('%H:%M:%S')} {words}\n")

    def _processes(self, word: str) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                ours = process.environ().get("LZC_CAMPAIGNS_DIR") == str(self.cluster.campaigns)
                if ours and any(part.startswith(word) for part in process.cmdline()[1:4]):
                    found.append(process)
        return found

    def _kill(self, word: str) -> int | None:
        victims = self._processes(word)
        if not victims:
            return None
        victim = self.random.choice(sorted(victims, key=lambda process: process.pid))
        with suppress(psutil.NoSuchProcess):
            victim.kill()
            return victim.pid
        return None

    def _kill_server(self) -> int | None:
        server = find_server(self.cluster.campaigns)
        if server is None:
            return None
        with suppress(psutil.NoSuchProcess):
            psutil.Process(server.pid).kill()
            return server.pid
        return None

    def _running_job(self) -> str | None:
        listed = self.cluster.slurm_says("squeue", "--noheader", "--states=RUNNING", "--format=%i %M")
        # a limit below what has passed is the end at once; younger ones would get a minute yet
        old = [line.split()[0] for line in listed.splitlines() if int(line.split()[1].split(":")[0]) >= 1]
        return self.random.choice(old) if old else None

    def _cancel(self) -> str | None:
        job = self._running_job()
        if job is not None:
            self.cluster.slurm_says("scancel", job)
        return job

    def _cut_walltime(self) -> str | None:
        """Let SLURM end a job by its walltime, earlier than the job was told."""
        job = self._running_job()
        if job is not None:
            self.cluster.slurm_says("scontrol", "update", f"JobId={job}", "TimeLimit=1")
        return job


def tries_of(cluster: Any) -> int:
    """How many jobs of the campaign have begun, those that begin again included."""
    return sum(1 for _ in (cluster.campaigns / "chaos" / "launches").glob("*/*/*"))


@pytest.fixture
def finish(write_campaign: Callable[..., Path]) -> Callable[..., Counter[str]]:
    """Run the campaign to its end, with a killer or without; return what a person had to do."""

    def run(cluster: Any, killer: Killer | None) -> Counter[str]:
        path = write_campaign(cluster, campaign())
        cluster.adapter(walltime="00:03:00")
        command = ("launch", path, "--launchpad", cluster.launchpad, "--max-jobs", 2, "--every", 2)
        log, deeds = cluster.root / "launch.log", Counter[str]()
        while True:
            deeds["lzc launch"] += 1
            launcher = cluster.start(*command, log=log)
            tries, moved = 0, time.monotonic()
            while launcher.poll() is None:
                time.sleep(0.2)
                if tries_of(cluster) > tries:
                    tries, moved = tries_of(cluster), time.monotonic()
                assert time.monotonic() < moved + STUCK_S, log.read_text()[-3000:]
                if killer and killer.is_due:
                    killer.strike()
            if launcher.returncode == 0:
                return deeds
            assert killer is not None, log.read_text()[-3000:]
            killer.say(f"lzc launch ended with {launcher.returncode}")
            # chance may kill the engine of one job more often than a calculation may fail
            recovered = cluster.lzc("recover", "chaos", "--tries", 20)
            assert recovered.returncode == 0, recovered.stderr
            killer.say(f"lzc recover: {recovered.stdout[-300:]}")
            deeds["lzc recover"] += 1

    return run


def database_of(cluster: Any) -> Database:
    return Database(SecretStr(start_server(cluster.campaigns).uri), "lzc_flows")


def ranking_of(cluster: Any) -> tuple[str, bytes]:
    """What `lzc rank` prints as JSON, and the table that it writes."""
    ranked = cluster.lzc("rank", "chaos", "--json")
    assert ranked.returncode == 0, ranked.stderr
    (table,) = (cluster.campaigns / "chaos" / "report").glob("*.csv")
    return ranked.stdout, table.read_bytes()


def cut_by_walltime(cluster: Any) -> int:
    """How many batch jobs SLURM has ended because of their walltime, as it says in their output."""
    outputs = (cluster.campaigns / "chaos" / "batch").glob("*/*.error")
    return sum("DUE TO TIME LIMIT" in output.read_text() for output in outputs)


def assert_each_once(cluster: Any, candidates: int) -> None:
    """Every stage of every candidate has one document with a result, one firework, and one summary tells of it."""
    database = database_of(cluster)
    stored = Counter(
        (document["metadata"]["stage"], document["metadata"]["key"])
        for document in database.collection(TASKS).find({"output": {"$exists": True}}, {"metadata": True})
    )
    assert set(stored.values()) == {1}
    assert Counter(stage for stage, _ in stored) == dict.fromkeys(STAGES, candidates)
    fireworks = list(database.collection("fireworks").find({}, {"state": True, "spec.key": True}))
    assert Counter(firework["state"] for firework in fireworks) == {"COMPLETED": len(STAGES) * candidates}
    assert len({firework["spec"]["key"] for firework in fireworks}) == len(STAGES) * candidates
    summaries = list(database.collection(CANDIDATES).find({}, {"key": True, "stages": True}))
    assert len({summary["key"] for summary in summaries}) == len(summaries) == candidates
    assert all(set(summary["stages"]) == set(STAGES) for summary in summaries)


@pytest.mark.slow
@pytest.mark.cluster
def test_a_campaign_in_chaos_ends_as_an_undisturbed_one(
    make_cluster: Callable[[str], Any], finish: Callable[..., Counter[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    calm = make_cluster("calm")
    finish(calm, None)
    wanted = ranking_of(calm)
    candidates = len(json.loads(wanted[0])["rows"])
    assert candidates >= 100
    assert_each_once(calm, candidates)
    calm_s = time.monotonic() - began

    wild = make_cluster("wild")
    killer = Killer(wild, wild.root / "chaos.log")
    deeds = finish(wild, killer)
    with capsys.disabled():
        print(f"\nundisturbed: {candidates} candidates, {calm_s:.0f} s")
        print(f"chaos: {time.monotonic() - began - calm_s:.0f} s; {STRIKES}, left {dict(+killer.left)}")
        print(f"  {dict(deeds)}; {tries_of(wild)} jobs begun; {cut_by_walltime(wild)} batch jobs cut by their walltime")
        print(f"  checksum of the ranking: {hashlib.sha256(wanted[0].encode()).hexdigest()[:16]}")
    assert killer.left.total() == 0
    assert cut_by_walltime(wild) > 0
    assert_each_once(wild, candidates)
    assert ranking_of(wild) == wanted
