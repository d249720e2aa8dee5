from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from lzc_flows.documents.dft import LZC, LZC_AIMD, DftProtocol
from lzc_flows.engines import cp2k_inputs
from lzc_flows.engines.base import Ions
from lzc_flows.engines.cp2k import Cp2kEngine
from lzc_flows.engines.cp2k_force_field import Cp2kForceField
from lzc_flows.engines.cp2k_outputs import OUTPUT_FILE, read_output
from lzc_flows.engines.cp2k_program import cp2k_installation
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.recovery.cp2k import static_with_cp2k

needs_cp2k = pytest.mark.skipif(bool(cp2k_installation().problems), reason="CP2K is not installed")

PAIR = Ions(("Li", "Cl"), (1.0, -1.0))
CELL = np.array([[5.0, 0.0, 0.0], [0.4, 5.2, 0.0], [-0.3, 0.2, 4.9]])
PLACES = np.array([[0.1, 0.2, 0.05], [2.3, 0.5, 0.3]])


@pytest.fixture(scope="module")
def force_field() -> Iterator[Cp2kForceField]:
    """One CP2K for the tests that only ask."""
    made = Cp2kForceField(PAIR, LZC_AIMD)
    yield made
    made.close()


@needs_cp2k
@pytest.mark.slow
def test_forces_are_the_slope_of_the_energy(force_field: Cp2kForceField) -> None:
    forces = force_field.evaluate(PLACES, CELL).forces
    for atom, axis in ((0, 0), (1, 0), (0, 1)):
        shift = np.zeros_like(PLACES)
        shift[atom, axis] = 0.05
        low, high = (force_field.evaluate(PLACES + sign * shift, CELL).energy_ev for sign in (-1, 1))
        # the density's grid of 350 Ry holds the 1s electrons of Li to some 0.01 eV/Å
        assert forces[atom, axis] == pytest.approx(-(high - low) / 0.1, abs=0.03)


@needs_cp2k
@pytest.mark.slow
def test_the_virial_is_minus_the_derivative_by_the_strain(force_field: Cp2kForceField) -> None:
    virial = force_field.evaluate_with_virial(PLACES, CELL).virial_ev
    assert virial is not None
    assert virial == pytest.approx(virial.T, abs=1e-6)
    for row, column in ((0, 0), (0, 1)):
        energies = []
        for size in (-0.01, 0.01):
            strain = np.eye(3)
            strain[row, column] += size / 2
            strain[column, row] += size / 2
            energies.append(force_field.evaluate(PLACES @ strain, CELL @ strain).energy_ev)
        slope = -(energies[1] - energies[0]) / 0.02
        assert virial[row, column] == pytest.approx(slope, rel=0.05, abs=0.05)


@needs_cp2k
def test_forces_are_those_of_a_single_point(force_field: Cp2kForceField, tmp_path: Path) -> None:
    run = static_with_cp2k(PAIR.structure(CELL, PLACES), LZC_AIMD, tmp_path)
    single = read_output(tmp_path / OUTPUT_FILE)
    found = force_field.evaluate_with_virial(PLACES, CELL)
    assert found.energy_ev == pytest.approx(run.attempts[0].energy_ev, abs=LZC_AIMD.scf_ev)
    assert single.forces is not None
    assert found.forces == pytest.approx(single.forces, abs=1e-3)
    assert found.virial_ev is not None
    assert single.stress_ev_per_angstrom3 is not None
    assert found.virial_ev == pytest.approx(-single.stress_ev_per_angstrom3 * np.linalg.det(CELL), abs=2e-3)


@needs_cp2k
@pytest.mark.slow
def test_atoms_outside_of_the_cell_are_the_same_atoms(force_field: Cp2kForceField) -> None:
    inside = force_field.evaluate(PLACES, CELL)
    outside = force_field.evaluate(PLACES + np.array([CELL[0], -2 * CELL[2]]), CELL)
    assert outside.energy_ev == pytest.approx(inside.energy_ev, abs=LZC_AIMD.scf_ev)
    assert outside.forces == pytest.approx(inside.forces, abs=1e-3)


@needs_cp2k
@pytest.mark.slow
def test_several_arrangements_are_one_after_the_other(force_field: Cp2kForceField) -> None:
    several = np.array([PLACES, PLACES + 0.02])
    both = force_field.evaluate_many(several, CELL)
    alone = force_field.evaluate(PLACES + 0.02, CELL)
    assert [found.virial_ev for found in both] == [None, None]
    assert both[1].energy_ev == pytest.approx(alone.energy_ev, abs=LZC_AIMD.scf_ev)


@needs_cp2k
@pytest.mark.slow
def test_a_geometry_starts_from_the_orbitals_of_the_last() -> None:
    force_field = Cp2kForceField(PAIR, LZC_AIMD)
    steps = []
    for number in range(4):
        force_field.evaluate(PLACES + 0.01 * number * np.eye(2, 3), CELL)
        assert force_field._folder is not None
        text = Path(force_field._folder.name, OUTPUT_FILE).read_text()
        steps.append(text.count("Broy."))
    force_field.close()
    assert steps[3] - steps[2] < 0.7 * steps[0]


