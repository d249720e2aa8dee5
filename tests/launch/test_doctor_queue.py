"""The doctor of the queue on a real SLURM of one node, and without one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from lzc_flows.launch.configuration import answers_of, external_server
from lzc_flows.launch.configuration_files import configuration_files
from lzc_flows.launch.configuration_write import replace_configuration
from lzc_flows.launch.doctor_queue import PATIENCE_S, queue_findings
from lzc_flows.launch.findings import Finding


@pytest.fixture
def configured(set_lzc: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Write the files of `lzc init` with these answers, and set FW_CONFIG_FILE."""
    for name in ("SLURM_JOB_ID", "SLURM_JOB_END_TIME"):
        monkeypatch.delenv(name, raising=False)

    def configure(**answers: Any) -> Path:
        folder = tmp_path / "launchpad"
        server = external_server(SecretStr("mongodb://host/"), "lzc")
        replace_configuration(folder, configuration_files(folder, answers_of(answers), server))
        monkeypatch.setenv("FW_CONFIG_FILE", str(folder / "FW_config.yaml"))
        return folder

    with set_lzc(LZC_CAMPAIGNS_DIR=str(tmp_path / "campaigns")):
        yield configure


def found() -> dict[str, Finding]:
    return {finding.name: finding for finding in queue_findings()}


# ---- a real one ----


def test_a_slurm_that_would_take_the_jobs(
    slurm: str, configured: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", slurm)
    folder = configured(cores=1, walltime="00:10:00")
    findings = found()
    assert findings["batch system"].status == "ok"
    assert findings["batch system"].found.startswith("SLURM with partitions ")
    assert "0 jobs of yours in its queue" in findings["batch system"].found
    adapter = findings["queue adapter"]
    assert (adapter.status, adapter.found) == ("ok", f"{folder}/my_qadapter.yaml: SLURM would take its job")
    # nothing is queued
    queue = subprocess.run(["squeue", "--noheader"], capture_output=True, text=True, check=True, timeout=20)
    assert queue.stdout == ""


def test_a_slurm_that_refuses_the_jobs(
    slurm: str, configured: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", slurm)
    folder = configured(cores=4096, gpus=64)
    findings = found()
    assert findings["queue adapter"].status == "missing"
    assert findings["queue adapter"].hint.startswith(f"SLURM refuses the job of {folder}/my_qadapter.yaml: ")
    assert "allocation failure" in findings["queue adapter"].hint
    # not every cluster has GPUs
    assert findings["queue adapter (GPU)"].status == "warning"
    configured(partition="nowhere")
    hint = found()["queue adapter"].hint
    assert f"{folder}/my_qadapter.yaml has partition 'nowhere', allowed are " in hint


# ---- none, or none that answers ----


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """Put shell scripts of these names first on the PATH: a SLURM that is broken cannot be had otherwise."""

    def put(scripts: dict[str, str]) -> None:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        for name, body in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{body}\n")
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    return put


DEAD = "echo 'slurm_load_partitions: Unable to contact slurm controller (connect failure)' >&2; exit 1"


def test_a_controller_that_is_gone(configured: Callable[..., Path], programs: Callable[..., None]) -> None:
    programs({"sbatch": "exit 1", "sinfo": DEAD})
    # without the files of init nothing wants SLURM
    assert found()["batch system"].status == "warning"
    configured()
    findings = found()
    assert findings["batch system"].status == "missing"
    assert "sinfo fails: slurm_load_partitions: Unable to contact slurm controller" in findings["batch system"].hint
    assert findings["queue adapter"].status == "warning"


def test_a_queue_that_hangs_is_not_waited_for(
    configured: Callable[..., Path], programs: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lzc_flows.launch.doctor_queue.PATIENCE_S", 0.2)
    assert PATIENCE_S > 1
    programs({"sbatch": "exec sleep 60", "sinfo": "exec sleep 60"})
    configured()
    assert found()["batch system"].hint == "sinfo has not answered within 0.2 s: is SLURM up?"
    programs({"sinfo": "echo main", "squeue": "exec sleep 60"})
    findings = found()
    assert "squeue has not answered" in findings["batch system"].found
    assert findings["queue adapter"].hint == "sbatch has not answered within 0.2 s: is SLURM up?"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "is not what FireWorks reads"),
        ("_fw_name: Nothing\n_fw_q_type: SLURM\n", "is not FireWorks' CommonAdapter for SLURM"),
        ("_fw_name: CommonAdapter\n", "is not FireWorks' CommonAdapter for SLURM"),
        ("_fw_name: CommonAdapter\n_fw_q_type: SLURM\n", "its rocket_launch starts '', which is not there"),
        (
            "_fw_name: CommonAdapter\n_fw_q_type: SLURM\nrocket_launch: /no/rlaunch singleshot\n",
            "its rocket_launch starts '/no/rlaunch', which is not there",
        ),
        (
            '_fw_name: CommonAdapter\n_fw_q_type: SLURM\nrocket_launch: "rlaunch \'x"\n',
            "its rocket_launch is no command",
        ),
    ],
)
def test_adapters_that_cannot_be_used(
    configured: Callable[..., Path], programs: Callable[..., None], text: str, said: str
) -> None:
    programs({"sbatch": "exit 0", "sinfo": "echo main", "squeue": "exit 0"})
    folder = configured()
    assert found()["queue adapter"].status == "ok"
    (folder / "my_qadapter.yaml").write_text(text)
    adapter = found()["queue adapter"]
    assert (adapter.status, len(adapter.hint.splitlines())) == ("missing", 1)
    assert said in adapter.hint
