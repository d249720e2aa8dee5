from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.inputs import Kpoints, Poscar

from lzc_flows.rehearsal.kpoints import Mesh, read_kpoints
from lzc_flows.rehearsal.messages import Refusal
from lzc_flows.rehearsal.poscar import read_poscar

SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.1), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def mesh_of(folder: Path, kpoints: Kpoints | str | None, structure: Structure = SALT, **tags: Any) -> Mesh:
    Poscar(structure.get_sorted_structure()).write_file(folder / "POSCAR")
    if kpoints is not None:
        (folder / "KPOINTS").write_text(str(kpoints))
    return read_kpoints(folder, tags, read_poscar(folder / "POSCAR"))


@pytest.mark.parametrize(
    ("kpoints", "isym", "points"),
    [
        # a cube's 2×2×2 around Γ: Γ, 3 X, 3 M, R
        (Kpoints.gamma_automatic((2, 2, 2)), 2, 4),
        (Kpoints.gamma_automatic((2, 2, 2)), 0, 8),
        (Kpoints.monkhorst_automatic((2, 2, 2)), 2, 1),
        # k and -k are one by time reversal
        (Kpoints.monkhorst_automatic((2, 2, 2)), 0, 4),
        (Kpoints.monkhorst_automatic((2, 2, 2)), -1, 8),
        (Kpoints.gamma_automatic((1, 1, 1)), 0, 1),
        (Kpoints.gamma_automatic((3, 3, 3)), 0, 14),
    ],
)
def test_points_that_symmetry_leaves(kpoints: Kpoints, isym: int, points: int, tmp_path: Path) -> None:
    mesh = mesh_of(tmp_path, kpoints, ISYM=isym)
    assert len(mesh.points) == points
    assert mesh.weights.sum() == pytest.approx(1)
    assert np.abs(mesh.points).max() <= 0.5


def test_monkhorst_pack_leaves_out_gamma(tmp_path: Path) -> None:
    assert np.allclose(np.abs(mesh_of(tmp_path, Kpoints.monkhorst_automatic((2, 2, 2))).points), 0.25)
    odd = mesh_of(tmp_path, Kpoints.monkhorst_automatic((3, 1, 1)), ISYM=0)
    assert sorted(odd.points[:, 0].tolist()) == pytest.approx([0, 1 / 3])


def test_spacing_and_length(tmp_path: Path) -> None:
    structure = Structure(Lattice.orthorhombic(4, 5, 12), ["Li"], [[0, 0, 0]])
    # 2π/a over the spacing, rounded up
    assert mesh_of(tmp_path, None, structure, KSPACING=0.3).divisions == (6, 5, 2)
    assert mesh_of(tmp_path, None, structure).divisions == (4, 3, 2)
    assert mesh_of(tmp_path, Kpoints.automatic(25), structure).divisions == (6, 5, 2)


def test_a_list(tmp_path: Path) -> None:
    mesh = mesh_of(tmp_path, "list\n2\nReciprocal\n0 0 0 1\n0.5 0 0 3\n")
    assert mesh.scheme == "Listed"
    assert mesh.weights.tolist() == [0.25, 0.75]


@pytest.mark.parametrize("content", ["", "a\n0\nGamma\n", "a\n0\nX\n1 1 1\n", "a\n0\nGamma\n0 1 1\n", "a\n9\nLine\n"])
def test_refused(content: str, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="KPOINTS"):
        mesh_of(tmp_path, content)
