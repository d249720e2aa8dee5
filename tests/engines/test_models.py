from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from lzc_flows.engines.models import MODELS, ModelFile, model
from lzc_flows.errors import CalculationError, InputError

CONTENT = b"nep4_zbl 2 Li Cl\n" * 5000
MEMBER = "src/potentials/small.txt"
# pip asks a source distribution for its metadata: a backend of its own needs no network
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
BACKEND = """
import pathlib, time
{before}
def prepare_metadata_for_build_wheel(folder, settings=None):
    info = pathlib.Path(folder, "small-1.0.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: small\\nVersion: 1.0\\n")
    return info.name
"""


@pytest.fixture
def models_dir(tmp_path: Path, set_lzc: Callable[..., AbstractContextManager[None]]) -> Iterator[Path]:
    folder = tmp_path / "data" / "models"
    with set_lzc(LZC_MODELS_DIR=str(folder)):
        yield folder


def sdist(folder: Path, before: str = "", **members: bytes) -> Path:
    """A source distribution as PyPI would serve it; `before` runs when pip looks at it."""
    files = {"pyproject.toml": PYPROJECT.encode(), "backend.py": BACKEND.format(before=before).encode()}
    archive = folder / "small-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in {**files, **members}.items():
            entry = tarfile.TarInfo(f"small-1.0/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return archive


def served(archive: Path, sha256: str = hashlib.sha256(CONTENT).hexdigest()) -> ModelFile:
    return ModelFile("small", str(archive), MEMBER, sha256, "a test", "CC0")


def test_install_fetches_the_member_whole(models_dir: Path, tmp_path: Path) -> None:
    file = served(sdist(tmp_path, **{MEMBER: CONTENT, "other.txt": b"x"}))
    assert not file.installed()
    assert file.install() == models_dir / "small.txt"
    assert file.path.read_bytes() == CONTENT
    assert file.installed()
    assert [entry.name for entry in models_dir.iterdir()] == ["small.txt"]


def test_an_installed_file_is_not_fetched_again(models_dir: Path, tmp_path: Path) -> None:
    models_dir.mkdir(parents=True)
    file = served(tmp_path / "nowhere.tar.gz")
    file.path.write_bytes(CONTENT)
    assert file.install() == file.path


@pytest.mark.parametrize("damaged", [CONTENT[:-1], CONTENT + b"\n", b""])
def test_a_damaged_file_is_not_installed_and_install_mends_it(models_dir: Path, tmp_path: Path, damaged: bytes) -> None:
    models_dir.mkdir(parents=True)
    file = served(sdist(tmp_path, **{MEMBER: CONTENT}))
    file.path.write_bytes(damaged)
    assert not file.installed()
    file.install()
    assert file.path.read_bytes() == CONTENT


def test_a_wrong_checksum_replaces_nothing_and_leaves_nothing(models_dir: Path, tmp_path: Path) -> None:
    models_dir.mkdir(parents=True)
    file = served(sdist(tmp_path, **{MEMBER: b"forged"}), sha256="0" * 64)
    # a file of an older release of the model, which the new checksum does not know
    file.path.write_bytes(CONTENT)
    forged = hashlib.sha256(b"forged").hexdigest()
    with pytest.raises(CalculationError, match=f"^model small: checksum {forged}, expected 0{{64}}$"):
        file.install()
    assert file.path.read_bytes() == CONTENT
    assert [entry.name for entry in models_dir.iterdir()] == ["small.txt"]


def test_a_missing_member_is_named(models_dir: Path, tmp_path: Path) -> None:
    file = served(sdist(tmp_path, **{f"deeper/{MEMBER}": CONTENT}))
    with pytest.raises(CalculationError, match=rf"^model small: .*small-1\.0\.tar\.gz holds no {MEMBER}$"):
        file.install()
    assert not list(models_dir.iterdir())


def test_a_failed_download_says_so_in_one_line(models_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(CalculationError, match=r"^model small: pip could not download .*nowhere\.tar\.gz \(.+\)$"):
        served(tmp_path / "nowhere.tar.gz").install()
    assert not list(models_dir.iterdir())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_install_leaves_no_half_file(models_dir: Path, tmp_path: Path, how: signal.Signals) -> None:
    reached = tmp_path / "reached"
    archive = sdist(tmp_path, before=f"pathlib.Path({str(reached)!r}).touch(); time.sleep(600)", **{MEMBER: CONTENT})
    file = served(archive)
    script = f"from lzc_flows.engines.models import ModelFile\n{file!r}.install()"
    process = subprocess.Popen(
        [sys.executable, "-c", script], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while not reached.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert reached.exists()
        os.killpg(process.pid, how)  # as Ctrl-C and as a batch system do
        assert process.wait(timeout=30) != 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert not file.installed()
    assert not file.path.exists()
    if how == signal.SIGINT:
        assert not list(models_dir.iterdir())
    # and the next one is not disturbed by what a kill left there
    (tmp_path / "whole").mkdir()
    replace(file, requirement=str(sdist(tmp_path / "whole", **{MEMBER: CONTENT}))).install()
    assert file.installed()


def test_an_unknown_model_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"^model 'nep': allowed are nep89$"):
        model("nep")


def test_known_models_are_found_by_their_names() -> None:
    assert all(model(name).name == name for name in MODELS)
    assert model("nep89").installed()
