from __future__ import annotations

import os

import pytest

from lzc_flows.launch.pool import cores, visible_gpus, worker_environment


@pytest.mark.parametrize(
    ("environment", "gpus"),
    [
        ({}, []),
        ({"CUDA_VISIBLE_DEVICES": "0"}, ["0"]),
        ({"CUDA_VISIBLE_DEVICES": "2,3", "SLURM_JOB_GPUS": "6,7"}, ["2", "3"]),  # as numbered inside the job
        ({"SLURM_JOB_GPUS": "6,7"}, ["6", "7"]),
        ({"CUDA_VISIBLE_DEVICES": "GPU-8a1, MIG-3f2"}, ["GPU-8a1", "MIG-3f2"]),
        ({"CUDA_VISIBLE_DEVICES": ""}, []),
        ({"CUDA_VISIBLE_DEVICES": "-1", "SLURM_JOB_GPUS": "0"}, []),  # hidden on purpose
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, []),
    ],
)
def test_the_gpus_of_a_job(environment: dict[str, str], gpus: list[str]) -> None:
    assert visible_gpus(environment) == gpus


def test_workers_share_the_gpus_evenly() -> None:
    environment = {"CUDA_VISIBLE_DEVICES": "4,5", "PATH": "/bin"}
    workers = [worker_environment(environment, number, 6) for number in range(6)]
    assert [worker["CUDA_VISIBLE_DEVICES"] for worker in workers] == ["4", "5"] * 3
    assert {worker["PATH"] for worker in workers} == {"/bin"}
    assert environment["CUDA_VISIBLE_DEVICES"] == "4,5"


def test_without_gpus_nothing_is_said_of_them() -> None:
    assert "CUDA_VISIBLE_DEVICES" not in worker_environment({}, 0, 2)
    assert worker_environment({"CUDA_VISIBLE_DEVICES": ""}, 0, 2)["CUDA_VISIBLE_DEVICES"] == ""


def test_workers_share_the_cores_of_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "12")
    assert cores() == 12
    assert [worker_environment({}, 0, size)["OMP_NUM_THREADS"] for size in (1, 4, 5, 99)] == ["12", "3", "2", "1"]
    monkeypatch.delenv("SLURM_CPUS_ON_NODE")
    assert cores() == os.cpu_count()
