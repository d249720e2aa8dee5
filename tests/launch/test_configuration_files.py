from __future__ import annotations

import os
import shlex
import string
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from fireworks import FWorker
from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from ruamel.yaml import YAML

from lzc_flows.launch.configuration import Answers, ServerChoice, answers_of
from lzc_flows.launch.configuration_files import (
    CPU_QADAPTER_FILE,
    GPU_QADAPTER_FILE,
    MAX_JOBS,
    configuration_files,
)
from lzc_flows.launch.queue_adapter import load_adapter

ROOT = Path(__file__).parents[2]
PLAIN = ServerChoice(SecretStr("mongodb://host:27017/"), "lzc")
PASSWORD = "Sesame/0pen@x"
GUARDED = ServerChoice(SecretStr("mongodb://curie:Sesame%2F0pen%40x@host/?authSource=admin"), "lzc")


def texts(folder: Path, server: ServerChoice = PLAIN, **answers: Any) -> dict[str, str]:
    return {name: file.text for name, file in configuration_files(folder, answers_of(answers), server).items()}


def in_both_yamls(text: str) -> Any:
    """What YAML 1.1 and 1.2, PyYAML and FireWorks' ruamel, make of a text: the same."""
    one, other = yaml.safe_load(text), YAML(typ="safe", pure=True).load(text)
    assert one == other
    return one


words = st.text(string.ascii_letters + string.digits + "_.,+@-", min_size=1, max_size=12).filter(
    lambda word: word[0] not in ".,+@-"
)
commands = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)


def _is_command(text: str) -> bool:
    try:
        return bool(shlex.split(text)) and text.isprintable() and "$$" not in text
    except ValueError:
        return False


@given(account=words, partition=words, qos=words, cluster=words, vasp=commands.filter(_is_command))
def test_every_value_comes_back_from_yaml_as_it_was(
    account: str, partition: str, qos: str, cluster: str, vasp: str
) -> None:
    """1e5 and 0o17 are numbers to one YAML, 01:00:00 and `no` are none to the other."""
    told = {"account": account, "partition": partition, "qos": qos, "cluster": cluster, "vasp": vasp}
    found = texts(Path("/a b"), **told, walltime="1-01:00:00")
    adapter = in_both_yamls(found["my_qadapter.yaml"])
    assert (adapter["account"], adapter["queue"], adapter["qos"]) == (account, partition, qos)
    assert adapter["walltime"] == "1-01:00:00"
    assert in_both_yamls(found["my_fworker.yaml"])["name"] == cluster
    assert in_both_yamls(found["atomate2.yaml"])["VASP_CMD"] == vasp
    assert answers_of(in_both_yamls(found["init.yaml"])) == answers_of(told | {"walltime": "1-01:00:00"})


@given(password=st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20))
def test_a_password_comes_back_from_yaml_and_is_in_no_address(password: str) -> None:
    from urllib.parse import quote_plus

    uri = f"mongodb://curie:{quote_plus(password)}@host:27017/db?authSource=admin"
    found = texts(Path("/x"), ServerChoice(SecretStr(uri), "lzc"))
    launchpad = in_both_yamls(found["my_launchpad.yaml"])
    assert launchpad["host"] == "mongodb://host:27017/db?authSource=admin"
    secrets = {"username": "curie", "password": password}
    assert launchpad["mongoclient_kwargs"] == {"serverSelectionTimeoutMS": 5000, **secrets}
    for store in (
        (found_stores := in_both_yamls(found["jobflow.yaml"])["JOB_STORE"])["additional_stores"]["data"],
        (found_stores["docs_store"]),
    ):
        assert (store["uri"], store["mongoclient_kwargs"]) == (launchpad["host"], secrets)
    assert found["mongo_uri"] == uri + "\n"


def test_only_files_with_the_server_are_secret(tmp_path: Path) -> None:
    files = configuration_files(tmp_path, Answers(), GUARDED)
    secret = {name for name, file in files.items() if file.secret}
    assert secret == {"my_launchpad.yaml", "jobflow.yaml", "mongo_uri"}
    for name, file in files.items():
        assert name in secret or not {"Sesame", "curie"} & set(file.text.replace("/", " ").split())


def test_the_queue_script_of_a_job(tmp_path: Path) -> None:
    folder = tmp_path / "launch pad"
    told = {"partition": "long", "account": "chem-7", "qos": "high", "cores": 24, "modules": ("vasp/6.4.2", "mkl")}
    adapter = adapter_of(texts(folder, **told, walltime="12:00:00")["my_qadapter.yaml"], tmp_path)
    script = adapter.get_script_str("/jobs/1").splitlines()
    assert [line for line in script if line.startswith("#SBATCH")] == [
        "#SBATCH --nodes=1",
        "#SBATCH --ntasks=24",
        "#SBATCH --qos=high",
        "#SBATCH --time=12:00:00",
        "#SBATCH --partition=long",
        "#SBATCH --account=chem-7",
        "#SBATCH --job-name=lzc",
        "#SBATCH --output=lzc-%j.out",
        "#SBATCH --error=lzc-%j.error",
    ]
    assert script[script.index("module load vasp/6.4.2 mkl") :][:3] == [
        "module load vasp/6.4.2 mkl",
        f". '{folder}/env.sh'",
        "cd /jobs/1",
    ]
    launch = shlex.split(adapter["rocket_launch"])
    assert Path(launch[0]).name == "rlaunch"
    assert os.access(launch[0], os.X_OK)
    assert launch[1:] == ["-c", str(folder), "-w", f"{folder}/my_fworker.yaml", "singleshot"]


