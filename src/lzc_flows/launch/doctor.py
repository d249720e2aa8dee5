"""Whether this machine has what the project needs, looked at without starting anything or leaving anything behind."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Set
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from lzc_flows.launch.doctor_database import database_findings
from lzc_flows.launch.doctor_engines import engine_findings
from lzc_flows.launch.doctor_files import fireworks_findings, job_store_finding
from lzc_flows.launch.doctor_queue import queue_findings
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
    """Return all that is found on this machine, given the engines that are needed."""
    first = [Finding("python", "ok", platform.python_version()), _packages(), _settings()]
    if first[-1].status == "missing":
        return first  # nothing else can be asked for without them
    stores = [*database_findings(), job_store_finding()]
    return [*first, _disk(), *stores, *fireworks_findings(), *engine_findings(engines), *queue_findings()]


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


def is_well(findings: list[Finding]) -> bool:
    """Return whether nothing that is needed is missing."""
    return all(finding.status != "missing" for finding in findings)
