"""`lzc barriers`: the barriers of all hops of a crystal, and how far they lead."""

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
    protocol_of,
    stderr,
    stdout,
    stop_at_s,
)

if TYPE_CHECKING:
    from lzc_flows.documents.neb import HopDoc, HopNetworkDoc


def register(app: typer.Typer) -> None:
    """Add `barriers` to `app`."""
    app.command("barriers")(barriers)


def barriers(
    file: Annotated[Path, typer.Argument(help="Relaxed ordered crystal (CIF, POSCAR, ...).")],
    engine: EngineOption = "nep",
    dft: DftOption = None,
    host: Annotated[
        str | None, typer.Option(help="Host whose sites the ions take, such as lzc; by default BVSE minima.")
    ] = None,
    mechanism: Annotated[
        list[str] | None, typer.Option(help="vacancy, interstitial, interstitialcy or frenkel; may be repeated.")
    ] = None,
    mobile: Annotated[str, typer.Option(help="Element of the mobile ion.")] = "Li",
    supercell: Annotated[tuple[int, int, int], typer.Option(help="Repeats along a, b and c.")] = (1, 1, 1),
    symprec: Annotated[float, typer.Option(help="Symmetry tolerance of equal hops, in Å.")] = 0.01,
    temperature: Annotated[list[float] | None, typer.Option(help="For diffusivities, in K; may be repeated.")] = None,
    charge: Annotated[
        list[str] | None, typer.Option(help="Charge of an element, such as Zr=4; may be repeated.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; by default barriers-FILE.")] = None,
    walltime_minutes: WalltimeOption = None,
    json_output: JsonFlag = False,
) -> None:
    """Barriers (eV) of all distinct hops of FILE, and the barriers of getting through it along a, b and c.

    The run can be killed at any moment: the same command goes on. A hop without a converged path has no number, but
    the name of what failed.
    """
    from lzc_flows.crystal.charges import with_charges
    from lzc_flows.crystal.host import read_structure
    from lzc_flows.documents.dft import LZC
    from lzc_flows.documents.protocols import MECHANISMS, HopProtocol, NebProtocol
    from lzc_flows.errors import CalculationError, InputError
    from lzc_flows.jobs.hop_network import HopCrystal, hop_network, repeated
    from lzc_flows.recovery.neb import NebSetting

    ends_s = stop_at_s(walltime_minutes)
    hops = protocol_of(
        HopProtocol,
        {
            "mobile": mobile,
            "mechanisms": tuple(dict.fromkeys(mechanism or MECHANISMS)),
            "supercell": supercell,
            "symprec_angstrom": symprec,
            "temperatures_k": tuple(temperature or [300.0]),
        },
    )
    forces = chosen_engine(engine, dft, LZC)
    structure = with_charges(read_structure(file), charge or [], str(file))
    folder = out or Path(f"barriers-{file.stem}")
    try:
        crystal = HopCrystal(repeated(structure, hops), hops, _host(host))
        with _progress(folder):
            document = hop_network(crystal, NebSetting(forces, NebProtocol(), folder, stop_at_s=ends_s))
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    except CalculationError as error:
        raise CalculationError(f"{file}: {error}") from None
    content: dict[str, Any] = {"file": str(file), "folder": str(folder), "finished": document is not None}
    if document is not None:
        content |= document.model_dump(mode="json", exclude={"structure", "paths"})
        content |= {"written": _write(folder, document)}
    if json_output:
        emit_json(content)
    elif document is None:
        stdout.print(f"{folder}: stopped in order; the same command goes on", highlight=False)
    else:
        _print(document, content["written"])


def _host(name: str | None) -> Any:
    from lzc_flows.crystal.host import host_by_name
    from lzc_flows.crystal.hostspec import HostSpec

    return None if name is None else HostSpec(name=host_by_name(name).name)


@contextmanager
def _progress(folder: Path) -> Iterator[None]:
    """Show on a terminal how far the run is."""
    from rich.progress import Progress

    from lzc_flows.engines.neb_worker import read_progress

    with Progress(console=stderr, disable=not stderr.is_terminal) as bars:
        task = bars.add_task("ends", total=None)

        def look() -> None:
            progress = read_progress(folder)
            if progress is not None:
                bars.update(task, description=progress.what, completed=progress.done, total=progress.of)

        with every_second(look):
            yield


def _write(folder: Path, document: HopNetworkDoc) -> list[str]:
    """Write the figures to the run's folder; return the files."""
    from lzc_flows.report.figure import write_png
    from lzc_flows.report.neb_barriers import barriers_figure
    from lzc_flows.report.neb_compare import directions_figure

    files = {folder / "barriers.png": barriers_figure(document.hops, folder.name)}
    if any(hop.status == "converged" for hop in document.hops):
        files[folder / "directions.png"] = directions_figure(document.hops)
    for path, figure in files.items():
        write_png(figure, path)
    return [str(path) for path in files]


def _print(document: HopNetworkDoc, written: list[str]) -> None:
    stdout.print(f"{document.symmetry}, {document.engine.name}; charges {document.charge_note}", soft_wrap=True)
    stdout.print(f"{'hop':18} {'sites':18} {'Å':>11} {'':8} {'equal':>5}  barrier forward, back (eV)", highlight=False)
    for hop in document.hops:
        stdout.print(_line(hop), highlight=False, soft_wrap=True)
    stdout.print(
        "carrier       " + "".join(f"{target:>8}" for target in document.barriers_eV) + "  eV", highlight=False
    )
    for carrier in document.carriers:
        barriers = "".join(f"{barrier:8.3f}" for barrier in carrier.barriers_eV.values())
        stdout.print(f"{carrier.carrier:14}{barriers}  {carrier.converged} of {carrier.hops} hops", highlight=False)
    for path in written:
        stdout.print(f"wrote {path}", highlight=False, soft_wrap=True)


def _line(hop: HopDoc) -> str:
    sites, ways = " → ".join(hop.labels), "+".join(f"{way:.2f}" for way in hop.ways_A)
    found = f"{hop.status}: {hop.reason}"
    if hop.barrier_forward_eV is not None and hop.barrier_reverse_eV is not None:
        found = f"{hop.barrier_forward_eV:.3f}  {hop.barrier_reverse_eV:.3f}"
    return f"{hop.id:18} {sites:18} {ways:>11} {hop.direction_word:8} {hop.multiplicity:5}  {found}"
