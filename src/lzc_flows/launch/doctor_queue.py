"""Whether SLURM answers here, and takes the jobs of the queue adapters."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from lzc_flows.errors import InputError
from lzc_flows.launch.doctor_files import command_of, qadapter_files, read_mapping
from lzc_flows.launch.findings import Finding
from lzc_flows.settings import get_settings

if TYPE_CHECKING:
    from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter

PATIENCE_S = 20.0
"""How long a command of SLURM is waited for, in s."""


def queue_findings() -> list[Finding]:
    """Return whether SLURM is here and answers, and whether it would take the job of each queue adapter."""
    adapters = qadapter_files()
    partitions = None
    refused = ""
    if shutil.which("sbatch"):
        try:
            partitions = _partitions()
        except InputError as error:
            refused = str(error)
    first = _batch_system(partitions, refused, needed=bool(adapters))
    return [first, *(_adapter(file, partitions) for file in adapters)]


def _partitions() -> list[str]:
    """Return the names of SLURM's partitions."""
    return sorted(set(_answer("sinfo", "--noheader", "--format=%R").split()))


def _answer(*command: str) -> str:
    """Return what a command of SLURM prints on stdout.

    Raises
    ------
    InputError
        It is not there, does not answer in time, or fails; with its own line.
    """
    done = _done(command)
    if done.returncode:
        raise InputError(f"{command[0]} fails: {_last_line(done.stderr)}; ask whoever runs the cluster")
    return done.stdout


def _done(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"{command[0]} has not answered within {PATIENCE_S:g} s: is SLURM up?") from None
    except OSError as error:
        raise InputError(f"{command[0]} cannot be run: {error.strerror}") from None


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it says nothing")


def _batch_system(partitions: list[str] | None, refused: str, *, needed: bool) -> Finding:
    """Return whether there is SLURM, and when it ends this process as far as that is known."""
    name, stop_at_s = "batch system", get_settings().stop_at_s
    job = os.environ.get("SLURM_JOB_ID")
    words = ["none" if partitions is None else _told(partitions), f"in job {job}" if job else ""]
    if stop_at_s is not None:
        words.append(f"long runs stop in order at {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(stop_at_s))}")
    found = ", ".join(filter(None, words))
    if job and stop_at_s is None:
        hint = "its end is not known: set LZC_WALLTIME_END_S, or long runs are killed where they stand"
        return Finding(name, "warning", found, hint)
    if refused:
        return Finding.lacking(name, refused, needed=needed, found=found)
    return Finding(name, "ok", found)


def _told(partitions: list[str]) -> str:
    try:
        mine = len(_answer("squeue", "--noheader", "--format=%A", f"--user={getpass.getuser()}").split())
    except InputError as error:
        return str(error)
    return f"SLURM with partitions {', '.join(partitions) or 'none'}; {mine} jobs of yours in its queue"


def _adapter(file: Path, partitions: list[str] | None) -> Finding:
    """Return whether FireWorks can read a queue adapter, and SLURM would take its job; nothing is queued."""
    is_gpu = file.stem.endswith("_gpu")
    name = "queue adapter (GPU)" if is_gpu else "queue adapter"
    try:
        adapter = _loaded(file)
        command_of(adapter.get("rocket_launch"))
        if partitions is None:
            return Finding(name, "warning", str(file), "no SLURM answers here: whether it takes the job is not known")
        partition = adapter.get("queue")
        if partition and not set(str(partition).split(",")) <= set(partitions):
            raise InputError(f"{file} has partition {partition!r}, allowed are {', '.join(partitions)}")
        _require_taken(adapter, file)
    except InputError as error:
        return Finding.lacking(name, str(error), needed=not is_gpu)
    return Finding(name, "ok", f"{file}: SLURM would take its job")


def _loaded(file: Path) -> CommonAdapter:
    content = read_mapping(file)
    # at its import FireWorks reads FW_config.yaml, and fails where that is not to its taste
    from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter

    try:
        if (content["_fw_name"], content["_fw_q_type"]) != ("CommonAdapter", "SLURM"):
            raise ValueError
        return CommonAdapter.from_dict(content)
    except Exception:  # whatever is wrong with it
        raise InputError(f"{file} is not FireWorks' CommonAdapter for SLURM: `lzc init --force` writes it") from None


def _require_taken(adapter: CommonAdapter, file: Path) -> None:
    """Raise `InputError` with SLURM's own line where it would refuse the job."""
    with TemporaryDirectory() as folder:
        script = Path(folder) / "job.sh"
        script.write_text(adapter.get_script_str(folder))
        done = _done(["sbatch", "--test-only", str(script)])
    if done.returncode:
        raise InputError(
            f"SLURM refuses the job of {file}: {_last_line(done.stderr)}; see `lzc init --help` for its options"
        )
