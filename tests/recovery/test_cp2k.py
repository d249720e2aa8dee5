from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from pymatgen.core import Lattice, Structure

from lzc_flows.documents.dft import LZC_AIMD
from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.engines import cp2k_inputs
from lzc_flows.engines.base import Ions, ions_of
from lzc_flows.engines.cp2k_inputs import relax_input
from lzc_flows.engines.cp2k_outputs import INPUT_FILE, OUTPUT_FILE, RESTART_FILE, last_geometry, read_output
from lzc_flows.engines.cp2k_program import cp2k_installation
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.recovery import cp2k_handlers
from lzc_flows.recovery.cp2k import TimeOverError, relax_with_cp2k, static_with_cp2k
from lzc_flows.recovery.cp2k_calculation import Cp2kCalculation, take_last_geometry
from lzc_flows.recovery.cp2k_handlers import (
    IllConditionedHandler,
    OwnCp2kJob,
    UnconvergedScfHandler,
    UnrelaxedHandler,
)
from lzc_flows.settings import get_settings

needs_cp2k = pytest.mark.skipif(bool(cp2k_installation().problems), reason="CP2K is not installed")

CELL = np.array([[5.0, 0.0, 0.0], [0.4, 5.2, 0.0], [-0.3, 0.2, 4.9]])
PAIR = Ions(("Li", "Cl"), (1.0, -1.0)).structure(CELL, np.array([[0.1, 0.2, 0.05], [2.3, 0.5, 0.3]]))
POSITIONS = RelaxProtocol(relax_cell=False, fmax_ev_per_angstrom=0.1)


@needs_cp2k
def test_a_single_point_is_done_once(tmp_path: Path) -> None:
    run = static_with_cp2k(PAIR, LZC_AIMD, tmp_path)
    found = run.attempts[-1]
    assert found.converged
    assert found.steps == 0
    assert run.corrections == []
    assert found.structure.cart_coords == pytest.approx(PAIR.cart_coords)
    output = (tmp_path / OUTPUT_FILE).stat().st_mtime
    again = static_with_cp2k(PAIR, LZC_AIMD, tmp_path).attempts[-1]
    assert (tmp_path / OUTPUT_FILE).stat().st_mtime == output  # nothing ran
    assert (again.energy_ev, again.wall_s) == (found.energy_ev, found.wall_s)
    with pytest.raises(InputError, match="another calculation's files are there"):
        static_with_cp2k(PAIR, LZC_AIMD.model_copy(update={"scf_ev": 1e-6}), tmp_path)


@needs_cp2k
@pytest.mark.slow
def test_a_relaxation_ends_below_the_force_limit(tmp_path: Path) -> None:
    loose = POSITIONS.model_copy(update={"fmax_ev_per_angstrom": 0.3})
    found = relax_with_cp2k(PAIR, LZC_AIMD, loose, tmp_path / "relax").attempts[-1]
    assert found.converged
    assert found.steps > 1
    assert found.max_force_ev_per_angstrom < 0.3
    assert found.energy_ev < static_with_cp2k(PAIR, LZC_AIMD, tmp_path / "static").attempts[-1].energy_ev


