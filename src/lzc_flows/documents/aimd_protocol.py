"""Protocols of molecular dynamics, for whatever engine computes the forces.

A protocol is a list of segments: an ensemble, a temperature that is held or goes linearly from one value to another,
a length and a time step. The named ones are those of the sources.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from lzc_flows.documents.model import FrozenModel
from lzc_flows.documents.protocols import Protocol
from lzc_flows.documents.strict_yaml import first_error, read_mapping
from lzc_flows.errors import InputError

Ensemble = Literal["nve", "nvt", "npt"]


class Segment(FrozenModel):
    """A part of a run with one ensemble, one time step and a temperature that is constant or linear in time."""

    ensemble: Ensemble = Field(description="Constant energy, constant volume, or constant pressure with a free cell.")
    temperature: float | tuple[float, float] = Field(
        description="Target temperature, in K; [start, end] is a linear ramp. The first one also sets the velocities."
    )
    ps: float = Field(gt=0, description="Length, in ps: a whole number of time steps and of frame intervals.")
    time_step_fs: float = Field(gt=0, description="Time step, in fs.")

    @field_validator("temperature", mode="before")
    @classmethod
    def _temperatures(cls, given: Any) -> Any:
        ramp = isinstance(given, (list, tuple))
        values = given if ramp else (given,)
        numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
        if len(numbers) != len(values) or len(values) != (2 if ramp else 1):
            raise InputError("a number or [start, end] is allowed, in K")
        if not all(math.isfinite(number) and number > 0 for number in numbers):
            raise InputError("temperatures above 0 K are allowed")
        return tuple(numbers) if ramp else numbers[0]

    @model_validator(mode="after")
    def _whole(self) -> Segment:
        if not _is_whole(self.length_fs / self.time_step_fs):
            raise InputError(
                f"ps: a whole number of time steps is allowed, and {self.ps:g} ps is "
                f"{self.length_fs / self.time_step_fs:g} steps of {self.time_step_fs:g} fs"
            )
        if self.ensemble == "nve" and self.start_k != self.end_k:
            raise InputError("temperature: nve follows no ramp; one temperature is allowed")
        return self

    @property
    def start_k(self) -> float:
        """Target temperature at the start, K."""
        return self.temperature[0] if isinstance(self.temperature, tuple) else self.temperature

    @property
    def end_k(self) -> float:
        """Target temperature at the end, K."""
        return self.temperature[1] if isinstance(self.temperature, tuple) else self.temperature

    @property
    def length_fs(self) -> float:
        """Length in fs."""
        return 1000 * self.ps

    @property
    def steps(self) -> int:
        """Number of time steps."""
        return round(self.length_fs / self.time_step_fs)


class AimdProtocol(Protocol):
    """How molecular dynamics runs."""

    segments: tuple[Segment, ...] = Field(description="What runs, one after the other.")
    thermostat_fs: float = Field(
        default=50.0, gt=0, description="Time constant of the Nosé–Hoover chain, in fs; its masses follow the target."
    )
    barostat_fs: float = Field(default=1000.0, gt=0, description="Time constant of the barostat, in fs.")
    chain_length: int = Field(default=3, ge=1, le=20, description="Thermostats in a Nosé–Hoover chain.")
    pressure_gpa: float = Field(default=0.0, description="Target pressure of npt segments, in GPa.")
    frame_interval_fs: float = Field(default=20.0, gt=0, description="Time from frame to frame, in fs.")
    checkpoint_interval_fs: float = Field(
        default=1000.0, gt=0, description="Time from checkpoint to checkpoint, in fs: a whole number of frames."
    )

    @field_validator("segments")
    @classmethod
    def _not_empty(cls, segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
        if not segments:
            raise InputError("at least one segment is allowed")
        return segments

    @model_validator(mode="after")
    def _intervals(self) -> AimdProtocol:
        for number, segment in enumerate(self.segments):
            if not _is_whole(self.frame_interval_fs / segment.time_step_fs):
                raise InputError(
                    f"frame_interval_fs: a whole number of time steps is allowed, and {self.frame_interval_fs:g} fs is "
                    f"{self.frame_interval_fs / segment.time_step_fs:g} steps of segments.{number}"
                )
            if not _is_whole(segment.length_fs / self.frame_interval_fs):
                raise InputError(
                    f"segments.{number}.ps: a whole number of frame intervals is allowed, and {segment.ps:g} ps is "
                    f"{segment.length_fs / self.frame_interval_fs:g} of {self.frame_interval_fs:g} fs"
                )
        if not _is_whole(self.checkpoint_interval_fs / self.frame_interval_fs):
            raise InputError("checkpoint_interval_fs: a whole number of frame intervals is allowed")
        return self

    @property
    def ps(self) -> float:
        """Length of the whole run in ps."""
        return math.fsum(segment.ps for segment in self.segments)

    def at(self, temperature_k: float) -> AimdProtocol:
        """Return the protocol with another temperature, in K, wherever it has that of its end."""
        end_k = self.segments[-1].end_k
        segments = []
        for segment in self.segments:
            ends = [temperature_k if each == end_k else each for each in (segment.start_k, segment.end_k)]
            held = segment.start_k == segment.end_k
            segments.append(segment.model_copy(update={"temperature": ends[1] if held else tuple(ends)}))
        return self.model_copy(update={"segments": tuple(segments)})


def _is_whole(ratio: float) -> bool:
    # decimal numbers such as 0.1 are not exact in binary
    return round(ratio) >= 1 and abs(ratio - round(ratio)) < 1e-6 * max(1.0, ratio * 1e-3)


def _lzc_short(temperature_k: float) -> AimdProtocol:
    """Section 1.8 of the first source, the shorter runs: 100 K to 1100 K in 2 ps, then 20 ps."""
    return _heated(temperature_k, ps=20)


def _lzc_long(temperature_k: float) -> AimdProtocol:
    """Section 1.8 of the first source: 100 K to the target in 2 ps, then 260 ps."""
    return _heated(temperature_k, ps=260)


def _heated(temperature_k: float, ps: float) -> AimdProtocol:
    ramp = Segment(ensemble="nvt", temperature=(100.0, temperature_k), ps=2, time_step_fs=2)
    return AimdProtocol(segments=(ramp, Segment(ensemble="nvt", temperature=temperature_k, ps=ps, time_step_fs=2)))


def _lzrc_npt(temperature_k: float) -> AimdProtocol:
    """Conductivity simulation of the second source: 10 ps for the volume, then 100 ps, 1 fs."""
    return AimdProtocol(
        segments=(
            Segment(ensemble="npt", temperature=temperature_k, ps=10, time_step_fs=1),
            Segment(ensemble="nvt", temperature=temperature_k, ps=100, time_step_fs=1),
        )
    )


_NAMED: dict[str, tuple[Callable[[float], AimdProtocol], tuple[float, ...], float | None]] = {
    "lzc-short": (_lzc_short, (1100.0, 1100.0), 1100.0),
    "lzc-long": (_lzc_long, (600.0, 1100.0), None),
    "lzrc-npt": (_lzrc_npt, (300.0, 450.0), 300.0),
}
"""What makes the protocol, the temperatures of its source (K) and the one taken where none is given."""

NAMES = tuple(_NAMED)
"""Names of protocols."""


def named_protocol(name: str, temperature_k: float | None = None) -> AimdProtocol:
    """Return a protocol of a source: ``lzc-short``, ``lzc-long`` or ``lzrc-npt``.

    Raises
    ------
    InputError
        No such protocol, a temperature that its source does not have, or none where it has several.
    """
    if name not in _NAMED:
        raise InputError(f"protocol {name!r}: allowed are {', '.join(NAMES)}, or a YAML file")
    make, (lowest, highest), default = _NAMED[name]
    temperature = default if temperature_k is None else temperature_k
    if temperature is None or not lowest <= temperature <= highest:
        allowed = f"{lowest:g}" if lowest == highest else f"{lowest:g} to {highest:g}"
        given = "none given" if temperature is None else f"given: {temperature:g}"
        raise InputError(f"protocol {name!r}: a temperature of {allowed} K is allowed ({given})")
    return make(float(temperature))


def hottest_protocol(name: str) -> AimdProtocol:
    """Return a protocol of a source at the highest temperature that its source has; raise InputError as above."""
    temperature = _NAMED[name][1][1] if name in _NAMED else None
    return named_protocol(name, temperature)


def load_protocol(name_or_path: str | Path, temperature_k: float | None = None) -> AimdProtocol:
    """Return a named protocol, or the one that a YAML file holds.

    Raises
    ------
    InputError
        No such name or file, not YAML, a misspelt key, a value out of range: one line that names it; a temperature
        given beside a file, which has its own.
    """
    name = str(name_or_path)
    path = Path(name_or_path)
    if name in _NAMED or not (path.is_file() or path.suffix in (".yaml", ".yml")):
        return named_protocol(name, temperature_k)
    if temperature_k is not None:
        raise InputError(f"protocol {path}: its segments have their temperatures; no other is allowed")
    content = read_mapping(path, "protocol", "segments")
    try:
        return AimdProtocol.model_validate(content)
    except ValidationError as error:
        raise InputError(f"protocol {path}: {first_error(error, AimdProtocol)}") from None
