"""What needs no SLURM; tests/cluster has what does. Programs that are not SLURM's stand where its would be missing."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from fireworks import LaunchPad

from lzc_flows.database.stores import Database
from lzc_flows.errors import InputError
from lzc_flows.flows.candidate import Campaign
from lzc_flows.launch.queue import QueueSetting, job_script, jobs_wanted, launch_round
from lzc_flows.launch.queue_adapter import SlurmAdapter, load_adapter, words_of_slurm
from lzc_flows.launch.run import Setting
from lzc_flows.launch.submit import submit

ADAPTER = {
    "_fw_name": "CommonAdapter",
    "_fw_q_type": "SLURM",
    "_fw_timeout": 30,
    "_max_jobs": 20,
    "job_name": "lzc",
    "nodes": 1,
    "ntasks": 4,
    "walltime": "24:00:00",
    "pre_rocket": "module load vasp\nexport LZC_MONGO_DATABASE=another",
    "rocket_launch": "rlaunch singleshot",
}


@pytest.fixture
def adapter(tmp_path: Path) -> Callable[..., SlurmAdapter]:
    """The adapter of a configuration folder with these changes."""

    def load(**changes: object) -> SlurmAdapter:
        (tmp_path / "my_qadapter.yaml").write_text(yaml.safe_dump(ADAPTER | changes))
        return load_adapter(tmp_path, file_name="my_qadapter.yaml")

    return load


@pytest.fixture
def setting(
    database: Database, campaign: Campaign, launchpad: LaunchPad, tmp_path: Path, adapter: Callable[..., SlurmAdapter]
) -> Callable[..., QueueSetting]:
    run = Setting(campaign, database, launchpad, tmp_path / "campaigns" / "tiny", workers=4)
    return lambda *given, **changes: QueueSetting(run, adapter(**changes), *given)


@pytest.mark.parametrize(
    ("mode", "ready", "in_queue", "wanted"),
    [
        ("rapid", 0, 0, 0),
        ("rapid", 1, 0, 1),
        ("rapid", 4, 0, 1),  # four workers a job
        ("rapid", 9, 0, 3),
        ("rapid", 9, 2, 1),
        ("rapid", 900, 0, 3),
        ("rapid", 900, 3, 0),
        ("rapid", 900, 5, 0),  # another has allowed more before
        ("reservation", 1, 0, 1),
        ("reservation", 900, 1, 2),
        ("reservation", 2, 2, 1),  # what those in the queue are for is not ready any more
        ("reservation", 0, 1, 0),
    ],
)
def test_as_many_jobs_as_there_is_work_for(
    setting: Callable[..., QueueSetting], mode: str, ready: int, in_queue: int, wanted: int
) -> None:
    assert jobs_wanted(setting(3, mode), ready, in_queue) == wanted


def test_the_job_has_the_settings_of_the_launch_whatever_its_prologue_sets(
    setting: Callable[..., QueueSetting], tmp_path: Path
) -> None:
    script = job_script(setting(1, "rapid"))
    # what stands for the command prints what it would see
    script = script.replace("exec ", "printenv LZC_MONGO_DATABASE LZC_WALLTIME_END_S; pwd; exec echo ")
    (tmp_path / "campaigns" / "tiny" / "batch").mkdir(parents=True)
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "scontrol").write_text('#!/bin/sh\necho "JobId=$3 StartTime=Unknown EndTime=2026-01-01T00:00:00 X=1"\n')
    (tools / "scontrol").chmod(0o755)
    environment = {"PATH": f"{tools}:/usr/bin:/bin", "LZC_MONGO_DATABASE": "mine", "SLURM_JOB_ID": "7", "TZ": "UTC"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, check=True)
    database, end, folder, command = done.stdout.splitlines()
    assert (database, end, folder) == ("mine", "1767225600", str(tmp_path / "campaigns" / "tiny" / "batch"))
    assert command.endswith("lzc rapidfire tiny --workers 4")


def test_a_job_without_limit_has_no_end(setting: Callable[..., QueueSetting], tmp_path: Path) -> None:
    (tmp_path / "campaigns" / "tiny" / "batch").mkdir(parents=True)
    script = job_script(setting(1, "rapid")).replace("exec ", "echo ${LZC_WALLTIME_END_S-none} #")
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "scontrol").write_text("#!/bin/sh\necho JobId=$3 EndTime=Unknown X=1\n")
    (tools / "scontrol").chmod(0o755)
    environment = {"PATH": f"{tools}:/usr/bin:/bin", "SLURM_JOB_ID": "7"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "none\n"


def test_workers_per_gpu_reach_the_job(setting: Callable[..., QueueSetting]) -> None:
    assert "rapidfire tiny --workers-per-gpu 3\n" in job_script(setting(1, "rapid", 3))


def test_names_of_jobs_tell_folders_and_databases_apart(setting: Callable[..., QueueSetting], tmp_path: Path) -> None:
    here = setting(1)
    run = here.run
    other = QueueSetting(Setting(run.campaign, run.database, run.launchpad, tmp_path, 4), here.adapter, 1)
    assert here.job_name.startswith("lzc-tiny-")
    assert other.job_name != here.job_name


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, "No such file or directory; `lzc init` writes it"),
        ("a: [", "this is no YAML"),
        ("- 1", "`_fw_q_type: SLURM` is allowed"),
        ("_fw_q_type: PBS", "`_fw_q_type: SLURM` is allowed"),
        ("_fw_q_type: SLURM\n_fw_template_file: /no/such.txt", "its template /no/such.txt is not there"),
    ],
)
def test_a_bad_adapter_is_refused_in_one_line(tmp_path: Path, content: str | None, named: str) -> None:
    path = tmp_path / "my_qadapter.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError) as caught:
        load_adapter(tmp_path, file_name=path.name)
    assert str(caught.value).startswith(f"{path}: ")
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mode", ["rapid", "reservation"])
def test_a_queue_that_takes_nothing_leaves_nothing(
    setting: Callable[..., QueueSetting], launchpad: LaunchPad, mode: str
) -> None:
    """squeue answers, sbatch is not there."""
    commands = {"submit_cmd": "/no/sbatch", "status_cmd": "true"}
    given = setting(5, mode, _q_commands_override=commands)
    submit(given.run.campaign, given.run.database, launchpad)
    done = launch_round(given)
    assert done.refusal == "SLURM takes no job: /no/sbatch: No such file or directory"
    assert done.submitted == []
    assert {firework["state"] for firework in launchpad.fireworks.find({})} == {"READY"}
    assert list(given.jobs_folder.iterdir()) == []
    again = launch_round(given)
    assert (again.ready, again.refusal) == (2, done.refusal)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("/no/squeue", "/no/squeue is not there: `lzc launch` runs where SLURM's commands are"),
        ("false", "false says: nothing"),
    ],
)
def test_a_slurm_that_does_not_answer_is_one_line(
    setting: Callable[..., QueueSetting], launchpad: LaunchPad, command: str, said: str
) -> None:
    given = setting(5, _q_commands_override={"status_cmd": command})
    submit(given.run.campaign, given.run.database, launchpad)
    with pytest.raises(InputError) as caught:
        launch_round(given)
    assert str(caught.value) == said


def test_words_of_slurm_on_one_line() -> None:
    said = "sbatch: error: invalid partition specified: x\nsbatch: error: Batch job submission failed\n\n"
    assert words_of_slurm(said) == "invalid partition specified: x; Batch job submission failed"
    assert words_of_slurm("") == "nothing"
