from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fireworks import LaunchPad

from lzc_flows.database.stores import Database
from lzc_flows.flows.candidate import Campaign
from lzc_flows.flows.spec import parse_campaign
from lzc_flows.launch.launchpad import open_launchpad

_SLURM_LOCAL = Path(__file__).parents[2] / "launchpad" / "slurm-local"
_SLURM = ("sbatch", "sinfo", "squeue", "slurmctld", "slurmd", "munged")


@pytest.fixture
def launchpad(database: Database) -> LaunchPad:
    return open_launchpad(database)


@pytest.fixture(scope="session")
def campaign_of() -> Callable[[dict[str, Any]], Campaign]:
    """The campaign of a file's content."""
    return lambda content: Campaign(parse_campaign(content, where="c.yaml", folder=Path()))


@pytest.fixture
def campaign(tiny: Callable[[], dict[str, Any]], campaign_of: Callable[..., Campaign]) -> Campaign:
    """Two candidates, undoped and Ti3+."""
    return campaign_of(tiny())


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The value of SLURM_CONF of a SLURM of our own."""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    if os.geteuid() or not all(shutil.which(name, path=path) for name in _SLURM):
        pytest.skip("SLURM is not installed, or needs root")
    environment = os.environ | {"SLURM_LOCAL_DIR": str(tmp_path_factory.mktemp("slurm") / "local")}
    up = subprocess.run(
        ["bash", _SLURM_LOCAL / "up.sh"], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    yield up.stdout.strip().removeprefix("export SLURM_CONF=")
    subprocess.run(["bash", _SLURM_LOCAL / "down.sh"], env=environment, capture_output=True, check=True, timeout=120)