@needs_cp2k
@pytest.mark.slow
def test_the_energy_has_converged_as_the_protocol_says() -> None:
    energies = [energy_of(LZC_AIMD.model_copy(update={"scf_ev": scf_ev})) for scf_ev in (1e-5, 1e-8)]
    assert abs(energies[0] - energies[1]) < 1e-5


def energy_of(dft: DftProtocol) -> float:
    force_field = Cp2kForceField(PAIR, dft)
    energy = force_field.evaluate(PLACES, CELL).energy_ev
    force_field.close()
    return energy


@needs_cp2k
def test_an_energy_that_did_not_converge_is_never_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cp2k_inputs, "MOST_SCF_STEPS", 3)
    force_field = Cp2kForceField(PAIR, LZC_AIMD)
    with pytest.raises(CalculationError, match="the self-consistency did not converge"):
        force_field.evaluate(PLACES, CELL)
    assert force_field._shell is None
    monkeypatch.undo()
    assert np.isfinite(force_field.evaluate(PLACES, CELL).energy_ev)  # a new CP2K
    force_field.close()


@needs_cp2k
def test_a_cp2k_that_dies_is_an_error_and_the_next_question_starts_another() -> None:
    force_field = Cp2kForceField(PAIR, LZC_AIMD)
    before = force_field.evaluate(PLACES, CELL).energy_ev
    assert force_field._shell is not None
    force_field._shell._child.kill()
    with pytest.raises(CalculationError, match="CP2K ended with exit status -9"):
        force_field.evaluate(PLACES, CELL)
    assert force_field.evaluate(PLACES, CELL).energy_ev == pytest.approx(before, abs=LZC_AIMD.scf_ev)
    force_field.close()


@needs_cp2k
def test_cp2k_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    code = (
        "import numpy as np\n"
        "from lzc_flows.documents.dft import LZC_AIMD\n"
        "from lzc_flows.engines.base import Ions\n"
        "from lzc_flows.engines.cp2k_force_field import Cp2kForceField\n"
        "f = Cp2kForceField(Ions(('Li', 'Cl')), LZC_AIMD)\n"
        "for i in range(1000):\n"
        "    f.evaluate(np.array([[0, 0, 0], [2.3 + 0.001 * i, 0, 0]]), 5 * np.eye(3))\n"
        "    print(i, flush=True)\n"
    )
    child = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE, cwd=tmp_path)
    assert child.stdout is not None
    child.stdout.readline()
    below = psutil.Process(child.pid).children(recursive=True)
    assert any("cp2k" in process.name() for process in below)
    child.send_signal(signal.SIGKILL)
    child.wait()
    _gone, alive = psutil.wait_procs(below, timeout=20)
    assert not alive


@needs_cp2k
@pytest.mark.slow
def test_charge_and_spin_reach_cp2k() -> None:
    charged = Cp2kForceField(Ions(("Li", "Cl"), (0.0, -1.0)), LZC_AIMD)  # an electron more: a doublet
    charged.evaluate(PLACES, CELL)
    assert charged._folder is not None
    text = Path(charged._folder.name, OUTPUT_FILE).read_text()
    charged.close()
    assert "Spin 1" in text
    assert "Number of electrons:                                                          6" in text


@needs_cp2k
@pytest.mark.slow
def test_dynamics_conserve_energy(force_field: Cp2kForceField) -> None:
    """Velocity Verlet by hand: 8 steps of 2 fs, through which orbitals are handed on."""
    energies = nve(force_field, steps=8)
    assert np.ptp(energies) < 2e-3


def nve(force_field: Cp2kForceField, steps: int) -> NDArray[np.float64]:
    from lzc_flows.dynamics.forces import System

    system, time_step_fs = System.of(PAIR.species), 2.0
    positions, velocities = PLACES.copy(), np.zeros_like(PLACES)
    found = force_field.evaluate(positions, CELL)
    energies = []
    for _ in range(steps):
        velocities += time_step_fs / 2 * system.accelerations(found.forces)
        positions = positions + time_step_fs * velocities
        found = force_field.evaluate(positions, CELL)
        velocities += time_step_fs / 2 * system.accelerations(found.forces)
        energies.append(found.energy_ev + system.twice_kinetic_ev(velocities) / 2)
    return np.array(energies)


def test_the_engine_refuses_what_cp2k_cannot_treat() -> None:
    engine = Cp2kEngine(LZC)
    with pytest.raises(InputError, match="no basis and pseudopotential for Pu"):
        engine.require(Ions(("Pu", "Cl"), (3.0, -1.0)))
    with pytest.raises(InputError, match="an even number is allowed"):
        Cp2kEngine(DftProtocol(spin="none")).require(Ions(("Li", "Cl"), (1.0, 0.0)))
    engine.require(PAIR)


@needs_cp2k
def test_the_stamp_names_the_version() -> None:
    assert f"CP2K {cp2k_installation().version}" in Cp2kEngine(LZC).stamp().version


@needs_cp2k
def test_nothing_is_started_before_the_first_question() -> None:
    started = time.monotonic()
    Cp2kEngine(LZC_AIMD).force_field(PAIR)
    assert time.monotonic() - started < 2
