"""Which engine ranks F arrangements as DFT does? Doped Li2ZrCl6 cells with three F, engines' energies against PBE's.

``python bench/arrangement_energies.py`` prints the tables from `data/arrangement_energies.json` (a second).
``--compute`` fills the file first: each engine relaxes the shortlist of the order stage by the order stage's
protocol, then CP2K gives PBE's energy of every relaxed cell (1 to 3 minutes each on an idle core, 5 for Ti3+). What the
file holds is not computed again.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
from ase.units import Hartree
from pymatgen.core import Structure

from cp2k_pbe import VALENCE, Settings
from lzc_flows.crystal.bond_valence import CUTOFF_ANGSTROM
from lzc_flows.crystal.doping import Combination, Substitution
from lzc_flows.crystal.host import ideal_host
from lzc_flows.crystal.ordering import order
from lzc_flows.documents.protocols import OrderProtocol, RelaxProtocol
from lzc_flows.engines.mlip import MLIPS
from lzc_flows.engines.relax_worker import Relaxed, RelaxRequest, relax_all
from lzc_flows.errors import CalculationError

DATA_FILE = Path(__file__).parent / "data" / "arrangement_energies.json"

SITES = {"Ti3+": "2d", "Al3+": "2d", "Mg2+": "2d", "Sc3+": "2d"}
"""Dopant cations and the Zr site of each; 2d has the lower point-charge energy for all of them."""

GAMMA = Settings(basis="DZVP-MOLOPT-SR-GTH", kpoints=(1, 1, 1))

SOLVERS = {
    False: """      EPS_SCF 1.0E-6
      &DIAGONALIZATION
      &END DIAGONALIZATION
      &MIXING
        METHOD BROYDEN_MIXING
        ALPHA 0.4
      &END MIXING
""",
    True: """      EPS_SCF 5.0E-3
      LEVEL_SHIFT 0.1
      MAX_DIIS 6
      EPS_DIIS 0.3
      &DIAGONALIZATION
      &END DIAGONALIZATION
      &MIXING
        METHOD DIRECT_P_MIXING
        ALPHA 0.4
      &END MIXING
""",
}
"""The solver for closed and for open shells. Density mixing does not converge for Ti3+, whose t2g levels nearly touch;
DIIS with shifted levels does for some arrangements, and then its energy moves by less than 0.5 mHa an iteration."""

UNPAIRED = {"Ti": 1}
"""Unpaired electrons that a dopant brings."""

ABOUT = {
    "what": "Shortlists of F arrangements as each engine relaxes them, and PBE energies of these cells; eV, Å",
    "made_by": "python bench/arrangement_energies.py --compute",
    "cp2k": "2023.1, PBE, closed shells but for Ti3+ (doublet), no +U, no dispersion",
    "note": "By hand from runs cut short: Ti3+ numbers 3 and 2, at residuals of 6e-3 and 1e-2 instead of 5e-3, before "
    "their populations were written. Ti3+ number 0 did not converge: residual 4e-2, -503.776 Ha at its lowest.",
}
"""The start of the data file."""

Row = dict[str, float | int | str]


@dataclass(frozen=True)
class Cell:
    """One arrangement in the cell that an engine relaxed."""

    cation: str
    number: int
    """Position in the shortlist of the order stage, from 0."""
    f_at_dopant: int
    """F bound to the dopant before the relaxation: the stratum."""
    engine: str
    structure: Structure
    energy_ev: float
    """The engine's energy of the cell."""

    def as_dict(self) -> dict:
        """Return what JSON holds."""
        return {
            "cation": self.cation,
            "number": self.number,
            "f_at_dopant": self.f_at_dopant,
            "engine": self.engine,
            "lattice_angstrom": self.structure.lattice.matrix.round(6).tolist(),
            "elements": " ".join(site.specie.symbol for site in self.structure),
            "fractional_coordinates": self.structure.frac_coords.round(6).tolist(),
            "energy_ev": self.energy_ev,
        }

    @classmethod
    def from_dict(cls, row: dict) -> Cell:
        """Return the cell that `as_dict` wrote."""
        structure = Structure(row["lattice_angstrom"], row["elements"].split(), row["fractional_coordinates"])
        return cls(row["cation"], row["number"], row["f_at_dopant"], row["engine"], structure, row["energy_ev"])

    @property
    def dopant(self) -> str:
        """Symbol of the dopant's element."""
        return self.cation.rstrip("+0123456789")

    @property
    def f_at_dopant_relaxed(self) -> int:
        """F bound to the dopant after the relaxation."""
        dopant = self.structure.indices_from_symbol(self.dopant)[0]
        fluorides = list(self.structure.indices_from_symbol("F"))
        return int((self.structure.distance_matrix[dopant, fluorides] < CUTOFF_ANGSTROM).sum())


