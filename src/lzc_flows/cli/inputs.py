"""`lzc inputs`: the files that a DFT job would write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stderr, stdout
from lzc_flows.cli.session import Session

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from lzc_flows.flows.spec import CampaignSpec

_BEFORE = {"order": ("order",), "relax": ("order",)}
_LATER = ("relax", "order")
"""Stages whose crystal a stage starts from, the best first."""


def register(app: typer.Typer) -> None:
    """Add `inputs` to `app`."""
    app.command("inputs")(inputs)


def inputs(
    candidate: Annotated[
        str, typer.Argument(help="Key of a candidate in the database or the beginning of one, or a crystal file.")
    ],
    engine: Annotated[str | None, typer.Option(help="vasp or cp2k; by default the campaign's, or vasp.")] = None,
    stage: Annotated[str, typer.Option(help="order, relax, static, aimd, cineb or electronic.")] = "relax",
    campaign: Annotated[
        str | None, typer.Option(help="Campaign, by file or name, whose numbers are taken; by default the sources'.")
    ] = None,
    dft: Annotated[str | None, typer.Option(help="lzc, lzc-aimd or lzrc: other numbers for the electrons.")] = None,
    images: Annotated[
        int | None, typer.Option(min=1, help="Images of a band; by default the protocol's, or 5.")
    ] = None,
    charge: Annotated[
        list[str] | None, typer.Option(help="Oxidation state of an element of a file, such as Zr=4; repeatable.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the files, which are then not printed.")] = None,
    json_output: JsonFlag = False,
) -> None:
    """Print the input files that a job of VASP or CP2K would write for CANDIDATE.

    Neither program is needed. Of a POTCAR, symbol, title, valence and cutoff are printed, never the potential; where no
    library is set up, stand-ins of the headers serve.
    """
    from lzc_flows.launch.input_plan import Wishes, input_plan

    spec = _campaign(campaign)
    plan = input_plan(stage, spec, Wishes(engine, dft, images))
    structure, origin = _crystal(candidate, stage, charge or [], None if spec is None else spec.name)
    if out is not None:
        _require_folder(out)
    from lzc_flows.launch.input_files import input_files  # takes seconds, and bad input is told before
    from lzc_flows.launch.rehearse import potcars_at_hand

    with TemporaryDirectory(prefix="lzc-potcars-") as folder, potcars_at_hand(Path(folder)) as stand_ins:
        found = input_files(plan, structure)
    written = [] if out is None else _write(out, found.files)
    stderr.print(f"crystal: {origin}", highlight=False, markup=False, soft_wrap=True)
    if stand_ins and plan.engine == "vasp":
        stderr.print("no POTCAR library is set up: stand-ins of the headers served", soft_wrap=True)
    for note in found.notes:
        stderr.print(note, highlight=False, markup=False, soft_wrap=True)
    if json_output:
        emit_json({"files": found.files, "structure_from": origin, "written": [str(path) for path in written]})
    elif out is None:
        _print(found.files)
    for path in written:
        stderr.print(f"wrote {path}", highlight=False, soft_wrap=True)


def _campaign(reference: str | None) -> CampaignSpec | None:
    return None if reference is None else Session(reference).campaign.spec


def _crystal(reference: str, stage: str, charges: list[str], campaign: str | None) -> tuple[Structure, str]:
    """Return the crystal that a stage starts from, and where it is from: a file, or a stage of a candidate."""
    from lzc_flows.errors import InputError

    # keys have neither a dot nor a slash
    if Path(reference).is_file() or set(reference) & {".", "/"}:
        from lzc_flows.crystal.charges import with_charges
        from lzc_flows.crystal.host import read_structure

        structure = read_structure(Path(reference))
        if not structure.is_ordered:
            raise InputError(
                f"{reference}: partially occupied; a crystal with one element a site is allowed (see `lzc order`)"
            )
        return with_charges(structure, charges, reference), reference
    if charges:
        raise InputError("--charge: allowed for a crystal file only; a candidate's ions have their charges")
    from lzc_flows.database.candidates import build_candidates
    from lzc_flows.database.lookup import find_candidate, stage_structure
    from lzc_flows.database.stores import connect

    database = connect()
    build_candidates(database)
    summary = find_candidate(database, reference, campaign)
    structure, left_by = stage_structure(database, summary, _BEFORE.get(stage, _LATER))
    return structure, f"{summary['key']}, as its stage {left_by} left it"


def _require_folder(out: Path) -> None:
    """Make the folder before anything is computed; raise `InputError` where that cannot be."""
    from lzc_flows.errors import InputError

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out}: a folder that can be written is allowed ({error.strerror})") from None


def _write(out: Path, files: Mapping[str, str]) -> list[Path]:
    from lzc_flows.files import write_atomically

    for name, text in files.items():
        write_atomically(out / name, text.encode())
    return [out / name for name in files]


def _print(files: Mapping[str, str]) -> None:
    """Print the files; equal ones, as of the parts of a long run, once."""
    alike: dict[tuple[str, str], list[str]] = {}
    for name, text in files.items():
        alike.setdefault((Path(name).name, text), []).append(name)
    for (_, text), names in alike.items():
        title = ", ".join(names) if len(names) < 4 else f"{names[0]} to {names[-1]}, {len(names)} alike"
        stdout.print(f"--- {title}", highlight=False, markup=False, soft_wrap=True)
        print(re.sub(r"\n*\Z", "\n", text))
