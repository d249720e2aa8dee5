"""CHGNet and NEP89 against DFT: forces and pressures on the same crystals, the relaxed host, seconds a step.

Run ``python bench/engine_forces.py`` for all tables (a minute, more on a busy machine), ``--only forces`` for one of
them, ``--json`` for one JSON document. DFT is CP2K with PBE, stored in `data/cp2k_pbe_forces.json` with its
settings; ``--recompute`` makes that file again (half an hour of two idle cores) with the CP2K that ``--cp2k`` starts.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from typing import Any

import numpy as np
from ase.units import GPa

from cp2k_pbe import run_cp2k, write_calculations
from dft_checks import (
    CHECKS,
    GAMMA,
    REFERENCE,
    UNSETTLED,
    Row,
    atom_names,
    errors,
    judges,
    pressure_gpa,
    settings_errors,
    stress_check,
    volume_at_zero_pressure,
)
from engine_structures import (
    LARGER,
    RATTLE_ANGSTROM,
    RATTLED,
    RELAXED_BY,
    SEED,
    ideal,
    larger_host,
    rattled,
    rattled_structures,
    relax,
    relaxed_structures,
)
from lzc_flows.crystal.host import aimd_host
from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.engines.mlip import MLIPS

THREADS = (1, 2)
TIMED_STEPS = 10


def force_errors() -> list[Row]:
    """Return a row for each engine and crystal, and one for all rattled crystals together; F left out."""
    judged = judges()
    kept = {c.name: [site.specie.symbol not in UNSETTLED for site in c.structure] for c in judged}
    names = {c.name: [n for n, k in zip(atom_names(c), kept[c.name], strict=True) if k] for c in judged}
    reference = {c.name: c.forces[kept[c.name]] for c in judged}
    rattles = [c.name for c in judged if c.name in RATTLED]
    atoms = [f"{atom}, {crystal}" for crystal in rattles for atom in names[crystal]]
    rows = []
    for name, engine in MLIPS.items():
        calculator = engine.relax_maker(RelaxProtocol()).calculator
        found = {}
        for c in judged:
            ase_atoms = c.structure.to_ase_atoms()
            ase_atoms.calc = calculator
            found[c.name] = np.array(ase_atoms.get_forces(), dtype=float)[kept[c.name]]
            row: Row = {"engine": name, "crystal": c.name}
            row |= errors(found[c.name], reference[c.name], names[c.name])
            if c.name not in RATTLED:
                # where one side's forces vanish, ratios say nothing
                for ratio in ("correlation", "slope", "rmse_unscaled"):
                    del row[ratio]
            row["pressure_gpa"] = pressure_gpa(ase_atoms.get_stress(voigt=False) / GPa)
            rows.append({**row, "dft_pressure_gpa": pressure_gpa(c.stress_gpa)})
        forces = np.concatenate([found[crystal] for crystal in rattles])
        judge = np.concatenate([reference[crystal] for crystal in rattles])
        rows.append({"engine": name, "crystal": "all rattled", **errors(forces, judge, atoms)})
        rows[-1]["mae_by_element"] = _mae_by_element(forces, judge, atoms)
    return rows


def _mae_by_element(forces: np.ndarray, reference: np.ndarray, atoms: Sequence[str]) -> dict[str, float]:
    elements = np.array([atom.split()[0] for atom in atoms])
    absolute = np.abs(forces - reference)
    return {str(element): float(absolute[elements == element].mean()) for element in np.unique(elements)}


def relaxations() -> list[Row]:
    """Return the relaxed host of each engine against the Rietveld and the AIMD cell, and what DFT says of it.

    The DFT energy is above the lowest of the stored relaxed hosts.
    """
    rietveld, aimd = ideal().lattice, aimd_host().structure.lattice
    judged = {c.name: c for c in judges()}
    starts = {"ideal": ideal(), "rattled": rattled(ideal(), SEED)}
    lowest = min(judged[RELAXED_BY + name].energy_ev for name in MLIPS)
    rows = []
    for name in MLIPS:
        for start, relaxed in zip(starts, relax(name, list(starts.values())), strict=True):
            lattice = relaxed.structure.lattice
            row = {"engine": name, "start": start, "a_angstrom": (lattice.a + lattice.b) / 2}
            row |= {"c_angstrom": lattice.c, "volume_angstrom3": lattice.volume}
            row["volume_against_rietveld"] = lattice.volume / rietveld.volume - 1
            row["volume_against_aimd"] = lattice.volume / (aimd.volume / 3) - 1
            row |= {"steps": relaxed.steps, "wall_s": relaxed.wall_s}
            if start == "ideal":
                dft = judged[RELAXED_BY + name]
                row["dft_pressure_gpa"] = pressure_gpa(dft.stress_gpa)
                row["dft_max_force"] = float(np.linalg.norm(dft.forces, axis=1).max())
                row["dft_energy_mev_per_atom"] = 1000 * (dft.energy_ev - lowest) / len(dft.structure)
            rows.append(row)
    return rows


def speeds() -> list[Row]:
    """Return seconds a step of each engine on 27 and 108 atoms with 1 and 2 threads, each in a new process."""
    rows = []
    for threads in THREADS:
        # read when numerical libraries load, so the process must be new
        os.environ["OMP_NUM_THREADS"] = str(threads)
        for name in MLIPS:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                rows += pool.submit(seconds_per_step, name, threads).result()
    return rows


def seconds_per_step(name: str, threads: int) -> list[Row]:
    """Return times of a step, on the clock and of the processor: energy, forces and stress of moved atoms."""
    import torch

    torch.set_num_threads(threads)
    with contextlib.redirect_stdout(sys.stderr):
        calculator = MLIPS[name].relax_maker(RelaxProtocol()).calculator
    rows = []
    for repeats in ((1, 1, 1), (2, 2, 1)):
        structure = rattled(ideal() * repeats, SEED)
        ase_atoms = structure.to_ase_atoms()
        ase_atoms.calc = calculator
        seconds, cpu_seconds = [], []
        for step in range(TIMED_STEPS + 2):
            ase_atoms.rattle(0.01, seed=step)
            start, cpu_start = time.perf_counter(), time.process_time()
            ase_atoms.get_forces()
            ase_atoms.get_stress()
            seconds.append(time.perf_counter() - start)
            cpu_seconds.append(time.process_time() - cpu_start)
        timed = seconds[2:]  # the first ones warm up
        row = {"engine": name, "threads": threads, "atoms": len(structure)}
        row |= {"median_s": float(np.median(timed)), "least_s": min(timed)}
        row |= {"median_cpu_s": float(np.median(cpu_seconds[2:])), "load_1min": os.getloadavg()[0]}
        rows.append(row)
    return rows


def recompute(command: str) -> None:
    """Run every calculation of the data file again."""
    judged = {**rattled_structures(), **relaxed_structures()}
    structures = {**judged, LARGER: larger_host()}
    plan = [(name, REFERENCE) for name in judged] + [(LARGER, GAMMA)]
    plan += [(crystal, settings) for crystal, *pair in CHECKS.values() for settings in pair]
    calculations = []
    for name, settings in dict.fromkeys(plan):
        calculations.append(run_cp2k(name, structures[name], settings, command))
        print(f"{name}, {settings}: {calculations[-1].wall_s} s", file=sys.stderr)
    write_calculations(calculations, provenance())


def provenance() -> Row:
    """Return what the data file says of itself."""
    return {
        "what": "PBE energies, forces and stresses; eV, eV/Å, GPa with tension positive",
        "made_by": "python bench/engine_forces.py --recompute",
        "date": datetime.now(UTC).date().isoformat(),
        "seed": SEED,
        "rattle_angstrom": RATTLE_ANGSTROM,
        "crystals": {
            **RATTLED,
            LARGER: "the first one in a cell of 1.02 times the volume",
            **{RELAXED_BY + name: engine_stamp(name) for name in MLIPS},
        },
    }


def engine_stamp(name: str) -> str:
    """Return an engine's version as candidates' keys hold it."""
    return MLIPS[name].stamp().version


SECTIONS: dict[str, Callable[[], list[Row]]] = {
    "checks": settings_errors,
    "stress": stress_check,
    "forces": force_errors,
    "relax": relaxations,
    "volume": volume_at_zero_pressure,
    "speed": speeds,
}


def print_table(title: str, rows: Sequence[Row]) -> None:
    columns = [key for key, value in rows[0].items() if not isinstance(value, dict)]
    lines = [columns, *([_shown(row.get(column, "")) for column in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    print(f"\n{title}")
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    for row in rows:
        for key, value in row.items():
            if isinstance(value, dict):
                print(f"{row['engine']} {key}: " + ", ".join(f"{k} {v:.3f}" for k, v in value.items()))


def _shown(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def run_sections(names: Iterable[str]) -> Row:
    """Return the rows of the sections with what they were measured on."""
    result: Row = {"engines": {name: engine_stamp(name) for name in MLIPS}, "cores": os.cpu_count()}
    with contextlib.redirect_stdout(sys.stderr):  # engines introduce themselves
        for name in names:
            result[name] = SECTIONS[name]()
    result["load_1min"] = os.getloadavg()[0]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SECTIONS, help="one section instead of all")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--recompute", action="store_true", help="run CP2K again first")
    parser.add_argument("--cp2k", default="mpirun -np 2 cp2k.psmp", metavar="COMMAND", help="how CP2K starts")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # the engines' imports warn at length

    if arguments.recompute:
        recompute(arguments.cp2k)
    result = run_sections([arguments.only] if arguments.only else SECTIONS)
    if arguments.json:
        print(json.dumps(result, indent=1))
        return
    for name, title in (
        ("checks", "DFT against itself (eV/Å, GPa)"),
        ("stress", "Pressure of DFT, 0 to 2 % above the Rietveld volume"),
        ("forces", "Engines against DFT (eV/Å, GPa)"),
        ("relax", "Host relaxed by the campaign's protocol"),
        ("volume", "Where DFT's pressure vanishes, between the relaxed hosts"),
        ("speed", "Seconds a step: energy, forces, stress"),
    ):
        if name in result:
            print_table(title, result[name])
    print(f"\n{result['engines']}; {result['cores']} cores, load {result['load_1min']:.1f} at the end")


if __name__ == "__main__":
    main()
