from __future__ import annotations

import os
import resource
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from lzc_flows.errors import InputError
from lzc_flows.launch.configuration_files import ConfigurationFile
from lzc_flows.launch.configuration_write import replace_configuration, write_configuration

WANTED = {
    "secret": ConfigurationFile("Sesame\n", secret=True),
    "plain": ConfigurationFile("x" * 5000),
}


def statuses(files: list) -> list[str]:
    return [file.status for file in files]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_files_are_written_once_and_secrets_for_their_owner(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert statuses(write_configuration(folder, WANTED)) == ["written", "written"]
    assert contents(folder) == {"secret": b"Sesame\n", "plain": b"x" * 5000}
    assert mode(folder / "secret") == 0o600
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert statuses(write_configuration(folder, WANTED)) == ["unchanged", "unchanged"]
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_secret_that_others_can_read_is_closed(tmp_path: Path) -> None:
    write_configuration(tmp_path, WANTED)
    (tmp_path / "secret").chmod(0o644)
    assert statuses(write_configuration(tmp_path, WANTED)) == ["written", "unchanged"]
    assert mode(tmp_path / "secret") == 0o600


def test_what_the_user_has_changed_is_never_lost(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine\n")
    with pytest.raises(InputError, match=r"has other files of these names: secret; --force replaces them") as refusal:
        write_configuration(tmp_path, WANTED)
    assert len(str(refusal.value).splitlines()) == 1
    assert contents(tmp_path) == {"secret": b"mine\n"}
    assert statuses(replace_configuration(tmp_path, WANTED)) == ["replaced", "written"]
    assert contents(tmp_path) == {"secret": b"Sesame\n", "secret.bak": b"mine\n", "plain": b"x" * 5000}
    assert mode(tmp_path / "secret.bak") == 0o600


@pytest.mark.parametrize("inside", ["", "deep/er"])
def test_what_cannot_be_written_is_named_and_leaves_nothing(tmp_path: Path, inside: str) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file" / inside, tmp_path / "file"):
        with pytest.raises(InputError, match=f"cannot write {tmp_path}/file"):
            write_configuration(folder, WANTED)
    (tmp_path / "plain").mkdir()
    with pytest.raises(InputError, match=f"cannot write {tmp_path}/plain: Is a directory"):
        replace_configuration(tmp_path, WANTED)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "plain"]


def _write_with_little_space(folder: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        replace_configuration(folder, WANTED)
    except InputError as refusal:
        os._exit(7 if str(refusal).endswith("File too large") else 8)


@pytest.mark.parametrize("there", [False, True])
def test_when_the_disk_takes_no_more_nothing_has_changed(tmp_path: Path, fork: Callable, there: bool) -> None:
    folder = tmp_path / "new" / "folder"
    if there:
        folder.mkdir(parents=True)
        (folder / "secret").write_text("mine\n")
    child = fork(_write_with_little_space, folder)
    child.join(20)
    assert child.exitcode == 7
    assert contents(folder) == {"secret": b"mine\n"} if there else list(tmp_path.iterdir()) == []
