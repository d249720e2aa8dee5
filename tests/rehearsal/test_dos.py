from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from pymatgen.core import SETTINGS, Lattice, Structure
from pymatgen.electronic_structure.core import OrbitalType, Spin
from pymatgen.electronic_structure.dos import CompleteDos
from pymatgen.io.vasp.outputs import Vasprun

from lzc_flows.documents.dft import DftProtocol, Kpoints, VaspSettings
from lzc_flows.engines.vasp_inputs import electronic_inputs
from lzc_flows.engines.vasp_potcars import unknown_potcars_allowed
from lzc_flows.rehearsal.dos import DensityOfStates, dos_xml, doscar_text, model_dos
from lzc_flows.rehearsal.electrons import GAP_EV, electrons_of
from lzc_flows.rehearsal.inputs import Inputs, read_inputs
from lzc_flows.rehearsal.potcars import write_library

Make = Callable[..., tuple[Inputs, DensityOfStates]]


@pytest.fixture(scope="module", autouse=True)
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, unknown_potcars_allowed():
        patch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(write_library(tmp_path_factory.mktemp("library"))))
        yield


def crystal(cation: str = "Zr4+", extra: str = "Cl-") -> Structure:
    places = [[0, 0, 0], [0.5, 0.5, 0.5], [0.25, 0.7, 0.1], [0.74, 0.2, 0.9], [0.2, 0.3, 0.6], [0.7, 0.8, 0.4]]
    species = ["Li+", cation, "Cl-", "Cl-", "Cl-", "Cl-"]
    lattice = Lattice.from_parameters(5.0, 5.6, 6.3, 82, 97, 109)
    fifth = [[0.9, 0.5, 0.2]] if cation == "Zr4+" else []
    return Structure(lattice, species + [extra] * len(fifth), places + fifth)


@pytest.fixture
def made(tmp_path: Path) -> Make:
    def make(structure: Structure, lorbit: int = 11) -> tuple[Inputs, DensityOfStates]:
        incar = {} if lorbit == 11 else {"LORBIT": lorbit}
        dft = DftProtocol(kpoints=Kpoints(mesh=(2, 2, 1)), vasp=VaspSettings(incar=incar))
        electronic_inputs(dft, structure).write_input(tmp_path)
        inputs = read_inputs(tmp_path)
        return inputs, model_dos(inputs, electrons_of(inputs))

    return make


def test_occupied_states_are_the_electrons(made: Make) -> None:
    inputs, dos = made(crystal())
    below = dos.energies_ev <= dos.fermi_ev
    step = dos.energies_ev[1] - dos.energies_ev[0]
    assert inputs.tag("NELECT") == 3 + 12 + 5 * 7
    assert dos.integrated[0, below][-1] == pytest.approx(50, rel=1e-9)
    assert dos.total[0, below].sum() * step == pytest.approx(50, rel=1e-9)
    assert len(dos.energies_ev) == 3001


def test_spins_hold_their_electrons(made: Make) -> None:
    _, dos = made(crystal("Ti3+"))
    up, down = dos.integrated[:, dos.energies_ev <= dos.fermi_ev][:, -1]
    assert (up + down, up - down) == pytest.approx((3 + 10 + 4 * 7, 1), rel=1e-9)


@pytest.mark.parametrize("lorbit", [10, 11])
def test_projections_sum_to_the_total(made: Make, lorbit: int) -> None:
    _, dos = made(crystal("Ti3+"), lorbit)
    assert dos.projected is not None
    assert dos.projected.shape == (6, 2, {10: 3, 11: 9}[lorbit], 3001)
    assert dos.projected.sum(axis=(0, 2)) == pytest.approx(dos.total, rel=1e-9, abs=1e-12)
    assert dos.projected.min() >= 0


def test_without_lorbit_nothing_is_projected(made: Make) -> None:
    inputs, dos = made(crystal(), 0)
    assert dos.projected is None
    assert "partial" not in dos_xml(dos)
    assert len(doscar_text(inputs, inputs.arrangement, dos).splitlines()) == 6 + 3001


