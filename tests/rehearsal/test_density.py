from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymatgen.core import SETTINGS, Lattice, Structure
from pymatgen.io.vasp.outputs import Chgcar, Elfcar, VolumetricData

from lzc_flows.documents.dft import DftProtocol, Kpoints, VaspSettings
from lzc_flows.engines.vasp_inputs import MdPart, electronic_inputs, md_inputs, superposition_inputs
from lzc_flows.engines.vasp_potcars import unknown_potcars_allowed
from lzc_flows.rehearsal.density import core_density, localisation, valence_density, write_volumes
from lzc_flows.rehearsal.electrons import electrons_of
from lzc_flows.rehearsal.grids import fft_grids
from lzc_flows.rehearsal.inputs import Inputs, read_inputs
from lzc_flows.rehearsal.potcars import write_library

# a low cutoff: small grids
DFT = DftProtocol(cutoff_ev=150.0, kpoints=Kpoints(mesh=(2, 1, 1)), vasp=VaspSettings(incar={"LAECHG": True}))
Write = Callable[..., Inputs]


@pytest.fixture(scope="module", autouse=True)
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, unknown_potcars_allowed():
        patch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(write_library(tmp_path_factory.mktemp("library"))))
        yield


def crystal(cation: str = "Ti3+") -> Structure:
    """A skewed cell with a cation of each kind and four anions."""
    lattice = Lattice.from_parameters(5.0, 5.6, 6.3, 82, 97, 109)
    places = [
        [0.02, 0.01, 0.03],
        [0.5, 0.52, 0.48],
        [0.25, 0.7, 0.1],
        [0.74, 0.2, 0.9],
        [0.2, 0.3, 0.6],
        [0.7, 0.8, 0.4],
    ]
    return Structure(lattice, ["Li+", cation, "Cl-", "Cl-", "Cl-", "F-"], places)


@pytest.fixture
def inputs_of(tmp_path: Path) -> Write:
    def write(make: Callable[..., Any], *arguments: Any) -> Inputs:
        make(*arguments).write_input(tmp_path)
        return read_inputs(tmp_path)

    return write


def integral(path: Path, key: str = "total") -> float:
    """VASP's files hold density times volume; its mean is the integral."""
    return float(VolumetricData(*VolumetricData.parse_file(path)[:2]).data[key].mean())


def test_the_density_integrates_to_the_electrons(inputs_of: Write, tmp_path: Path) -> None:
    inputs = inputs_of(electronic_inputs, DFT, crystal())
    electrons = electrons_of(inputs)
    assert electrons.number == 3 + 10 + 3 * 7 + 7  # Li_sv, Ti_pv, 3 Cl, F
    write_volumes(tmp_path, inputs, inputs.arrangement, electrons)
    charge = Chgcar.from_file(str(tmp_path / "CHGCAR"))
    assert charge.data["total"].mean() == pytest.approx(41, rel=1e-9)
    assert charge.net_magnetization / charge.ngridpts == pytest.approx(1, rel=1e-9)  # Ti3+
    assert charge.structure.composition.reduced_formula == crystal().composition.element_composition.reduced_formula
    assert charge.structure.cart_coords == pytest.approx(crystal().cart_coords, abs=1e-9)
    # all the electrons of the atoms
    total = sum(integral(tmp_path / f"AECCAR{number}") for number in (0, 2))
    assert total == pytest.approx(3 + 22 + 3 * 17 + 9, rel=1e-9)


def test_a_charged_cell_integrates_to_nelect(inputs_of: Write, tmp_path: Path) -> None:
    charged = crystal("Zr4+")
    inputs = inputs_of(electronic_inputs, DFT, charged)
    assert inputs.tags["NELECT"] == 3 + 12 + 3 * 7 + 7 - 1
    write_volumes(tmp_path, inputs, inputs.arrangement, electrons_of(inputs))
    assert integral(tmp_path / "CHGCAR") == pytest.approx(42, rel=1e-9)


