"""Files of `launchpad/` onto the disk: all of them or none, and none of the user's lost."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from lzc_flows.errors import InputError
from lzc_flows.launch.configuration_files import ConfigurationFile

Status = Literal["written", "unchanged", "replaced"]

_SECRET_MODE = 0o600
_MODE = 0o644


@dataclass(frozen=True)
class WrittenFile:
    """What became of one file.

    Attributes
    ----------
    path
        Where it is.
    status
        written: it is new, or others could read its secret; unchanged: it was there; replaced: another was
        there, now `path` with `.bak`.
    secret
        Whether only its owner can read it.
    """

    path: Path
    status: Status
    secret: bool


def write_configuration(folder: Path, wanted: Mapping[str, ConfigurationFile]) -> list[WrittenFile]:
    """Write these files, by name, into `folder`, which is made; return what became of each.

    Raises
    ------
    InputError
        Some are there with other content, or the folder cannot be written; nothing has been written.
    OSError
        The disk is full; nothing has been written.
    """
    plan = _plan(folder, wanted)
    different = [file.path.name for file in plan if file.status == "replaced"]
    if different:
        raise InputError(
            f"{folder} has other files of these names: {', '.join(different)}; --force replaces them and keeps the old "
            "ones as .bak"
        )
    return _write(folder, wanted, plan)


def replace_configuration(folder: Path, wanted: Mapping[str, ConfigurationFile]) -> list[WrittenFile]:
    """Do as `write_configuration`, but replace files with other content; these are kept with `.bak` at their end.

    Raises
    ------
    InputError
        The folder cannot be written; nothing has been written.
    OSError
        The disk is full; nothing has been written.
    """
    return _write(folder, wanted, _plan(folder, wanted))


def _plan(folder: Path, wanted: Mapping[str, ConfigurationFile]) -> list[WrittenFile]:
    with _readable_os_errors(folder):
        return [WrittenFile(folder / name, _status(folder / name, file), file.secret) for name, file in wanted.items()]


def _status(path: Path, file: ConfigurationFile) -> Status:
    if not os.path.lexists(path):
        return "written"
    if path.read_bytes() != file.text.encode():
        return "replaced"
    is_open = file.secret and path.stat().st_mode & 0o077
    return "written" if is_open else "unchanged"


def _write(folder: Path, wanted: Mapping[str, ConfigurationFile], plan: list[WrittenFile]) -> list[WrittenFile]:
    changed = [file for file in plan if file.status != "unchanged"]
    if not changed:
        return plan
    with _readable_os_errors(folder), _made(folder), TemporaryDirectory(dir=folder, prefix=".init.") as temporary:
        moves: list[tuple[Path, Path]] = []
        # whatever can fail for want of space is done before the first name changes hands
        for file in changed:
            path, mode = file.path, _SECRET_MODE if file.secret else _MODE
            if file.status == "replaced":
                moves.append(_prepared(Path(temporary), path.with_name(f"{path.name}.bak"), path.read_bytes(), mode))
            moves.append(_prepared(Path(temporary), path, wanted[path.name].text.encode(), mode))
        for source, destination in moves:
            source.replace(destination)
    return plan


def _prepared(temporary: Path, destination: Path, content: bytes, mode: int) -> tuple[Path, Path]:
    """Write a file beside its destination, with its mode from the first byte on; return both places."""
    source = temporary / destination.name
    with open(os.open(source, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode & 0o777), "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    return source, destination


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a folder, and unmake what was made of it when the block fails."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for place in missing:
            place.rmdir()
        raise


@contextmanager
def _readable_os_errors(folder: Path) -> Iterator[None]:
    """Turn a folder that cannot be used into one line; a full disk is told as everywhere."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(f"cannot write {error.filename or folder}: {error.strerror}") from None
