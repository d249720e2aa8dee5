"""Whether this machine has what the project needs, looked at without starting or changing anything."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Set
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from packaging.requirements import Requirement

from lzc_flows.errors import CalculationError, InputError
from lzc_flows.launch.doctor_engines import engine_findings
from lzc_flows.launch.findings import Finding
from lzc_flows.settings import get_settings

DEFAULT_ENGINES = frozenset(("nep", "chgnet"))
"""Engines that a campaign takes where it names none."""

LITTLE_SPACE_GB = 10.0
"""Less free space is warned of, in GB: the trajectory of a long run has some tenths of one, a folder of VASP a few."""

PACKAGE = "lzc-flows"

_TOLD = ("atomate2", "custodian", "pymatgen", "jobflow", "FireWorks", "maggma", "ase")
"""Packages whose versions are told."""


def machine_findings(engines: Set[str] = DEFAULT_ENGINES) -> list[Finding]:
    """Return all that is found on this machine, given the engines that are needed; quick, and nothing is started."""
    first = [Finding("python", "ok", platform.python_version()), _packages(), _settings()]
    if first[-1].status == "missing":
        return first  # nothing else can be asked for without them
    return [*first, _disk(), *_stores(), *engine_findings(engines), _batch_system()]


def _packages() -> Finding:
    """Return whether every package is there, in a version that is wanted."""
    wanted = [Requirement(line) for line in requires(PACKAGE) or [] if "extra ==" not in line]
    wrong = []
    for requirement in wanted:
        try:
            there = version(requirement.name)
        except PackageNotFoundError:
            there = "none"
        if there == "none" or not requirement.specifier.contains(there, prereleases=True):
            wrong.append(f"{requirement} (there: {there})")
    if wrong:
        return Finding("packages", "missing", "", f"wanted: {', '.join(wrong)}; run `pip install --upgrade {PACKAGE}`")
    told = ", ".join(f"{name} {version(name)}" for name in _TOLD)
    return Finding("packages", "ok", f"{PACKAGE} {version(PACKAGE)} with {len(wanted)} packages: {told}")


def _settings() -> Finding:
    def look() -> str:
        get_settings()
        names = sorted(name for name in os.environ if name.startswith("LZC_"))
        return ", ".join(names) or "no LZC_ variable is set: all defaults"

    return Finding.of("settings", look, needed=True)


def _disk() -> Finding:
    """Return how much space the campaigns have."""
    folder = get_settings().campaigns_dir
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        hint = "it cannot be written: set LZC_CAMPAIGNS_DIR to a folder that can"
        return Finding.lacking("campaigns folder", hint, needed=True, found=str(folder))
    free_gb = shutil.disk_usage(there).free / 1e9
    found = f"{folder}, {free_gb:.0f} GB free"
    if free_gb < LITTLE_SPACE_GB:
        return Finding("campaigns folder", "warning", found, "little space for trajectories and output of DFT programs")
    return Finding("campaigns folder", "ok", found)


def _stores() -> list[Finding]:
    """Return whether the database answers, and where jobs leave their results."""
    try:
        return [Finding("database", "ok", _database()), _job_store()]
    except (InputError, CalculationError) as error:
        return [Finding.lacking("database", str(error), needed=True), _job_store()]


def _database() -> str:
    """Return which database is used, and how many fireworks and task documents it has."""
    from pydantic import SecretStr

    from lzc_flows.database.address import collection_counts, mongo_uri, redacted
    from lzc_flows.database.server import daemon_path, find_server

    settings = get_settings()
    if settings.mongo_uri is None:
        server = find_server(settings.campaigns_dir)
        if server is None:
            daemon_path()  # says what is not installed
            return "embedded, not running: the first command that needs it starts it"
        uri, place = SecretStr(server.uri), f"embedded, process {server.pid}, at {redacted(server.uri)}"
    else:
        uri = mongo_uri()
        place = redacted(uri.get_secret_value())
    counts = collection_counts(uri, settings.mongo_database, settings.mongo_timeout_s)
    queue = f"{counts.get('fireworks', 0)} fireworks, {counts.get('tasks', 0)} task documents"
    return f"{place}; {settings.mongo_database} has {queue}"


def _job_store() -> Finding:
    """Return where results go; jobs with large data fail at their end in a store that has no place for these."""
    name = "job store"
    own = f"lzc's own workers: collections tasks and tasks_data of {get_settings().mongo_database}"
    try:
        from jobflow import SETTINGS
    except Exception as error:  # whatever is wrong with its file; the message may hold an address
        hint = f"jobflow's settings cannot be read ({type(error).__name__}): mend the file of JOBFLOW_CONFIG_FILE"
        return Finding.lacking(name, hint, needed=True)
    if "JOB_STORE" not in SETTINGS.model_fields_set:
        return Finding(name, "ok", f"{own}; none for rlaunch (launchpad/jobflow.yaml is one)")
    store: Any = SETTINGS.JOB_STORE
    if "data" not in store.additional_stores:
        hint = (
            f"{SETTINGS.CONFIG_FILE} has no additional store `data`: under rlaunch, bvse, aimd and cineb would fail at "
            "their end; take it from launchpad/jobflow.yaml"
        )
        return Finding(name, "warning", own, hint)
    return Finding(name, "ok", f"{own}; for rlaunch {SETTINGS.CONFIG_FILE}, which has `data`")


def _batch_system() -> Finding:
    """Return whether there is SLURM, and when it ends this process as far as that is known."""
    name, stop_at_s = "batch system", get_settings().stop_at_s
    there = [command for command in ("sbatch", "squeue") if shutil.which(command)]
    job = os.environ.get("SLURM_JOB_ID")
    words = [f"SLURM ({', '.join(there)})" if there else "none", f"in job {job}" if job else ""]
    if stop_at_s is not None:
        words.append(f"long runs stop in order at {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(stop_at_s))}")
    found = ", ".join(filter(None, words))
    if job and stop_at_s is None:
        hint = "its end is not known: set LZC_WALLTIME_END_S, or long runs are killed where they stand"
        return Finding(name, "warning", found, hint)
    return Finding(name, "ok", found)


def is_well(findings: list[Finding]) -> bool:
    """Return whether nothing that is needed is missing."""
    return all(finding.status != "missing" for finding in findings)
