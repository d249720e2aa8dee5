"""Processes: which one it was, and one that ends with another."""

from __future__ import annotations

import ctypes
import signal
import sys

import psutil


def started_s_after_boot(process: psutil.Process) -> float:
    """Return when `process` began, in s after boot: setting the clock does not change it.

    With the process id it tells a process from a later one that got the same id.
    """
    return process.create_time() - psutil.boot_time()


def end_with_parent() -> None:
    """Ask Linux to kill the calling process when its parent ends, however that happens: it must write atomically."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
