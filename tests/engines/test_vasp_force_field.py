"""Forces from VASP's single points, whose stand-in has NEP89's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymatgen.io.vasp.inputs import Incar

from lzc_flows.documents.dft import LZC, Kpoints
from lzc_flows.engines.base import Ions
from lzc_flows.engines.mlip import MLIPS
from lzc_flows.engines.vasp import VaspEngine
from lzc_flows.errors import CalculationError, InputError

# elements in turn, and a charge
IONS = Ions(("Li", "Cl", "Li", "Cl", "Li", "Cl", "Cl"), (1.0, -1.0, 1.0, -1.0, 1.0, -1.0, -1.0))
CELL = 5.2 * np.array([[1.0, 0.0, 0.0], [0.05, 0.98, 0.0], [0.0, -0.03, 1.02]])
PLACES = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0, 0, 0.5], [0.5, 0, 0.5], [0, 0.5, 0], [0.5, 0, 0]])
POSITIONS = (PLACES + np.random.default_rng(3).normal(scale=0.02, size=(7, 3)) + [1, 0, -1]) @ CELL
GAMMA = LZC.model_copy(update={"kpoints": Kpoints(mesh=(1, 1, 1))})


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_energy_forces_and_virial_are_those_of_the_stand_ins_engine(vasp_stand_in: Any, tmp_path: Path) -> None:
    """In the order of the ions; two images of a band, each in its own folder."""
    here, there = VaspEngine(GAMMA).force_field(IONS), MLIPS["nep"].force_field(IONS)
    several = np.array([POSITIONS, POSITIONS + 0.05 * PLACES])
    for found, positions in zip(here.evaluate_many(several, CELL), several, strict=True):
        expected = there.evaluate_with_virial(positions, CELL)
        assert found.energy_ev == pytest.approx(expected.energy_ev, rel=0, abs=1e-6)
        assert found.forces == pytest.approx(expected.forces, rel=0, abs=1e-6)
        assert found.virial_ev is not None
        assert expected.virial_ev is not None
        symmetric = (expected.virial_ev + expected.virial_ev.T) / 2
        assert np.abs(symmetric).max() > 0.1
        # the stress has five decimals of a kB
        assert found.virial_ev == pytest.approx(symmetric, rel=0, abs=1e-5)
    folders = [tmp_path / "vasp-points" / name for name in ("00", "01")]
    incars = [Incar.from_file(folder / "INCAR") for folder in folders]
    assert [(incar["NSW"], incar["LWAVE"], incar["NELECT"]) for incar in incars] == [(0, True, 3 * 3 + 4 * 7 + 1)] * 2


def test_the_virial_is_the_derivative_by_the_strain(vasp_stand_in: Any) -> None:
    """Of a stretch along the first axis, from single points; a wave function that lies there is gone on from."""
    force_field, small = VaspEngine(GAMMA).force_field(IONS), 2e-3
    stretched = [np.diag([1 + sign * small, 1, 1]) for sign in (1, -1)]
    ahead, back = (force_field.evaluate(POSITIONS @ strain, CELL @ strain).energy_ev for strain in stretched)
    (Path("vasp-points") / "single" / "WAVECAR").write_bytes(b"")
    virial = force_field.evaluate_with_virial(POSITIONS, CELL).virial_ev
    assert virial is not None
    assert virial[0, 0] == pytest.approx(-(ahead - back) / (2 * small), rel=2e-3, abs=2e-3)
    assert Incar.from_file(Path("vasp-points") / "single" / "INCAR")["ISTART"] == 1


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ("nonconverging", r"single: VASP's electrons did not converge within NELM steps$"),
        ("kill", r"single: VASP ended with exit status -9: "),
    ],
)
def test_what_fails_is_an_error(vasp_stand_in: Any, fault: str, named: str) -> None:
    vasp_stand_in.fail({"fault": fault, "kind": "static", "step": 1})
    force_field = VaspEngine(GAMMA).force_field(IONS)
    with pytest.raises(CalculationError, match=named):
        force_field.evaluate(POSITIONS, CELL)


def test_without_vasp_it_is_refused(vasp_stand_in: Any) -> None:
    vasp_stand_in.command("vasp_of_another_machine")
    with pytest.raises(InputError, match=r"^engine 'vasp': no command"):
        VaspEngine(GAMMA).force_field(IONS)
