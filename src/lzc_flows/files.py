"""Files that are whole or absent: what a reader finds under a name is never half-written."""

from __future__ import annotations

import os
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
