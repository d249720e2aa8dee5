"""FireWorks' own programs on the files of `lzc init`: they see lzc's queue, run its jobs and store in its database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fireworks import LaunchPad
from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter

from lzc_flows.database.stores import Database
from lzc_flows.flows.candidate import Campaign
from lzc_flows.launch.launchpad import open_launchpad
from lzc_flows.launch.submit import submit
from lzc_flows.settings import get_settings

SCRIPTS = Path(sys.executable).parent

Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(database: Database, lzc: Callable, campaign: Campaign, tmp_path: Path) -> Path:
    """The files, and the tiny campaign in the queue: two jobs of its first stage."""
    done = lzc("init", tmp_path / "launch pad", "--cores", 1, "--walltime", "00:10:00", "--yes", "--json")
    assert done.code == 0, done.err
    submit(campaign, database, open_launchpad(database))
    return tmp_path / "launch pad"


@pytest.fixture
def launchpad(database: Database) -> LaunchPad:
    return open_launchpad(database)


@pytest.fixture
def shell(folder: Path, tmp_path: Path) -> Shell:
    """Run a program of FireWorks in a shell that has sourced env.sh and nothing else of lzc's or FireWorks'."""
    mine = ("LZC_", "FW_", "JOBFLOW_", "ATOMATE2_", "SLURM_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
    models = {"LZC_MODELS_DIR": str(get_settings().models_dir)}
    place = tmp_path / "work"
    place.mkdir()

    def run(program: str, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        words = ["/bin/sh", "-c", '. "$0" && exec "$@"', folder / "env.sh", SCRIPTS / program, *map(str, arguments)]
        environment = clean | models | {"OMP_NUM_THREADS": "1"} | variables
        return subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=300, cwd=place, env=environment
        )

    return run


def states(launchpad: LaunchPad) -> dict[str, int]:
    counts: dict[str, int] = {}
    for firework in launchpad.fireworks.find({}, {"state": True}):
        counts[firework["state"]] = counts.get(firework["state"], 0) + 1
    return counts


def test_lpad_sees_the_queue(shell: Shell, folder: Path) -> None:
    done = shell("lpad", "get_wflows", "-d", "count")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "2"), done.stderr
    done = shell("lpad", "-c", folder, "get_fws", "-s", "READY", "-d", "less")
    assert done.returncode == 0, done.stderr
    ready = json.loads(done.stdout[done.stdout.index("[") :])
    assert {firework["state"] for firework in ready} == {"READY"}
    assert "Found many potential paths" not in done.stdout


def test_rlaunch_completes_a_job_and_its_document_is_lzcs(
    shell: Shell, launchpad: LaunchPad, database: Database
) -> None:
    done = shell("rlaunch", "singleshot")
    assert done.returncode == 0, done.stderr
    assert states(launchpad) == {"COMPLETED": 1, "READY": 1}, done.stdout
    (task,) = database.collection("tasks").find({})
    assert task["metadata"]["stage"] == "order"
    completed = launchpad.fireworks.find_one({"state": "COMPLETED"})
    assert completed["spec"]["key"] == task["metadata"]["key"]


def test_qlaunch_renders_the_job(shell: Shell, folder: Path, tmp_path: Path, launchpad: LaunchPad) -> None:
    """Run by hand as SLURM would run it, the script of the queue adapter completes a job."""
    adapter = CommonAdapter.from_file(str(folder / "my_qadapter.yaml"))
    place = tmp_path / "job"
    place.mkdir()
    script = place / "FW_submit.script"
    script.write_text(adapter.get_script_str(str(place)))
    kept = ("PATH", "HOME", "TMPDIR")
    environment = {name: os.environ[name] for name in kept if name in os.environ} | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["bash", script], capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert states(launchpad) == {"COMPLETED": 1, "READY": 1}, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("mode", [(), ("-r",)])
def test_qlaunch_has_slurm_run_a_job(
    slurm: str, shell: Shell, launchpad: LaunchPad, wait_until: Callable[..., None], mode: tuple[str, ...]
) -> None:
    """In both modes of FireWorks: the job takes what is there, or what was reserved for it."""
    done = shell("qlaunch", *mode, "singleshot", SLURM_CONF=slurm)
    assert done.returncode == 0, done.stderr
    assert "Job submission was successful" in done.stdout + done.stderr or "submitting queue script" in done.stdout
    wait_until(lambda: "COMPLETED" in states(launchpad), timeout_s=240)
    assert states(launchpad) == {"COMPLETED": 1, "READY": 1}
