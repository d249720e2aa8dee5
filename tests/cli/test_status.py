"""`lzc status --watch`, on a terminal and where none is; what it counts is tested in tests/launch."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import sysconfig
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fireworks import LaunchPad

from lzc_flows.database.stores import Database
from lzc_flows.launch.launchpad import open_launchpad

WATCH = [Path(sysconfig.get_path("scripts")) / "lzc", "status", "tiny", "--watch", "--interval", "0.5"]
STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def launchpad(database: Database, lzc: Callable, tiny: Callable, campaign_file: Callable) -> LaunchPad:
    """With the first stage of a campaign queued."""
    assert lzc("submit", campaign_file(tiny())).code == 0
    return open_launchpad(database)


class Screen:
    """What a program writes to a terminal."""

    def __init__(self, end: int) -> None:
        self.end, self.written = end, ""

    def read_until(self, words: str) -> None:
        """Read until it has written these words; a program that has ended writes no more."""
        while words not in self.written:
            self._read()

    def read_to_the_end(self) -> None:
        """Read until the program has left the terminal."""
        try:
            while True:
                self._read()
        except OSError:  # what Linux says of a terminal without a program
            return

    def _read(self) -> None:
        self.written += os.read(self.end, 65536).decode(errors="replace")


@contextlib.contextmanager
def started(**options: Any) -> Iterator[subprocess.Popen]:
    """The command; one that says nothing any more is killed, so that nobody waits for it for ever."""
    process = subprocess.Popen(WATCH, **options)
    patience = threading.Timer(120, process.kill)
    patience.start()
    try:
        yield process
    finally:
        patience.cancel()
        process.kill()
        process.wait()


@pytest.fixture
def terminal() -> Iterator[tuple[Screen, subprocess.Popen]]:
    """The command watches on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": "80", "LINES": "24", "TERM": "xterm-256color"}
    with started(stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        yield Screen(ours), process
    os.close(ours)


def test_it_is_drawn_anew_on_a_terminal_until_ctrl_c(
    launchpad: LaunchPad, terminal: tuple[Screen, subprocess.Popen]
) -> None:
    screen, process = terminal
    screen.read_until("workers: 0")
    launchpad.fireworks.update_one({"fw_id": 1}, {"$set": {"state": "RESERVED"}})
    screen.read_until("RESERVED")
    process.send_signal(signal.SIGINT)
    screen.read_to_the_end()
    assert process.wait() == 0
    assert screen.written.endswith("\x1b[?25h")  # the cursor is there again
    lines = [STEERING.sub("", line) for line in re.split("[\r\n]+", screen.written)]
    assert max(map(len, lines)) <= 80
    assert "…" not in screen.written  # nothing is cut at this width
    (last,) = [line for line in lines if line.startswith("│ order")][-1:]
    assert last.split("│")[3:-3] == ["     1 ", "        1 ", "     0 "]


def test_each_change_is_a_line_where_no_terminal_is(launchpad: LaunchPad) -> None:
    with started(stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "tiny: order 0/2, relax 0/2, bvse 0/2, 0 workers\n"
        launchpad.fireworks.update_one({"fw_id": 1}, {"$set": {"state": "FIZZLED"}})
        assert process.stdout.readline() == "tiny: order 0/2, relax 0/2, bvse 0/2, 1 failed, 0 workers\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""
        assert process.wait() == 0
