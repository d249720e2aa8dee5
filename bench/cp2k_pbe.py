"""Energies, forces and stresses of small crystals from CP2K with PBE: the judge of `engine_forces.py`.

MOLOPT Gaussian bases (VandeVondele and Hutter, J. Chem. Phys. 127, 114105, 2007), GTH pseudopotentials for PBE
(Goedecker et al., Phys. Rev. B 54, 1703, 1996), closed shells, no dispersion correction, as the source has none.
The stress is analytical, at a fixed density grid.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from ase.units import Bohr, Hartree
from pymatgen.core import Structure

from lzc_flows.errors import CalculationError

DATA_FILE = Path(__file__).parent / "data" / "cp2k_pbe_forces.json"

VALENCE = {"Li": 3, "F": 7, "Mg": 10, "Al": 3, "P": 5, "Cl": 7, "Sc": 11, "Ti": 12, "Zr": 12}
"""Electrons outside the pseudopotential's core: the q of its name."""

FILES = {
    "TZVP-MOLOPT-PBE-GTH": ("BASIS_MOLOPT_UZH", "POTENTIAL_UZH"),
    "DZVP-MOLOPT-SR-GTH": ("BASIS_MOLOPT", "GTH_POTENTIALS"),
}
"""The files of each basis and of the pseudopotentials it was made for; CP2K ships both."""


@dataclass(frozen=True)
class Settings:
    """What differs between calculations of one structure."""

    basis: str = "TZVP-MOLOPT-PBE-GTH"
    """A key of `FILES`."""
    kpoints: tuple[int, int, int] = (2, 2, 2)
    """Monkhorst–Pack mesh, the source's (section 1.7); 1, 1, 1 is Γ."""
    cutoff_ry: int = 350
    """Plane-wave cutoff of the density, in Ry."""


@dataclass(frozen=True)
class Calculation:
    """A structure with what CP2K finds for it."""

    name: str
    settings: Settings
    structure: Structure
    energy_ev: float
    forces: np.ndarray
    """(atoms, 3), eV/Å."""
    stress_gpa: np.ndarray
    """(3, 3), GPa, positive under tension, as in ASE."""
    scf_steps: int
    wall_s: float
    version: str

    def as_dict(self) -> dict:
        """Return what JSON holds."""
        return {
            "name": self.name,
            "version": self.version,
            "settings": asdict(self.settings),
            "lattice_angstrom": self.structure.lattice.matrix.tolist(),
            "elements": [site.specie.symbol for site in self.structure],
            "fractional_coordinates": self.structure.frac_coords.tolist(),
            "energy_ev": self.energy_ev,
            "forces_ev_per_angstrom": self.forces.tolist(),
            "stress_gpa": self.stress_gpa.tolist(),
            "scf_steps": self.scf_steps,
            "wall_s": self.wall_s,
        }

    @classmethod
    def from_dict(cls, row: dict) -> Calculation:
        """Return the calculation that `as_dict` wrote."""
        settings = Settings(**{**row["settings"], "kpoints": tuple(row["settings"]["kpoints"])})
        return cls(
            row["name"],
            settings,
            Structure(row["lattice_angstrom"], row["elements"], row["fractional_coordinates"]),
            row["energy_ev"],
            np.array(row["forces_ev_per_angstrom"]),
            np.array(row["stress_gpa"]),
            row["scf_steps"],
            row["wall_s"],
            row["version"],
        )


def read_calculations() -> list[Calculation]:
    """Return the stored calculations."""
    return [Calculation.from_dict(row) for row in json.loads(DATA_FILE.read_text())["calculations"]]


def write_calculations(calculations: Sequence[Calculation], about: dict) -> None:
    """Replace the stored calculations, whole or not at all; `about` is their provenance."""
    rows = [calculation.as_dict() for calculation in calculations]
    text = json.dumps({"about": about, "calculations": rows}, indent=1, ensure_ascii=False)
    # one row of three numbers a line
    text = re.sub(r"\[\s+(-?[\d.e-]+),\s+(-?[\d.e-]+),\s+(-?[\d.e-]+)\s+\]", r"[\1, \2, \3]", text, flags=re.ASCII)
    DATA_FILE.parent.mkdir(exist_ok=True)
    partial = DATA_FILE.with_suffix(".partial")
    partial.write_text(text + "\n")
    os.replace(partial, DATA_FILE)


