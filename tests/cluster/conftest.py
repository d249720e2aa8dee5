from __future__ import annotations

import json
import os
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

SLURM_LOCAL = Path(__file__).parents[2] / "launchpad" / "slurm-local"
LZC = Path(sysconfig.get_path("scripts")) / "lzc"


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The configuration of a SLURM of one node: the one of `SLURM_CONF` if it answers, else one for these tests."""
    given = os.environ.get("SLURM_CONF")
    if given and subprocess.run(["sinfo"], capture_output=True, check=False).returncode == 0:
        yield Path(given)
        return
    folder = tmp_path_factory.mktemp("slurm") / "local"
    environment = os.environ | {"SLURM_LOCAL_DIR": str(folder)}
    up = subprocess.run([SLURM_LOCAL / "up.sh"], capture_output=True, text=True, check=False, env=environment)
    if up.returncode:
        pytest.skip(f"no SLURM can be brought up: {up.stderr.strip()}")
    yield folder / "slurm.conf"
    subprocess.run([SLURM_LOCAL / "down.sh"], check=True, env=environment)


@dataclass(frozen=True)
class Cluster:
    """A campaigns folder with an embedded server of its own, and its configuration for SLURM."""

    root: Path
    slurm: Path
    started: list[subprocess.Popen] = field(default_factory=list)

    @property
    def campaigns(self) -> Path:
        return self.root / "campaigns"

    @property
    def launchpad(self) -> Path:
        return self.root / "launchpad"

    @property
    def environment(self) -> dict[str, str]:
        """What `lzc` and SLURM's commands see: nothing of another campaigns folder."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LZC_")}
        if "LZC_MODELS_DIR" in os.environ:
            kept["LZC_MODELS_DIR"] = os.environ["LZC_MODELS_DIR"]
        ours = {"LZC_CAMPAIGNS_DIR": str(self.campaigns), "LZC_WALLTIME_MARGIN_S": "10", "SLURM_CONF": str(self.slurm)}
        return kept | ours | {"OMP_NUM_THREADS": "1"}

    def start(self, *arguments: object, log: Path) -> subprocess.Popen:
        """Start `lzc` in the background."""
        with log.open("a") as stream:
            command = [str(LZC), *map(str, arguments)]
            process = subprocess.Popen(command, env=self.environment, stdout=stream, stderr=stream, cwd=self.root)
        self.started.append(process)
        return process

    def lzc(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run `lzc` to its end."""
        command = [str(LZC), *map(str, arguments)]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, cwd=self.root, timeout=600, check=False
        )

    def slurm_says(self, *command: str) -> str:
        """What a command of SLURM prints."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        return done.stdout

    def states(self, campaign: str) -> dict[str, dict[str, int]]:
        """Fireworks by stage and state."""
        found = self.lzc("status", campaign, "--json")
        assert found.returncode == 0, found.stderr
        return json.loads(found.stdout)["counts"]

    def adapter(self, **changes: Any) -> None:
        """Change the queue adapter that `lzc init` wrote."""
        path = self.launchpad / "my_qadapter.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))


@pytest.fixture
def make_cluster(slurm: Path, tmp_path: Path) -> Iterator[Callable[[str], Cluster]]:
    """A new campaigns folder by name; its jobs and its server end with the test."""
    made: list[Cluster] = []

    def make(name: str) -> Cluster:
        cluster = Cluster(tmp_path / name, slurm)
        cluster.root.mkdir()
        made.append(cluster)
        init = cluster.lzc("init", cluster.launchpad, "--embedded", "--cores", 1, "--walltime", "00:10:00", "--yes")
        assert init.returncode == 0, init.stderr
        return cluster

    yield make
    for cluster in made:
        for process in cluster.started:
            process.kill()
            process.wait()
        jobs = cluster.slurm_says("squeue", "--noheader", "--format=%i %Z").splitlines()
        ours = [line.split()[0] for line in jobs if line.split()[1].startswith(str(cluster.root))]
        if ours:
            cluster.slurm_says("scancel", *ours)
        cluster.lzc("db", "stop")


@pytest.fixture
def write_campaign() -> Callable[[Cluster, dict[str, Any]], Path]:
    """Write a campaign's file into a cluster's folder."""

    def write(cluster: Cluster, content: dict[str, Any]) -> Path:
        path = cluster.root / f"{content['name']}.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., None]:
    def wait(condition: Callable[[], object], timeout_s: float = 300.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.2)

    return wait