@needs_cp2k
@pytest.mark.slow
def test_a_relaxation_goes_on_after_a_kill_of_cp2k_and_of_everything(tmp_path: Path) -> None:
    """The second launch takes the geometry, the first its own after CP2K alone was killed."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from pymatgen.core import Structure\n"
        "from lzc_flows.documents.dft import LZC_AIMD\n"
        "from lzc_flows.documents.protocols import RelaxProtocol\n"
        "from lzc_flows.recovery.cp2k import relax_with_cp2k\n"
        "start = Structure.from_str(sys.argv[1], 'json')\n"
        "protocol = RelaxProtocol.model_validate_json(sys.argv[2])\n"
        "relax_with_cp2k(start, LZC_AIMD, protocol, Path(sys.argv[3]))\n"
    )
    folder = tmp_path / "run"
    command = [sys.executable, "-W", "ignore", "-c", code, PAIR.to_json(), POSITIONS.model_dump_json(), str(folder)]
    child = subprocess.Popen(command, cwd=tmp_path)
    wait_for(lambda: steps_in(folder) >= 2)
    below = psutil.Process(child.pid).children(recursive=True)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not psutil.wait_procs(below, timeout=20)[1]
    geometry = last_geometry(folder)
    assert geometry is not None

    killer = in_background(lambda: kill_cp2k(folder), when=lambda: running_in(folder) != [] and steps_in(folder) >= 1)
    run = relax_with_cp2k(PAIR, LZC_AIMD, POSITIONS, folder)
    killer.join()
    assert [correction.handler for correction in run.corrections] == ["CutShortHandler"]
    assert "exit status" in run.corrections[0].errors[0]
    found = run.attempts[-1]
    assert found.converged
    assert found.max_force_ev_per_angstrom <= 0.1
    assert found.steps >= 3
    # the geometry is the one whose energy and forces these are
    check = static_with_cp2k(found.structure.add_oxidation_state_by_site([1, -1]), LZC_AIMD, tmp_path / "check")
    assert check.attempts[-1].energy_ev == pytest.approx(found.energy_ev, abs=1e-4)
    assert check.attempts[-1].max_force_ev_per_angstrom == pytest.approx(found.max_force_ev_per_angstrom, abs=5e-3)
    assert found.energy_ev < static_energy(folder)


def static_energy(folder: Path) -> float:
    """The first energy of a folder's last output."""
    return read_output(folder / OUTPUT_FILE).energies_ev[0] + 1e-6


@needs_cp2k
@pytest.mark.slow
def test_a_cell_relaxes_and_comes_back_as_it_lay(tmp_path: Path) -> None:
    cube = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.10), ["Li+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    turn = np.array([[0.0, 1.0, 0.0], [0.6, 0.0, 0.8], [0.8, 0.0, -0.6]])
    lying = Structure(Lattice(cube.lattice.matrix @ turn), cube.species, cube.frac_coords)
    found = relax_with_cp2k(lying, LZC_AIMD, RelaxProtocol(fmax_ev_per_angstrom=0.1), tmp_path).attempts[-1]
    assert found.converged
    assert found.structure.lattice.a == pytest.approx(5.16, abs=0.03)
    assert found.structure.lattice.matrix @ turn.T == pytest.approx(found.structure.lattice.a * np.eye(3), abs=0.02)
    assert found.structure.frac_coords == pytest.approx(lying.frac_coords, abs=1e-3)


@needs_cp2k
@pytest.mark.slow
def test_a_self_consistency_that_fails_is_mended_by_slower_mixing_and_more_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cp2k_inputs, "MOST_SCF_STEPS", 4)
    run = static_with_cp2k(PAIR, LZC_AIMD, tmp_path)
    assert run.attempts[-1].converged
    assert run.corrections[0].handler == "UnconvergedScfHandler"
    assert f"{INPUT_FILE}: FORCE_EVAL/DFT/SCF/MIXING/ALPHA = 0.1" in run.corrections[0].actions


@needs_cp2k
@pytest.mark.slow
def test_a_self_consistency_that_nothing_mends_is_a_named_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cp2k_inputs, "MOST_SCF_STEPS", 2)
    monkeypatch.setattr(cp2k_handlers, "SLOWER_SCF_STEPS", 2)
    with pytest.raises(CalculationError, match="single point failed after 2 corrections: self-consistency not conv"):
        static_with_cp2k(PAIR, LZC_AIMD, tmp_path)


@needs_cp2k
@pytest.mark.slow
def test_the_end_of_the_batch_job_is_kept_and_the_next_launch_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LZC_WALLTIME_END_S", str(time.time() + 120 + 15))  # less the margin
    get_settings.cache_clear()
    tight = POSITIONS.model_copy(update={"fmax_ev_per_angstrom": 0.01})
    with pytest.raises(TimeOverError, match="the time of the batch job was over after"):
        relax_with_cp2k(PAIR, LZC_AIMD, tight, tmp_path)
    assert json.loads((tmp_path / "custodian.json").read_text())[0]["corrections"][0]["errors"] == ["Walltime error"]
    monkeypatch.delenv("LZC_WALLTIME_END_S")
    get_settings.cache_clear()
    assert relax_with_cp2k(PAIR, LZC_AIMD, POSITIONS.model_copy(update=tight.model_dump()), tmp_path).attempts


