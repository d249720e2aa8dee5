"""Names of processes in the database, by which a dead one is known as dead."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass

import psutil

from lzc_flows.processes import started_s_after_boot

_NAME = re.compile(r"lzc/(?P<host>[^/]+)/(?P<pid>\d+)/(?P<started>\d+\.\d+)")


@dataclass(frozen=True)
class ProcessName:
    """A process by host, id and start (in s after boot: setting the clock does not change it)."""

    host: str
    pid: int
    started: float

    @classmethod
    def of_this_process(cls) -> ProcessName:
        """Return the name of the calling process."""
        return cls.of(psutil.Process())

    @classmethod
    def of(cls, process: psutil.Process) -> ProcessName:
        """Return the name of a process of this host."""
        return cls(socket.gethostname(), process.pid, started_s_after_boot(process))

    @classmethod
    def parse(cls, text: str) -> ProcessName | None:
        """Return the name that `str` wrote; None if another program did."""
        match = _NAME.fullmatch(text)
        return cls(match["host"], int(match["pid"]), float(match["started"])) if match else None

    def __str__(self) -> str:
        return f"lzc/{self.host}/{self.pid}/{self.started:.2f}"

    def is_here(self) -> bool:
        """Return whether it ran, or runs, on this host."""
        return self.host == socket.gethostname()

    def is_dead(self) -> bool:
        """Return whether the process is known to be gone: it ran on this host and runs no more."""
        if not self.is_here():
            return False
        try:
            process = psutil.Process(self.pid)
            is_another = abs(started_s_after_boot(process) - self.started) > 0.1
            # a zombie runs no more, whether or not its parent ever reaps it
            return is_another or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True
