"""`lzc launch` and a real SLURM; skipped where none can be brought up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lzc_flows.database.server import start_server


@pytest.mark.slow
@pytest.mark.cluster
def test_a_campaign_goes_through_the_queue_to_its_end(
    make_cluster: Callable[[str], Any], write_campaign: Callable[..., Path], tiny: Callable[[], dict[str, Any]]
) -> None:
    cluster = make_cluster("c")
    path = write_campaign(cluster, tiny())
    done = cluster.lzc("launch", path, "--launchpad", cluster.launchpad, "--max-jobs", 1, "--every", 1, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["counts"] == {stage: {"COMPLETED": 2} for stage in ("order", "relax", "bvse")}
    again = cluster.lzc("launch", "tiny", "--launchpad", cluster.launchpad, "--json")
    assert json.loads(again.stdout)["submitted"] == []


@pytest.mark.slow
@pytest.mark.cluster
def test_a_reserved_firework_has_a_batch_job_of_its_own(
    make_cluster: Callable[[str], Any], write_campaign: Callable[..., Path], tiny: Callable[[], dict[str, Any]]
) -> None:
    cluster = make_cluster("c")
    path = write_campaign(cluster, tiny())
    options = ("--launchpad", cluster.launchpad, "--mode", "reservation", "--every", 1, "--json")
    done = cluster.lzc("launch", path, *options)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert len(document["submitted"]) == 6
    assert document["counts"] == {stage: {"COMPLETED": 2} for stage in ("order", "relax", "bvse")}


@pytest.mark.slow
@pytest.mark.cluster
def test_jobs_that_wait_are_counted_and_a_cancelled_reservation_comes_back(
    make_cluster: Callable[[str], Any], write_campaign: Callable[..., Path], tiny: Callable[[], dict[str, Any]]
) -> None:
    cluster = make_cluster("c")
    cluster.adapter(nodes="1 --hold")  # another option on the same line
    path = write_campaign(cluster, tiny())
    launch = ("--launchpad", cluster.launchpad, "--mode", "reservation", "--once", "--json")
    first = json.loads(cluster.lzc("launch", path, *launch, "--max-jobs", 1).stdout)
    assert first["counts"]["order"] == {"READY": 1, "RESERVED": 1}
    assert json.loads(cluster.lzc("launch", "tiny", *launch, "--max-jobs", 1).stdout)["submitted"] == []
    second = json.loads(cluster.lzc("launch", "tiny", *launch, "--max-jobs", 5).stdout)
    assert second["counts"]["order"] == {"RESERVED": 2}
    cluster.slurm_says("scancel", *first["submitted"], *second["submitted"])
    recovered = cluster.lzc("recover", "tiny")
    assert recovered.stdout.endswith("tiny: 2 lost and 0 failed jobs queued again\n")
    assert cluster.states("tiny")["order"] == {"READY": 2}


@pytest.mark.parametrize("mode", ["rapid", "reservation"])
def test_slurm_says_why_it_refuses(
    make_cluster: Callable[[str], Any],
    write_campaign: Callable[..., Path],
    tiny: Callable[[], dict[str, Any]],
    mode: str,
) -> None:
    cluster = make_cluster("c")
    cluster.adapter(queue="nowhere")
    path = write_campaign(cluster, tiny())
    refused = cluster.lzc("launch", path, "--launchpad", cluster.launchpad, "--mode", mode)
    assert (refused.returncode, refused.stdout) == (2, "")
    said = "SLURM takes no job: invalid partition specified: nowhere; Batch job submission failed: Invalid partition"
    assert refused.stderr.startswith(f"lzc: {said}")
    assert len(refused.stderr.splitlines()) == 1
    assert cluster.states("tiny")["order"] == {"READY": 2}
    assert list((cluster.campaigns / "tiny" / "batch").iterdir()) == []


def test_a_dry_run_submits_nothing(
    make_cluster: Callable[[str], Any], write_campaign: Callable[..., Path], tiny: Callable[[], dict[str, Any]]
) -> None:
    cluster = make_cluster("c")
    path = write_campaign(cluster, tiny())
    shown = cluster.lzc("launch", path, "--launchpad", cluster.launchpad, "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "#SBATCH --time=00:10:00" in shown.stdout
    assert "rapidfire tiny --workers 1" in shown.stdout
    assert not (cluster.campaigns / "tiny").exists()


@pytest.mark.slow
@pytest.mark.cluster
def test_a_cancelled_job_gives_back_what_it_had_in_hand(
    make_cluster: Callable[[str], Any],
    write_campaign: Callable[..., Path],
    tiny: Callable[[], dict[str, Any]],
    wait_until: Callable[..., None],
) -> None:
    cluster = make_cluster("c")
    content = tiny()
    content["stages"]["relax"]["protocol"] |= {"fmax_ev_per_angstrom": 1e-9, "max_steps": 1_000_000}  # never ends
    path = write_campaign(cluster, content)
    launch = ("launch", path, "--launchpad", cluster.launchpad, "--max-jobs", 1, "--once", "--json")
    (job,) = json.loads(cluster.lzc(*launch).stdout)["submitted"]
    wait_until(lambda: "RUNNING" in cluster.states("tiny")["relax"])
    cluster.slurm_says("scancel", job)
    wait_until(lambda: cluster.slurm_says("squeue", "--noheader", f"--jobs={job}") == "")
    assert cluster.states("tiny")["relax"] == {"READY": 2}
    (error,) = (cluster.campaigns / "tiny" / "batch").glob("*/*.error")
    assert "stopped by SLURM" in error.read_text()
    assert start_server(cluster.campaigns).data_dir.is_dir()  # the server outlives the job
