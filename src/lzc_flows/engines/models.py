"""Model files that are fetched at set-up, with their checksums checked.

NEP89 is GPL data inside the source distribution of a PyPI package: it is downloaded, never shipped.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lzc_flows.errors import CalculationError, InputError
from lzc_flows.settings import get_settings


@dataclass(frozen=True)
class ModelFile:
    """Where a model comes from and how to know that it arrived whole."""

    name: str
    requirement: str
    """What pip downloads."""
    member: str
    """Path of the file inside the distribution, without its top folder."""
    sha256: str
    source: str
    licence: str

    @property
    def path(self) -> Path:
        """Where the file is kept."""
        return get_settings().models_dir / f"{self.name}.txt"

    def installed(self) -> bool:
        """Whether the file is there, whole."""
        try:
            found = self.path.stat()
        except OSError:
            return False
        return _sha256_of(self.path, found.st_mtime_ns, found.st_size) == self.sha256

    def install(self) -> Path:
        """Download the file unless it is there; written whole or not at all.

        Raises
        ------
        CalculationError
            The download failed, or what arrived has another checksum.
        """
        if self.installed():
            return self.path
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.path.parent) as folder:
            whole = self._extract(self._download(Path(folder)), Path(folder))
            found = _sha256(whole)
            if found != self.sha256:
                raise CalculationError(f"model {self.name}: checksum {found}, expected {self.sha256}")
            os.replace(whole, self.path)
        return self.path

    def _download(self, folder: Path) -> Path:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
        done = subprocess.run([*command, self.requirement], capture_output=True, text=True, check=False)
        archives = sorted(folder.glob("*.tar.gz"))
        if done.returncode or not archives:
            reason = done.stderr.strip().splitlines()[-1:] or ["no source distribution arrived"]
            raise CalculationError(f"model {self.name}: pip could not download {self.requirement} ({reason[0]})")
        return archives[0]

    def _extract(self, archive: Path, folder: Path) -> Path:
        with tarfile.open(archive) as tar:
            for entry in tar:
                if entry.isfile() and entry.name.partition("/")[2] == self.member:
                    target = folder / "model"
                    source = tar.extractfile(entry)
                    if source is None:
                        break
                    target.write_bytes(source.read())
                    return target
        raise CalculationError(f"model {self.name}: {self.requirement} holds no {self.member}")


@cache
def _sha256_of(path: Path, modified_ns: int, size: int) -> str:
    """Return the checksum of a file that has not changed since: a campaign asks for it with every combination."""
    return _sha256(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


MODELS = {
    "nep89": ModelFile(
        name="nep89",
        requirement="neptrainkit==3.1.5",
        member="src/NepTrainKit/Config/nep89.txt",
        sha256="75168ece02e840e4a32644f982b78d43cba697f5b64b4c8134ab66c7a8c28be1",
        source="Liang et al., NEP89: universal neuroevolution potential for 89 elements, arXiv:2504.21286 (2025)",
        licence="GPL-3.0 (data, fetched at set-up)",
    )
}


def model(name: str) -> ModelFile:
    """Return a model file by name; raise `InputError` naming the known ones."""
    if name not in MODELS:
        raise InputError(f"model {name!r}: allowed are {', '.join(MODELS)}")
    return MODELS[name]