@dataclass(frozen=True)
class Energy:
    """PBE's energy of a cell."""

    cation: str
    number: int
    engine: str
    settings: Settings
    energy_ev: float
    dopant_spin: float | None
    """Mulliken spin population of the dopant: an electron of Ti3+ that has gone to Zr would show; None if not known."""
    scf_steps: int
    wall_s: float

    @classmethod
    def from_dict(cls, row: dict) -> Energy:
        """Return the energy that `dataclasses.asdict` wrote."""
        settings = Settings(**{**row["settings"], "kpoints": tuple(row["settings"]["kpoints"])})
        return cls(**{**row, "settings": settings})


@dataclass(frozen=True)
class Cp2kRun:
    """How CP2K is started."""

    command: str
    limit_s: float


@dataclass
class Data:
    """What the data file holds."""

    cells: list[Cell]
    energies: list[Energy]

    @classmethod
    def read(cls) -> Data:
        """Return what is stored; empty if nothing is."""
        if not DATA_FILE.is_file():
            return cls([], [])
        stored = json.loads(DATA_FILE.read_text())
        return cls([Cell.from_dict(row) for row in stored["cells"]], [Energy.from_dict(r) for r in stored["energies"]])

    def write(self) -> None:
        """Replace the data file, whole or not at all."""
        cells, energies = [cell.as_dict() for cell in self.cells], [asdict(energy) for energy in self.energies]
        text = json.dumps({"about": ABOUT, "cells": cells, "energies": energies}, indent=1, ensure_ascii=False)
        # lists of numbers on one line
        text = re.sub(r"\[[\s\d.,e-]+\]", lambda found: re.sub(r"\s+", " ", found[0]), text)
        partial = DATA_FILE.with_suffix(".partial")
        partial.write_text(text + "\n")
        os.replace(partial, DATA_FILE)

    def has(self, cell: Cell, settings: Settings) -> bool:
        """Return whether the energy of a cell is there."""
        wanted = (cell.cation, cell.number, cell.engine, settings)
        return any((e.cation, e.number, e.engine, e.settings) == wanted for e in self.energies)


def shortlist(cation: str, size: int) -> list[tuple[int, Structure]]:
    """Return (F bound to the dopant, unrelaxed structure) of the order stage's shortlist in the 27-atom cell."""
    combination = Combination(
        supercell=(1, 1, 1),
        cation=Substitution(ion=cation, labels=(SITES[cation],), count=1),
        anion=Substitution(ion="F-", labels=("6i",), count=3),
    )
    found = order(ideal_host(), combination, OrderProtocol(shortlist=size)).spread
    return [(entry.anions_at_dopant, entry.structure) for entry in found]


def relax(engine: str, structures: list[Structure]) -> list[Relaxed]:
    """Relax as the order stage does: positions and cell, by the defaults of its protocol."""
    protocol = OrderProtocol()
    briefly = RelaxProtocol(fmax_ev_per_angstrom=protocol.fmax_ev_per_angstrom, max_steps=protocol.max_steps)
    with tempfile.TemporaryDirectory() as folder:
        RelaxRequest(structures, engine, briefly).write(Path(folder))
        return relax_all(Path(folder)).relaxed


def relaxed_cells(cation: str, size: int) -> list[Cell]:
    """Return the shortlist in the cells of each engine."""
    entries = shortlist(cation, size)
    return [
        Cell(cation, number, bound, engine, _bare(relaxed.structure), relaxed.energy_ev)
        for engine in MLIPS
        for number, ((bound, _), relaxed) in enumerate(
            zip(entries, relax(engine, [structure for _, structure in entries]), strict=True)
        )
    ]


def _bare(structure: Structure) -> Structure:
    """Return elements and coordinates only, without the calculator that ASE leaves behind."""
    return Structure(structure.lattice, [site.specie.symbol for site in structure], structure.frac_coords)


