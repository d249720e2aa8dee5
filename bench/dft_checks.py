"""How far the DFT of `cp2k_pbe.py` can be trusted as a judge: against itself, and what it says of the volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase.units import GPa

from cp2k_pbe import Calculation, Settings, read_calculations
from engine_structures import LARGER, RATTLED, RELAXED_BY, ideal

Row = dict[str, Any]

HOST = next(iter(RATTLED))
FLUORINE = "Al3+ F-"
DZVP = "DZVP-MOLOPT-SR-GTH"
REFERENCE = Settings()
FINE = Settings(cutoff_ry=600)
"""What the engines are held against; F, whose density is hard, gets the finer grid."""
UNSETTLED = frozenset({"F"})
"""Elements whose forces even the finer grid leaves uncertain by tenths of eV/Å: no judge of engines."""
GAMMA = Settings(DZVP, (1, 1, 1))
CHECKS = {
    "k-mesh 2×2×2 → 2×2×4": (HOST, REFERENCE, Settings(kpoints=(2, 2, 4))),
    "basis TZVP → DZVP": (HOST, REFERENCE, Settings(DZVP)),
    "2×2×2 → 1×1×2, DZVP": (HOST, Settings(DZVP), Settings(DZVP, (1, 1, 2))),
    "2×2×2 → Γ, DZVP": (HOST, Settings(DZVP), GAMMA),
    "350 → 600 Ry, Γ, DZVP": (HOST, GAMMA, Settings(DZVP, (1, 1, 1), 600)),
    "350 → 600 Ry, Al3+ F-": (FLUORINE, REFERENCE, FINE),
}
"""Pairs of settings between which DFT itself is compared, on one crystal each."""


def pressure_gpa(stress_gpa: np.ndarray) -> float:
    """Return the pressure of a (3, 3) stress; positive where the crystal wants to grow."""
    return -float(np.trace(stress_gpa)) / 3


def errors(forces: np.ndarray, reference: np.ndarray, atoms: Sequence[str]) -> Row:
    """Return the errors of (atoms, 3) forces in eV/Å.

    ``mae`` and ``rmse`` are by component; ``slope`` is that of forces = slope × reference, and ``rmse_unscaled`` is
    the error left after dividing by it: a uniform scale moves no minimum, the rest does.
    """
    difference = forces - reference
    slope = float((forces * reference).sum() / (reference**2).sum())
    lengths = np.linalg.norm(difference, axis=1)
    worst = int(lengths.argmax())
    return {
        "mae": float(np.abs(difference).mean()),
        "rmse": float(np.sqrt((difference**2).mean())),
        "correlation": float(np.corrcoef(forces.ravel(), reference.ravel())[0, 1]),
        "slope": slope,
        "rmse_unscaled": float(np.sqrt(((forces / slope - reference) ** 2).mean())),
        "worst_atom": atoms[worst],
        "worst_error": float(lengths[worst]),
    }


def atom_names(calculation: Calculation) -> list[str]:
    """Return element and index of each atom."""
    return [f"{site.specie.symbol} {index}" for index, site in enumerate(calculation.structure)]


def settings_errors() -> list[Row]:
    """Return how far energy, forces and pressure of DFT move with its own settings."""
    found = {(c.name, c.settings): c for c in read_calculations()}
    rows = []
    for change, (crystal, before, after) in CHECKS.items():
        old, new = found[crystal, before], found[crystal, after]
        row = {"change": change, **errors(new.forces, old.forces, atom_names(old))}
        row["pressure_change_gpa"] = pressure_gpa(new.stress_gpa) - pressure_gpa(old.stress_gpa)
        row["net_force_after"] = float(np.linalg.norm(new.forces.sum(axis=0)))
        rows.append({**row, "energy_change_mev_per_atom": 1000 * (new.energy_ev - old.energy_ev) / len(old.forces)})
    return rows


def judges() -> list[Calculation]:
    """Return the calculation of each crystal that the engines are held against."""
    return [c for c in read_calculations() if c.settings == (FINE if c.name == FLUORINE else REFERENCE)]


def stress_check() -> list[Row]:
    """Return the analytical pressure against -dE/dV between the first crystal and a 2 % larger one."""
    found = {c.name: c for c in read_calculations() if c.settings == GAMMA}
    small, large = found[HOST], found[LARGER]
    growth = large.structure.volume - small.structure.volume
    analytical = [pressure_gpa(c.stress_gpa) for c in (small, large)]
    return [
        {
            "analytical_gpa": sum(analytical) / 2,
            "from_energies_gpa": -(large.energy_ev - small.energy_ev) / growth / GPa,
        }
    ]


def volume_at_zero_pressure() -> list[Row]:
    """Return where DFT's pressure vanishes between the hosts that the engines relaxed.

    Linear in ln V between the two, ions where the engines left them: an estimate, good to a percent or two.
    """
    relaxed = [c for c in judges() if c.name.startswith(RELAXED_BY)]
    small, large = sorted(relaxed, key=lambda c: c.structure.volume)
    low, high = pressure_gpa(large.stress_gpa), pressure_gpa(small.stress_gpa)
    logarithms = np.log([large.structure.volume, small.structure.volume])
    volume = float(np.exp(np.interp(0.0, [low, high], logarithms)))
    return [{"volume_angstrom3": volume, "volume_against_rietveld": volume / ideal().volume - 1}]
