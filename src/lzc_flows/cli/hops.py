"""`lzc hops`: the distinct elementary hops of a crystal's mobile ion."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stderr, stdout

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from lzc_flows.documents.protocols import Mechanism
    from lzc_flows.hopping.jumps import Jumps
    from lzc_flows.hopping.orbits import HopOrbit
    from lzc_flows.hopping.sites import IonSites
    from lzc_flows.hopping.symmetry import SiteSymmetry


def register(app: typer.Typer) -> None:
    """Add `hops` to `app`."""
    app.command("hops")(hops)


def hops(
    file: Annotated[Path, typer.Argument(help="Ordered crystal (CIF, POSCAR, ...), with or without charges.")],
    mobile: Annotated[str, typer.Option(help="Element of the mobile ion.")] = "Li",
    host: Annotated[
        str | None,
        typer.Option(help="Sites from the lattice of this host, such as lzc, instead of the BVSE landscape."),
    ] = None,
    mechanism: Annotated[
        list[str] | None,
        typer.Option(
            help="vacancy, interstitial, interstitialcy or frenkel; may be repeated. All where none is given."
        ),
    ] = None,
    trajectory: Annotated[
        Path | None,
        typer.Option(help="Only the hops that this trajectory of FILE's crystal shows, with how often it does."),
    ] = None,
    least_jumps: Annotated[
        int, typer.Option(help="With --trajectory: jumps between two sites that make them neighbours.")
    ] = 5,
    symprec: Annotated[float, typer.Option(help="Symmetry tolerance in Å.")] = 0.01,
    charge: Annotated[
        list[str] | None,
        typer.Option(help="Charge of an element for the BVSE landscape, such as Zr=4; may be repeated."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the structures (CIF) at both ends of each distinct hop.")
    ] = None,
    json_output: JsonFlag = False,
) -> None:
    """List the symmetry-distinct elementary hops of the mobile ion in FILE.

    Sites are the ions' own and, empty, the other minima of the BVSE landscape or the other sites of --host. Elements
    that are not the host's (without --host: not Zr and Cl, where FILE has both) count as dopants. Neighbours are sites
    with a pass between them, or with --trajectory those between which ions jumped.
    """
    from lzc_flows.crystal.host import read_structure
    from lzc_flows.errors import InputError
    from lzc_flows.hopping.observed import observed_sites
    from lzc_flows.hopping.orbits import distinct_hops, symmetry_of

    mechanisms = _mechanisms(mechanism or [])
    if least_jumps < 1:
        raise InputError(f"--least-jumps {least_jumps}: at least 1 is allowed")
    crystal = read_structure(file)
    if out is not None:
        _require_folder(out)
    start = time.perf_counter()
    with stderr.status(f"Hops of {mobile} in {crystal.composition.reduced_formula} ..."):
        with _naming(file):
            if host is None:
                sites = _landscape_sites(crystal, mobile, charge or [], symprec)
            else:
                sites = _host_sites(crystal, mobile, host)
            symmetry = symmetry_of(sites, symprec)
        seen = None if trajectory is None else _jumps(sites, trajectory)
        if seen is not None:
            sites = observed_sites(sites, seen, least_jumps)
        found = distinct_hops(sites, mechanisms, symmetry)
        written = _write(out, sites, found) if out is not None else []
    content = {
        "file": str(file),
        "formula": crystal.composition.reduced_formula,
        "symmetry": symmetry.symbol,
        "mobile": mobile,
        "source": host or "bvse",
        "trajectory": None if seen is None else _describe_jumps(str(trajectory), seen, sites),
        "sites": _describe_sites(sites, symmetry),
        "hops": _describe_hops(sites, found, _host_elements(sites, host), seen),
        "seconds": time.perf_counter() - start,
        "written": [str(path) for path in written],
    }
    if json_output:
        emit_json(content)
    else:
        _print(content)


def _mechanisms(asked: list[str]) -> list[Mechanism]:
    """Return each mechanism asked for once, all where none is."""
    from lzc_flows.errors import InputError
    from lzc_flows.hopping.hops import MECHANISMS

    known = {str(mechanism): mechanism for mechanism in MECHANISMS}
    for mechanism in asked:
        if mechanism not in known:
            raise InputError(f"--mechanism {mechanism}: allowed are {', '.join(known)}")
    return [known[mechanism] for mechanism in dict.fromkeys(asked)] or list(MECHANISMS)


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Name the file in what is said against it."""
    from lzc_flows.errors import CalculationError, InputError

    try:
        yield
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    except CalculationError as error:
        raise CalculationError(f"{file}: {error}") from None