def test_each_atom_is_a_gaussian_of_its_images(inputs_of: Write) -> None:
    """An independent way: the sum over lattice vectors in real space."""
    inputs = inputs_of(electronic_inputs, DFT, crystal())
    arrangement, grid = inputs.arrangement, (12, 14, 16)
    density = valence_density(inputs, arrangement, (48, 56, 64))[::4, ::4, ::4]
    charges = np.repeat([3.0, 10.0, 7.0, 7.0], arrangement.counts)
    widths = np.repeat([0.4 * 1.45, 0.4 * 1.40, 0.4 * 1.00, 0.25], arrangement.counts)  # Slater's radii; F the least
    fractions = np.stack(np.meshgrid(*(np.arange(n) / n for n in grid), indexing="ij"), axis=-1)
    images = np.stack(np.meshgrid(*([np.arange(-2, 3)] * 3), indexing="ij"), axis=-1).reshape(-1, 3)
    expected = np.zeros(grid)
    for place, charge, width in zip(arrangement.fractional, charges, widths, strict=True):
        for image in images:
            squares = (((fractions - place - image) @ arrangement.cell) ** 2).sum(axis=-1)
            expected += charge * np.exp(-squares / (2 * width**2)) / (2 * np.pi * width**2) ** 1.5
    volume = abs(np.linalg.det(arrangement.cell))
    assert density == pytest.approx(volume * expected, rel=1e-4, abs=1e-3 * expected.max())


def test_superposed_atoms_differ_and_hold_as_many_electrons(inputs_of: Write, tmp_path: Path) -> None:
    inputs = inputs_of(electronic_inputs, DFT, crystal())
    write_volumes(tmp_path, inputs, inputs.arrangement, electrons_of(inputs))
    charge = Chgcar.from_file(str(tmp_path / "CHGCAR"))
    atoms = inputs_of(superposition_inputs, DFT, crystal())
    write_volumes(tmp_path, atoms, atoms.arrangement, electrons_of(atoms))
    superposed = Chgcar.from_file(str(tmp_path / "CHGCAR"))
    difference = charge - superposed
    assert difference.data["total"].mean() == pytest.approx(0, abs=1e-7)
    assert np.abs(difference.data["total"]).max() > 0.1 * charge.data["total"].mean()
    # the same difference of the all-electron files
    both = [VolumetricData(*VolumetricData.parse_file(tmp_path / f"AECCAR{number}")[:2]) for number in (1, 2)]
    assert both[1].data["total"] - both[0].data["total"] == pytest.approx(difference.data["total"], abs=1e-6)


def test_the_localisation_function(inputs_of: Write, tmp_path: Path) -> None:
    inputs = inputs_of(electronic_inputs, DFT, crystal())
    write_volumes(tmp_path, inputs, inputs.arrangement, electrons_of(inputs))
    local = Elfcar.from_file(str(tmp_path / "ELFCAR"))
    assert set(local.data) == {"spin_up", "spin_down"}
    for spin in local.data.values():
        assert spin.min() >= 0
        assert spin.max() <= 1
        assert spin.max() - spin.min() > 0.5
    assert tuple(local.dim) == fft_grids(inputs)[0]
    assert localisation(np.array([2.0, 2.0])) == pytest.approx([0.5, 0.5])  # at the mean density


@pytest.mark.parametrize("precise", [True, False])
def test_grids_are_those_of_pymatgen(inputs_of: Write, precise: bool) -> None:
    part = MdPart("nvt", 100, 100, 10, 2, 20)
    asked = electronic_inputs(DFT, crystal()) if precise else md_inputs(DFT, part, crystal())
    inputs = inputs_of(lambda: asked)
    assert fft_grids(inputs) == tuple(tuple(grid) for grid in asked.calculate_ng())


def test_grids_may_be_given(inputs_of: Write) -> None:
    own = DFT.model_copy(update={"vasp": VaspSettings(incar={"NGXF": 20, "NGZ": 12})})
    coarse, fine = fft_grids(inputs_of(electronic_inputs, own, crystal()))
    assert (fine[0], coarse[2]) == (20, 12)


def test_cores_are_what_the_potentials_leave_out(inputs_of: Write) -> None:
    inputs = inputs_of(electronic_inputs, DFT, crystal())
    assert core_density(inputs, inputs.arrangement, (20, 20, 20)).mean() == pytest.approx(0 + 12 + 3 * 10 + 2)


def test_only_what_is_asked_for_is_written(inputs_of: Write, tmp_path: Path) -> None:
    own = DFT.model_copy(update={"vasp": VaspSettings()})
    inputs = inputs_of(md_inputs, own, MdPart("nvt", 100, 100, 10, 2, 20), crystal())
    write_volumes(tmp_path, inputs, inputs.arrangement, electrons_of(inputs))
    assert {path.name for path in tmp_path.iterdir()} == {"INCAR", "KPOINTS", "POSCAR", "POTCAR"}