def run_cp2k(name: str, structure: Structure, settings: Settings, command: str) -> Calculation:
    """Run CP2K in a temporary folder.

    Raises
    ------
    CalculationError
        CP2K failed or its self-consistency did not converge; the line ends with the last of its output.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "cp2k.inp").write_text(cp2k_input(structure, settings))
        start = time.perf_counter()
        done = subprocess.run(
            [*shlex.split(command), "-i", "cp2k.inp"],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        wall = time.perf_counter() - start
    if done.returncode or "SCF run converged" not in done.stdout:
        raise CalculationError(f"{name}: CP2K failed: {(done.stdout + done.stderr)[-800:]}")
    return _parse(name, structure, settings, done.stdout, wall)


def _parse(name: str, structure: Structure, settings: Settings, text: str, wall_s: float) -> Calculation:
    energy = re.findall(r"ENERGY\| Total FORCE_EVAL .*?:\s+(\S+)", text)[-1]
    rows = re.findall(r"^ +\d+ +\d+ +[A-Z][a-z]?((?: +-?\d+\.\d+){3})$", text, flags=re.MULTILINE)
    forces = np.array([row.split() for row in rows[-len(structure) :]], dtype=float)
    block = text[text.index("STRESS| Analytical stress tensor [GPa]") :]
    stress = re.findall(r"STRESS\| +[xyz]((?: +\S+){3})$", block, flags=re.MULTILINE)[:3]
    version = re.search(r"CP2K\| version string: +(.*)", text)
    steps = re.findall(r"SCF run converged in +(\d+) steps", text)
    if forces.shape != (len(structure), 3) or version is None:
        raise CalculationError(f"{name}: CP2K's output has no forces or no version")
    return Calculation(
        name=name,
        settings=settings,
        structure=structure,
        energy_ev=float(energy) * Hartree,
        forces=forces * Hartree / Bohr,
        # CP2K counts compression as positive
        stress_gpa=-np.array([row.split() for row in stress], dtype=float),
        scf_steps=int(steps[-1]),
        wall_s=round(wall_s, 1),
        version=version.group(1).strip(),
    )


def cp2k_input(structure: Structure, settings: Settings) -> str:
    """Return CP2K's input for energy, forces and stress of a closed-shell crystal."""
    a, b, c = (" ".join(f"{x:.10f}" for x in row) for row in structure.lattice.matrix)
    atoms = "\n".join(
        f"      {site.specie.symbol} " + " ".join(f"{x:.12f}" for x in site.frac_coords) for site in structure
    )
    kinds = "\n".join(
        f"    &KIND {element}\n"
        f"      BASIS_SET {settings.basis}-q{VALENCE[element]}\n"
        f"      POTENTIAL GTH-PBE-q{VALENCE[element]}\n"
        "    &END KIND"
        for element in sorted({site.specie.symbol for site in structure})
    )
    basis_file, potential_file = FILES[settings.basis]
    mesh = " ".join(str(n) for n in settings.kpoints)
    kpoints = "" if mesh == "1 1 1" else f"    &KPOINTS\n      SCHEME MONKHORST-PACK {mesh}\n    &END KPOINTS\n"
    return f"""&GLOBAL
  PROJECT lzc
  RUN_TYPE ENERGY_FORCE
&END GLOBAL
&FORCE_EVAL
  METHOD QUICKSTEP
  STRESS_TENSOR ANALYTICAL
  &PRINT
    &FORCES ON
    &END FORCES
    &STRESS_TENSOR ON
    &END STRESS_TENSOR
  &END PRINT
  &DFT
    BASIS_SET_FILE_NAME {basis_file}
    POTENTIAL_FILE_NAME {potential_file}
    &MGRID
      CUTOFF {settings.cutoff_ry}
      REL_CUTOFF 50
    &END MGRID
    &QS
      EPS_DEFAULT 1.0E-12
    &END QS
{kpoints}    &XC
      &XC_FUNCTIONAL PBE
      &END XC_FUNCTIONAL
    &END XC
    &SCF
      SCF_GUESS ATOMIC
      EPS_SCF 1.0E-6
      MAX_SCF 60
      &DIAGONALIZATION
      &END DIAGONALIZATION
      &MIXING
        METHOD BROYDEN_MIXING
        ALPHA 0.4
      &END MIXING
      &PRINT
        &RESTART OFF
        &END RESTART
      &END PRINT
    &END SCF
  &END DFT
  &SUBSYS
    &CELL
      A {a}
      B {b}
      C {c}
    &END CELL
    &COORD
      SCALED
{atoms}
    &END COORD
{kinds}
  &END SUBSYS
&END FORCE_EVAL
"""