def _landscape_sites(crystal: Structure, mobile: str, charges: list[str], symprec: float) -> IonSites:
    from lzc_flows.crystal.charges import with_charges
    from lzc_flows.documents.protocols import BvseProtocol
    from lzc_flows.hopping.landscape_sites import landscape_sites
    from lzc_flows.hopping.sites import mobile_atoms
    from lzc_flows.jobs.bvse import bvse_field

    ions = mobile_atoms(crystal, mobile)
    charged = with_charges(crystal, charges, "charges")
    protocol = BvseProtocol(mobile=str(charged[ions[0]].specie))
    return landscape_sites(charged, bvse_field(charged, protocol), mobile, symprec)


def _host_sites(crystal: Structure, mobile: str, name: str) -> IonSites:
    from lzc_flows.crystal.host import host_by_name
    from lzc_flows.crystal.ions import element_of
    from lzc_flows.errors import InputError
    from lzc_flows.hopping.host_sites import fitting_supercell, host_sites
    from lzc_flows.hopping.sites import mobile_atoms

    host = host_by_name(name)
    if not host.is_ordered:
        raise InputError(f"--host {name} is partially occupied: an ordered one, such as lzc, is allowed")
    if mobile != element_of(host.mobile):
        raise InputError(f"--mobile {mobile}: of host {name}, {element_of(host.mobile)} is allowed")
    mobile_atoms(crystal, mobile)  # says what is wrong with the crystal before anything about its cell
    return host_sites(crystal, fitting_supercell(host, crystal))


def _jumps(sites: IonSites, path: Path) -> Jumps:
    """Return the jumps between the sites in the part of a trajectory that is analysed."""
    from lzc_flows.hopping.jumps import jumps
    from lzc_flows.hopping.observed import sites_in_trajectory
    from lzc_flows.jobs.diffusion import motion_of, production
    from lzc_flows.trajectory.reader import read_trajectory

    motion = motion_of(production(read_trajectory(path)))
    with _naming(path):
        return jumps(motion, sites_in_trajectory(sites, motion), sites.mobile)


def _host_elements(sites: IonSites, host: str | None) -> set[str]:
    """Return the elements that are no dopants."""
    from lzc_flows.crystal.host import host_by_name
    from lzc_flows.hopping.surroundings import HOST_ELEMENTS

    if host is not None:
        return {element.symbol for element in host_by_name(host).structure.composition.element_composition}
    own = {element.symbol for element in sites.structure.composition.element_composition}
    return set(HOST_ELEMENTS) if own.issuperset(HOST_ELEMENTS) else own


def _describe_sites(sites: IonSites, symmetry: SiteSymmetry) -> list[dict[str, Any]]:
    from lzc_flows.hopping.orbits import site_orbits

    return [
        {
            "label": sites.labels[orbit[0]],
            "fractional": sites.fractional[orbit[0]].tolist(),
            "occupied": orbit[0] in sites.occupied,
            "multiplicity": len(orbit),
        }
        for orbit in site_orbits(symmetry)
    ]


def _describe_jumps(name: str, seen: Jumps, sites: IonSites) -> dict[str, Any]:
    kinds = zip(seen.pairs.tolist(), seen.translations.tolist(), seen.counts.tolist(), strict=True)
    return {
        "file": name,
        "length_ps": seen.length_ps,
        "jumps": int(seen.counts.sum()),
        "between_neighbours": sum(count for (i, j), t, count in kinds if (j, tuple(t)) in sites.neighbours[i]),
    }


