"""`lzc aimd`: molecular dynamics of any crystal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lzc_flows.cli.common import (
    DftOption,
    EngineOption,
    JsonFlag,
    WalltimeOption,
    chosen_engine,
    emit_json,
    every_second,
    stderr,
    stdout,
    stop_at_s,
)

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from lzc_flows.documents.aimd import AimdDoc
    from lzc_flows.engines.aimd_worker import AimdRequest


def register(app: typer.Typer) -> None:
    """Add `aimd` to `app`."""
    app.command("aimd")(aimd)


def aimd(
    file: Annotated[Path, typer.Argument(help="Crystal (CIF, POSCAR, ...), every site occupied by one element.")],
    engine: EngineOption = "nep",
    dft: DftOption = None,
    protocol: Annotated[str, typer.Option(help="lzc-short, lzc-long, lzrc-npt, or a YAML file.")] = "lzc-short",
    temperature: Annotated[float | None, typer.Option(help="In K, of a named protocol that has several.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the starting velocities.")] = 1,
    supercell: Annotated[tuple[int, int, int], typer.Option(help="Repeats along a, b and c.")] = (1, 1, 1),
    mobile: Annotated[str, typer.Option(help="Element whose diffusion is analysed.")] = "Li",
    out: Annotated[Path | None, typer.Option(help="Folder of the run; by default aimd-FILE-CHECKSUM.")] = None,
    walltime_minutes: WalltimeOption = None,
    json_output: JsonFlag = False,
) -> None:
    """Run molecular dynamics of FILE and say how its mobile ions diffuse.

    The run can be killed at any moment: the same command goes on from the last checkpoint in its folder, and gives
    what the uninterrupted run would have given.
    """
    from lzc_flows.documents.aimd_protocol import load_protocol
    from lzc_flows.documents.dft import LZC_AIMD
    from lzc_flows.engines.aimd_worker import AimdRequest
    from lzc_flows.engines.registry import engine_of
    from lzc_flows.jobs.aimd import aimd_document
    from lzc_flows.recovery.dynamics import run_dynamics

    ends_s = stop_at_s(walltime_minutes)
    structure = _ordered(file, supercell, mobile)
    forces = chosen_engine(engine, dft, LZC_AIMD)
    request = AimdRequest(structure, forces, load_protocol(protocol, temperature), seed, stop_at_s=ends_s)
    identity = request.identity(engine_of(forces).stamp())
    folder = out or Path(f"aimd-{file.stem}-{identity.checksum}")
    with _progress(request, folder):
        run = run_dynamics(request, folder)
    content: dict[str, Any] = {"file": str(file), "folder": str(folder), "finished": run.outcome.finished}
    if run.outcome.finished:
        document = aimd_document(request, run, mobile)
        content |= document.model_dump(mode="json", exclude={"structure", "final_structure", "trajectory"})
        content |= {"trajectory": str(run.trajectory)}
    if json_output:
        emit_json(content)
    elif not run.outcome.finished:
        stdout.print(f"{folder}: stopped in order; the same command goes on", highlight=False)
    else:
        _print(document, run.trajectory)


def _ordered(file: Path, supercell: tuple[int, int, int], mobile: str) -> Structure:
    from lzc_flows.crystal.host import read_structure
    from lzc_flows.errors import InputError

    if min(supercell) < 1:
        raise InputError(f"supercell {' '.join(map(str, supercell))}: three positive integers are allowed")
    structure = read_structure(file)
    if not structure.is_ordered:
        raise InputError(f"{file}: partially occupied; a crystal with one element a site is allowed (see `lzc order`)")
    structure.make_supercell(list(supercell))
    present = sorted({site.specie.symbol for site in structure})
    if mobile not in present:
        raise InputError(f"{file}: no {mobile} in it; it has {', '.join(present)}")
    return structure


@contextmanager
def _progress(request: AimdRequest, folder: Path) -> Iterator[None]:
    """Show on a terminal how far the run is."""
    from rich.progress import Progress

    from lzc_flows.recovery.dynamics import done_ps

    total_ps = request.protocol.ps
    with Progress(console=stderr, disable=not stderr.is_terminal) as bars:
        task = bars.add_task(f"{total_ps:g} ps", total=total_ps)
        with every_second(lambda: bars.update(task, completed=done_ps(request, folder))):
            yield


def _print(document: AimdDoc, trajectory: Path) -> None:
    kinetics = document.kinetics
    stdout.print(
        f"{kinetics.ps:g} ps, production {kinetics.production_ps:g} ps at "
        f"{kinetics.temperature_k:.0f} ± {kinetics.temperature_deviation_k:.0f} K: {document.stability.label}",
        highlight=False,
    )
    if document.stability.label == "unknown":
        stdout.print(f"stability unknown: {document.stability.notes[0]}", highlight=False, soft_wrap=True)
    found = document.diffusion
    if found is None:
        stdout.print(f"no diffusivity: {document.no_diffusion_because}", highlight=False, soft_wrap=True)
    else:
        low, high = found.D_interval
        stdout.print(f"D = {found.D_cm2_s:.3g} cm²/s ({low:.3g} to {high:.3g})", highlight=False)
        stdout.print(f"σ = {found.sigma_mS_cm:.4g} mS/cm at {found.temperature_k:g} K", highlight=False)
    for correction in document.corrections:
        stdout.print(f"mended: {'; '.join(correction.errors)}: {'; '.join(correction.actions)}", soft_wrap=True)
    stdout.print(f"trajectory: {trajectory}", highlight=False, soft_wrap=True)
