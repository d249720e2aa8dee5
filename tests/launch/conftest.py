from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fireworks import LaunchPad

from lzc_flows.database.stores import Database
from lzc_flows.flows.candidate import Campaign
from lzc_flows.flows.spec import parse_campaign
from lzc_flows.launch.launchpad import open_launchpad


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
def wait_until() -> Callable[..., None]:
    def wait(condition: Callable[[], object], timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    return wait