def _describe_hops(
    sites: IonSites, found: dict[str, HopOrbit], host_elements: set[str], seen: Jumps | None
) -> list[dict[str, Any]]:
    from lzc_flows.hopping.ends import charge_e
    from lzc_flows.hopping.observed import observed_hop
    from lzc_flows.hopping.surroundings import surroundings

    return [
        {
            "id": name,
            "mechanism": orbit.mechanism,
            "labels": orbit.labels,
            "vacancy": None if hop.vacancy is None else sites.labels[hop.vacancy],
            "distance_angstrom": orbit.distances_angstrom[0],
            "distances_angstrom": orbit.distances_angstrom,
            "direction": orbit.direction.tolist(),
            "direction_word": orbit.direction_word,
            "multiplicity": orbit.multiplicity,
            "same_both_ways": orbit.palindromic,
            "extra_ions": hop.extra_ions,
            "charge_e": charge_e(sites, hop),
            "surroundings": asdict(surroundings(sites, hop, host_elements)),
            "moves": [asdict(move) for move in hop.moves],
            "observed": None if seen is None else asdict(observed_hop(orbit, seen)),
        }
        for name, orbit in found.items()
        for hop in [orbit.representative]
    ]


def _require_folder(out: Path) -> None:
    """Make the folder before anything is computed; raise `InputError` where that cannot be."""
    from lzc_flows.errors import InputError

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out}: a folder that can be written is allowed ({error.strerror})") from None


def _write(out: Path, sites: IonSites, found: dict[str, HopOrbit]) -> list[Path]:
    from lzc_flows.hopping.ends import ends

    written = []
    for name, orbit in found.items():
        both = ends(sites, orbit.representative)
        for which, structure in (("initial", both.initial), ("final", both.final)):
            written.append(out / f"{name}-{which}.cif")
            structure.to(str(written[-1]))
    return written


def _print(content: dict[str, Any]) -> None:
    stdout.print(f"{content['formula']}, {content['symmetry']}, sites of {content['mobile']} from {content['source']}")
    if content["trajectory"]:
        seen = content["trajectory"]
        stdout.print(
            f"{seen['jumps']} jumps in {seen['length_ps']:.4g} ps of {seen['file']}, "
            f"{seen['between_neighbours']} of them between neighbours",
            soft_wrap=True,
        )
    stdout.print("site     number  position")
    for site in content["sites"]:
        place = ", ".join(f"{x:.3f}" for x in site["fractional"])
        state = "occupied" if site["occupied"] else "empty"
        stdout.print(f"{site['label']:8} {site['multiplicity']:6}  ({place}) {state}")
    stdout.print("hop                 number  charge  direction  distance (Å)  sites")
    for hop in content["hops"]:
        lengths = " + ".join(f"{length:.2f}" for length in hop["distances_angstrom"])
        beside = f", {hop['vacancy']} vacant" if hop["vacancy"] else ""
        stdout.print(
            f"{hop['id']:18} {hop['multiplicity']:7}  {hop['charge_e']:+6g}  {hop['direction_word']:9}  {lengths:12}  "
            f"{' → '.join(hop['labels'])}{beside}{_around(hop['surroundings'])}{_seen(hop['observed'])}"
        )
    for path in content["written"]:
        stdout.print(f"wrote {path}", soft_wrap=True)


def _around(surroundings: dict[str, Any]) -> str:
    """Return what a table says of dopants around a hop."""
    distances = surroundings["dopant_distances_angstrom"]
    if not distances:
        return ""
    near = ", ".join(f"{element} at {distance:.1f} Å" for element, distance in distances.items())
    return f"; {near}; {surroundings['dopant_anions']} in the bottleneck"


def _seen(observed: dict[str, Any] | None) -> str:
    """Return what a table says of how often a hop's moves were seen."""
    if observed is None:
        return ""
    rates = " and ".join(f"{observed[f'rate_{way}_per_ps']:.3g}" for way in ("forward", "backward"))
    return f"; {observed['jumps']} jumps, {rates} /ps"
