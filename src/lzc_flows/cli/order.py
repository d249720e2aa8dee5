"""`lzc order`: how the ions of one combination can be arranged, up to symmetry."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stderr, stdout

if TYPE_CHECKING:
    from lzc_flows.crystal.doping import Combination, Substitution
    from lzc_flows.crystal.lowest import Lowest


def register(app: typer.Typer) -> None:
    """Add `order` to `app`."""
    app.command("order")(order)


def order(
    host: Annotated[str, typer.Option(help="A built-in host, such as lzc.")] = "lzc",
    supercell: Annotated[tuple[int, int, int], typer.Option(help="Repeats along a, b and c.")] = (1, 1, 1),
    cation: Annotated[str | None, typer.Option(help="Doping cation, such as Ti3+.")] = None,
    n_cation: Annotated[int, typer.Option(help="Doping cations in the supercell.")] = 1,
    cation_sites: Annotated[str, typer.Option(help="Wyckoff labels that they may take, such as 1a,2d.")] = "1a,2d",
    anion: Annotated[str | None, typer.Option(help="Doping anion, such as F-.")] = None,
    n_anion: Annotated[int, typer.Option(help="Doping anions in the supercell.")] = 1,
    anion_sites: Annotated[str, typer.Option(help="Wyckoff labels that they may take.")] = "6i",
    count: Annotated[bool, typer.Option("--count", help="Only count; nothing is listed.")] = False,
    top: Annotated[int, typer.Option(min=1, help="How many orbits of lowest energy are shown.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Of the random numbers where there are too many to list.")] = 0,
    figure: Annotated[Path | None, typer.Option(help="PNG file for the histogram of all energies.")] = None,
    json_output: JsonFlag = False,
) -> None:
    """Count the arrangements of one combination and their symmetry orbits; list those of lowest point-charge energy.

    Extra mobile ions (or vacancies) make the cell neutral. Point charges cannot tell isovalent anions apart: orbits of
    one energy stand in the order of their symmetry. Where there are too many orbits to list, the lowest come from a
    Monte Carlo search and the histogram from random arrangements, and the output says so.
    """
    from lzc_flows.crystal.doping import Combination
    from lzc_flows.crystal.host import host_by_name
    from lzc_flows.crystal.lowest import lowest
    from lzc_flows.crystal.ordering import enumeration
    from lzc_flows.errors import InputError

    if figure is not None and count:
        raise InputError("--figure: not together with --count, which has no energies")
    if min(supercell) < 1:
        raise InputError(f"supercell {' '.join(map(str, supercell))}: three positive integers are allowed")
    combination = Combination(
        supercell=supercell,
        cation=_substitution("cation", cation, cation_sites, n_cation),
        anion=_substitution("anion", anion, anion_sites, n_anion),
    )
    arrangements = enumeration(host_by_name(host), combination)
    content: dict[str, Any] = {"arrangements": arrangements.arrangements, "orbits": arrangements.orbits}
    if not count:
        with stderr.status(f"{arrangements.orbits:,} orbits of {combination.slug} ..."):
            found = lowest(arrangements, top, bin_ev=0.01, seed=seed)
            content |= _listed(found)
            if figure is not None:
                _draw(found, combination, figure)
    if json_output:
        emit_json(content)
    else:
        _print(combination, content)


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


def _draw(found: Lowest, combination: Combination, path: Path) -> None:
    from lzc_flows.errors import InputError
    from lzc_flows.report.figure import write_png
    from lzc_flows.report.orderings import histogram_figure

    drawn = "all arrangements" if found.sampling is None else f"{found.sampling.samples:,} random arrangements"
    try:
        write_png(histogram_figure(found.histogram, f"{combination.slug}: {drawn}"), path)
    except OSError as error:
        raise InputError(f"--figure {path}: a file that can be written is allowed ({error.strerror})") from None


def _listed(found: Lowest) -> dict[str, Any]:
    lowest = found.lowest
    content: dict[str, Any] = {"method": found.method}
    if found.sampling is not None:
        content |= asdict(found.sampling)
    # of a sample, the bins do not add up to all arrangements
    counted = "arrangements" if found.sampling is None else "sampled_arrangements"
    return content | {
        "lowest": [
            {"energy_ev": energy, "multiplicity": multiplicity, "stabiliser": stabiliser, "sites": sites}
            for energy, multiplicity, stabiliser, sites in zip(
                lowest.energies_ev.tolist(),
                lowest.multiplicities.tolist(),
                lowest.stabilisers.tolist(),
                lowest.states.tolist(),
                strict=True,
            )
        ],
        "histogram": {
            "bin_ev": found.histogram.bin_ev,
            "centres_ev": found.histogram.centres_ev.tolist(),
            counted: found.histogram.weights.tolist(),
        },
    }


def _print(combination: Combination, content: dict[str, Any]) -> None:
    stdout.print(f"{combination.slug}: {content['arrangements']:,} arrangements, {content['orbits']:,} orbits")
    if "lowest" not in content:
        return
    if content["method"] == "sampled":
        stdout.print(_how_sampled(content))
    stdout.print("energy (eV a cell)  multiplicity  stabiliser")
    for entry in content["lowest"]:
        stdout.print(f"{entry['energy_ev']:18.4f}  {entry['multiplicity']:12d}  {entry['stabiliser']:10d}")


def _how_sampled(content: dict[str, Any]) -> str:
    if content["runs"] == 0:
        return "too many to list, and no choice changes the energy: random orbits"
    runs = f"{content['runs_at_lowest']} of {content['runs']} runs at the lowest energy (seed {content['seed']})"
    return f"too many to list: lowest found by a Monte Carlo search, {runs}"
