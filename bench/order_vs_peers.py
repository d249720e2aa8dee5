"""Symmetry-inequivalent arrangements beside SHRY's, and point-charge energies beside pymatgen's: seconds, agreement.

Run ``python bench/order_vs_peers.py --shry-python PATH`` (two and a half minutes). SHRY pins old NumPy and pymatgen,
so it needs an environment of its own; PATH is its interpreter, by default what the variable SHRY_PYTHON holds.

What is timed, the median of several runs in one process:

- SHRY: from the cell to the multiplicity of every orbit, no energies. Ours: the same, symmetry included, once compiled.
  The orbits must be the same: every arrangement of SHRY's is turned into the first of its orbit, as are ours.
- pymatgen's OrderDisorderedStructureTransformation (ALGO_FAST; in `EwaldMinimizer`, ALGO_COMPLETE is not implemented)
  ranks arrangements by energy without symmetry, so that asked for all it returns each of them as a structure. Ours is
  every orbit with its multiplicity and energy, the Ewald matrix included; ours makes no structures. The
  energies of all arrangements must agree. Asked for one, pymatgen searches by bounds and need not see all; ours does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from pymatgen.core import Structure
from pymatgen.transformations.standard_transformations import OrderDisorderedStructureTransformation

from lzc_flows.crystal.electrostatics import Electrostatics
from lzc_flows.crystal.enumeration import Enumeration, Orbits
from lzc_flows.crystal.ions import VACANT
from lzc_flows.crystal.orbits import Placement
from orbit_enumeration import Problem, lzc, rutile

RUNS = 3
"""Of a peer."""

OUR_RUNS = 15
"""Ours take milliseconds, so more."""

ENERGY_EV = 1e-6
HOW_TO_GET_SHRY = "python -m venv shry-venv && shry-venv/bin/pip install shry==1.1.8"

WITH_SHRY: dict[str, Callable[[], Problem]] = {
    "FeSbO4 2×2×2": lambda: rutile((2, 2, 2)),
    "FeSbO4 2×2×3": lambda: rutile((2, 2, 3)),
    "LZC 2×2×1, 1 Ti 2 F 1 Li": lambda: lzc(2),
    "LZC 2×2×1, 1 Ti 3 F 1 Li (source)": lambda: lzc(3),
}
WITH_PYMATGEN: dict[str, Callable[[], Problem]] = {
    "FeSbO4 2×2×1": lambda: rutile((2, 2, 1)),
    "FeSbO4 2×2×2": lambda: rutile((2, 2, 2)),
}


@dataclass(frozen=True)
class Row:
    """A case, by us and by a peer."""

    case: str
    what: str
    ours_s: float
    peer_s: float

    def __str__(self) -> str:
        ratio = self.peer_s / self.ours_s
        return f"{self.case:34s} {self.what:44s} {self.peer_s:9.3f} {self.ours_s:9.4f} {ratio:8.3g}×"


def seconds(function: Callable[[], object]) -> float:
    """Return the median over `OUR_RUNS` runs after a first one, which compiles."""
    function()
    taken = []
    for _ in range(OUR_RUNS):
        start = time.perf_counter()
        function()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def listed(enumeration: Enumeration) -> Orbits:
    """Return all orbits at once."""
    chunks = list(enumeration)
    return Orbits(
        np.concatenate([chunk.states for chunk in chunks]),
        np.concatenate([chunk.multiplicities for chunk in chunks]),
        np.concatenate([chunk.energies for chunk in chunks]),
        chunks[0].operations,
    )


def orbits_of(problem: Problem) -> Orbits:
    return listed(Enumeration(problem.sites.permutations, problem.placements))


def energies_of(problem: Problem) -> Orbits:
    electrostatics = Electrostatics(problem.sites.ewald_ev, problem.sites.charges)
    return listed(Enumeration(problem.sites.permutations, problem.placements, electrostatics))


# ---- SHRY ----


def shry_request(problem: Problem) -> dict[str, Any]:
    """Return the cell as SHRY wants it: no oxidation states, helium where a site may stay vacant."""
    structure = problem.sites.structure
    elements = [site.specie.symbol for site in structure]
    for vacant in problem.sites.vacant:
        elements[vacant] = "He"
    species = [{element: 1.0} for element in elements]
    sublattices = [-1] * len(elements)
    for number, placement in enumerate(problem.placements):
        share = placement.count / len(placement.sites)
        for site in placement.sites:
            species[site] = {placement.ion.rstrip("+-0123456789"): share, elements[site]: 1 - share}
            sublattices[site] = number
    return {
        "matrix": structure.lattice.matrix.tolist(),
        "fractional": structure.frac_coords.tolist(),
        "species": species,
        "sublattices": sublattices,
        "runs": RUNS,
    }


def run_shry(python: str, problem: Problem) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        request, result = Path(folder, "request.json"), Path(folder, "result.json")
        request.write_text(json.dumps(shry_request(problem)))
        script = Path(__file__).with_name("shry_worker.py")
        done = subprocess.run([python, script, request, result], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{python}: SHRY failed\n{done.stderr}")
        return json.loads(result.read_text())


def shry_states(letters: list[str], placements: list[Placement]) -> np.ndarray:
    """Return the sites of the ions, shape (orbits, ions); a letter a site, sublattice after sublattice."""
    table = np.frombuffer("".join(letters).encode(), dtype=np.uint8).reshape(len(letters), -1)
    columns, start, stop = [], 0, 0
    for placement in placements:
        start, stop = stop, stop + len(placement.sites)
        word = table[:, start:stop]
        # of half the sites either letter may be the ion: exchanging the two turns the set of orbits into itself
        letter = next(one for one in np.unique(word[0])[::-1] if (word[0] == one).sum() == placement.count)
        index = np.nonzero(word == letter)[1].reshape(len(letters), placement.count)
        columns.append(np.sort(placement.sites)[index])
    return np.concatenate(columns, axis=1)


def first_of_orbit(states: np.ndarray, problem: Problem) -> np.ndarray:
    """Return the least number that stands for an arrangement of each state's orbit, shape (orbits,)."""
    if np.prod([float(len(entry.sites)) ** entry.count for entry in problem.placements]) >= 2**63:
        raise ValueError("64 bits do not hold an arrangement")
    least = np.full(len(states), np.iinfo(np.int64).max)
    for operation in problem.sites.permutations:
        number, stop = np.zeros(len(states), dtype=np.int64), 0
        for placement in problem.placements:
            start, stop = stop, stop + placement.count
            moved = np.sort(np.searchsorted(np.sort(placement.sites), operation[states[:, start:stop]]), axis=1)
            for column in moved.T:
                number = number * len(placement.sites) + column
        np.minimum(least, number, out=least)
    return least


