from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from atomate2 import SETTINGS

from lzc_flows.engines import cp2k_program
from lzc_flows.engines.cp2k_program import cp2k_command, cp2k_environment, cp2k_installation
from lzc_flows.errors import InputError

VERSION = """ CP2K version 2024.1
 Source code revision git:b888bd8
 compiler options:
   -cpp -D __parallel -D __DATA_
   DIR="{folder}/da
   ta" -D __SHORT_FILE__="start/cp2k.F"
"""
"""As CP2K wraps its compiler's options, anywhere."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A PATH that holds only what the test puts there; nothing set."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CP2K_DATA_DIR", raising=False)
    monkeypatch.setattr(SETTINGS, "__pydantic_fields_set__", set())
    cp2k_program._installation.cache_clear()
    yield tmp_path
    cp2k_program._installation.cache_clear()


def install(folder: Path, name: str, says: str = "") -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{shutil.which('cat', path='/bin:/usr/bin')} <<'END'\n{says}\nEND\n")
    program.chmod(0o755)


def install_data(folder: Path) -> Path:
    folder.mkdir()
    for name in ("BASIS_MOLOPT", "GTH_POTENTIALS"):
        (folder / name).touch()
    return folder


def test_version_data_and_command_of_an_installation(place: Path) -> None:
    install(place, "cp2k.psmp", VERSION.format(folder=place))
    install(place, "mpirun")
    install_data(place / "data")
    found = cp2k_installation()
    assert found.problems == ()
    assert found.version == "2024.1"
    assert found.executable == str(place / "cp2k.psmp")
    assert found.data_dir == place / "data"
    assert found.command[:2] == ("mpirun", "-np")
    assert found.command[3:] == ("cp2k.psmp",)
    assert int(found.command[2]) >= 1


def test_without_mpi_it_is_started_alone(place: Path) -> None:
    install(place, "cp2k.ssmp", VERSION.format(folder=place))
    install(place, "mpirun")
    install_data(place / "data")
    assert cp2k_command() == ("cp2k.ssmp",)


def test_the_setting_of_atomate2_is_taken_as_it_is(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(place, "my-cp2k", VERSION.format(folder=place))
    install(place, "srun")
    install_data(place / "data")
    monkeypatch.setattr(SETTINGS, "CP2K_CMD", "srun -n 4 my-cp2k")
    assert cp2k_command() == ("srun", "-n", "4", "my-cp2k")


def test_no_cp2k_is_one_line_that_says_what_to_do(place: Path) -> None:
    with pytest.raises(InputError, match=r"engine 'cp2k': no CP2K here: install CP2K .* or set ATOMATE2_CP2K_CMD"):
        cp2k_command()
    assert cp2k_installation().executable is None


def test_a_wrong_setting_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SETTINGS, "CP2K_CMD", "srun cp2k.psmp")
    with pytest.raises(InputError, match=r"no command 'srun cp2k\.psmp' here"):
        cp2k_command()


def test_missing_data_are_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(place, "cp2k.ssmp", VERSION.format(folder=place))
    with pytest.raises(InputError, match="set CP2K_DATA_DIR to their folder"):
        cp2k_command()
    cp2k_program._installation.cache_clear()
    monkeypatch.setenv("CP2K_DATA_DIR", str(install_data(place / "elsewhere")))
    assert cp2k_installation().data_dir == place / "elsewhere"


def test_a_program_that_does_not_tell_its_version_is_refused(place: Path) -> None:
    install(place, "cp2k.ssmp", "hello")
    with pytest.raises(InputError, match="does not tell its version"):
        cp2k_command()


def test_one_thread_a_process_unless_the_environment_says_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert cp2k_environment()["OMP_NUM_THREADS"] == "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert cp2k_environment()["OMP_NUM_THREADS"] == "4"
