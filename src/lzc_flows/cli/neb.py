"""`lzc neb`: the path of a hop between two ends."""

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
    from lzc_flows.documents.neb import NebDoc


def register(app: typer.Typer) -> None:
    """Add `neb` to `app`."""
    app.command("neb")(neb)


def neb(
    initial: Annotated[Path, typer.Argument(help="One end of the hop (CIF, POSCAR, ...).")],
    final: Annotated[Path, typer.Argument(help="The other end: the same atoms, in any order, in the same cell.")],
    engine: EngineOption = "nep",
    dft: DftOption = None,
    images: Annotated[
        int | None, typer.Option(help="Images between the ends, odd; by default by their distance.")
    ] = None,
    fmax: Annotated[float, typer.Option(help="Largest force at the saddle, in eV/Å.")] = 0.01,
    fmax_band: Annotated[float, typer.Option(help="Largest nudged force on the other images, in eV/Å.")] = 0.05,
    max_steps: Annotated[int, typer.Option(help="Most steps of the first attempt.")] = 200,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; by default neb-INITIAL-CHECKSUM.")] = None,
    walltime_minutes: WalltimeOption = None,
    json_output: JsonFlag = False,
) -> None:
    """Barriers (eV) of the hop from INITIAL to FINAL, by a climbing-image nudged elastic band.

    Both ends are relaxed in their cell. A path through a minimum is split into its elementary steps. What does not
    converge fails: no number is given. The run can be killed at any moment, the same command goes on.
    """
    from lzc_flows.crystal.host import read_structure
    from lzc_flows.documents.dft import LZC
    from lzc_flows.documents.protocols import NebProtocol
    from lzc_flows.errors import CalculationError, InputError
    from lzc_flows.jobs.neb import find_path, path_folder
    from lzc_flows.recovery.neb import NebSetting

    ends_s = stop_at_s(walltime_minutes)
    asked = {
        "images": images,
        "fmax_climbing_ev_per_angstrom": fmax,
        "fmax_band_ev_per_angstrom": fmax_band,
        "max_steps": max_steps,
    }
    forces, protocol = chosen_engine(engine, dft, LZC), protocol_of(NebProtocol, asked)
    ends = read_structure(initial), read_structure(final)
    try:
        folder = out or Path(f"neb-{initial.stem}-{path_folder(*ends, forces, protocol)}")
        with _progress(folder):
            document = find_path(*ends, NebSetting(forces, protocol, folder, stop_at_s=ends_s))
    except InputError as error:
        raise InputError(f"{initial}, {final}: {error}") from None
    except CalculationError as error:
        raise CalculationError(f"{initial}, {final}: {error}") from None
    content: dict[str, Any] = {"initial": str(initial), "final": str(final), "folder": str(folder)}
    if document is None:
        content |= {"finished": False}
    else:
        content |= {"finished": True, **document.model_dump(mode="json", exclude={"initial", "path"})}
        content |= {"written": _write(folder, document)}
    if json_output:
        emit_json(content)
    elif document is None:
        stdout.print(f"{folder}: stopped in order; the same command goes on", highlight=False)
    else:
        _print(document, content["written"])


@contextmanager
def _progress(folder: Path) -> Iterator[None]:
    """Show on a terminal how far the run is."""
    from lzc_flows.engines.neb_worker import read_progress

    with stderr.status("Relaxing the ends ...") as status:

        def look() -> None:
            progress = read_progress(folder)
            if progress is not None:
                status.update(f"{progress.what}: {progress.done} of {progress.of}, {progress.evaluations} evaluations")

        with every_second(look):
            yield


def _write(folder: Path, document: NebDoc) -> list[str]:
    """Write path and profile to the run's folder; return the files."""
    import numpy as np

    from lzc_flows.band.packing import unpack_path
    from lzc_flows.report.figure import write_png
    from lzc_flows.report.neb import of_neb_doc, path_figure
    from lzc_flows.report.neb_path import PathImages, write_overlay_cif, write_path_extxyz

    assert document.path is not None  # of a path just found
    images = PathImages(
        species=tuple(site.specie.symbol for site in document.initial),
        cell=document.initial.lattice.matrix,
        positions=unpack_path(document.path),
        energies_ev=np.array(document.energies_eV) + document.initial_energy_eV,
        moved_atoms=tuple(document.moved_atoms),
    )
    files = [folder / name for name in ("path.extxyz", "path.cif", "profile.png")]
    write_path_extxyz(images, files[0])
    write_overlay_cif(images, files[1])
    write_png(path_figure(of_neb_doc(document, folder.name)), files[2])
    return [str(file) for file in files]


def _print(document: NebDoc, written: list[str]) -> None:
    stdout.print(
        f"barrier {document.barrier_forward_eV:.4f} eV forward, {document.barrier_reverse_eV:.4f} eV back "
        f"({document.engine.name}; largest force at the saddle {document.fmax:.3f} eV/Å)",
        highlight=False,
    )
    if len(document.legs) > 1:
        for number, leg in enumerate(document.legs, start=1):
            stdout.print(
                f"step {number}: {leg.barrier_forward_eV:.4f} eV forward, {leg.barrier_reverse_eV:.4f} eV back",
                highlight=False,
            )
    if document.reordered:
        stdout.print("atoms of the final end were matched in another order than given, for the shortest ways")
    stdout.print(f"charge of the cell {_charge(document)}: {document.charge_note}", highlight=False, soft_wrap=True)
    for correction in document.corrections:
        stdout.print(f"mended: {'; '.join(correction.errors)}: {'; '.join(correction.actions)}", soft_wrap=True)
    for path in written:
        stdout.print(f"wrote {path}", highlight=False, soft_wrap=True)


def _charge(document: NebDoc) -> str:
    return "not known" if document.charge_e is None else f"{document.charge_e:+g} e"
