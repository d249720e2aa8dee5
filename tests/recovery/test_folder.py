from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lzc_flows.errors import InputError
from lzc_flows.recovery.folder import alone_in, beside

LOCK = "run.lock"


def test_one_at_a_time_and_the_next_one_after(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    with alone_in(folder, LOCK):
        assert (folder / LOCK).is_file()
        with pytest.raises(InputError) as caught, alone_in(folder, LOCK):
            pass
        assert str(caught.value) == f"{folder}: another process runs there now; one at a time is allowed"
        with alone_in(tmp_path / "other", LOCK):
            pass
    with alone_in(folder, LOCK):
        pass


def hold(folder: Path) -> None:
    with alone_in(folder, LOCK):
        (folder / "held").touch()
        time.sleep(60)


def test_the_lock_goes_with_its_process(tmp_path: Path, fork: Callable) -> None:
    child = fork(hold, tmp_path)
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    with pytest.raises(InputError, match="another process runs there now"), alone_in(tmp_path, LOCK):
        pass
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    with alone_in(tmp_path, LOCK):
        pass


@pytest.mark.parametrize("inside", ["file", "file/in", "/proc/in"])
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, inside: str) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / inside
    with pytest.raises(InputError, match=rf"^{folder}: a folder that can be written is allowed \(.+\)$"):  # noqa: SIM117
        with alone_in(folder, LOCK):
            pass


def test_folders_beside(tmp_path: Path) -> None:
    for name in ("one", "two", "here"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").write_text("")
    assert sorted(beside(tmp_path / "here")) == [tmp_path / "one", tmp_path / "two"]
    assert beside(tmp_path / "absent" / "here") == []
