"""`lzc order`: how the ions of one combination can be arranged, up to symmetry, and which arrangement is best."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stderr, stdout

if TYPE_CHECKING:
    from lzc_flows.crystal.doping import Combination, Substitution
    from lzc_flows.crystal.host import Host
    from lzc_flows.crystal.ordering import Arrangement, Ordering
    from lzc_flows.documents.engine import EngineSpec
    from lzc_flows.documents.order import OrderDoc
    from lzc_flows.documents.protocols import OrderProtocol

WITHOUT_ENGINE = "electrostatics,bond-valence,symmetry"


def register(app: typer.Typer) -> None:
    """Add `order` to `app`."""
    app.command("order")(order)


def order(
    host: Annotated[str, typer.Option(help="A built-in host, such as lzc, or a crystal file.")] = "lzc",
    supercell: Annotated[tuple[int, int, int], typer.Option(help="Repeats along a, b and c.")] = (1, 1, 1),
    cation: Annotated[str | None, typer.Option(help="Doping cation, such as Ti3+.")] = None,
    n_cation: Annotated[int, typer.Option(help="Doping cations in the supercell.")] = 1,
    cation_sites: Annotated[str, typer.Option(help="Wyckoff labels that they may take, such as 1a,2d.")] = "1a,2d",
    anion: Annotated[str | None, typer.Option(help="Doping anion, such as F-.")] = None,
    n_anion: Annotated[int, typer.Option(help="Doping anions in the supercell.")] = 1,
    anion_sites: Annotated[str, typer.Option(help="Wyckoff labels that they may take.")] = "6i",
    charged: Annotated[
        bool, typer.Option("--charged", help="Leave the dopants' charge to a uniform background; no ions balance it.")
    ] = False,
    count: Annotated[bool, typer.Option("--count", help="Only count; nothing is listed.")] = False,
    top: Annotated[int, typer.Option(help="How many of the best are shown, or compared by the engine.")] = 10,
    tiers: Annotated[str, typer.Option(help="What decides, one after the other.")] = WITHOUT_ENGINE,
    engine: Annotated[str, typer.Option(help="For the tiers static-energy and relaxed-energy.")] = "nep",
    seed: Annotated[int, typer.Option(help="Of the random numbers where there are too many to list.")] = 0,
    symprec: Annotated[float, typer.Option(help="Symmetry tolerance in Å.")] = 1e-3,
    mobile: Annotated[str, typer.Option(help="The mobile ion of a crystal file.")] = "Li+",
    charge: Annotated[
        list[str] | None, typer.Option(help="Charge of an element of a crystal file, such as Zr=4; may be repeated.")
    ] = None,
    vacant: Annotated[
        list[str] | None, typer.Option(help="Vacant orbit of a crystal file, such as 1b=0,0,0.5; may be repeated.")
    ] = None,
    figure: Annotated[Path | None, typer.Option(help="PNG file for the histogram of all energies.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the structures shown, one CIF each.")] = None,
    json_output: JsonFlag = False,
) -> None:
    """Count the arrangements of one combination and their symmetry orbits; rank them tier by tier.

    Extra mobile ions (or vacancies) make the cell neutral. Point charges cannot tell isovalent anions apart: bond
    valence comes next, then an engine if --tiers names static-energy or relaxed-energy, then symmetry. Where there are
    too many orbits to list, the best come from a Monte Carlo search, and the output says so.
    """
    from lzc_flows.crystal.doping import Combination
    from lzc_flows.crystal.ordering import enumeration
    from lzc_flows.documents.dft import LZC
    from lzc_flows.documents.engine import engine_spec
    from lzc_flows.errors import InputError

    if count and (figure is not None or out is not None):
        raise InputError("--count: not together with --figure or --out, which need energies")
    if min(supercell) < 1:
        raise InputError(f"supercell {' '.join(map(str, supercell))}: three positive integers are allowed")
    protocol = _protocol({"tiers": tiers.split(","), "shortlist": top, "seed": seed, "symprec_angstrom": symprec})
    judge = engine_spec(engine, LZC)
    crystal = _host(host, {"mobile": mobile, "charges": charge or [], "vacant": vacant or []})
    combination = Combination(
        supercell=supercell,
        cation=_substitution("cation", cation, cation_sites, n_cation),
        anion=_substitution("anion", anion, anion_sites, n_anion),
        compensation="background" if charged else "mobile",
    )
    arrangements = enumeration(crystal, combination, protocol.symprec_angstrom)
    content: dict[str, Any] = {"arrangements": arrangements.arrangements, "orbits": arrangements.orbits}
    if not count:
        with stderr.status(f"{arrangements.orbits:,} orbits of {combination.slug} ..."):
            content |= _ranked(crystal, combination, (protocol, judge), figure, out)
    if json_output:
        emit_json(content)
    else:
        _print(combination, content)


def _protocol(settings: dict[str, Any]) -> OrderProtocol:
    from pydantic import ValidationError

    from lzc_flows.documents.protocols import OrderProtocol
    from lzc_flows.errors import InputError

    try:
        return OrderProtocol(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        options = {"shortlist": "top", "symprec_angstrom": "symprec"}
        name = str(first["loc"][0])
        said = first["msg"].removeprefix("Value error, ")
        raise InputError(f"--{options.get(name, name)} {_given(settings[name])}: {said}") from None


def _given(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def _host(name: str, said: dict[str, Any]) -> Host:
    from lzc_flows.crystal.cifhost import CrystalSource
    from lzc_flows.crystal.host import BUILT_IN, host_by_name
    from lzc_flows.crystal.ions import parse_ion
    from lzc_flows.errors import InputError

    if name not in BUILT_IN and Path(name).is_file():
        return CrystalSource(path=Path(name), **{**said, "mobile": parse_ion(said["mobile"])}).read()
    crystal = host_by_name(name)
    if said["charges"] or said["vacant"] or said["mobile"] != crystal.mobile:
        raise InputError(
            f"host {name!r}: --mobile, --charge and --vacant are for crystal files; a built-in host has them"
        )
    return crystal


def _substitution(kind: str, ion: str | None, sites: str, count: int) -> Substitution | None:
    from lzc_flows.crystal.doping import Substitution
    from lzc_flows.crystal.ions import charge_of, parse_ion
    from lzc_flows.errors import InputError

    if ion is None:
        return None
    if count < 1:
        raise InputError(f"--n-{kind} {count}: 1 and above is allowed")
    parsed = parse_ion(ion)
    if (charge_of(parsed) > 0) != (kind == "cation"):
        article = "an" if kind == "anion" else "a"
        raise InputError(f"--{kind} {ion}: {article} {kind} is allowed")
    return Substitution(ion=parsed, labels=tuple(sorted(label.strip() for label in sites.split(","))), count=count)


def _ranked(
    host: Host, combination: Combination, how: tuple[OrderProtocol, EngineSpec], figure: Path | None, out: Path | None
) -> dict[str, Any]:
    """Return what is printed of the best arrangements, figure and structures written."""
    from lzc_flows.crystal.ordering import order as order_by_tiers
    from lzc_flows.errors import CalculationError
    from lzc_flows.jobs.order import Comparing, compare, order_document

    protocol, engine = how
    ordering = order_by_tiers(host, combination, protocol)
    if figure is not None:
        _draw(ordering, figure)
    with tempfile.TemporaryDirectory(prefix="lzc-order-") as folder:
        comparison = compare(ordering, Comparing(engine, protocol, Path(folder)))
    if comparison is None:
        raise CalculationError("the time was over before the engine had compared the arrangements")
    document = order_document(host, ordering, comparison)
    if out is not None:
        _write(comparison.arrangements, out)
    return _listed(ordering, comparison.arrangements, document)


def _draw(ordering: Ordering, path: Path) -> None:
    from lzc_flows.errors import InputError
    from lzc_flows.report.figure import write_png
    from lzc_flows.report.orderings import histogram_figure

    sampling = ordering.electrostatics.sampling
    drawn = "all arrangements" if sampling is None else f"{sampling.samples:,} random arrangements"
    try:
        write_png(histogram_figure(ordering.histogram, f"{ordering.combination.slug}: {drawn}"), path)
    except OSError as error:
        raise InputError(f"--figure {path}: a file that can be written is allowed ({error.strerror})") from None


def _write(arrangements: list[Arrangement], folder: Path) -> None:
    from pymatgen.io.cif import CifWriter

    from lzc_flows.crystal.host import WYCKOFF
    from lzc_flows.errors import InputError

    width = len(str(len(arrangements)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, arrangement in enumerate(arrangements, 1):
            structure = arrangement.structure.copy()
            for index, site in enumerate(structure, 1):  # such as Ti_2d_8; a prime would need quotes
                site.label = f"{site.specie.symbol}_{site.properties[WYCKOFF]}_{index}".replace("'", "p")
            CifWriter(structure).write_file(folder / f"{number:0{width}d}.cif")
    except OSError as error:
        raise InputError(f"--out {folder}: a folder that can be written is allowed ({error.strerror})") from None


def _listed(ordering: Ordering, arrangements: list[Arrangement], document: OrderDoc) -> dict[str, Any]:
    samplings = (ordering.electrostatics.sampling, ordering.bond_valence.sampling)
    sampling = next((sampling for sampling in samplings if sampling), None)
    content: dict[str, Any] = {"method": "sampled" if sampling else "enumerated"}
    if sampling:
        content |= asdict(sampling)
    # of a sample, the bins do not add up to all arrangements
    counted = "sampled_arrangements" if samplings[0] else "arrangements"
    histogram = ordering.histogram
    return content | {
        "exhaustive": document.exhaustive,
        "tiers": [
            # Python's integers and JSON's have no 64 bits to exceed
            row.model_dump(mode="json") | {"compared": int(row.compared), "tied": int(row.tied)}
            for row in document.tiers
        ],
        "decided_by": document.decided_by,
        "lowest": [
            {
                "energy_ev": entry.electrostatic_ev,
                "instability_vu": entry.instability_vu,
                "engine_energy_ev": entry.engine_energy_ev,
                "anions_at_dopant": entry.anions_at_dopant,
                "multiplicity": entry.multiplicity,
                "stabiliser": entry.stabiliser,
                "sites": arrangement.placed,
            }
            for entry, arrangement in zip(document.shortlist, arrangements, strict=True)
        ],
        "histogram": {
            "bin_ev": histogram.bin_ev,
            "centres_ev": histogram.centres_ev.tolist(),
            counted: list(histogram.weights),
        },
    }


def _print(combination: Combination, content: dict[str, Any]) -> None:
    from rich.table import Table

    stdout.print(f"{combination.slug}: {content['arrangements']:,} arrangements, {content['orbits']:,} orbits")
    if "lowest" not in content:
        return
    if content["method"] == "sampled":
        stdout.print(_how_sampled(content))
    for row in content["tiers"]:
        margin = "" if row["margin"] is None else f", the next {row['margin']:.4g} {row['unit']} away"
        stdout.print(f"{row['tier']}: {row['tied']:,} of {row['compared']:,} share the best value{margin}")
    stdout.print(f"decided by {content['decided_by']}")
    columns = {"energy_ev": 4, "instability_vu": 4, "engine_energy_ev": 4, "anions_at_dopant": 0}
    table = Table(*[*columns, "multiplicity", "stabiliser"], box=None)
    for entry in content["lowest"]:
        cells = ["" if entry[name] is None else f"{entry[name]:.{digits}f}" for name, digits in columns.items()]
        table.add_row(*cells, str(entry["multiplicity"]), str(entry["stabiliser"]))
    stdout.print(table)


def _how_sampled(content: dict[str, Any]) -> str:
    if content["runs"] == 0:
        return "too many to list, and no choice changes the energy: random orbits"
    runs = f"{content['runs_at_lowest']} of {content['runs']} runs at the lowest energy (seed {content['seed']})"
    return f"too many to list: lowest found by a Monte Carlo search, {runs}"
