"""CP2K as it is installed: how it is started, its version, its data."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil
from atomate2 import SETTINGS

from lzc_flows.errors import InputError

NEWEST_FIRST = ("cp2k.psmp", "cp2k.popt", "cp2k.ssmp", "cp2k.sopt", "cp2k")
"""Names of CP2K's executable: with and without MPI."""

_VERSION_S = 60.0

_OPEN_MPI: Mapping[str, str] = {
    # a process that waits for a geometry, or for its fellows on a full machine, does not take a core meanwhile
    "OMPI_MCA_mpi_yield_when_idle": "1",
    # it refuses to run as root, where containers and test machines have nobody else
    **({"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"} if os.geteuid() == 0 else {}),
}

HINT = "install CP2K (Debian: `apt install cp2k`), or set ATOMATE2_CP2K_CMD to what starts it, such as 'srun cp2k.psmp'"


@dataclass(frozen=True)
class Cp2kInstallation:
    """What there is of CP2K.

    Attributes
    ----------
    command
        What starts it, without an input.
    executable
        Path of its executable; None where there is none.
    version
        Such as ``2023.1``; None where it does not say.
    data_dir
        Folder of bases and pseudopotentials; None where it is not known.
    problems
        What keeps it from running, each in one line that says what to do.
    """

    command: tuple[str, ...]
    executable: str | None
    version: str | None
    data_dir: Path | None
    problems: tuple[str, ...]


def cp2k_installation() -> Cp2kInstallation:
    """Return what there is of CP2K here, whether it can run or not."""
    return _installation(SETTINGS.CP2K_CMD if "CP2K_CMD" in SETTINGS.model_fields_set else None)


def cp2k_command() -> tuple[str, ...]:
    """Return what starts CP2K: atomate2's setting, or what is found: with MPI a process a core.

    Raises
    ------
    InputError
        There is no CP2K, or not its data.
    """
    installation = cp2k_installation()
    if installation.problems:
        raise InputError(f"engine 'cp2k': {installation.problems[0]}")
    return installation.command


def cp2k_environment() -> dict[str, str]:
    """Return the environment in which CP2K runs: one thread a process, as many processes as the command says."""
    return {"OMP_NUM_THREADS": "1", **_OPEN_MPI, **os.environ}


@cache
def _installation(setting: str | None) -> Cp2kInstallation:
    command = shlex.split(os.path.expandvars(setting)) if setting else _found_command()
    executable = next((shutil.which(word) for word in command if "cp2k" in Path(word).name), None)
    if executable is None or shutil.which(command[0]) is None:
        what = f"no command {setting!r}" if setting else "no CP2K"
        return Cp2kInstallation(tuple(command), None, None, None, (f"{what} here: {HINT}",))
    said = _said_of_itself(executable)
    version = re.search(r"CP2K version (\S+)", said)
    data_dir = _data_dir(said)
    problems = []
    if version is None:
        problems.append(f"{executable} does not tell its version: {HINT}")
    if data_dir is None:
        problems.append(
            "its data files (BASIS_MOLOPT, GTH_POTENTIALS) are not found: set CP2K_DATA_DIR to their folder"
        )
    return Cp2kInstallation(tuple(command), executable, version and version[1], data_dir, tuple(problems))


def _found_command() -> list[str]:
    """Return the command of the first executable there is, without atomate2's setting."""
    name = next((name for name in NEWEST_FIRST if shutil.which(name)), None)
    if name is None:
        return []
    if name.endswith(("psmp", "popt")) and shutil.which("mpirun"):
        return ["mpirun", "-np", str(psutil.cpu_count(logical=False) or 1), name]
    return [name]


def _said_of_itself(executable: str) -> str:
    """Return the output of ``cp2k --version``; empty where it fails."""
    command = [executable, "--version"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_VERSION_S, check=False, env=cp2k_environment()
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _data_dir(said: str) -> Path | None:
    """Return the folder of the environment, or else the one that was compiled in, if it holds the data."""
    # the flags are wrapped anywhere, and continued after three blanks
    compiled = re.search(r'__DATA_DIR="([^"]*)"', said.replace("\n   ", ""))
    named = os.environ.get("CP2K_DATA_DIR") or (compiled and compiled[1])
    if named and all((Path(named) / name).is_file() for name in ("BASIS_MOLOPT", "GTH_POTENTIALS")):
        return Path(named)
    return None
