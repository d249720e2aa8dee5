"""Li6Zr3Cl18 through the CP2K engine: forces of the rattled host, its relaxation, CHGNet and NEP89 beside it.

Run ``python bench/cp2k_host.py run FOLDER`` (an hour of two idle cores; after a kill it goes on where it was), then
``python bench/cp2k_host.py table`` for the RMS error of forces by element, as markdown. What CP2K found is in
`data/cp2k_host.json`; the rattled host is that of `engine_structures.py`, so that `data/cp2k_pbe_forces.json`, whose
inputs were written by `cp2k_pbe.py`, judges the engine's inputs.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Structure

from cp2k_pbe import Calculation, read_calculations
from dft_checks import GAMMA, HOST
from engine_structures import SEED, ideal, rattled
from lzc_flows.documents.dft import LZC, LZC_AIMD, DftProtocol
from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.dynamics.forces import System
from lzc_flows.engines.base import Ions
from lzc_flows.engines.cp2k import Cp2kEngine
from lzc_flows.engines.cp2k_outputs import OUTPUT_FILE, Cp2kOutput, read_output
from lzc_flows.engines.mlip import MLIPS
from lzc_flows.files import write_atomically
from lzc_flows.recovery.cp2k import relax_with_cp2k, static_with_cp2k
from lzc_flows.recovery.relax import RelaxRun

DATA_FILE = Path(__file__).parent / "data" / "cp2k_host.json"

STATICS: dict[str, DftProtocol] = {"static, Γ": LZC_AIMD, "static, 2×2×2": LZC}
"""Single points of the rattled host: the first with the numbers of a stored calculation, the second the source's."""

POSITIONS = RelaxProtocol(relax_cell=False)
CELL = RelaxProtocol()

Row = dict[str, Any]


def run(folder: Path, names: Sequence[str]) -> None:
    """Do what is not in the data file yet, and write it after each part."""
    for name in names:
        rows = read_rows()
        if name in rows:
            continue
        print(f"{name} …", file=sys.stderr, flush=True)
        place = folder / name.replace(", ", "-").replace("×", "x").replace("Γ", "gamma").replace(" ", "-")
        start = rattled(ideal(), SEED)
        if name in STATICS:
            done = static_with_cp2k(start, STATICS[name], place)
        elif name == "positions, Γ":
            done = relax_with_cp2k(ideal(), LZC_AIMD, POSITIONS, place)
        else:
            done = relax_with_cp2k(relaxed_positions(), LZC_AIMD, CELL, place)
        rows[name] = as_row(done, read_output(place / OUTPUT_FILE))
        text = json.dumps({"engine": Cp2kEngine(LZC).stamp().version, "calculations": rows}, ensure_ascii=False)
        write_atomically(DATA_FILE, (text + "\n").encode())


PARTS = (*STATICS, "positions, Γ", "cell, Γ")


def relaxed_positions() -> Structure:
    """Return where the relaxation of the positions ended: there the cell's begins."""
    return structure_of(read_rows()["positions, Γ"])


def as_row(done: RelaxRun, output: Cp2kOutput) -> Row:
    """Return what JSON holds of a calculation."""
    last = done.attempts[-1]
    assert output.forces is not None  # it converged
    assert output.stress_ev_per_angstrom3 is not None
    return {
        "lattice_angstrom": last.structure.lattice.matrix.tolist(),
        "elements": [site.specie.symbol for site in last.structure],
        "fractional_coordinates": last.structure.frac_coords.tolist(),
        "energy_ev": last.energy_ev,
        "forces_ev_per_angstrom": output.forces.tolist(),
        "stress_ev_per_angstrom3": output.stress_ev_per_angstrom3.tolist(),
        "steps": last.steps,
        "wall_s": round(last.wall_s, 1),
        "corrections": [correction.model_dump() for correction in done.corrections],
    }


def read_rows() -> dict[str, Row]:
    """Return the stored calculations by name."""
    return json.loads(DATA_FILE.read_text())["calculations"] if DATA_FILE.is_file() else {}


def structure_of(row: Row) -> Structure:
    """Return a stored calculation's structure."""
    return Structure(row["lattice_angstrom"], row["elements"], row["fractional_coordinates"])


def rms_by_element(forces: np.ndarray, reference: np.ndarray, elements: Sequence[str]) -> dict[str, float]:
    """Return the root mean square of the error of a force's components, in eV/Å, by element and of all."""
    squares = ((forces - reference) ** 2).mean(axis=1)
    kinds = np.array(elements)
    found = {element: float(np.sqrt(squares[kinds == element].mean())) for element in dict.fromkeys(elements)}
    return {**found, "all": float(np.sqrt(squares.mean()))}


def engine_forces(name: str, structure: Structure) -> np.ndarray:
    """Return an engine's forces, (n, 3), eV/Å."""
    species = System.of([site.specie.symbol for site in structure]).species
    found = MLIPS[name].force_field(Ions(species)).evaluate(structure.cart_coords, structure.lattice.matrix)
    return found.forces


def stored_judge() -> Calculation:
    """Return the stored Γ calculation of the rattled host, from an input that the engine did not write."""
    return next(c for c in read_calculations() if c.name == HOST and c.settings == GAMMA)


def table() -> str:
    """Return the comparison as markdown: RMS of components of forces, eV/Å."""
    rows = read_rows()
    lines = ["| forces of | against | Li | Zr | Cl | all |", "|---|---|---|---|---|---|"]
    for judge in STATICS:
        if judge not in rows:
            continue
        structure, forces = structure_of(rows[judge]), np.array(rows[judge]["forces_ev_per_angstrom"])
        elements = rows[judge]["elements"]
        others = {name: engine_forces(name, structure) for name in MLIPS}
        if judge == "static, Γ":
            others["cp2k_pbe.py"] = stored_judge().forces
        for name, found in others.items():
            errors = rms_by_element(found, forces, elements)
            cells = " | ".join(f"{errors[element]:.4f}" for element in ("Li", "Zr", "Cl", "all"))
            lines.append(f"| {name} | CP2K, {judge} | {cells} |")
        size = rms_by_element(forces, np.zeros_like(forces), elements)
        cells = " | ".join(f"{size[element]:.4f}" for element in ("Li", "Zr", "Cl", "all"))
        lines.append(f"| (the forces themselves) | CP2K, {judge} | {cells} |")
    lines += ["", "| calculation | steps | wall, s | a, Å | c, Å | V, Å³ | energy, eV | longest force, eV/Å |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for name, row in rows.items():
        lattice = structure_of(row).lattice
        longest = np.linalg.norm(row["forces_ev_per_angstrom"], axis=1).max()
        cell = f"{lattice.a:.3f} | {lattice.c:.3f} | {lattice.volume:.1f}"
        lines.append(f"| {name} | {row['steps']} | {row['wall_s']} | {cell} | {row['energy_ev']:.4f} | {longest:.4f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    runs = commands.add_parser("run", help="run CP2K")
    runs.add_argument("folder", type=Path, help="where CP2K's files are kept")
    runs.add_argument("--only", choices=PARTS, action="append", help="one part instead of all")
    commands.add_parser("table", help="print the comparison")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # the engines' imports warn at length
    logging.getLogger("custodian").addHandler(logging.NullHandler())
    if arguments.command == "run":
        run(arguments.folder.absolute(), arguments.only or PARTS)
    print(table())


if __name__ == "__main__":
    main()
