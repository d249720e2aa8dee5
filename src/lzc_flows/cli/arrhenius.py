"""`lzc arrhenius`: activation energy and conductivity at 300 K from diffusivities at several temperatures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stdout
from lzc_flows.cli.diffusion import interval_text, save_figure

if TYPE_CHECKING:
    from lzc_flows.documents.diffusion import ArrheniusDoc, DiffusionResult


def register(app: typer.Typer) -> None:
    """Add `arrhenius` to `app`."""
    app.command("arrhenius")(arrhenius)


def arrhenius(
    results: Annotated[list[Path], typer.Argument(help="What `lzc diffusion --json` printed, a file each.")],
    temperature: Annotated[float, typer.Option(help="Where to extrapolate to beside 300 K, in K.")] = 300.0,
    figure: Annotated[Path | None, typer.Option(help="PNG file for the Arrhenius plot.")] = None,
    json_output: JsonFlag = False,
) -> None:
    """Fit the line of Arrhenius to RESULTS, of three temperatures or more; print Ea and what it says of 300 K.

    Errors are those of the diffusivities, carried through the full covariance of slope and intercept.
    """
    from lzc_flows.jobs.diffusion import arrhenius_document, arrhenius_points
    from lzc_flows.transport.arrhenius import arrhenius as line_through

    found = [_read(path) for path in results]
    points = arrhenius_points(found)
    line = line_through(points)
    document = arrhenius_document(line, found, temperature)
    if figure is not None:
        from lzc_flows.report.arrhenius import arrhenius_figure

        save_figure(arrhenius_figure(line, points), figure)
    if json_output:
        emit_json(document.model_dump(mode="json"))
    else:
        _print(document)


def _read(path: Path) -> DiffusionResult:
    from pydantic import ValidationError

    from lzc_flows.documents.diffusion import DiffusionResult
    from lzc_flows.errors import InputError

    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        return DiffusionResult.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        said = f"{where}: {first['msg']}" if where else first["msg"]
        raise InputError(f"{path}: not what `lzc diffusion --json` prints ({said})") from None


def _print(document: ArrheniusDoc) -> None:
    from rich.table import Table

    points = Table("T (K)", "D (cm²/s)", "68 % interval", "length (ps)", "TMSD (Å²)", "RSD by He", box=None)
    for one in document.points:
        interval = interval_text(one.D_interval)
        cells = (f"{one.length_ps:g}", f"{one.tmsd_A2:.0f}", f"{one.rsd_he:.0%}")
        points.add_row(f"{one.temperature_k:g}", f"{one.D_cm2_s:.3g}", interval, *cells)
    stdout.print(points)
    stdout.print(f"Ea = {document.Ea_eV:.3f} ± {document.Ea_standard_error:.3f} eV", highlight=False)
    stdout.print(f"D0 = {document.D0_cm2_s:.3g} cm²/s ({interval_text(document.D0_interval)})", highlight=False)
    stdout.print(
        f"σ(300 K) = {document.sigma_300K_mS_cm:.3g} mS/cm ({interval_text(document.sigma_300K_interval)})",
        highlight=False,
    )
    other = document.extrapolation
    if other.temperature_k != 300:
        stdout.print(
            f"σ({other.temperature_k:g} K) = {other.sigma_mS_cm:.3g} mS/cm ({interval_text(other.sigma_interval)})",
            highlight=False,
        )
    freedom = document.degrees_of_freedom
    stdout.print(f"χ² = {document.chi2:.2f} with {freedom} degrees of freedom", highlight=False)
    for note in document.notes:
        stdout.print(f"note: {note}", highlight=False, soft_wrap=True)
