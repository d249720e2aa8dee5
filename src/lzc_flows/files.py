"""Files that are whole or absent: what a reader finds under a name is never half-written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path`, replacing what was there in one step; missing folders are made.

    Raises
    ------
    OSError
        The file cannot be written; what was at `path` before is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # beside the destination, because a rename is atomic only within one file system
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        temporary = Path(folder) / path.name
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a path to write to; when the block ends without an error, the file there replaces `path` in one step.

    A process that is killed in the block leaves a hidden file beside `path`, which the next call replaces.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