def parsed(dos: DensityOfStates, structure: Structure) -> CompleteDos:
    total, _, projected = Vasprun._parse_dos(ElementTree.fromstring(dos_xml(dos)))
    return CompleteDos(structure, total, dict(zip(structure, projected, strict=True)))


def test_pymatgen_reads_vasprun(made: Make) -> None:
    structure = crystal("Ti3+")
    _, dos = made(structure)
    complete = parsed(dos, structure)
    assert complete.efermi == dos.fermi_ev
    assert complete.densities[Spin.up] == pytest.approx(dos.total[0], abs=1e-4)
    assert complete.densities[Spin.down] == pytest.approx(dos.total[1], abs=1e-4)
    assert dos.projected is not None
    of_titanium = complete.get_site_spd_dos(structure[1])[OrbitalType.d]
    assert of_titanium.densities[Spin.up] == pytest.approx(dos.projected[1, 0, 4:9].sum(axis=0), abs=1e-3)


def test_pymatgen_reads_a_whole_run(rehearsed: Callable[..., Path], salt: Structure) -> None:
    tags = {"NSW": 0, "ENCUT": 300, "ISMEAR": 0, "SIGMA": 0.05, "LORBIT": 11, "NEDOS": 501, "LCHARG": False}
    vasprun = Vasprun(str(rehearsed(tags, salt) / "vasprun.xml"), parse_potcar_file=False)
    complete = vasprun.complete_dos
    parts = sum(complete.get_site_dos(site).densities[Spin.up] for site in complete.structure)
    assert parts == pytest.approx(complete.densities[Spin.up], abs=0.01)  # four decimals of 72 numbers
    assert vasprun.idos.densities[Spin.up][-1] == pytest.approx(2 * vasprun.parameters["NBANDS"], abs=1e-3)
    assert vasprun.efermi == complete.efermi


def test_it_is_an_insulator_of_anions_and_cations(made: Make) -> None:
    structure = crystal()
    _, dos = made(structure)
    complete = parsed(dos, structure)
    assert complete.get_gap(tol=1e-3, abs_tol=True) == pytest.approx(GAP_EV, abs=0.5)
    of_elements = {element.symbol: part for element, part in complete.get_element_dos().items()}
    below = complete.energies <= complete.efermi
    chlorine, zirconium = (of_elements[symbol].densities[Spin.up] for symbol in ("Cl", "Zr"))
    assert chlorine[below].sum() > 5 * zirconium[below].sum()
    assert zirconium[~below].sum() > chlorine[~below].sum()


def test_doscar_holds_the_same(made: Make) -> None:
    inputs, dos = made(crystal("Ti3+"))
    lines = doscar_text(inputs, inputs.arrangement, dos).splitlines()
    highest, lowest, points, fermi = (float(word) for word in lines[5].split()[:4])
    assert (points, fermi) == (3001, dos.fermi_ev)
    assert (lowest, highest) == pytest.approx((dos.energies_ev[0], dos.energies_ev[-1]), abs=1e-7)
    written = np.array([line.split() for line in lines[6 : 6 + 3001]], dtype=float).T
    assert written[1:3] == pytest.approx(dos.total, rel=1e-3, abs=1e-9)
    assert written[3:5] == pytest.approx(dos.integrated, rel=1e-3, abs=1e-9)
    assert len(lines) == 6 + 3001 + 6 * 3002
    second = lines[6 + 2 * 3002 : 6 + 2 * 3002 + 3001]
    assert lines[6 + 3001] == lines[5]
    columns = np.array([line.split() for line in second], dtype=float).T
    assert dos.projected is not None
    assert columns.shape == (1 + 9 * 2, 3001)
    assert columns[1::2] == pytest.approx(dos.projected[1, 0], rel=1e-3, abs=1e-9)
    assert columns[2::2] == pytest.approx(dos.projected[1, 1], rel=1e-3, abs=1e-9)