@needs_cp2k
@pytest.mark.slow
def test_a_frozen_cp2k_is_ended_and_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LZC_DFT_FROZEN_S", "25")
    get_settings.cache_clear()
    freezer = in_background(lambda: freeze_cp2k(tmp_path), when=lambda: running_in(tmp_path) != [])
    run = static_with_cp2k(PAIR, LZC_AIMD, tmp_path)
    freezer.join()
    monkeypatch.delenv("LZC_DFT_FROZEN_S")
    get_settings.cache_clear()
    assert run.attempts[-1].converged
    assert [correction.handler for correction in run.corrections] == ["FrozenCp2kHandler"]


def steps_in(folder: Path) -> int:
    return read_output(folder / OUTPUT_FILE).steps


def running_in(folder: Path) -> list[psutil.Process]:
    """The processes of CP2K that run in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and any(name in process.name() for name in ("cp2k", "mpirun")):
                found.append(process)
        except psutil.Error:
            continue
    return found


def kill_cp2k(folder: Path) -> None:
    for process in running_in(folder):
        if "cp2k" in process.name():
            process.kill()


def freeze_cp2k(folder: Path) -> None:
    for process in running_in(folder):
        process.suspend()


def wait_for(happened: Callable[[], bool], timeout_s: float = 200) -> None:
    end = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.2)


def in_background(task: Callable[[], None], when: Callable[[], bool]) -> threading.Thread:
    def wait_and_do() -> None:
        wait_for(when)
        task()

    thread = threading.Thread(target=wait_and_do, daemon=True)
    thread.start()
    return thread


# Without CP2K: what handlers do to the files.

SCATTERED = Structure(
    Lattice.cubic(6.0), ["Li+", "Cl-", "Li+", "Cl-"], [[0.0, 0, 0], [0.5, 0, 0], [0.1, 0.5, 0.5], [0.5, 0.5, 0.6]]
)
"""Elements that take turns."""

UNCONVERGED = " *** WARNING in qs_scf.F:598 :: SCF run NOT converged ***\n"


def begun(folder: Path, protocol: RelaxProtocol | None = POSITIONS) -> Cp2kCalculation:
    calculation = Cp2kCalculation(SCATTERED, LZC_AIMD, protocol)
    (folder / INPUT_FILE).write_text(calculation.input_text())
    return calculation


def positions_of(folder: Path) -> np.ndarray:
    text = (folder / INPUT_FILE).read_text()
    block = text[text.index("&COORD") : text.index("&END COORD")]
    return np.array([line.split()[1:] for line in block.splitlines()[1:] if line.strip()], dtype=float)


def test_corrections_keep_the_order_of_the_atoms(tmp_path: Path) -> None:
    begun(tmp_path)
    (tmp_path / OUTPUT_FILE).write_text(UNCONVERGED)
    handler = UnconvergedScfHandler()
    handler.n_applied_corrections = 0
    assert handler.check(str(tmp_path))
    done = handler.correct(str(tmp_path))
    assert done["errors"] == ["self-consistency not converged at geometry 0"]
    assert "ALPHA 0.1" in (tmp_path / INPUT_FILE).read_text()
    assert positions_of(tmp_path) == pytest.approx(SCATTERED.cart_coords)


def test_upstream_scatters_the_atoms(tmp_path: Path) -> None:
    """When this fails, `_apply_in_order` can go."""
    from custodian.cp2k.interpreter import Cp2kModder

    begun(tmp_path)
    Cp2kModder(directory=str(tmp_path)).apply_actions([])
    assert not np.allclose(positions_of(tmp_path), SCATTERED.cart_coords)


RESTART = """ &FORCE_EVAL
   &SUBSYS
     &CELL
       A     6.1000000000000000E+00    0.0000000000000000E+00    0.0000000000000000E+00
       B     0.0000000000000000E+00    6.2000000000000002E+00    0.0000000000000000E+00
       C     0.0000000000000000E+00    1.0000000000000001E-01    6.2999999999999998E+00
       PERIODIC  XYZ
     &END CELL
     &COORD
Li_1    1.0000000000000000E-01    2.0000000000000001E-01   -2.9999999999999999E-01
Cl_1    3.0000000000000000E+00    0.0000000000000000E+00    0.0000000000000000E+00
Li_1    6.0000000000000000E-01    3.0000000000000000E+00    3.0000000000000000E+00
Cl_1    3.0000000000000000E+00    3.0000000000000000E+00    3.6000000000000001E+00
     &END COORD
   &END SUBSYS
 &END FORCE_EVAL
