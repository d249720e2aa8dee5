"""Our climbing band beside ASE's and atomate2's on hops of the pristine host with CHGNet: evaluations, time, barrier.

Run ``python bench/neb_peers.py`` (five minutes), ``--json docs/data/neb-peers.json`` to keep the numbers. The
host's cell (27 atoms) is relaxed and repeated three times along c; a lithium is taken out and a neighbour at a given
distance goes into its place (80 atoms). All start from the same relaxed ends and the same IDPP path of 5 images, and
stop at 0.05 eV/Å. One thread each, so that CPU times can be compared on a busy machine too:

- ours: `PathSearch` with 0.05 eV/Å on the climbing image and on the others; and with its own limits, 0.01 and 0.05;
- ASE's NEB, improved tangent, climbing from the start, with FIRE and its own spring constant; its forces are those of
  our `ForceField`, so that times differ by the number of evaluations and by what ASE does between them;
- atomate2's ForceFieldNebFromImagesMaker as its job runs it, without a store: improved tangent, climbing, its own
  optimizer (FIRE), CHGNet through its ASE calculator, which computes stresses as well. On the first hop only.

Evaluations are those of images between the ends. Ours on a path over an intermediate minimum counts the relaxation of
that minimum and both steps; a peer's single band then holds the highest of its 5 images only, and no smaller barrier.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.mep import NEB
from ase.optimize import FIRE
from pymatgen.core import Structure

from lzc_flows.band.idpp import idpp
from lzc_flows.band.path import linear
from lzc_flows.band.search import PathSearch, Potential, SearchState, new_leg
from lzc_flows.band.settle import SettleLimits, settle
from lzc_flows.crystal.host import ideal_host
from lzc_flows.documents.protocols import NebProtocol, RelaxProtocol
from lzc_flows.dynamics.forces import ForceField
from lzc_flows.engines.base import Ions
from lzc_flows.engines.mlip import MLIPS

ENGINE = "chgnet"
IMAGES = 5
FMAX = 0.05
DISTANCES_ANGSTROM = (3.97, 3.63, 6.07)
"""Of the hopping ion's site and the vacancy in the relaxed host; the first has one saddle."""

SAME = NebProtocol(images=IMAGES, fmax_climbing_ev_per_angstrom=FMAX, fmax_band_ev_per_angstrom=FMAX)
OWN = NebProtocol(images=IMAGES)
MOST_STEPS = 400


@dataclass(frozen=True, eq=False)
class Start:
    """Relaxed ends, the path between them and the forces."""

    path: np.ndarray
    cell: np.ndarray
    species: tuple[str, ...]
    energies_ev: tuple[float, float]
    force_field: ForceField

    def structures(self) -> list[Structure]:
        """Return the images, the ends included."""
        return [Structure(self.cell, self.species, each, coords_are_cartesian=True) for each in self.path]


@dataclass
class Row:
    """What one code made of one hop; the barrier in eV above the initial end, times in s."""

    hop: str
    code: str
    evaluations: int | None
    wall_s: float
    cpu_s: float
    barrier_ev: float
    converged: bool
    steps: str
    evaluations_ratio: float | None = None
    wall_ratio: float | None = None
    cpu_ratio: float | None = None


class OfForceField(Calculator):
    """Our forces as an ASE calculator that counts."""

    implemented_properties = ("energy", "forces")

    def __init__(self, force_field: ForceField) -> None:
        super().__init__()
        self.force_field, self.evaluations = force_field, 0

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        """Evaluate, once more."""
        super().calculate(atoms, properties, system_changes)
        self.evaluations += 1
        found = self.force_field.evaluate(atoms.positions, atoms.cell.array)
        self.results = {"energy": found.energy_ev, "forces": found.forces}


class Nobody:
    """An observer that keeps nothing."""

    def step(self, state: SearchState) -> None:
        """Forget it."""


def relaxed_host() -> Structure:
    maker = MLIPS[ENGINE].relax_maker(RelaxProtocol(fmax_ev_per_angstrom=0.02, max_steps=500, optimizer="LBFGS"))
    structure = ideal_host().structure.copy().remove_oxidation_states()
    result = maker.run_ase(structure)
    print(
        f"host: a = {result.final_mol_or_struct.lattice.a:.3f} Å, c = {result.final_mol_or_struct.lattice.c:.3f} Å",
        file=sys.stderr,
    )
    return result.final_mol_or_struct


def start_of(host: Structure, distance: float) -> Start:
    """Return the hop of a lithium into the place of the first one that is so far away."""
    crystal = host.copy()
    crystal.make_supercell([1, 1, 3])
    crystal = crystal.get_sorted_structure()
    lithium = [number for number, site in enumerate(crystal) if site.specie.symbol == "Li"]
    hops = lithium[0]
    apart = {other: crystal.get_distance(hops, other) for other in lithium[1:]}
    vacant = min(apart, key=lambda other: abs(apart[other] - distance))
    if abs(apart[vacant] - distance) > 0.1:
        raise SystemExit(f"no lithium at {distance} Å: {sorted({round(each, 2) for each in apart.values()})}")
    way = crystal[vacant].distance_and_image(crystal[hops])[1]
    target = crystal.lattice.get_cartesian_coords(crystal[vacant].frac_coords - way)
    assert abs(np.linalg.norm(target - crystal[hops].coords) - apart[vacant]) < 1e-6
    initial = np.delete(crystal.cart_coords, vacant, axis=0)
    final = initial.copy()
    final[hops - (vacant < hops)] = target
    species = tuple(site.specie.symbol for number, site in enumerate(crystal) if number != vacant)
    force_field = MLIPS[ENGINE].force_field(Ions(tuple(species)))
    cell = np.array(crystal.lattice.matrix)
    limits = SettleLimits(OWN.fmax_ends_ev_per_angstrom, OWN.max_steps)
    first, last = (settle(each, cell, force_field, limits) for each in (initial, final))
    assert first.converged
    assert last.converged
    path = idpp(linear(first.positions, last.positions, IMAGES), cell)
    return Start(path, cell, species, (first.energy_ev, last.energy_ev), force_field)