def test_what_is_not_told_is_left_to_slurm(tmp_path: Path) -> None:
    script = adapter_of(texts(tmp_path)["my_qadapter.yaml"], tmp_path).get_script_str("/jobs/1")
    for option in ("--partition", "--account", "--qos", "--gres", "$$"):
        assert option not in script


def test_the_gpu_variant_differs_in_partition_gpus_and_worker(tmp_path: Path) -> None:
    found = texts(tmp_path, partition="long", gpu_partition="gpu", gpus=4)
    cpu, gpu = (in_both_yamls(found[f"my_qadapter{kind}.yaml"]) for kind in ("", "_gpu"))
    assert {key for key in cpu | gpu if cpu.get(key) != gpu.get(key)} == {"queue", "gres", "rocket_launch"}
    assert (gpu["queue"], gpu["gres"]) == ("gpu", "gpu:4")
    assert gpu["rocket_launch"] == cpu["rocket_launch"].replace("my_fworker", "my_fworker_gpu")
    assert "#SBATCH --gres=gpu:4" in adapter_of(found["my_qadapter_gpu.yaml"], tmp_path).get_script_str("/jobs/1")
    assert in_both_yamls(texts(tmp_path, partition="long")["my_qadapter_gpu.yaml"])["queue"] == "long"
    workers = [FWorker.from_format(found[f"my_fworker{kind}.yaml"], "yaml").name for kind in ("", "_gpu")]
    assert workers == ["cluster", "cluster-gpu"]


def test_lzc_launch_takes_the_same_files(tmp_path: Path) -> None:
    for name, text in texts(tmp_path, jobs_in_queue=7).items():
        (tmp_path / name).write_text(text)
    for file_name in (CPU_QADAPTER_FILE, GPU_QADAPTER_FILE):
        assert load_adapter(tmp_path, file_name=file_name)[MAX_JOBS] == 7


def adapter_of(text: str, folder: Path) -> CommonAdapter:
    file = folder / "adapter.yaml"
    file.write_text(text)
    return CommonAdapter.from_file(str(file))


def test_a_shell_that_sources_env_sh(tmp_path: Path) -> None:
    """With the blanks and quotes that a folder may have, whatever the shell had before."""
    folder = tmp_path / 'it\'s a "launch" pad'
    folder.mkdir()
    (folder / "env.sh").write_text(texts(folder, potcars="/pot cars")["env.sh"])
    names = ("LZC_MONGO_URI", "LZC_MONGO_URI_FILE", "FW_CONFIG_FILE", "JOBFLOW_CONFIG_FILE", "PMG_VASP_PSP_DIR")
    shown = "; ".join(f'echo "{name}=${{{name}-unset}}"' for name in names)
    done = subprocess.run(
        ["/bin/sh", "-euc", f'. "$0"; {shown}; command -v lzc', folder / "env.sh"],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
        env={"LZC_MONGO_URI": "mongodb://curie:Sesame@old/", "PATH": "/usr/bin:/bin"},
    )
    lines = done.stdout.splitlines()
    assert lines[:5] == [
        "LZC_MONGO_URI=unset",
        f"LZC_MONGO_URI_FILE={folder}/mongo_uri",
        f"FW_CONFIG_FILE={folder}/FW_config.yaml",
        f"JOBFLOW_CONFIG_FILE={folder}/jobflow.yaml",
        "PMG_VASP_PSP_DIR=/pot cars",
    ]
    assert Path(lines[5]).name == "lzc"


def test_a_file_of_the_users_own_is_named_and_not_copied(tmp_path: Path) -> None:
    found = texts(tmp_path, ServerChoice(PLAIN.uri, "lzc", uri_file=Path("/safe/uri")))
    assert "mongo_uri" not in found
    assert "export LZC_MONGO_URI_FILE=/safe/uri\n" in found["env.sh"]
    embedded = texts(tmp_path, ServerChoice(PLAIN.uri, "lzc", embedded=True))
    assert "mongo_uri" not in embedded
    assert "export LZC_MONGO_URI_FILE" not in embedded["env.sh"]


def test_committed_files_are_those_that_are_written(tmp_path: Path) -> None:
    """So that `lzc init` in a clone finds nothing of another content; and no path of a machine is committed."""
    found = texts(tmp_path)
    for name in ("README.md", ".gitignore"):
        assert (ROOT / "launchpad" / name).read_text() == found[name]
    assert not list((ROOT / "launchpad").glob("*.yaml.in"))


def test_git_ignores_what_is_of_one_machine(tmp_path: Path, set_lzc: Callable) -> None:
    names = [*texts(tmp_path), "my_launchpad.yaml.bak"]
    for name in names:
        (tmp_path / name).write_text(texts(tmp_path).get(name, ""))
    subprocess.run(["git", "init", "-q", tmp_path], check=True, timeout=20)
    status = ["git", "-C", tmp_path, "status", "--porcelain", "--untracked-files=all"]
    done = subprocess.run(status, capture_output=True, text=True, check=True, timeout=20)
    assert {line[3:] for line in done.stdout.splitlines()} == {".gitignore", "README.md"}


@pytest.mark.parametrize("name", ["FW_config.yaml", "my_qadapter.yaml", "jobflow.yaml", "atomate2.yaml"])
def test_every_file_says_what_it_is(tmp_path: Path, name: str) -> None:
    assert texts(tmp_path)[name].startswith("# ")
