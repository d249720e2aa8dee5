from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

COMMAND_S = 120.0
"""A command that takes longer hangs: they take a second or two."""

# the examples of each run are the same; `pytest tests/fuzz --hypothesis-profile fuzz-long` draws thousands of others
settings.register_profile(
    "fuzz",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=30,
    print_blob=False,
    # a database and a folder are enough for all examples of a test: each is refused or finished before the next
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("fuzz-long", settings.get_profile("fuzz"), derandomize=False, max_examples=3000)


@pytest.fixture(scope="session")
def lzc(lzc: Callable[..., Any]) -> Callable[..., Any]:
    """Run `lzc` in this process; a command that hangs fails the test."""

    def hang(*_: object) -> None:
        pytest.fail(f"the command has not ended within {COMMAND_S:g} s")  # no `Exception`: nothing catches it

    def run(*arguments: object) -> Any:
        before = signal.signal(signal.SIGALRM, hang)
        signal.setitimer(signal.ITIMER_REAL, COMMAND_S)
        try:
            return lzc(*arguments)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    return run
