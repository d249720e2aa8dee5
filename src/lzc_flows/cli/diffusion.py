"""`lzc diffusion`: diffusivity and conductivity of a trajectory, each with an interval."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stderr, stdout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from lzc_flows.documents.diffusion import DiffusionResult
    from lzc_flows.trajectory.model import Trajectory
    from lzc_flows.transport.diffusion import Diffusion


def register(app: typer.Typer) -> None:
    """Add `diffusion` to `app`."""
    app.command("diffusion")(diffusion)


def diffusion(
    trajectory: Annotated[Path, typer.Argument(help="Trajectory: our own HDF5, extended XYZ or XDATCAR.")],
    species: Annotated[str, typer.Option(help="The mobile species, an element.")] = "Li",
    temperature: Annotated[
        float | None, typer.Option(help="Temperature in K; our own files hold it.", show_default=False)
    ] = None,
    time_step_fs: Annotated[
        float | None,
        typer.Option(help="Time from frame to frame of the file, in fs; our own hold it.", show_default=False),
    ] = None,
    skip_ps: Annotated[
        float, typer.Option(help="Left out at the start, in ps; of our own files, of their last segment.")
    ] = 0.0,
    charge: Annotated[float, typer.Option(help="Charge of a mobile ion, in elementary charges.")] = 1.0,
    hop_distance: Annotated[float, typer.Option(help="Mean distance of a hop, in Å.")] = 3.4,
    figure: Annotated[Path | None, typer.Option(help="PNG file for the mean squared displacements.")] = None,
    json_output: JsonFlag = False,
) -> None:
    """Diffusivity (cm²/s) and conductivity (mS/cm) of a species in TRAJECTORY, with 68 % intervals.

    Of our own files the last segment of the protocol is analysed, of others all frames. Where there are too few hops
    for a number there is none, and the exit code is 1. `lzc arrhenius` takes what --json prints, of several
    temperatures.
    """
    from lzc_flows.jobs.diffusion import diffusion_result

    with stderr.status("Reading the trajectory ..."):
        part, temperature_k = _part(trajectory, time_step_fs, skip_ps, temperature)
        found = _analysed(part, species, temperature_k, charge, hop_distance)
    result = diffusion_result(part, found)
    if figure is not None:
        from lzc_flows.report.motion import msd_figure

        save_figure(msd_figure([found]), figure)
    if json_output:
        emit_json(result.model_dump(mode="json"))
    else:
        _print(result)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; raise `InputError` where that cannot be."""
    from lzc_flows.errors import InputError
    from lzc_flows.report.figure import write_png

    try:
        write_png(figure, path)
    except OSError as error:
        raise InputError(f"--figure {path}: a file that can be written is allowed ({error.strerror})") from None


def interval_text(interval: tuple[float, float], digits: int = 3) -> str:
    """Return the bounds of an interval for reading."""
    return f"{interval[0]:.{digits}g} to {interval[1]:.{digits}g}"


def _part(
    path: Path, time_step_fs: float | None, skip_ps: float, temperature: float | None
) -> tuple[Trajectory, float]:
    """Return what is to be analysed, and its temperature in K."""
    from lzc_flows.errors import InputError
    from lzc_flows.jobs.diffusion import production
    from lzc_flows.trajectory.reader import read_trajectory

    if not skip_ps >= 0:
        raise InputError(f"--skip-ps {skip_ps:g}: 0 and above is allowed")
    whole = read_trajectory(path, time_step_fs)
    temperature_k = _temperature_k(whole, temperature)
    part = production(whole)
    if skip_ps > 0:
        part = part.between(float(part.times_ps[0]) + skip_ps)
    return part, temperature_k


def _temperature_k(whole: Trajectory, given: float | None) -> float:
    from lzc_flows.errors import InputError
    from lzc_flows.jobs.diffusion import target_temperature_k

    held = target_temperature_k(whole)
    if held is None:
        if given is None:
            raise InputError(f"{whole.name}: does not hold its temperature, give it as --temperature in K")
        return given
    if given not in (None, held):
        raise InputError(f"--temperature {given:g}: {whole.name} was held at {held:g} K by its protocol, leave it out")
    return held


def _analysed(part: Trajectory, species: str, temperature_k: float, charge: float, hop_distance: float) -> Diffusion:
    from lzc_flows.errors import CalculationError, InputError
    from lzc_flows.jobs.diffusion import motion_of
    from lzc_flows.transport.diffusion import TooFewHops
    from lzc_flows.transport.diffusion import diffusion as diffusion_in

    motion = motion_of(part)
    try:
        return diffusion_in(motion, species, temperature_k, charge, hop_distance)
    # nothing is wrong with the input: the run was too short for what it was to show
    except TooFewHops as error:
        raise CalculationError(f"{part.name}: {error}") from None
    except InputError as error:
        raise InputError(f"{part.name}: {error}") from None


def _print(result: DiffusionResult) -> None:
    from rich.table import Table

    kinetic = (
        "" if result.mean_temperature_k is None else f" (mean kinetic temperature {result.mean_temperature_k:.1f} K)"
    )
    stdout.print(
        f"{result.formula}, {result.ions} {result.species}, {result.temperature_k:g} K{kinetic}, "
        f"{result.part_ps[0]:g} to {result.part_ps[1]:g} ps; framework: {result.framework}",
        highlight=False,
    )
    table = Table("", "value", "68 % interval", "unit", box=None)
    for row in _rows(result):
        table.add_row(*row)
    stdout.print(table)
    stdout.print(
        f"slope from {result.window_ps[0]:g} to {result.window_ps[1]:g} ps (MSD ~ t^{result.exponent:.2f}), "
        f"{result.n_hops:.0f} effective hops; He et al.: RSD {result.rsd_he:.0%}, TMSD {result.tmsd_A2:.0f} Å²",
        highlight=False,
    )
    for note in result.notes:
        stdout.print(f"note: {note}", highlight=False, soft_wrap=True)


def _rows(result: DiffusionResult) -> Iterator[tuple[str, str, str, str]]:
    named = {"D": result, **{f"D along {k}": result.by_direction[k] for k in "abc"}}
    named |= {"D in the a–b plane": result.by_direction["ab"], "D of the charge": result.charge_diffusivity}
    for name, one in named.items():
        yield name, f"{one.D_cm2_s:.3g}", interval_text(one.D_interval), "cm²/s"
    yield "σ", f"{result.sigma_mS_cm:.4g}", interval_text(result.sigma_interval, digits=4), "mS/cm"
    if result.haven_ratio is not None and result.haven_interval is not None:
        yield "Haven ratio", f"{result.haven_ratio:.2f}", interval_text(result.haven_interval), ""