def beside_shry(python: str, name: str) -> Row:
    make = WITH_SHRY[name]
    problem = make()
    mine, theirs = orbits_of(problem), run_shry(python, problem)
    states, weights = shry_states(theirs["letters"], problem.placements), np.array(theirs["weights"])
    my_first, their_first = first_of_orbit(mine.states, problem), first_of_orbit(states, problem)
    my_order, their_order = np.argsort(my_first), np.argsort(their_first)
    assert np.array_equal(my_first[my_order], their_first[their_order])
    assert np.array_equal(mine.multiplicities[my_order], weights[their_order])
    what = f"{len(mine):,} orbits of {mine.multiplicities.sum():,}, the same"
    return Row(name, what, seconds(lambda: orbits_of(make())), statistics.median(theirs["seconds"]))


# ---- pymatgen ----


def disordered(problem: Problem) -> Structure:
    structure = problem.sites.structure.copy()
    for placement in problem.placements:
        share = placement.count / len(placement.sites)
        for site in placement.sites:
            replaced = problem.sites.ions[site]
            assert VACANT not in (replaced, placement.ion)
            structure[site] = {placement.ion: share, replaced: 1 - share}
    return structure


def beside_pymatgen(name: str) -> list[Row]:
    make = WITH_PYMATGEN[name]
    mine = energies_of(make())
    energies = np.sort(np.repeat(mine.energies, mine.multiplicities))
    ours_s = seconds(lambda: energies_of(make()))
    rows = []
    for wanted, what in ((len(energies), f"all {len(energies):,} arrangements, energies"), (1, "the lowest energy")):
        structure, taken = disordered(make()), []
        for _ in range(RUNS):
            start = time.perf_counter()
            transformation = OrderDisorderedStructureTransformation()
            found = transformation.apply_transformation(structure, return_ranked_list=wanted)
            taken.append(time.perf_counter() - start)
        difference = np.abs(np.sort([entry["energy"] for entry in found]) - energies[:wanted]).max()
        assert len(found) == wanted
        assert difference < ENERGY_EV
        rows.append(Row(name, f"{what} to {difference:.0e} eV", ours_s, statistics.median(taken)))
    return rows


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description="Arrangements beside SHRY and pymatgen.")
    parser.add_argument("--shry-python", metavar="PATH", default=os.environ.get("SHRY_PYTHON"))
    python = parser.parse_args().shry_python
    if python and not Path(python).is_file():
        parser.error(f"--shry-python {python}: no such file; an interpreter that has SHRY is allowed")
    print(f"machine load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'':34s} {'':44s} {'peer s':>9s} {'ours s':>9s} {'ratio':>9s}")
    if python:
        print("SHRY")
        for name in WITH_SHRY:
            print(beside_shry(python, name), flush=True)
    else:
        print(f"SHRY is left out. To get it: {HOW_TO_GET_SHRY}; then --shry-python shry-venv/bin/python")
    print("pymatgen's OrderDisorderedStructureTransformation")
    for name in WITH_PYMATGEN:
        for row in beside_pymatgen(name):
            print(row, flush=True)
    print(f"machine load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
