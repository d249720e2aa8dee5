from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fireworks import LaunchPad
from pymongo import monitoring

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
def die_at() -> Callable[..., None]:
    """Run an action and be killed right after the server has done its `number`-th command."""

    def act(number: int, action: Callable[..., object], *arguments: object) -> None:
        class Killer(monitoring.CommandListener):
            done = 0

            def started(self, event: monitoring.CommandStartedEvent) -> None: ...

            def failed(self, event: monitoring.CommandFailedEvent) -> None: ...

            def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
                Killer.done += 1
                if Killer.done == number:
                    os.kill(os.getpid(), signal.SIGKILL)

        monitoring.register(Killer())
        action(*arguments)

    return act


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., None]:
    def wait(condition: Callable[[], object], timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    return wait