"""


def test_the_last_geometry_takes_the_place_of_the_first(tmp_path: Path) -> None:
    begun(tmp_path, RelaxProtocol())
    assert not take_last_geometry(tmp_path)
    (tmp_path / RESTART_FILE).write_text(RESTART)
    assert take_last_geometry(tmp_path)
    geometry = last_geometry(tmp_path)
    assert geometry is not None
    assert positions_of(tmp_path) == pytest.approx(geometry[1])
    text = (tmp_path / INPUT_FILE).read_text()
    assert "A 6.1 0.0 0.0\n" in text
    assert "C 0.0 0.1 6.3\n" in text
    assert "&CELL_REF\n\t\t\t\tA 6.0 0.0 0.0" in text  # the grid stays
    (tmp_path / RESTART_FILE).write_text(RESTART[: len(RESTART) // 2])  # killed while it wrote
    assert not take_last_geometry(tmp_path)
    assert (tmp_path / INPUT_FILE).read_text() == text


def test_an_unrelaxed_structure_goes_on_with_another_optimizer(tmp_path: Path) -> None:
    calculation = begun(tmp_path, RelaxProtocol())
    (tmp_path / RESTART_FILE).write_text(RESTART)
    (tmp_path / OUTPUT_FILE).write_text(output_of(0.001, "MAXIMUM NUMBER OF OPTIMIZATION STEPS REACHED"))
    handler = UnrelaxedHandler(calculation)
    assert handler.check(str(tmp_path))
    done = handler.correct(str(tmp_path))
    assert done["errors"] == ["not converged after 7 steps, 0.051 eV/Å"]
    text = (tmp_path / INPUT_FILE).read_text()
    assert "OPTIMIZER CG" in text
    assert "A 6.1 0.0 0.0\n" in text


def output_of(force_au: float, end: str) -> str:
    """An output of four atoms, of which the first has a force along x."""
    rows = "".join(
        f"      {number + 1}      1      Li {force_au if number == 0 else 0.0:14.8f}     0.00000000     0.00000000\n"
        for number in range(4)
    )
    return (
        " OPTIMIZATION STEP:      7\n  *** SCF run converged in    11 steps ***\n"
        " ENERGY| Total FORCE_EVAL ( QS ) energy [a.u.]:              -22.320226442161726\n"
        f" ATOMIC FORCES in [a.u.]\n\n # Atom   Kind   Element          X              Y              Z\n{rows}"
        " SUM OF ATOMIC FORCES          -0.00000736    -0.00003963    -0.00000568     0.00004071\n\n"
        " STRESS| Analytical stress tensor [GPa]\n STRESS|         x       y       z\n"
        " STRESS|      x        1.0E-03  0.0E+00   0.0E+00\n STRESS|      y        0.0E+00  0.0E+00   0.0E+00\n"
        f" STRESS|      z        0.0E+00  0.0E+00   0.0E+00\n {end}\n"
        "  **** **** ******  **  PROGRAM ENDED AT                 2026-11-22 17:10:53.214\n"
    )


def test_a_relaxation_that_cp2k_calls_done_is_judged_by_the_protocol(tmp_path: Path) -> None:
    calculation = begun(tmp_path, RelaxProtocol())
    handler = UnrelaxedHandler(calculation)
    done = "***                    GEOMETRY OPTIMIZATION COMPLETED                      ***"
    (tmp_path / OUTPUT_FILE).write_text(output_of(0.0003, done))
    assert not handler.check(str(tmp_path))
    (tmp_path / OUTPUT_FILE).write_text(output_of(0.0004, done))  # 0.0206 eV/Å
    assert handler.check(str(tmp_path))
    before = relax_input(SCATTERED, ions_of(SCATTERED), LZC_AIMD, RelaxProtocol())["MOTION"]["CELL_OPT"]
    limit = handler.updates(tmp_path)["MOTION"]["CELL_OPT"]["MAX_FORCE"]
    assert limit == pytest.approx(before["MAX_FORCE"].values[0] / 2)


def test_what_cholesky_refuses(tmp_path: Path) -> None:
    begun(tmp_path, None)
    box = (
        " *******************************************************************************\n"
        " *   ___                                                                       *\n"
        " *  /   \\                                                                      *\n"
        " * [ABORT]                                                                     *\n"
        " *  \\___/    Cholesky decompose failed: the matrix is not positive definite or *\n"
        " *    |                             ill-conditioned.                           *\n"
        " *  O/|                                                                        *\n"
        " * /| |                                                                        *\n"
        " * / \\                                             fm/cp_fm_cholesky.F:101     *\n"
        " *******************************************************************************\n"
    )
    (tmp_path / OUTPUT_FILE).write_text(box)
    handler = IllConditionedHandler()
    assert handler.check(str(tmp_path))
    assert handler.error(tmp_path).startswith("Cholesky decompose failed: the matrix is not positive definite or ill-")
    handler.correct(str(tmp_path))
    assert "CHOLESKY INVERSE" in (tmp_path / INPUT_FILE).read_text()


def test_one_cp2k_is_ended_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "cp2k_calculation.json").write_text('{"calculation": ""}')
    (tmp_path / INPUT_FILE).write_text("&GLOBAL\n&END GLOBAL\n")
    sleep = ["bash", "-c", "sleep 60 & wait"]
    job = OwnCp2kJob(sleep)
    other = subprocess.Popen(["sleep", "60"])
    process = job.run(str(tmp_path))
    wait_for(lambda: len(psutil.Process(process.pid).children()) == 1)
    children = psutil.Process(process.pid).children()
    job.terminate(str(tmp_path))
    assert not psutil.wait_procs(children, timeout=5)[1]
    assert other.poll() is None
    other.kill()
    other.wait()


def test_upstream_ends_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """When this fails, `OwnCp2kJob.terminate` can go."""
    from custodian.cp2k.jobs import Cp2kJob

    commands: list[str] = []
    monkeypatch.setattr(os, "system", commands.append)
    Cp2kJob(["mpirun", "cp2k.psmp"]).terminate()
    assert commands == ["killall cp2k.psmp"]


def test_upstream_answers_a_failed_scf_with_smearing_and_sees_the_last_only(tmp_path: Path) -> None:
    """When this fails, `UnconvergedScfHandler` can go."""
    from custodian.cp2k.handlers import UnconvergedScfErrorHandler as Theirs

    begun(tmp_path)
    (tmp_path / OUTPUT_FILE).write_text(UNCONVERGED + "  *** SCF run converged in    11 steps ***\n")
    assert not Theirs().check(str(tmp_path))
    assert UnconvergedScfHandler().check(str(tmp_path))
    (tmp_path / OUTPUT_FILE).write_text(UNCONVERGED)
    theirs = Theirs()
    assert theirs.check(str(tmp_path))
    assert any("SMEAR" in str(action) for action in theirs.correct(str(tmp_path))["actions"])


def test_upstream_knows_no_relaxation_of_the_cell(tmp_path: Path) -> None:
    """When this fails, `UnrelaxedHandler` can go."""
    from custodian.cp2k.handlers import UnconvergedRelaxationErrorHandler

    begun(tmp_path, RelaxProtocol())
    with pytest.raises(KeyError):
        UnconvergedRelaxationErrorHandler().correct(str(tmp_path))


def test_upstream_reads_standard_error_where_the_process_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from custodian.cp2k.handlers import StdErrHandler

    (tmp_path / "std_err.txt").write_text("SIGSEGV")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError):
        StdErrHandler().check(str(tmp_path))


def test_upstream_gives_up_on_a_frozen_run(tmp_path: Path) -> None:
    """No action means to custodian that the error cannot be mended; when this fails, `FrozenCp2kHandler` can go."""
    from custodian.cp2k.handlers import FrozenJobErrorHandler

    begun(tmp_path)
    (tmp_path / OUTPUT_FILE).write_text("")
    assert FrozenJobErrorHandler().correct(str(tmp_path))["actions"] == []


def test_bad_input_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    odd = Ions(("Li", "Cl"), (1.0, 0.0)).structure(CELL, PAIR.cart_coords)
    with pytest.raises(InputError, match="an even number is allowed"):
        static_with_cp2k(odd, LZC_AIMD.model_copy(update={"spin": "none"}), tmp_path / "new")
    assert not (tmp_path / "new").exists()
