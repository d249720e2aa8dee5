"""Settings from `LZC_*` environment variables; a misspelt one is refused, not ignored."""

from __future__ import annotations

import math
import os
import time
from functools import cache
from pathlib import Path

from platformdirs import user_data_path
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lzc_flows.errors import InputError

_PREFIX = "LZC_"

WALLTIME_MARGIN_S = 120.0
"""What a run needs to write its last checkpoint and a job to store it, in s."""

_EARLIEST_S = 1e9
"""The year 2001: what is below is a length of time, not a time since the epoch."""


class Settings(BaseSettings):
    """What differs between machines and never between results."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="forbid")

    mongo_uri: SecretStr | None = Field(
        default=None, description="MongoDB URI; unset means the embedded server on the loopback interface."
    )
    mongo_database: str = Field(default="lzc_flows", min_length=1, description="Name of the database.")
    mongo_timeout_s: float = Field(default=5.0, gt=0, description="How long to look for a server, in s.")
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
        return ends - WALLTIME_MARGIN_S if math.isfinite(ends) else None

    @property
    def time_is_over(self) -> bool:
        """Whether nothing long should begin any more."""
        return self.stop_at_s is not None and time.time() > self.stop_at_s

    @field_validator("campaigns_dir", "models_dir")
    @classmethod
    def _absolute(cls, folder: Path) -> Path:
        # jobs run in directories of their own: a relative path would mean another folder there
        return folder.expanduser().absolute()


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
        name = _PREFIX + str(first["loc"][0]).upper()
        raise InputError(f"setting {name}: {first['msg']}") from None