def pbe_energy(cell: Cell, settings: Settings, run: Cp2kRun) -> Energy:
    """Run CP2K in a temporary folder.

    Raises
    ------
    CalculationError
        CP2K failed, ran past its limit, or its self-consistency did not converge.
    """
    name = f"{cell.cation} {cell.number} {cell.engine}"
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "cp2k.inp").write_text(cp2k_input(cell.structure, settings))
        try:
            done = subprocess.run(
                [*shlex.split(run.command), "-i", "cp2k.inp"],
                cwd=folder,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                capture_output=True,
                text=True,
                check=False,
                timeout=run.limit_s,
            )
        except subprocess.TimeoutExpired:
            raise CalculationError(f"{name}: CP2K ran past {run.limit_s} s") from None
    wall = time.perf_counter() - start
    steps = re.findall(r"SCF run converged in +(\d+) steps", done.stdout)
    energies = re.findall(r"ENERGY\| Total FORCE_EVAL .*?:\s+(\S+)", done.stdout)
    if done.returncode or not energies or "SCF run NOT converged" in done.stdout:
        raise CalculationError(f"{name}: CP2K failed: {(done.stdout + done.stderr)[-800:]}")
    return Energy(
        cation=cell.cation,
        number=cell.number,
        engine=cell.engine,
        settings=settings,
        energy_ev=float(energies[-1]) * Hartree,
        dopant_spin=_spin_of(cell.dopant, done.stdout) if cell.dopant in UNPAIRED else 0.0,
        scf_steps=int(steps[-1]),
        wall_s=round(wall, 1),
    )


def _spin_of(dopant: str, text: str) -> float:
    """Return the last column of the Mulliken table of an open-shell calculation."""
    block = text[text.rindex("Mulliken Population Analysis") :]
    rows = re.findall(rf"^ +\d+ +{dopant} +\d+(.*)$", block, flags=re.MULTILINE)
    return float(rows[0].split()[-1])


def cp2k_input(structure: Structure, settings: Settings) -> str:
    """Return CP2K's input; open-shell if an element of `UNPAIRED` is there."""
    vectors = "\n".join(
        f"      {name} " + " ".join(f"{x:.10f}" for x in row)
        for name, row in zip("ABC", structure.lattice.matrix, strict=True)
    )
    symbols = [site.specie.symbol for site in structure]
    atoms = "\n".join(
        f"      {symbol} " + " ".join(f"{x:.12f}" for x in row)
        for symbol, row in zip(symbols, structure.frac_coords, strict=True)
    )
    kinds = "\n".join(
        f"    &KIND {symbol}\n"
        f"      BASIS_SET {settings.basis}-q{VALENCE[symbol]}\n"
        f"      POTENTIAL GTH-PBE-q{VALENCE[symbol]}\n"
        f"      MAGNETIZATION {UNPAIRED.get(symbol, 0)}\n"
        "    &END KIND"
        for symbol in sorted(set(symbols))
    )
    unpaired = sum(UNPAIRED.get(symbol, 0) for symbol in symbols)
    spin = f"    UKS\n    MULTIPLICITY {unpaired + 1}\n" if unpaired else ""
    mesh = " ".join(str(n) for n in settings.kpoints)
    kpoints = "" if mesh == "1 1 1" else f"    &KPOINTS\n      SCHEME MONKHORST-PACK {mesh}\n    &END KPOINTS\n"
    return f"""&GLOBAL
  PROJECT lzc
  RUN_TYPE ENERGY
&END GLOBAL
&FORCE_EVAL
  METHOD QUICKSTEP
  &DFT
    BASIS_SET_FILE_NAME BASIS_MOLOPT
    POTENTIAL_FILE_NAME GTH_POTENTIALS
{spin}    &MGRID
      CUTOFF {settings.cutoff_ry}
      REL_CUTOFF 40
    &END MGRID
    &QS
      EPS_DEFAULT 1.0E-10
    &END QS
{kpoints}    &XC
      &XC_FUNCTIONAL PBE
      &END XC_FUNCTIONAL
    &END XC
    &SCF
      SCF_GUESS ATOMIC
      MAX_SCF 60
{SOLVERS[bool(unpaired)]}    &END SCF
  &END DFT
  &SUBSYS
    &CELL
{vectors}
    &END CELL
    &COORD
      SCALED
{atoms}
    &END COORD
{kinds}
  &END SUBSYS
&END FORCE_EVAL
"""


