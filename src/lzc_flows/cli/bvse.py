"""`lzc bvse`: percolation barriers of any crystal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, protocol_of, stderr, stdout

if TYPE_CHECKING:
    from lzc_flows.documents.protocols import BvseProtocol
    from lzc_flows.transport.landscape import Landscape


def register(app: typer.Typer) -> None:
    """Add `bvse` to `app`."""
    app.command("bvse")(bvse)


def bvse(
    file: Annotated[Path | None, typer.Argument(help="Crystal (CIF, POSCAR, ...), with or without charges.")] = None,
    mobile: Annotated[str, typer.Option(help="The mobile ion, a cation.")] = "Li+",
    resolution: Annotated[float, typer.Option(help="Largest distance of grid points, in Å.")] = 0.1,
    cutoff: Annotated[float, typer.Option(help="Range of the interactions, in Å.")] = 10.0,
    convention: Annotated[str, typer.Option(help="Form of the potential, such as softbv or bvlain.")] = "softbv",
    charge: Annotated[
        list[str] | None, typer.Option(help="Charge of an element, such as Zr=4; may be repeated.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for grids (VESTA), sites, hops, paths, pictures and a web page.")
    ] = None,
    check_pairs: Annotated[
        Path | None,
        typer.Option(
            metavar="CAMPAIGN",
            help="Instead: whether softBV has every pair of a campaign file, as its bvse stage asks.",
        ),
    ] = None,
    json_output: JsonFlag = False,
) -> None:
    """Bond-valence site-energy barriers (eV) of the mobile ion in FILE, its sites and its paths.

    Barriers of percolation in 1, 2 and 3 dimensions, along a, b and c, and within the a–b plane, from the cell's
    lowest site energy; from_component_minimum: from the lowest of the component that percolates. In JSON, null
    means that the ion never percolates so.
    """
    from lzc_flows.cli import pairs
    from lzc_flows.documents.protocols import BvseProtocol
    from lzc_flows.errors import InputError

    if file is None and check_pairs is not None:
        pairs.check_pairs(check_pairs, json_output)
        return
    if file is None or check_pairs is not None:
        raise InputError("bvse: either a crystal FILE or --check-pairs CAMPAIGN is allowed, and one is needed")
    settings = {
        "mobile": mobile,
        "resolution_angstrom": resolution,
        "cutoff_angstrom": cutoff,
        "convention": convention,
    }
    content = _compute(file, protocol_of(BvseProtocol, settings), charge or [], out)
    if json_output:
        emit_json(content)
    else:
        _print(content)


def _compute(file: Path, protocol: BvseProtocol, charges: list[str], out: Path | None) -> dict[str, Any]:
    """Return what is printed as JSON, all files written."""
    from lzc_flows.crystal.charges import with_charges
    from lzc_flows.crystal.host import read_structure
    from lzc_flows.errors import InputError
    from lzc_flows.jobs.bvse import bvse_field, bvse_summary
    from lzc_flows.transport.landscape import analyse

    structure = with_charges(read_structure(file), charges, str(file))
    formula = structure.composition.reduced_formula
    with _writable(out), stderr.status(f"BVSE of {formula} ...") as status:
        start = time.perf_counter()
        try:
            field = bvse_field(structure, protocol)
        except InputError as error:
            raise InputError(f"{file}: {error}") from None
        middle = time.perf_counter()
        landscape = analyse(field)
        end = time.perf_counter()
        files = []
        if out is not None:
            from lzc_flows.report.bvse import write_landscape

            status.update(f"Writing {out} ...")
            files = write_landscape(out, landscape, structure)
    document = bvse_summary(landscape, protocol)
    return {
        "file": str(file),
        "formula": formula,
        **document.model_dump(mode="json", exclude={"field", "network", "sites"}),
        "sites": _sites(landscape),
        "table_error_ev": field.table_error_ev,
        "seconds": {"field": middle - start, "percolation": end - middle, "total": end - start},
        "written": [str(path) for path in files],
    }


@contextmanager
def _writable(out: Path | None) -> Iterator[None]:
    """Make the folder before anything is computed, and take it away again where nothing comes of it.

    Raises
    ------
    InputError
        It cannot be made.
    """
    from lzc_flows.errors import InputError

    made = [folder for folder in (out, *out.parents) if not folder.exists()] if out is not None else []
    try:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out}: a folder that can be written is allowed ({error.strerror})") from None
    try:
        yield
    except BaseException:
        for folder in made:
            with suppress(OSError):  # files of a run that was stopped while writing stay
                folder.rmdir()
        raise


def _sites(landscape: Landscape) -> list[dict[str, Any]]:
    energies = landscape.sites.graph.energies_ev - landscape.percolation.minimum_ev
    return [
        {"fractional": position, "energy_above_minimum_ev": energy}
        for position, energy in zip(landscape.sites.fractional.tolist(), energies.tolist(), strict=True)
    ]


def _print(content: dict[str, Any]) -> None:
    protocol = content["protocol"]
    grid = "×".join(map(str, content["grid"]))
    stdout.print(f"{content['formula']}, {protocol['mobile']}, {protocol['convention']}, grid {grid}")
    stdout.print("barrier  from the cell's minimum  from the component's own")
    for target in ("1d", "2d", "3d", "a", "b", "c", "ab"):
        name = f"barrier_{target}"
        own = content["from_component_minimum"][name]
        stdout.print(f"{target.replace('d', 'D'):7}  {content[name]:20.4f} eV  {own:21.4f} eV")
    stdout.print("sites    energy above the minimum, first position")
    for _, group in groupby(content["sites"], key=lambda site: round(site["energy_above_minimum_ev"], 3)):
        orbit = list(group)
        place = ", ".join(f"{x:.3f}" for x in orbit[0]["fractional"])
        stdout.print(f"{len(orbit):5} ×  {orbit[0]['energy_above_minimum_ev']:20.4f} eV  ({place})")
    for path in content["written"]:
        stdout.print(f"wrote {path}", soft_wrap=True)
