from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.units import GPa

from lzc_flows.crystal.host import ideal_host
from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.engines.mlip import MLIPS
from lzc_flows.engines.models import model
from lzc_flows.errors import InputError

# CHGNet computes in single precision: its energies of 27 atoms are good to about 1e-4 eV
ENERGY_NOISE_EV = {"nep": 1e-6, "chgnet": 5e-4}


@pytest.fixture(scope="module", params=["nep", "chgnet"])
def system(request: pytest.FixtureRequest) -> Atoms:
    """The ideal host with the calculator that the engine's Maker runs."""
    atoms = ideal_host().structure.copy().remove_oxidation_states().to_ase_atoms()
    atoms.calc = MLIPS[request.param].relax_maker(RelaxProtocol()).calculator
    atoms.info["noise_ev"] = ENERGY_NOISE_EV[request.param]
    return atoms


@pytest.fixture
def atoms(system: Atoms) -> Atoms:
    """The same, strained and rattled."""
    host = ideal_host().structure
    system.set_cell(host.lattice.matrix)
    system.set_scaled_positions(host.frac_coords)
    system.set_cell(host.lattice.matrix @ np.diag([1.01, 1.0, 0.98]), scale_atoms=True)
    system.rattle(0.05, seed=3)
    return system


def energy_at(atoms: Atoms, positions: np.ndarray) -> float:
    atoms.positions = positions
    return float(atoms.get_potential_energy())


def energy_in(atoms: Atoms, cell: np.ndarray) -> float:
    atoms.set_cell(cell, scale_atoms=True)
    return float(atoms.get_potential_energy())


def test_forces_are_the_negative_gradient_of_the_energy(atoms: Atoms) -> None:
    forces = atoms.get_forces().copy()
    start = atoms.positions.copy()
    generator = np.random.default_rng(0)
    step = 0.02
    for _ in range(4):
        direction = generator.normal(size=forces.shape)
        direction /= np.abs(direction).max()
        # five points: the error is of fourth order in the step
        energies = [energy_at(atoms, start + n * step * direction) for n in (-2, -1, 1, 2)]
        slope = np.dot([1, -8, 8, -1], energies) / (12 * step)
        noise = 1.5 * atoms.info["noise_ev"] / step
        assert slope == pytest.approx(-np.sum(forces * direction), rel=2e-3, abs=noise)


def test_stress_is_the_strain_derivative_of_the_energy(atoms: Atoms) -> None:
    stress = atoms.get_stress(voigt=False).copy()
    cell, volume = atoms.cell.array.copy(), atoms.get_volume()
    step = 0.002
    for i, j in ((0, 0), (2, 2), (0, 1)):
        strain = np.zeros((3, 3))
        strain[i, j] = strain[j, i] = step if i == j else step / 2
        energies = [energy_in(atoms, cell @ (np.eye(3) + n * strain)) for n in (-2, -1, 1, 2)]
        slope = np.dot([1, -8, 8, -1], energies) / (12 * step) / volume
        noise = 1.5 * atoms.info["noise_ev"] / step / volume
        assert slope == pytest.approx(stress[i, j], rel=5e-3, abs=max(noise, 1e-3 * GPa))


def test_energy_knows_no_place_and_no_order_of_atoms(atoms: Atoms) -> None:
    expected = atoms.get_potential_energy()
    forces = atoms.get_forces().copy()
    noise = atoms.info["noise_ev"]
    shift = np.array([1.3, -0.7, 2.9])
    assert energy_at(atoms, atoms.positions + shift) == pytest.approx(expected, abs=noise)
    order = np.random.default_rng(1).permutation(len(atoms))
    shuffled = atoms[order]
    shuffled.calc = atoms.calc
    assert shuffled.get_potential_energy() == pytest.approx(expected, abs=noise)
    np.testing.assert_allclose(shuffled.get_forces(), forces[order], atol=20 * noise)


def test_energy_is_extensive(atoms: Atoms) -> None:
    expected = 2 * atoms.get_potential_energy()
    double = atoms.repeat((1, 1, 2))
    double.calc = atoms.calc
    assert double.get_potential_energy() == pytest.approx(expected, abs=4 * atoms.info["noise_ev"])


def test_forces_sum_to_zero(atoms: Atoms) -> None:
    np.testing.assert_allclose(atoms.get_forces().sum(axis=0), 0, atol=10 * atoms.info["noise_ev"])


def test_stamps_name_versions_and_the_models_checksum() -> None:
    nep, chgnet = (MLIPS[name].stamp() for name in ("nep", "chgnet"))
    assert nep.name == "nep"
    assert nep.version == f"calorine {version('calorine')}, nep89 sha256 {model('nep89').sha256[:12]}"
    assert (chgnet.name, chgnet.version) == ("chgnet", f"chgnet {version('chgnet')}")


def test_the_protocol_reaches_the_maker() -> None:
    protocol = RelaxProtocol(fmax_ev_per_angstrom=0.037, max_steps=12, optimizer="LBFGS", relax_cell=False)
    for engine in MLIPS.values():
        maker = engine.relax_maker(protocol)
        assert (maker.steps, maker.relax_cell) == (12, False)
        assert maker.optimizer_kwargs == {"optimizer": "LBFGS"}
        assert maker.relax_kwargs["fmax"] == 0.037


@pytest.mark.parametrize("content", [None, b"nep4_zbl 89 H He", b""], ids=["missing", "truncated", "empty"])
def test_a_model_file_that_is_not_whole_says_how_to_install_it(
    content: bytes | None, tmp_path: Path, set_lzc: Callable[..., AbstractContextManager[None]]
) -> None:
    if content is not None:
        (tmp_path / "nep89.txt").write_bytes(content)
    with set_lzc(LZC_MODELS_DIR=str(tmp_path)), pytest.raises(InputError) as error:
        MLIPS["nep"].stamp()
    assert str(error.value).endswith("run `lzc models install nep89`")
    assert "\n" not in str(error.value)


WITHOUT_PACKAGE = """
import sys
from importlib import metadata

found = metadata.MetadataPathFinder.find_distributions
metadata.MetadataPathFinder.find_distributions = staticmethod(
    lambda context: () if context.name == sys.argv[1] else found(context)
)
from lzc_flows.engines.mlip import MLIPS
MLIPS[sys.argv[2]].stamp()
"""


@pytest.mark.parametrize(("package", "engine", "extra"), [("calorine", "nep", "nep"), ("chgnet", "chgnet", "chgnet")])
def test_an_engine_that_is_not_installed_says_how_to_install_it(package: str, engine: str, extra: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PACKAGE, package, engine], capture_output=True, text=True, check=False
    )
    expected = f"InputError: engine {engine!r} is not installed: run `pip install 'lzc-flows[{extra}]'`"
    assert done.stderr.splitlines()[-1].endswith(expected)
