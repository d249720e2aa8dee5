"""Folders of runs: one process at a time, and what lies beside."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lzc_flows.errors import InputError


@contextmanager
def alone_in(folder: Path, lock_file: str) -> Iterator[None]:
    """Make a folder and keep other processes from running there; the lock goes with the process.

    Raises
    ------
    InputError
        Another process runs there, or the folder cannot be written.
    """
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((folder / lock_file).open("w"))
        except OSError as error:
            raise InputError(f"{folder}: a folder that can be written is allowed ({error.strerror})") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{folder}: another process runs there now; one at a time is allowed") from None
        except OSError:  # a file system without locks
            pass
        yield


def beside(folder: Path) -> list[Path]:
    """Return the folders beside this one, where a launcher leaves earlier tries."""
    try:
        return [path for path in folder.parent.iterdir() if path.is_dir() and path != folder]
    except OSError:  # they may be no business of ours
        return []


def earlier_folders(folder: Path, prev_dir: str | Path | None) -> list[Path]:
    """Return where earlier launches of a job may have left something: the one it was told of first, those beside it."""
    return [*([Path(prev_dir)] if prev_dir else []), *beside(folder)]
