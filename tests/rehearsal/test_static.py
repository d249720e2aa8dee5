"""What readers find in the files of a static calculation is what the engine says."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emmet.core.tasks import TaskDoc
from pymatgen.core import Structure
from pymatgen.io.vasp.inputs import Poscar
from pymatgen.io.vasp.outputs import Eigenval, Oszicar, Outcar, Vasprun, Xdatcar

from lzc_flows.dynamics.units import GPA_EV
from lzc_flows.rehearsal.forces import force_field
from lzc_flows.rehearsal.messages import Refusal
from lzc_flows.rehearsal.poscar import read_poscar


@pytest.fixture
def folder(rehearsed: Callable[..., Path], tags: dict[str, Any], salt: Structure) -> Path:
    return rehearsed(tags["static"], salt)


def test_vasprun_holds_what_the_engine_says(folder: Path, salt: Structure) -> None:
    engine = force_field(tuple(site.specie.symbol for site in salt))
    answer = engine.evaluate_with_virial(salt.cart_coords, salt.lattice.matrix)
    vasprun = Vasprun(folder / "vasprun.xml", parse_potcar_file=False)
    step = vasprun.ionic_steps[0]
    assert vasprun.converged
    assert vasprun.final_energy == pytest.approx(answer.energy_ev, abs=1e-8)
    assert np.allclose(step["forces"], answer.forces, rtol=0, atol=1e-8)
    # positive where the cell pushes outwards, in kB
    stress = 10 * answer.virial_ev / (GPA_EV * salt.volume)
    assert np.allclose(step["stress"], 0.5 * (stress + stress.T), rtol=0, atol=1e-7)
    assert np.allclose(step["structure"].lattice.matrix, salt.lattice.matrix, atol=1e-8)
    assert vasprun.potcar_symbols == ["PAW_PBE Li_sv STAND-IN", "PAW_PBE Cl STAND-IN"]


def test_outcar_and_oszicar_agree_with_vasprun(folder: Path) -> None:
    vasprun = Vasprun(folder / "vasprun.xml", parse_potcar_file=False)
    outcar, oszicar = Outcar(folder / "OUTCAR"), Oszicar(folder / "OSZICAR")
    assert outcar.final_energy == outcar.final_energy_wo_entrp == outcar.final_fr_energy == vasprun.final_energy
    assert oszicar.final_energy == pytest.approx(float(vasprun.final_energy), rel=1e-7)
    assert len(oszicar.electronic_steps[0]) == len(vasprun.ionic_steps[0]["electronic_steps"])
    assert outcar.efermi == vasprun.efermi
    assert outcar.nelect == vasprun.parameters["NELECT"] == 4 * 3 + 4 * 7
    assert outcar.data["nbands"] == vasprun.parameters["NBANDS"]
    assert len(outcar.data["nplwvs_at_kpoints"]) == len(vasprun.actual_kpoints)
    assert outcar.run_stats["cores"] == 1
    assert outcar.run_stats["Total CPU time used (sec)"] >= 0
    table = outcar.read_table_pattern(
        r"TOTAL-FORCE \(eV/Angst\)\n\s-+", r"\s+" + r"\s+".join([r"([-.\d]+)"] * 6), r"\s-+", postprocess=float
    )
    assert np.allclose(np.array(table)[:, 3:], vasprun.ionic_steps[0]["forces"], atol=1e-6)


def test_configurations_and_bands(folder: Path, salt: Structure) -> None:
    assert len(Xdatcar(folder / "XDATCAR").structures) == 1
    assert Poscar.from_file(folder / "CONTCAR").structure.matches(salt)
    gap, _, _, _ = Eigenval(folder / "EIGENVAL").eigenvalue_band_properties
    assert gap == pytest.approx(Vasprun(folder / "vasprun.xml", parse_potcar_file=False).eigenvalue_band_properties[0])


def test_emmet_makes_a_task_of_it(folder: Path) -> None:
    task = TaskDoc.from_directory(folder)
    assert (task.state.value, task.task_type.value, task.run_type.value) == ("successful", "Static", "GGA")
    assert task.output.bandgap > 3
    assert task.vasp_version.startswith("6.")


def test_files_say_who_made_them(folder: Path) -> None:
    assert "stand-in" in (folder / "OUTCAR").read_text().splitlines()[0]
    assert "stand-in" in Vasprun(folder / "vasprun.xml", parse_potcar_file=False).generator["SUBVERSION"].lower()


def test_spin_and_charge(rehearsed: Callable[..., Path], tags: dict[str, Any], salt: Structure) -> None:
    # V2+ has three unpaired electrons; with one electron less than neutral the cell is charged by +1
    magnetic = salt.copy()
    magnetic.replace(0, "V")
    magnetic.sort()
    moments = [3.0 if site.specie.symbol == "V" else 0.6 for site in magnetic]
    spin = {**tags["static"], "ISPIN": 2, "MAGMOM": moments, "LORBIT": 11, "NELECT": 41}
    folder = rehearsed(spin, magnetic)
    outcar = Outcar(folder / "OUTCAR")
    assert outcar.spin
    assert [each["tot"] for each in outcar.magnetization] == [m if m == 3 else 0 for m in moments]
    assert outcar.total_mag == 3  # odd, as the number of electrons is
    vasprun = Vasprun(folder / "vasprun.xml", parse_potcar_file=folder / "POTCAR")
    assert len(vasprun.eigenvalues) == 2
    assert vasprun.final_structure.charge == 3 * 3 + 5 + 4 * 7 - 41
    assert TaskDoc.from_directory(folder).output.structure.site_properties["magmom"] == [
        m if m == 3 else 0 for m in moments
    ]


def test_as_an_executable(
    executed: Callable[[Path], subprocess.CompletedProcess[str]],
    written: Callable[..., Path],
    tags: dict[str, Any],
    salt: Structure,
    tmp_path: Path,
) -> None:
    folder = written(tmp_path, tags["static"], salt)
    done = executed(folder)
    assert done.returncode == 0
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].startswith(" running on")
    assert any(line.startswith(" vasp.6.") for line in lines)
    assert any("POSCAR found" in line for line in lines)
    assert " F= " in lines[-1]
    (folder / "POTCAR").unlink()
    refused = executed(folder)
    assert refused.returncode == 1
    assert "POTCAR could not be found" in refused.stdout
    assert "I REFUSE TO CONTINUE" in refused.stdout


@pytest.mark.parametrize("content", ["", "a\n1\n1 0 0\n0 1 0\n", "a\n1\n5 0 0\n0 5 0\n0 0 5\nLi\n2\nDirect\n0 0 0\n"])
def test_no_structure(content: str, tmp_path: Path) -> None:
    (tmp_path / "POSCAR").write_text(content)
    with pytest.raises(Refusal, match="holds no"):
        read_poscar(tmp_path / "POSCAR")
