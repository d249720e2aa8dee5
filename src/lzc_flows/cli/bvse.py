"""`lzc bvse`: percolation barriers of any crystal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stderr, stdout


def register(app: typer.Typer) -> None:
    """Add `bvse` to `app`."""
    app.command("bvse")(bvse)


def bvse(
    file: Annotated[Path, typer.Argument(help="Crystal (CIF, POSCAR, ...), with or without charges.")],
    mobile: Annotated[str, typer.Option(help="The mobile ion.")] = "Li+",
    resolution: Annotated[float, typer.Option(help="Largest distance of grid points, in Å.")] = 0.2,
    cutoff: Annotated[float, typer.Option(help="Range of the interactions, in Å.")] = 10.0,
    convention: Annotated[str, typer.Option(help="Form of the potential: softbv or bvlain.")] = "softbv",
    charge: Annotated[
        list[str] | None, typer.Option(help="Charge of an element, such as Zr=4; may be repeated.")
    ] = None,
    json_output: JsonFlag = False,
) -> None:
    """Bond-valence site-energy barriers (eV) for 1D, 2D and 3D percolation of the mobile ion in FILE.

    Barriers are measured from the cell's lowest site energy; component_barrier_* from the percolating
    component's own. In JSON, null means that the ion never percolates in so many dimensions.
    """
    from pydantic import ValidationError

    from lzc_flows.crystal.charges import with_charges
    from lzc_flows.crystal.host import read_structure
    from lzc_flows.documents.protocols import BvseProtocol
    from lzc_flows.errors import InputError
    from lzc_flows.jobs.bvse import bvse_document

    try:
        protocol = BvseProtocol(
            mobile=mobile,
            resolution_angstrom=resolution,
            cutoff_angstrom=cutoff,
            convention=convention,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{first['loc'][0]}: {first['msg']} (given: {first['input']})") from None
    structure = with_charges(read_structure(file), charge or [], str(file))
    with stderr.status(f"BVSE of {structure.composition.reduced_formula} ..."):
        document = bvse_document(structure, protocol)
    content = {
        "file": str(file),
        "formula": structure.composition.reduced_formula,
        **document.model_dump(mode="json", exclude={"field"}),
    }
    if json_output:
        emit_json(content)
        return
    stdout.print(f"{content['formula']}, {mobile}, {convention}, grid {'×'.join(map(str, document.grid_shape))}")
    for dimensions in (1, 2, 3):
        barrier = content[f"barrier_{dimensions}d"]
        own = content[f"component_barrier_{dimensions}d"]
        stdout.print(f"{dimensions}D  {barrier:8.4f} eV   (from the component's own minimum {own:8.4f} eV)")
