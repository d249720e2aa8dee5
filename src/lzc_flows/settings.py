"""Settings from `LZC_*` environment variables; a misspelt one is refused, not ignored."""

from __future__ import annotations

import math
import os
import stat
import time
from functools import cache
from pathlib import Path

from platformdirs import user_data_path
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lzc_flows.errors import InputError

_PREFIX = "LZC_"

_EARLIEST_S = 1e9
"""The year 2001: what is below is a length of time, not a time since the epoch."""


class Settings(BaseSettings):
    """What differs between machines and never between results."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="forbid")

    mongo_uri: SecretStr | None = Field(
        default=None, description="MongoDB URI; unset means the embedded server on the loopback interface."
    )
    mongo_uri_file: Path | None = Field(
        default=None, description="File with that URI, which nobody but its owner can read."
    )
    mongo_database: str = Field(default="lzc_flows", min_length=1, description="Name of the database.")
    mongo_timeout_s: float = Field(default=5.0, gt=0, description="How long to look for a server, in s.")
    mongo_patience_s: float = Field(
        default=600.0, ge=0, description="How long workers and commands wait for a server that has gone, in s."
    )
    campaigns_dir: Path = Field(
        default=Path("campaigns"),
        validate_default=True,
        description="Folder of campaigns: the embedded server's files, launches, reports.",
    )
    models_dir: Path = Field(
        default_factory=lambda: user_data_path("lzc-flows") / "models",
        validate_default=True,
        description="Folder of downloaded interatomic potentials.",
    )

    walltime_end_s: float | None = Field(
        default=None,
        gt=_EARLIEST_S,
        description="Time since the epoch, in s, at which the batch system ends this process: long runs stop in order "
        "before it and go on in the next launch. SLURM's own `SLURM_JOB_END_TIME` is taken where it is not set.",
    )

    walltime_margin_s: float = Field(
        default=120.0,
        ge=0,
        description="What a run needs to write its last checkpoint and a job to store it, in s: workers begin nothing "
        "new so long before the end.",
    )

    heartbeat_timeout_s: float = Field(
        default=300.0, gt=0, description="A worker that has given no sign of life for so long is lost, in s."
    )

    dft_frozen_s: float = Field(
        default=21600.0, gt=0, description="A DFT program that writes nothing for so long is frozen, in s."
    )

    rehearsal_faults: Path | None = Field(
        default=None, description="File of the faults that the stand-in of VASP makes; see docs/rehearsal.md."
    )

    @property
    def stop_at_s(self) -> float | None:
        """Time since the epoch, in s, at which a long run should stop; None for no such time."""
        ends = self.walltime_end_s or _slurm_end_s()
        return ends - self.walltime_margin_s if math.isfinite(ends) else None

    @property
    def time_is_over(self) -> bool:
        """Whether nothing long should begin any more."""
        return self.stop_at_s is not None and time.time() > self.stop_at_s

    @model_validator(mode="after")
    def _read_uri_file(self) -> Settings:
        if self.mongo_uri_file is not None:
            if self.mongo_uri is not None:
                raise ValueError("LZC_MONGO_URI is set too: unset one of them")
            self.mongo_uri = read_secret(self.mongo_uri_file)
        return self

    @field_validator("campaigns_dir", "models_dir")
    @classmethod
    def _absolute(cls, folder: Path) -> Path:
        # jobs run in directories of their own: a relative path would mean another folder there
        return folder.expanduser().absolute()


def read_secret(file: Path) -> SecretStr:
    """Return what a file holds, blanks around it left out, if nobody but its owner, who is the user, can read it.

    Raises
    ------
    ValueError
        The file cannot be read, is another user's or open to others, or is empty; in one line with the mend.
    """
    try:
        # the opened file is the one that is looked at, whatever its name means a moment later; no pipe is waited for
        with open(os.open(file.expanduser(), os.O_RDONLY | os.O_NONBLOCK), encoding="utf-8") as stream:
            refused = private_file_refusal(os.fstat(stream.fileno()))
            content = "" if refused else stream.read().strip()
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not a text") from None
    if refused:
        raise ValueError(f"{file} {refused}")
    if not content:
        raise ValueError(f"{file} is empty")
    return SecretStr(content)


def private_file_refusal(status: os.stat_result) -> str | None:
    """Return why a file is not fit for a secret, with the mend; None where it is."""
    if not stat.S_ISREG(status.st_mode):
        return "is not a file"
    if status.st_uid != os.geteuid():
        return "belongs to another user: make one of your own"
    if status.st_mode & 0o077:
        return f"can be read or written by others (mode {stat.S_IMODE(status.st_mode):04o}): run `chmod 600` on it"
    return None


def _slurm_end_s() -> float:
    """Return when SLURM ends this job, in s since the epoch; infinity outside of one and of one without a limit."""
    try:
        ends = float(os.environ.get("SLURM_JOB_END_TIME", "inf"))
    except ValueError:  # such as "Unknown"
        return math.inf
    return ends if ends > _EARLIEST_S else math.inf


@cache
def get_settings() -> Settings:
    """Read the settings once a process.

    Raises
    ------
    InputError
        An `LZC_*` variable is unknown or its value is not valid.
    """
    known = {_PREFIX + name.upper() for name in Settings.model_fields}
    unknown = sorted(name for name in os.environ if name.startswith(_PREFIX) and name not in known)
    if unknown:
        raise InputError(f"unknown setting {unknown[0]}: allowed are {', '.join(sorted(known))}")
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        # what no single variable shows is about the file of the URI
        name = _PREFIX + str(first["loc"][0] if first["loc"] else "mongo_uri_file").upper()
        raise InputError(f"setting {name}: {first['msg'].removeprefix('Value error, ')}") from None
