"""FireWorks' queue adapter for SLURM, as `lzc init` writes it, with SLURM's own words where it refuses a job."""

from __future__ import annotations

import getpass
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml
from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter

from lzc_flows.documents.strict_yaml import one_line
from lzc_flows.errors import InputError
from lzc_flows.settings import get_settings

JOB_NAME = "_lzc_job_name"
"""Key that is set for each job: its name in SLURM, by which it is counted."""

REFUSAL_FILE = "sbatch.err"
"""What sbatch said where it took no job; in the folder of the job."""

_BEFORE = "lzc_settings=$(export -p | grep '^declare -x LZC_')"

_AFTER = """\
# the settings of the `lzc launch` that queued this job, whatever else has set some
unset ${!LZC_@}; eval "$lzc_settings"
# older SLURMs do not tell a job when it ends
lzc_end=$(scontrol show job "$SLURM_JOB_ID" -o | grep -o ' EndTime=[0-9T:-]*' | cut -d= -f2)
[ -z "$lzc_end" ] || export LZC_WALLTIME_END_S=$(date -d "$lzc_end" +%s)"""


@dataclass(frozen=True)
class QueuedJob:
    """A batch job that has not ended.

    Attributes
    ----------
    job_id
        SLURM's number.
    name
        Its name.
    state
        SLURM's word, such as PENDING or RUNNING.
    """

    job_id: str
    name: str
    state: str


class SlurmAdapter(CommonAdapter):
    """FireWorks' adapter with two things more: a job's name is ours, and what sbatch says is kept."""

    _fw_name = "{{lzc_flows.launch.queue_adapter.SlurmAdapter}}"

    def submit_to_queue(self, script_file: str) -> str | None:
        """Return the number of the job of this script; None where SLURM takes none, its words in `sbatch.err`."""
        command = [self._command("submit_cmd"), "--export=ALL", f"--job-name={self[JOB_NAME]}", script_file]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=_job_environment())
        except OSError as error:
            Path(REFUSAL_FILE).write_text(f"{command[0]}: {error.strerror}")
            return None
        if done.returncode:
            Path(REFUSAL_FILE).write_text(done.stderr or done.stdout or f"exit status {done.returncode}")
            return None
        return self._parse_jobid(done.stdout)

    def queued_jobs(self, prefix: str) -> list[QueuedJob]:
        """Return this user's jobs whose names begin with `prefix`.

        Raises
        ------
        InputError
            SLURM is not there or does not answer.
        """
        command = [self._command("status_cmd"), "--noheader", f"--user={getpass.getuser()}", "--format=%i|%T|%j"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=self.timeout)
        except FileNotFoundError:
            raise InputError(f"{command[0]} is not there: `lzc launch` runs where SLURM's commands are") from None
        except subprocess.TimeoutExpired:
            raise InputError(f"{command[0]} has not answered within {self.timeout} s") from None
        if done.returncode:
            raise InputError(f"{command[0]} says: {words_of_slurm(done.stderr)}")
        jobs = (
            QueuedJob(job, name, state) for job, state, name in (line.split("|", 2) for line in _lines(done.stdout))
        )
        return [job for job in jobs if job.name.startswith(prefix)]

    def _command(self, kind: str) -> str:
        return self.q_commands[self.q_type][kind]

    @property
    def cores(self) -> int:
        """Cores of one job, as far as the file says."""
        per_node = int(self.get("ntasks") or self.get("ntasks_per_node") or 1)
        return per_node * int(self.get("cpus_per_task") or 1)


def load_adapter(folder: Path, *, file_name: str) -> SlurmAdapter:
    """Return the queue adapter of a configuration folder.

    Raises
    ------
    InputError
        No such file, no adapter for SLURM, or a template that is not there.
    """
    path = folder.expanduser().absolute() / file_name
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; `lzc init` writes it, --launchpad names its folder") from None
    except yaml.YAMLError:
        raise InputError(f"{path}: this is no YAML") from None
    if not isinstance(content, dict) or content.get("_fw_q_type") != "SLURM":
        raise InputError(f"{path}: `_fw_q_type: SLURM` is allowed; `lzc init` writes such a file")
    adapter = SlurmAdapter.from_dict(content)
    if not Path(adapter.template_file).is_file():
        raise InputError(f"{path}: its template {adapter.template_file} is not there")
    adapter["pre_rocket"] = "\n".join(filter(None, (_BEFORE, adapter.get("pre_rocket"), _AFTER)))
    # nothing is left to do after it: the job is the command itself, and hears SLURM's signals
    adapter.pop("post_rocket", None)
    return adapter


def words_of_slurm(said: str) -> str:
    """Return what a command of SLURM said on one line, its own name left out."""
    lines = (re.sub(r"^\w+: (error: )?", "", line.strip()) for line in _lines(said))
    return one_line("; ".join(lines)) or "nothing"


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def _job_environment() -> dict[str, str]:
    settings = get_settings()
    # a job starts in another folder; its end is not that of the job which queues it
    inherited = {name: value for name, value in os.environ.items() if name != "LZC_WALLTIME_END_S"}
    absolute = {"LZC_CAMPAIGNS_DIR": settings.campaigns_dir, "LZC_MODELS_DIR": settings.models_dir}
    return inherited | {name: str(path) for name, path in absolute.items()}
