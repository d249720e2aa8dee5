"""What the BVSE benchmarks share: processes of their own, so that peak memory is a code's own, and crystals.

Linux only: memory is read from /proc. ``ru_maxrss`` would count the parent's peak as the child's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Structure

from lzc_flows.crystal.doping import Combination, Substitution
from lzc_flows.crystal.host import ideal_host
from lzc_flows.crystal.ordering import order
from lzc_flows.documents.protocols import OrderProtocol

SEED = 20250101
PERTURBATION_ANGSTROM = 0.02
"""Standard deviation of each Cartesian displacement: no symmetry is left."""

DOPED = Combination(
    supercell=(2, 2, 1),
    cation=Substitution(ion="Ti3+", labels=("1a", "2d"), count=1),
    anion=Substitution(ion="F-", labels=("6i",), count=3),
)


def perturbed(structure: Structure) -> Structure:
    """Return a crystal with every ion displaced, the same way at each call."""
    shifts = np.random.default_rng(SEED).normal(0, PERTURBATION_ANGSTROM, (len(structure), 3))
    positions = structure.cart_coords + shifts
    return Structure(structure.lattice, structure.species, positions, coords_are_cartesian=True)


def doped_cell() -> Structure:
    """Return the most promising arrangement of `DOPED`, perturbed."""
    return perturbed(order(ideal_host(), DOPED, OrderProtocol(shortlist=1)).spread[0].structure)


@dataclass(frozen=True)
class Memory:
    """Resident memory of this process in MB: now, and the most so far."""

    now_mb: float
    peak_mb: float


def memory() -> Memory:
    lines = Path("/proc/self/status").read_text().splitlines()
    kib = {name: int(rest.split()[0]) for name, rest in (line.split(":", 1) for line in lines) if name.startswith("Vm")}
    return Memory(kib["VmRSS"] * 1024 / 1e6, kib["VmHWM"] * 1024 / 1e6)


def run_worker(script: str, request: Mapping[str, Any], folder: Path, numba_cache: Path) -> dict[str, Any]:
    """Run ``script --worker folder``; it reads ``request.json`` there and writes ``result.json``."""
    folder.mkdir()
    (folder / "request.json").write_text(json.dumps(request))
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(numba_cache)}
    subprocess.run([sys.executable, script, "--worker", str(folder)], check=True, env=environment)
    return json.loads((folder / "result.json").read_text())