def compute(data: Data, settings: Settings, run: Cp2kRun) -> None:
    """Add the energies that the data file lacks, one after another; failures are told and left out."""
    for cell in data.cells:
        if data.has(cell, settings):
            continue
        try:
            energy = pbe_energy(cell, settings, run)
        except CalculationError as failure:
            print(failure, file=sys.stderr, flush=True)
            continue
        data.energies.append(energy)
        data.write()
        print(asdict(energy), file=sys.stderr, flush=True)


def relative(energies: dict[int, float]) -> dict[int, float]:
    """Return energies above the lowest, in the same keys."""
    lowest = min(energies.values())
    return {number: energy - lowest for number, energy in energies.items()}


def comparisons(data: Data) -> list[Row]:
    """Return the engines' energies beside PBE's, for every arrangement that PBE has in some engine's cell.

    All are in eV a cell above the lowest of the cation's arrangements. ``pbe`` is the lower of PBE's energies in the
    engines' cells (the better geometry counts), ``pbe_in_own`` that in the cells of the engine of the row.
    """
    pbe = {(e.cation, e.number, e.engine): e.energy_ev for e in data.energies}
    rows: list[Row] = []
    for cation, engine in product(dict.fromkeys(cell.cation for cell in data.cells), MLIPS):
        judged = sorted({number for c, number, _ in pbe if c == cation})
        cells = {c.number: c for c in data.cells if c.cation == cation and c.engine == engine and c.number in judged}
        best = relative({n: min(e for (c, m, _), e in pbe.items() if (c, m) == (cation, n)) for n in judged})
        own = {n: pbe[cation, n, engine] for n in judged if (cation, n, engine) in pbe}
        own = relative(own) if own else {}
        mine = relative({n: cells[n].energy_ev for n in judged})
        rows += [
            {
                "cation": cation,
                "engine": engine,
                "f_at_dopant": cells[n].f_at_dopant,
                "f_after": cells[n].f_at_dopant_relaxed,
                "engine_ev": mine[n],
                "pbe_in_own_ev": own.get(n, float("nan")),
                "pbe_ev": best[n],
            }
            for n in judged
        ]
    return rows


def verdicts(rows: Sequence[Row]) -> list[Row]:
    """Return, for each cation and engine, how far its relative energies are from PBE's and what it puts lowest.

    ``rms`` is over all pairs of arrangements, so that no arrangement is the reference; ``pairs_in_order`` counts the
    pairs that the engine and PBE order alike.
    """
    found = []
    for cation, engine in dict.fromkeys((row["cation"], row["engine"]) for row in rows):
        mine = [row for row in rows if (row["cation"], row["engine"]) == (cation, engine)]
        energies, pbe = (np.array([row[key] for row in mine]) for key in ("engine_ev", "pbe_ev"))
        first, second = np.triu_indices(len(mine), 1)
        gaps, pbe_gaps = energies[first] - energies[second], pbe[first] - pbe[second]
        found.append(
            {
                "cation": cation,
                "engine": engine,
                "rms_of_differences_ev": float(np.sqrt(((gaps - pbe_gaps) ** 2).mean())),
                "pairs_in_order": f"{int((gaps * pbe_gaps > 0).sum())} of {len(gaps)}",
                "lowest": mine[int(energies.argmin())]["f_at_dopant"],
                "pbe_lowest": mine[int(pbe.argmin())]["f_at_dopant"],
                "pbe_of_its_lowest_ev": float(pbe[energies.argmin()]),
            }
        )
    return found


def print_table(rows: Sequence[Row]) -> None:
    """Print rows under their keys."""
    lines = [list(rows[0]), *([f"{v:.3f}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compute", action="store_true", help="compute what the data file lacks first")
    parser.add_argument("--cations", nargs="+", default=["Ti3+", "Al3+"], choices=SITES, metavar="ION")
    parser.add_argument("--shortlist", type=int, default=4, metavar="N", help="arrangements a cation")
    parser.add_argument("--cp2k", default="mpirun -np 2 cp2k.psmp", metavar="COMMAND", help="how CP2K starts")
    parser.add_argument("--limit-s", type=float, default=900, help="seconds that one CP2K run may take")
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # the engines' imports warn at length
    data = Data.read()
    if given.compute:
        for cation in given.cations:
            if not any(cell.cation == cation for cell in data.cells):
                data.cells += relaxed_cells(cation, given.shortlist)
                data.write()
        compute(data, GAMMA, Cp2kRun(given.cp2k, given.limit_s))
    rows = comparisons(data)
    print_table(rows)
    print_table(verdicts(rows))


if __name__ == "__main__":
    main()
