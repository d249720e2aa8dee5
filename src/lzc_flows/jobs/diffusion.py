"""From trajectories to the documents of diffusion: which part is analysed, at which temperature, and what it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from pymatgen.core import Composition

from lzc_flows.documents.aimd_protocol import AimdProtocol, Segment
from lzc_flows.documents.diffusion import (
    ArrheniusDoc,
    ArrheniusPointDoc,
    CurvesDoc,
    DiffusionDoc,
    DiffusionResult,
    ExtrapolationDoc,
)
from lzc_flows.documents.strict_yaml import first_error
from lzc_flows.errors import InputError
from lzc_flows.trajectory.model import Trajectory
from lzc_flows.transport.arrhenius import Arrhenius, ArrheniusPoint
from lzc_flows.transport.diffusion import Diffusion
from lzc_flows.transport.motion import Motion
from lzc_flows.transport.stability import INTACT, stability

ROOM_TEMPERATURE_K = 300.0

UNKNOWN = "unknown"
"""Label of a framework of which nothing can be told."""

_OFF_TARGET = 0.05
"""Relative deviation of the mean kinetic temperature from the protocol's from which on a note says so. That of one
frame of 81 atoms is 9 %, that of a mean over picoseconds far below."""


def production(trajectory: Trajectory) -> Trajectory:
    """Return the part of a trajectory that is analysed.

    Of our own files that is the last segment of the protocol, at one temperature, without the frame at its start:
    that one belongs to the segment before, whose cell it still has after an NPT run. The heat-up and all
    equilibration in segments of their own are left out. Files that others wrote are returned whole.

    Raises
    ------
    InputError
        The last segment is a ramp, the run ended before it, or its protocol cannot be read.
    """
    protocol = _protocol(trajectory)
    if protocol is None:
        return trajectory
    last = _held(trajectory, protocol)
    start_ps = protocol.ps - last.ps
    return trajectory.between(start_ps + 0.5e-3 * protocol.frame_interval_fs)


def target_temperature_k(trajectory: Trajectory) -> float | None:
    """Return the temperature of the last segment of the protocol, K; None for files that others wrote.

    Raises
    ------
    InputError
        As `production`.
    """
    protocol = _protocol(trajectory)
    return None if protocol is None else _held(trajectory, protocol).start_k


def motion_of(trajectory: Trajectory) -> Motion:
    """Return what the analysis of motion takes; positions are read from the file in pieces.

    Raises
    ------
    InputError
        The cell or the time between frames changes, or there are fewer than two frames.
    """
    return Motion(
        positions=_Positions(trajectory),
        time_step_ps=trajectory.frame_interval_ps,
        species=trajectory.species,
        cell=trajectory.constant_cell,
    )


def diffusion_document(found: Diffusion) -> DiffusionDoc:
    """Return the document of what `lzc_flows.transport.diffusion.diffusion` found."""
    curves = CurvesDoc(
        lag_ps=found.curves.lag_ps.tolist(),
        msd_A2={str(direction): msd.tolist() for direction, msd in found.curves.msd_A2.items()},
        charge_msd_A2=found.curves.charge_msd_A2.tolist(),
    )
    return DiffusionDoc.model_validate(asdict(found) | {"curves": curves})


def diffusion_result(part: Trajectory, found: Diffusion) -> DiffusionResult:
    """Return the document of what was found in a part of a trajectory, with where it is from.

    A note says where the mean kinetic temperature is more than 5 % off the temperature taken, and where the framework
    is no longer that of the crystal.
    """
    document = diffusion_document(found)
    mean_k = None if part.observables is None else float(part.observables.temperatures_k.mean())
    if mean_k is not None and not abs(mean_k / found.temperature_k - 1) <= _OFF_TARGET:
        document.notes.append(f"the mean kinetic temperature is {mean_k:.0f} K, not {found.temperature_k:g} K")
    framework = framework_label(part, found.species)
    if framework not in (*INTACT, UNKNOWN):
        document.notes.append(f"{framework}: this is not diffusion in the crystal")
    return DiffusionResult(
        **document.model_dump(),
        framework=framework,
        file=part.name,
        formula=Composition(Counter(part.species)).reduced_formula,
        engine=None if part.header is None else part.header.engine,
        part_ps=(float(part.times_ps[0]), float(part.times_ps[-1])),
        mean_temperature_k=mean_k,
    )


def framework_label(part: Trajectory, species: str) -> str:
    """Return what became of the framework, `UNKNOWN` where that cannot be told."""
    try:
        return stability(motion_of(part), species).label
    except InputError:
        return UNKNOWN


def arrhenius_points(results: Sequence[DiffusionDoc]) -> list[ArrheniusPoint]:
    """Return what a line of Arrhenius is fitted to: the diffusivities of several trajectories.

    Raises
    ------
    InputError
        Different mobile species, materials or engines, the same result twice, a diffusivity that is not positive, or
        one of a framework that is no longer the crystal's.
    """
    _require_one("mobile species", [result.species for result in results])
    known = [result for result in results if isinstance(result, DiffusionResult)]
    _require_one("material", [result.formula for result in known])
    _require_one("engine", [result.engine or "unknown" for result in known])
    for found in known:
        if found.framework not in (*INTACT, UNKNOWN):
            raise InputError(f"{found.file}: {found.framework}: results of a framework that stayed one are allowed")
    seen: set[tuple[float, float]] = set()
    for result in results:
        point = (result.temperature_k, result.D_cm2_s)
        if point in seen:
            raise InputError(
                f"{result.D_cm2_s:g} cm²/s at {result.temperature_k:g} K stands twice: each trajectory once is allowed"
            )
        seen.add(point)
    return [
        ArrheniusPoint(result.temperature_k, result.D_cm2_s, result.D_interval, result.carriers_per_cm3, result.charge)
        for result in results
    ]


def arrhenius_document(
    line: Arrhenius, results: Sequence[DiffusionDoc], temperature_k: float = ROOM_TEMPERATURE_K
) -> ArrheniusDoc:
    """Return the document of a line of Arrhenius.

    Parameters
    ----------
    line
        What `lzc_flows.transport.arrhenius.arrhenius` fitted to the `arrhenius_points` of the results.
    results
        What it was fitted to.
    temperature_k
        Where to extrapolate to beside 300 K, K.

    Raises
    ------
    InputError
        The temperature is not positive.
    """
    content: dict[str, Any] = asdict(line)
    energy, error = content.pop("Ea_ev"), line.Ea_standard_error
    room = _at(line, ROOM_TEMPERATURE_K)
    return ArrheniusDoc(
        **content,
        species=results[0].species,
        Ea_eV=energy,
        Ea_interval=(energy - error, energy + error),
        D_300K_cm2_s=room.D_cm2_s,
        D_300K_interval=room.D_interval,
        sigma_300K_mS_cm=room.sigma_mS_cm,
        sigma_300K_interval=room.sigma_interval,
        extrapolation=_at(line, temperature_k),
        points=[_point(result) for result in sorted(results, key=lambda result: result.temperature_k)],
    )


@dataclass(frozen=True)
class _Positions:
    """Unwrapped positions that are read from where they are when sliced by frames, as those of `Motion`."""

    trajectory: Trajectory

    @property
    def shape(self) -> tuple[int, int, int]:
        return (len(self.trajectory), len(self.trajectory.species), 3)

    def __getitem__(self, frames: int | slice) -> NDArray[np.float64]:
        if not isinstance(frames, slice):
            return self[frames : frames + 1][0]
        first, last, _ = frames.indices(len(self.trajectory))
        offset = self.trajectory.first
        return self.trajectory.source.read(offset + first, offset + last, self.trajectory.atoms)


def _protocol(trajectory: Trajectory) -> AimdProtocol | None:
    """Return the protocol of one of our own files."""
    if trajectory.header is None:
        return None
    try:
        return AimdProtocol.model_validate_json(trajectory.header.protocol)
    except ValidationError as error:
        raise InputError(
            f"{trajectory.name}: its protocol cannot be read: {first_error(error, AimdProtocol)}"
        ) from None


def _held(trajectory: Trajectory, protocol: AimdProtocol) -> Segment:
    """Return the last segment, which must be at one temperature."""
    last = protocol.segments[-1]
    if last.start_k != last.end_k:
        raise InputError(
            f"{trajectory.name}: the last segment of its protocol goes from {last.start_k:g} to {last.end_k:g} K, "
            "must be at one temperature for a diffusivity"
        )
    return last


def _require_one(what: str, values: Sequence[str]) -> None:
    different = sorted(set(values))
    if len(different) > 1:
        raise InputError(f"results of {what} {' and '.join(different)}: one {what} is allowed")


def _at(line: Arrhenius, temperature_k: float) -> ExtrapolationDoc:
    diffusivity, conductivity = line.diffusivity(temperature_k), line.conductivity(temperature_k)
    return ExtrapolationDoc(
        temperature_k=temperature_k,
        D_cm2_s=diffusivity.value,
        D_interval=diffusivity.interval,
        sigma_mS_cm=conductivity.value,
        sigma_interval=conductivity.interval,
    )


def _point(result: DiffusionDoc) -> ArrheniusPointDoc:
    return ArrheniusPointDoc(**{name: getattr(result, name) for name in ArrheniusPointDoc.model_fields})
