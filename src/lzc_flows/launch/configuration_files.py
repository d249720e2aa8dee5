"""The files of `launchpad/`, from what `lzc init` was told: those of FireWorks, jobflow, atomate2, and `env.sh`."""

from __future__ import annotations

import re
import shlex
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from lzc_flows.database.address import credentials_of
from lzc_flows.database.stores import DATA, TASKS
from lzc_flows.launch.configuration import Answers, ServerChoice
from lzc_flows.settings import get_settings

PING_S = 60
"""How often a running job says that it lives, in s; FireWorks' own hour finds a lost one after four."""

PINGS_MISSED = 10
"""A job that has said nothing for so many is lost."""

MAX_JOBS = "_max_jobs"
"""Our own key of my_qadapter.yaml: most batch jobs at a time. FireWorks passes over keys that begin with `_`."""

CPU_QADAPTER_FILE = "my_qadapter.yaml"
GPU_QADAPTER_FILE = "my_qadapter_gpu.yaml"
URI_FILE = "mongo_uri"
LAUNCHPAD_FILE = "my_launchpad.yaml"
FW_CONFIG_FILE = "FW_config.yaml"
JOBFLOW_FILE = "jobflow.yaml"
ATOMATE2_FILE = "atomate2.yaml"
ENV_FILE = "env.sh"
ANSWERS_FILE = "init.yaml"


@dataclass(frozen=True)
class ConfigurationFile:
    """What one file is to hold; a secret one is for its owner's eyes only."""

    text: str
    secret: bool = False


@dataclass(frozen=True)
class Variant:
    """One of the two kinds of jobs, with and without GPUs: the names of its files, and how its worker is called."""

    worker: str
    fworker_file: str
    qadapter_file: str

    @classmethod
    def cpu(cls, answers: Answers) -> Variant:
        """Return the variant without GPUs, whose files have the names that FireWorks looks for."""
        return cls(answers.cluster, "my_fworker.yaml", CPU_QADAPTER_FILE)

    @classmethod
    def gpu(cls, answers: Answers) -> Variant:
        """Return the variant with GPUs."""
        return cls(f"{answers.cluster}-gpu", "my_fworker_gpu.yaml", GPU_QADAPTER_FILE)


def configuration_files(folder: Path, answers: Answers, server: ServerChoice) -> dict[str, ConfigurationFile]:
    """Return the files that belong into `folder`, an absolute path, by name."""
    cpu, gpu = Variant.cpu(answers), Variant.gpu(answers)
    wanted = {
        LAUNCHPAD_FILE: ConfigurationFile(_launchpad(server), secret=True),
        cpu.fworker_file: ConfigurationFile(_fworker(cpu)),
        gpu.fworker_file: ConfigurationFile(_fworker(gpu)),
        cpu.qadapter_file: ConfigurationFile(_qadapter(folder, answers, cpu, _cpu_resources(answers))),
        gpu.qadapter_file: ConfigurationFile(_qadapter(folder, answers, gpu, _gpu_resources(answers))),
        FW_CONFIG_FILE: ConfigurationFile(_fw_config(folder, cpu)),
        JOBFLOW_FILE: ConfigurationFile(_jobflow(server), secret=True),
        ATOMATE2_FILE: ConfigurationFile(_atomate2(answers)),
        ENV_FILE: ConfigurationFile(_env(folder, answers, server)),
        ANSWERS_FILE: ConfigurationFile(_answers(answers)),
        ".gitignore": ConfigurationFile(_template("gitignore")),
        "README.md": ConfigurationFile(_template("README.md")),
    }
    if not server.embedded and server.uri_file is None:
        wanted[URI_FILE] = ConfigurationFile(server.uri.get_secret_value() + "\n", secret=True)
    return wanted


def _launchpad(server: ServerChoice) -> str:
    parts = credentials_of(server.uri)
    timeout_ms = int(1000 * get_settings().mongo_timeout_s)
    content = {
        "host": parts.uri,
        "name": server.database,
        "uri_mode": True,
        "mongoclient_kwargs": {"serverSelectionTimeoutMS": timeout_ms, **parts.secrets},
        "user_indices": ["spec.key"],
        "strm_lvl": "INFO",
    }
    # lpad prints the host of a server that does not answer: user and password are not in it
    return _yaml("FireWorks' LaunchPad: lpad, rlaunch and qlaunch; the same server and database as lzc's.", content)


def _fworker(variant: Variant) -> str:
    content = {"name": variant.worker, "category": "", "query": "{}"}
    return _yaml("FireWorks' worker: takes every job; `query` and `category` would limit them.", content)


def _cpu_resources(answers: Answers) -> dict[str, Any]:
    return {"queue": answers.partition}


def _gpu_resources(answers: Answers) -> dict[str, Any]:
    return {"queue": answers.gpu_partition or answers.partition, "gres": f"gpu:{answers.gpus}"}


