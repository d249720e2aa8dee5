from __future__ import annotations

import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from pymatgen.core import Structure

from lzc_flows.crystal.host import WYCKOFF, ideal_host
from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.engines.mlip import MLIPS
from lzc_flows.engines.relax_worker import (
    LOG_FILE,
    REQUEST_FILE,
    RESULT_FILE,
    Relaxed,
    RelaxRequest,
    RelaxResult,
    relax_all,
)

PROTOCOL = RelaxProtocol(fmax_ev_per_angstrom=0.05, max_steps=200, optimizer="LBFGS")


def rattled(seed: int) -> Structure:
    return ideal_host().structure.copy().perturb(0.05, seed=seed)


def energy_and_force(structure: Structure) -> tuple[float, float]:
    atoms = structure.copy().remove_oxidation_states().to_ase_atoms()
    atoms.calc = MLIPS["nep"].relax_maker(PROTOCOL).calculator
    return float(atoms.get_potential_energy()), float(np.linalg.norm(atoms.get_forces(), axis=1).max())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which the rattled host has been relaxed."""
    folder = tmp_path_factory.mktemp("relaxed")
    RelaxRequest([rattled(1)], "nep", PROTOCOL).write(folder)
    relax_all(folder)
    return folder


def test_a_request_comes_back(tmp_path: Path) -> None:
    request = RelaxRequest([rattled(0), ideal_host().supercell((1, 1, 2)).structure], "chgnet", PROTOCOL)
    request.write(tmp_path)
    found = RelaxRequest.read(tmp_path)
    assert found == request
    assert [structure.site_properties for structure in found.structures] == [
        structure.site_properties for structure in request.structures
    ]
    assert [entry.name for entry in tmp_path.iterdir()] == [REQUEST_FILE]


def test_a_result_comes_back_also_a_broken_one(tmp_path: Path) -> None:
    assert RelaxResult.read(tmp_path).relaxed == []
    sound = Relaxed(rattled(0), -122.5, 0.01, True, 17, 0.5)
    broken = Relaxed(rattled(0), math.nan, math.inf, False, 3, 0.1)
    RelaxResult([sound, broken]).write(tmp_path)
    first, second = RelaxResult.read(tmp_path).relaxed
    assert first == sound
    assert math.isnan(second.energy_ev)
    assert second.max_force_ev_per_angstrom == math.inf
    assert [entry.name for entry in tmp_path.iterdir()] == [RESULT_FILE]


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path: Path) -> None:
    RelaxResult([Relaxed(rattled(0), -1.0, 0.0, True, 1, 0.1)]).write(tmp_path)
    unwritable = Relaxed(rattled(0), object(), 0.0, True, 1, 0.1)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        RelaxResult([unwritable]).write(tmp_path)
    assert RelaxResult.read(tmp_path).relaxed[0].energy_ev == -1.0


def test_the_rattled_host_relaxes(folder: Path) -> None:
    start = rattled(1)
    (relaxed,) = RelaxResult.read(folder).relaxed
    energy, force = energy_and_force(relaxed.structure)
    assert relaxed.converged
    assert relaxed.energy_ev == pytest.approx(energy, rel=1e-9)
    assert relaxed.max_force_ev_per_angstrom == pytest.approx(force, rel=1e-4)
    assert force <= PROTOCOL.fmax_ev_per_angstrom
    assert energy < energy_and_force(start)[0]
    assert relaxed.structure.lattice != start.lattice
    assert [site.specie.symbol for site in relaxed.structure] == [site.specie.symbol for site in start]


def test_the_log_grows_by_one_line_a_step(folder: Path) -> None:
    (relaxed,) = RelaxResult.read(folder).relaxed
    lines = [line for line in (folder / LOG_FILE).read_text().splitlines() if line.startswith("LBFGS:")]
    assert len(lines) == relaxed.steps + 1  # the start is step 0
    assert relaxed.steps > 3


def test_a_relaxed_structure_needs_no_further_step(folder: Path, tmp_path: Path) -> None:
    (relaxed,) = RelaxResult.read(folder).relaxed
    RelaxRequest([relaxed.structure], "nep", PROTOCOL.model_copy(update={"fmax_ev_per_angstrom": 0.2})).write(tmp_path)
    (again,) = relax_all(tmp_path).relaxed
    assert (again.converged, again.steps) == (True, 0)
    assert again.energy_ev == pytest.approx(relaxed.energy_ev, rel=1e-9)


def test_steps_are_counted_where_they_run_out(tmp_path: Path) -> None:
    request = RelaxRequest([rattled(2)], "nep", PROTOCOL.model_copy(update={"max_steps": 3}))
    request.write(tmp_path)
    (relaxed,) = relax_all(tmp_path).relaxed
    assert (relaxed.converged, relaxed.steps) == (False, 3)


def test_a_fixed_cell_stays(tmp_path: Path) -> None:
    protocol = RelaxProtocol(fmax_ev_per_angstrom=0.2, optimizer="LBFGS", relax_cell=False)
    RelaxRequest([rattled(2)], "nep", protocol).write(tmp_path)
    (relaxed,) = relax_all(tmp_path).relaxed
    assert relaxed.converged
    np.testing.assert_allclose(relaxed.structure.lattice.matrix, ideal_host().structure.lattice.matrix, atol=1e-9)


def test_charges_and_labels_do_not_change_what_is_relaxed(tmp_path: Path) -> None:
    bare = rattled(2).remove_oxidation_states()
    bare.remove_site_property(WYCKOFF)
    protocol = PROTOCOL.model_copy(update={"max_steps": 4})
    RelaxRequest([rattled(2), bare], "nep", protocol).write(tmp_path)
    labelled, plain = relax_all(tmp_path).relaxed
    assert labelled.energy_ev == pytest.approx(plain.energy_ev, rel=1e-12)


def test_finished_structures_are_not_relaxed_again(tmp_path: Path) -> None:
    RelaxRequest([rattled(0), rattled(1)], "nep", PROTOCOL.model_copy(update={"max_steps": 3})).write(tmp_path)
    # recognisable numbers, which no engine gives
    finished = Relaxed(rattled(0), 42.0, 0.5, False, 99, 7.0)
    RelaxResult([finished]).write(tmp_path)
    result = relax_all(tmp_path)
    assert result.relaxed[0] == finished
    assert [entry.steps for entry in result.relaxed] == [99, 3]
    stamp = (tmp_path / RESULT_FILE).stat().st_mtime_ns
    assert relax_all(tmp_path) == RelaxResult.read(tmp_path)
    assert (tmp_path / RESULT_FILE).stat().st_mtime_ns == stamp


WORKER = [sys.executable, "-m", "lzc_flows.engines.relax_worker"]
PARENT = """
import os, subprocess, sys, time
worker = subprocess.Popen([*{command!r}, str(os.getpid())])
print(worker.pid, flush=True)
time.sleep(600)
"""


def start_below_a_parent(folder: Path) -> tuple[subprocess.Popen, psutil.Process]:
    """Start a worker as custodian does, from a process of its own."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(command=WORKER)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert parent.stdout is not None
    return parent, psutil.Process(int(parent.stdout.readline()))


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def wait_until(condition, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(condition())


@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")
@pytest.mark.parametrize("when", ["at work", "before it has started"])
def test_the_worker_ends_with_its_parent(tmp_path: Path, when: str) -> None:
    endless = RelaxProtocol(fmax_ev_per_angstrom=1e-12, max_steps=10**6)
    RelaxRequest([rattled(0)], "chgnet", endless).write(tmp_path)
    parent, worker = start_below_a_parent(tmp_path)
    log = tmp_path / LOG_FILE
    try:
        if when == "at work":
            assert wait_until(lambda: log.exists() and "FIRE" in log.read_text(), 120)
            assert not is_gone(worker)
        parent.kill()
        parent.wait()
        assert wait_until(lambda: is_gone(worker), 5 if when == "at work" else 60)
        assert log.exists() == (when == "at work")
        assert not (tmp_path / RESULT_FILE).exists()
    finally:
        if not is_gone(worker):
            worker.kill()
        parent.kill()
        parent.wait()