def ours(start: Start, protocol: NebProtocol) -> dict[str, Any]:
    potential = Potential(start.force_field, start.cell)
    search = PathSearch(SearchState([new_leg(start.path, start.energies_ev, potential)]), potential, protocol)
    bands = search.run(MOST_STEPS, Nobody())
    tops = [band.state.energies_ev.max() for band in bands]
    valleys = [band.state.energies_ev[0] for band in bands]
    return {
        "evaluations": search.state.evaluations,
        "barrier_ev": float(max(tops)) - start.energies_ev[0],
        "converged": all(band.converged for band in bands),
        "steps": " + ".join(f"{top - valley:.3f}" for top, valley in zip(tops, valleys, strict=True)),
    }


def of_ase(start: Start) -> dict[str, Any]:
    images = [Atoms(start.species, positions=each, cell=start.cell, pbc=True) for each in start.path]
    for image in images:
        image.calc = OfForceField(start.force_field)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        neb = NEB(images, climb=True, method="improvedtangent")
        converged = FIRE(neb, logfile=None).run(fmax=FMAX, steps=MOST_STEPS)
    highest = max(image.get_potential_energy() for image in images)
    return {
        "evaluations": sum(image.calc.evaluations for image in images[1:-1]),
        "barrier_ev": float(highest) - start.energies_ev[0],
        "converged": bool(converged),
        "steps": "one band",
    }


def of_atomate2(start: Start) -> dict[str, Any]:
    from atomate2.forcefields.neb import ForceFieldNebFromImagesMaker

    maker = ForceFieldNebFromImagesMaker(
        force_field_name="CHGNet",
        neb_kwargs={"climb": True, "method": "improvedtangent"},
        relax_kwargs={"fmax": FMAX},
        steps=MOST_STEPS,
    )
    here = Path.cwd()
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            result = maker._run_ase_safe(images=start.structures(), prev_dir=None)
        finally:
            os.chdir(here)
    return {
        "evaluations": None,  # it keeps no count
        "barrier_ev": float(max(result.energies) - result.energies[0]),
        "converged": str(result.state.value) == "successful",
        "steps": "one band",
    }


def timed(hop: str, code: str, action: Callable[[], dict[str, Any]]) -> Row:
    wall, cpu = time.perf_counter(), time.process_time()
    found = action()
    row = Row(hop, code, wall_s=time.perf_counter() - wall, cpu_s=time.process_time() - cpu, **found)
    print(f"{hop}: {code}: {row.wall_s:.1f} s", file=sys.stderr)
    return row


def measure(host: Structure, distances: Sequence[float]) -> list[Row]:
    """Return all rows, the ratios those of ours over each peer at the same limits."""
    rows = []
    for number, distance in enumerate(distances):
        start, hop = start_of(host, distance), f"{distance:.2f} Å"
        start.force_field.evaluate_many(start.path[:2], start.cell)  # warm
        same = timed(hop, f"ours, {FMAX:g}/{FMAX:g}", lambda s=start: ours(s, SAME))
        own = timed(hop, f"ours, {OWN.fmax_climbing_ev_per_angstrom:g}/{FMAX:g}", lambda s=start: ours(s, OWN))
        peers = [timed(hop, "ASE, FIRE", lambda s=start: of_ase(s))]
        if number == 0:
            peers.append(timed(hop, "atomate2", lambda s=start: of_atomate2(s)))
        for peer in peers:
            peer.wall_ratio, peer.cpu_ratio = same.wall_s / peer.wall_s, same.cpu_s / peer.cpu_s
            if peer.evaluations:
                peer.evaluations_ratio = same.evaluations / peer.evaluations
        rows += [same, own, *peers]
    return rows


def print_table(rows: list[Row]) -> None:
    columns = list(asdict(rows[0]))
    lines = [columns]
    for row in rows:
        values = asdict(row).values()
        lines.append(["" if v is None else f"{v:.3f}" if isinstance(v, float) else str(v) for v in values])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows as JSON")
    parser.add_argument("--distances", type=float, nargs="+", default=DISTANCES_ANGSTROM, help="hops, in Å")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # threads that wait for a busy core spin, and their CPU time says nothing
    warnings.simplefilter("ignore")  # the engines' imports warn at length
    with contextlib.redirect_stdout(sys.stderr):  # engines introduce themselves
        rows = measure(relaxed_host(), arguments.distances)
    print_table(rows)
    load = os.getloadavg()[0]
    print(
        f"\nRatios: ours at {FMAX:g}/{FMAX:g} eV/Å over the row's. {os.cpu_count()} cores, load {load:.1f} at the end"
    )
    if arguments.json:
        stamp = MLIPS[ENGINE].stamp()
        content = {
            "rows": [asdict(row) for row in rows],
            "engine": stamp.version,
            "cores": os.cpu_count(),
            "load_1min": load,
        }
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