def _qadapter(folder: Path, answers: Answers, variant: Variant, resources: Mapping[str, Any]) -> str:
    launch = ["-c", str(folder), "-w", str(folder / variant.fworker_file)]
    modules = [f"module load {shlex.join(answers.modules)}"] if answers.modules else []
    content = {
        "_fw_name": "CommonAdapter",
        "_fw_q_type": "SLURM",
        "_fw_timeout": 30,  # s; of squeue on a busy cluster
        MAX_JOBS: answers.jobs_in_queue,
        "job_name": "lzc",
        **resources,
        "account": answers.account,
        "qos": answers.qos,
        "nodes": 1,
        "ntasks": answers.cores,
        "walltime": answers.walltime,
        "pre_rocket": "\n".join([*modules, f". {shlex.quote(str(folder / ENV_FILE))}"]),
        "rocket_launch": shlex.join([str(_scripts() / "rlaunch"), *launch, "singleshot"]),
    }
    told = {key: value for key, value in content.items() if value is not None}
    words = "FireWorks' queue adapter for SLURM; one job takes `ntasks` cores of one node. _max_jobs is lzc's."
    return _yaml(words, told)


def _fw_config(folder: Path, cpu: Variant) -> str:
    content = {
        "CONFIG_FILE_DIR": str(folder),
        "LAUNCHPAD_LOC": str(folder / LAUNCHPAD_FILE),
        "FWORKER_LOC": str(folder / cpu.fworker_file),
        "QUEUEADAPTER_LOC": str(folder / cpu.qadapter_file),
        "QUEUE_UPDATE_INTERVAL": 5,
        "PING_TIME_SECS": PING_S,
        "RUN_EXPIRATION_SECS": PINGS_MISSED * PING_S,
    }
    return _yaml("FireWorks' settings; times are in s.", content)


def _jobflow(server: ServerChoice) -> str:
    parts = credentials_of(server.uri)

    def store(kind: str, collection: str) -> dict[str, Any]:
        place = {"type": kind, "uri": parts.uri, "database": server.database, "collection_name": collection}
        return place | ({"mongoclient_kwargs": dict(parts.secrets)} if parts.secrets else {})

    content = {
        "JOB_STORE": {
            "docs_store": store("MongoStore", TASKS),
            "additional_stores": {"data": store("GridFSStore", DATA)},
        }
    }
    return _yaml("jobflow's stores: lzc's own collections, with the `data` store that large results need.", content)


def _atomate2(answers: Answers) -> str:
    content = {
        "VASP_CMD": answers.vasp,
        "VASP_GAMMA_CMD": answers.gamma_command,
        "VASP_CUSTODIAN_MAX_ERRORS": 5,
        "VASP_HANDLE_UNSUCCESSFUL": "error",
    }
    return _yaml("atomate2's settings that the jobs take; a variable ATOMATE2_... goes before one of these.", content)


def _env(folder: Path, answers: Answers, server: ServerChoice) -> str:
    settings = get_settings()
    variables = {
        "LZC_MONGO_DATABASE": server.database,
        "LZC_CAMPAIGNS_DIR": settings.campaigns_dir,
        "LZC_MODELS_DIR": settings.models_dir,
        "FW_CONFIG_FILE": folder / FW_CONFIG_FILE,
        "JOBFLOW_CONFIG_FILE": folder / JOBFLOW_FILE,
        "ATOMATE2_CONFIG_FILE": folder / ATOMATE2_FILE,
    }
    if not server.embedded:
        variables["LZC_MONGO_URI_FILE"] = server.uri_file or folder / URI_FILE
    if answers.potcars is not None:
        variables["PMG_VASP_PSP_DIR"] = answers.potcars
    lines = [
        "# What lzc, lpad, rlaunch and qlaunch need of a shell: `. env.sh`. No secret is in here.",
        "unset LZC_MONGO_URI LZC_MONGO_URI_FILE",
        *(f"export {name}={shlex.quote(str(value))}" for name, value in variables.items()),
        f'export PATH={shlex.quote(str(_scripts()))}:"$PATH"',
    ]
    return "\n".join(lines) + "\n"


def _answers(answers: Answers) -> str:
    told = answers.model_dump(mode="json", exclude_defaults=True)
    return _yaml("What `lzc init` was told: the defaults of the next time.", told)


def _scripts() -> Path:
    """Return the folder of this environment's commands."""
    return Path(sysconfig.get_path("scripts"))


def _template(name: str) -> str:
    return (files("lzc_flows.launch") / "templates" / name).read_text()


class _Dumper(yaml.SafeDumper):
    """Quotes each string that is not plainly one: YAML 1.1 and 1.2, both in use, disagree on 1e5, 0o17 and 01:00:00."""


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    is_plain = re.fullmatch(r"[A-Za-z_/][\w./ -]*[\w./]", text, re.ASCII)
    style = None if is_plain else "|" if "\n" in text else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _string)


def _yaml(about: str, content: Mapping[str, Any]) -> str:
    body = yaml.dump(dict(content), Dumper=_Dumper, sort_keys=False, allow_unicode=False, width=4096)
    return f"# {about}\n{body}"
