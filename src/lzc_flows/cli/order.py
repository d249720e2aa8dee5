"""`lzc order`: how the ions of one combination can be arranged, up to symmetry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stderr, stdout

if TYPE_CHECKING:
    from lzc_flows.crystal.doping import Combination, Substitution
    from lzc_flows.crystal.survey import Survey


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
    json_output: JsonFlag = False,
) -> None:
    """Count the arrangements of one combination and their symmetry orbits; list those of lowest point-charge energy.

    Extra mobile ions (or vacancies) make the cell neutral. Point charges cannot tell isovalent anions apart: orbits of
    one energy stand in the order of their symmetry.
    """
    from lzc_flows.crystal.doping import Combination
    from lzc_flows.crystal.host import host_by_name
    from lzc_flows.crystal.ordering import enumeration
    from lzc_flows.crystal.survey import survey
    from lzc_flows.errors import InputError

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
            content |= _listed(survey(arrangements, top, bin_ev=0.01))
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


def _listed(found: Survey) -> dict[str, Any]:
    lowest = found.lowest
    return {
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
            "arrangements": found.histogram.weights.tolist(),
        },
    }


def _print(combination: Combination, content: dict[str, Any]) -> None:
    stdout.print(f"{combination.slug}: {content['arrangements']:,} arrangements, {content['orbits']:,} orbits")
    if "lowest" not in content:
        return
    stdout.print("energy (eV a cell)  multiplicity  stabiliser")
    for entry in content["lowest"]:
        stdout.print(f"{entry['energy_ev']:18.4f}  {entry['multiplicity']:12d}  {entry['stabiliser']:10d}")
