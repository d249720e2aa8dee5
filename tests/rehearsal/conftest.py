from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.inputs import Incar, Kpoints, Poscar

from lzc_flows.crystal.host import ideal_host
from lzc_flows.rehearsal.calculate import calculate
from lzc_flows.rehearsal.potcars import potcar_text

POTCARS = {"Li": "Li_sv", "Zr": "Zr_sv"}


def bare(structure: Structure) -> Structure:
    """The elements and places alone, sorted."""
    symbols = [site.specie.symbol for site in structure]
    return Structure(structure.lattice, symbols, structure.frac_coords).get_sorted_structure()


def write_inputs(
    folder: Path, incar: dict[str, Any], structure: Structure, mesh: tuple[int, int, int] = (2, 2, 2)
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    poscar = Poscar(structure)
    poscar.write_file(folder / "POSCAR")
    Kpoints.gamma_automatic(mesh).write_file(folder / "KPOINTS")
    Incar(incar).write_file(folder / "INCAR")
    (folder / "POTCAR").write_text("".join(potcar_text(POTCARS.get(each, each)) for each in poscar.site_symbols))
    return folder


@pytest.fixture(scope="session")
def salt() -> Structure:
    """LiCl, 8 atoms, out of its minimum."""
    structure = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.2), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    moves = np.random.default_rng(7).normal(scale=0.04, size=(8, 3))
    return bare(
        Structure(structure.lattice, structure.species, structure.cart_coords + moves, coords_are_cartesian=True)
    )


@pytest.fixture(scope="session")
def host() -> Structure:
    """The host, 27 atoms."""
    return bare(ideal_host().structure)


@pytest.fixture
def no_faults(set_lzc: Callable[..., Any]) -> Iterator[None]:
    """Settings without faults."""
    with set_lzc():
        yield


STATIC = {"NSW": 0, "EDIFF": 1e-5, "ENCUT": 500, "ISMEAR": 0, "SIGMA": 0.05, "LCHARG": False, "LWAVE": False}
IONIC = {"NSW": 60, "ISIF": 2, "EDIFFG": -0.01, "POTIM": 0.5}
HEAT = {"POTIM": 2.0, "MDALGO": 2, "SMASS": 0, "TEBEG": 300, "TEEND": 300, "ISYM": 0}


@pytest.fixture(scope="session")
def tags() -> dict[str, dict[str, Any]]:
    """INCARs by the kind of calculation."""
    return {
        "static": STATIC,
        "relax": {**STATIC, **IONIC, "IBRION": 2},
        "md": {**STATIC, **HEAT, "NSW": 20, "IBRION": 0, "ISIF": 2},
        "neb": {**STATIC, **IONIC, "IBRION": 3, "IOPT": 1, "POTIM": 0, "ICHAIN": 0, "LCLIMB": True, "SPRING": -5},
    }


@pytest.fixture(scope="session")
def written() -> Callable[..., Path]:
    """Write the four files into a folder: `written(folder, incar, structure, mesh)`."""
    return write_inputs


@pytest.fixture
def rehearsed(tmp_path: Path, no_faults: None) -> Callable[..., Path]:
    """Write inputs into a folder and run the stand-in on them, in this process."""

    def run(
        incar: dict[str, Any], structure: Structure, name: str = "run", mesh: tuple[int, int, int] = (2, 2, 2)
    ) -> Path:
        folder = write_inputs(tmp_path / name, incar, structure, mesh)
        assert calculate(folder) == 0
        return folder

    return run


@pytest.fixture(scope="session")
def executed() -> Callable[[Path], subprocess.CompletedProcess[str]]:
    """Run the stand-in in a folder as VASP is run."""

    def run(folder: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "lzc_flows.rehearsal"]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)

    return run
