"""Electrons by VASP, whose stand-in has Gaussians on the atoms, and bands with a gap of 4 eV."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.inputs import Incar
from pymatgen.io.vasp.outputs import Chgcar, Elfcar

from lzc_flows.documents.dft import LZC, Kpoints
from lzc_flows.engines.base import ions_of
from lzc_flows.engines.mlip import MLIPS
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.recovery.vasp_calculation import DONE_FILE
from lzc_flows.recovery.vasp_electronic import Electrons, electrons_with_vasp

QUICK = LZC.model_copy(update={"cutoff_ev": 200.0, "kpoints": Kpoints(mesh=(1, 1, 1))})


def salt(cation: str = "Ti3+") -> Structure:
    """LiCl with another cation, elements in turn."""
    perfect = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.2), ["Li+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    turns = Structure.from_sites(
        [perfect[number] for pair in zip(range(4), range(4, 8), strict=True) for number in pair]
    )
    turns.replace(2, cation)
    return turns


DOPED = salt()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("electronic")


@pytest.fixture(scope="module")
def found(vasp_stands_in: Callable[[], Any], folder: Path) -> Electrons:
    with vasp_stands_in():
        electrons = electrons_with_vasp(DOPED, QUICK, folder)
    assert electrons is not None
    return electrons


def test_densities_integrate_to_the_electrons(found: Electrons) -> None:
    """Ti_pv 10, Li_sv 3, Cl 7, less two that the cell lacks."""
    expected = 10 + 3 * 3 + 4 * 7 - 2
    assert found.electrons == expected
    assert found.density.mean() * DOPED.volume == pytest.approx(expected, rel=1e-6)
    assert found.difference.shape == found.density.shape
    assert found.difference.mean() * DOPED.volume == pytest.approx(0, abs=1e-6)
    assert np.abs(found.difference).mean() * DOPED.volume > 0.1
    assert found.localisation.min() >= 0
    assert found.localisation.max() <= 1


def test_densities_are_those_of_the_files(found: Electrons, folder: Path) -> None:
    files = {name: Chgcar.from_file(str(folder / name / "CHGCAR")).data["total"] for name in ("scf", "atoms")}
    assert found.density * DOPED.volume == pytest.approx(files["scf"], rel=1e-12)
    assert found.difference * DOPED.volume == pytest.approx(files["scf"] - files["atoms"], rel=1e-6, abs=1e-9)
    spins = [*Elfcar.from_file(str(folder / "scf" / "ELFCAR")).data.values()]
    assert len(spins) == 2
    assert found.localisation == pytest.approx((spins[0] + spins[1]) / 2, rel=1e-12)


def test_both_spins_of_the_localisation_function_count(
    vasp_stand_in: Any, found: Electrons, folder: Path, tmp_path: Path
) -> None:
    """The stand-in writes one function twice: here the second is zero."""
    blocks = (folder / "scf" / "ELFCAR").read_text().split("\n\n")
    before = found.localisation
    lines = blocks[-1].splitlines()
    zeros = [" ".join("0.0" for _ in line.split()) for line in lines[1:]]
    original = (folder / "scf" / "ELFCAR").read_bytes()
    try:
        (folder / "scf" / "ELFCAR").write_text("\n\n".join([*blocks[:-1], "\n".join([lines[0], *zeros]) + "\n"]))
        again = electrons_with_vasp(DOPED, QUICK, folder)
    finally:
        (folder / "scf" / "ELFCAR").write_bytes(original)
    assert again is not None
    assert again.localisation == pytest.approx(before / 2, rel=1e-9)


def test_energy_bands_and_states(found: Electrons) -> None:
    force_field = MLIPS["nep"].force_field(ions_of(DOPED))
    energy_ev = force_field.evaluate(DOPED.cart_coords, DOPED.lattice.matrix).energy_ev
    assert found.energy_ev == pytest.approx(energy_ev, rel=0, abs=1e-5)
    # one unpaired electron: spin up and down each have a gap
    assert found.moment_mu_b == pytest.approx(1, abs=1e-6)
    assert 0 < found.gap_ev < 5
    total = found.dos["total"]
    assert set(found.dos) == {"total", "Li", "Ti", "Cl"}
    assert all(values.shape == found.energies_ev.shape for values in found.dos.values())
    occupied = found.energies_ev <= 0
    assert np.trapezoid(total[occupied], found.energies_ev[occupied]) == pytest.approx(found.electrons, rel=0.02)
    assert (found.corrections, found.wall_s > 0) == ([], True)


def test_inputs_are_those_of_both_calculations(found: Electrons, folder: Path) -> None:
    scf, atoms = (Incar.from_file(folder / name / "INCAR") for name in ("scf", "atoms"))
    assert (scf["LELF"], scf["LCHARG"], scf["ISPIN"]) == (True, True, 2)
    assert (atoms["ICHARG"], atoms["NELM"], atoms["LCHARG"]) == (12, 0, True)
    assert found.folder == folder / "scf"


def test_what_is_done_is_not_done_again(vasp_stand_in: Any, found: Electrons, folder: Path, tmp_path: Path) -> None:
    """In its folder; nor in a new one after that."""
    vasp_stand_in.command(sys.executable, "-c", "raise SystemExit('started')", "lzc_flows.rehearsal")
    for here, earlier in ((folder, []), (tmp_path / "new", [tmp_path / "absent", folder])):
        again = electrons_with_vasp(DOPED, QUICK, here, earlier)
        assert again is not None
        assert np.array_equal(again.difference, found.difference)


def test_another_crystal_is_another_calculation(vasp_stand_in: Any, folder: Path, tmp_path: Path) -> None:
    """A kill of the first run, and of the superposed atoms: both are mended or named."""
    other = salt("Li+")
    vasp_stand_in.fail({"fault": "kill", "kind": "static", "step": 1, "times": 1})
    found = electrons_with_vasp(other, QUICK, tmp_path, [folder])
    assert found is not None
    assert vasp_stand_in.happened() == 1
    assert found.electrons == 4 * 3 + 4 * 7
    assert [correction.handler for correction in found.corrections] == ["CutShortHandler"]
    assert found.moment_mu_b == 0


def test_what_is_not_whole_is_named(vasp_stand_in: Any, found: Electrons, folder: Path, tmp_path: Path) -> None:
    for name in ("scf", "atoms"):
        (tmp_path / name).mkdir()
        for file in (folder / name).iterdir():
            (tmp_path / name / file.name).write_bytes(file.read_bytes())
    charge = tmp_path / "atoms" / "CHGCAR"
    charge.write_bytes(charge.read_bytes()[: charge.stat().st_size // 2])
    with pytest.raises(CalculationError, match="output of VASP is not whole"):
        electrons_with_vasp(DOPED, QUICK, tmp_path)
    # nor is it taken for done any more
    assert not list(tmp_path.rglob(DONE_FILE))


def test_without_potcars_nothing_begins(vasp_stand_in: Any, tmp_path: Path) -> None:
    vasp_stand_in.potcars(None)
    with pytest.raises(InputError, match=r"^POTCAR library: PMG_VASP_PSP_DIR is not set"):
        electrons_with_vasp(DOPED, QUICK, tmp_path / "new")
    assert not (tmp_path / "new").exists()
