"""Molecular dynamics by VASP, whose stand-in has NEP89's forces: at constant energy it must be our own engine's run,
and one that is cut must be the uncut one."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.inputs import Incar

from lzc_flows.crystal.host import ideal_host
from lzc_flows.documents.aimd_protocol import AimdProtocol, Segment
from lzc_flows.documents.dft import LZC_AIMD
from lzc_flows.documents.engine import EngineSpec, engine_spec
from lzc_flows.dynamics.schedule import Schedule
from lzc_flows.engines.aimd_worker import AimdRequest
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.recovery import vasp_md
from lzc_flows.recovery.aimd import AimdRun
from lzc_flows.recovery.dynamics import done_ps, run_dynamics, take_over
from lzc_flows.recovery.vasp_md import PART_STEPS, Progress, next_part
from lzc_flows.trajectory.model import Trajectory
from lzc_flows.trajectory.reader import read_trajectory

VASP = engine_spec("vasp", LZC_AIMD)
STAND_IN = (sys.executable, "-m", "lzc_flows.rehearsal")


def salt() -> Structure:
    """LiCl, 8 atoms, Li and Cl in turn, one of them beyond the cell's face."""
    perfect = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.2), ["Li+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    turns = Structure.from_sites(
        [perfect[number] for pair in zip(range(4), range(4, 8), strict=True) for number in pair]
    )
    turns.translate_sites([3], [1, 0, -1], to_unit_cell=False)
    return turns


def segment(ensemble: str, temperature: Any, ps: float) -> Segment:
    return Segment(ensemble=ensemble, temperature=temperature, ps=ps, time_step_fs=2)


def protocol(*segments: Segment) -> AimdProtocol:
    return AimdProtocol(segments=segments, frame_interval_fs=10, checkpoint_interval_fs=10)


FREE = protocol(segment("nve", 900.0, 0.12))
"""60 steps, 13 frames."""

REQUEST = AimdRequest(salt(), VASP, FREE, seed=7)


@pytest.fixture(scope="module")
def uncut(vasp_stands_in: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory) -> AimdRun:
    with vasp_stands_in():
        return run_dynamics(REQUEST, tmp_path_factory.mktemp("uncut"))


def trajectory_of(run: AimdRun) -> Trajectory:
    return read_trajectory(run.trajectory)


def assert_same(run: AimdRun, uncut: AimdRun) -> None:
    """Frame by frame, within what CONTCAR rounds."""
    assert run.outcome.finished
    here, there = trajectory_of(run), trajectory_of(uncut)
    assert here.times_ps == pytest.approx(there.times_ps, rel=1e-12)
    assert here.positions == pytest.approx(there.positions, rel=0, abs=1e-5)
    assert here.observables is not None
    assert there.observables is not None
    assert here.observables.temperatures_k == pytest.approx(there.observables.temperatures_k, rel=1e-4)
    assert here.observables.potential_ev == pytest.approx(there.observables.potential_ev, rel=0, abs=1e-4)


def incars(folder: Path) -> list[Incar]:
    return [Incar.from_file(part / "INCAR") for part in sorted(folder.glob("part-*"))]


def written(folder: Path, count: int) -> Callable[[], bool]:
    """Whether VASP has told of so many steps."""

    def check() -> bool:
        found = [path.read_text().count("T=") for path in folder.glob("part-*/OSZICAR")]
        return bool(found) and max(found) >= count

    return check


def wait_until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.005)


# ---- the run ----


def test_at_constant_energy_it_is_our_own_run(uncut: AimdRun, tmp_path: Path) -> None:
    """The same velocities at the start, the same forces: frames are where and when they say."""
    own = run_dynamics(replace(REQUEST, engine=EngineSpec(name="nep")), tmp_path)
    here, there = trajectory_of(uncut), trajectory_of(own)
    assert here.times_ps == pytest.approx(np.arange(13) * 0.01, rel=1e-12, abs=1e-12)
    assert here.positions[0] == pytest.approx(REQUEST.structure.cart_coords, rel=0, abs=1e-6)
    # POTCARs have masses of three decimals; a step of 2 fs is up to 0.03 Å
    assert here.positions == pytest.approx(there.positions, rel=0, abs=5e-4)
    # atoms move, and not across the cell
    ways = np.linalg.norm(np.diff(here.positions, axis=0), axis=2)
    assert 0.05 < ways.max() < 0.5
    assert here.observables is not None
    assert there.observables is not None
    for name in ("temperatures_k", "potential_ev", "kinetic_ev"):
        assert getattr(here.observables, name) == pytest.approx(getattr(there.observables, name), rel=2e-3), name
    conserved = here.observables.conserved_ev
    assert np.ptp(conserved) < 0.01 * 8
    assert (uncut.outcome.step, uncut.history.launches, uncut.history.corrections) == (60, 1, [])


def test_how_far_it_is(uncut: AimdRun, tmp_path: Path) -> None:
    assert done_ps(REQUEST, uncut.folder) == pytest.approx(REQUEST.protocol.ps, rel=1e-12)
    assert done_ps(REQUEST, tmp_path) == 0


def test_what_is_done_is_not_done_again(vasp_stand_in: Any, uncut: AimdRun) -> None:
    vasp_stand_in.command(sys.executable, "-c", "raise SystemExit('started')", "lzc_flows.rehearsal")
    again = run_dynamics(REQUEST, uncut.folder)
    assert (again.outcome.finished, again.outcome.step) == (True, 60)
    assert len(trajectory_of(again)) == 13


def test_segments_are_calculations_of_their_own_and_long_ones_several(
    vasp_stand_in: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vasp_md, "PART_STEPS", 15)
    heated = protocol(segment("nvt", (300.0, 900.0), 0.02), segment("nvt", 900.0, 0.05))
    run = run_dynamics(replace(REQUEST, protocol=heated), tmp_path)
    ramp, *holds = incars(tmp_path)
    assert (ramp["TEBEG"], ramp["TEEND"], ramp["NSW"]) == (300, 900, 10)
    assert [(hold["TEBEG"], hold["TEEND"]) for hold in holds] == [(900, 900)] * 2
    # one step more than time steps: energies of the last frame
    assert [hold["NSW"] for hold in holds] == [15, 11]
    assert {incar["POTIM"] for incar in (ramp, *holds)} == {2}
    found = trajectory_of(run)
    assert found.times_ps == pytest.approx(np.arange(8) * 0.01, rel=1e-12, abs=1e-12)
    assert np.linalg.norm(np.diff(found.positions, axis=0), axis=2).max() < 0.5
    # with velocities and thermostat handed on
    assert found.observables is not None
    conserved = found.observables.conserved_ev[3:]
    assert np.ptp(conserved) < 0.01 * 8


@given(
    lengths=st.lists(st.integers(1, 2000), min_size=1, max_size=3),
    ramps=st.lists(st.booleans(), min_size=3, max_size=3),
    cut=st.integers(1, 400),
)
def test_parts_follow_each_other(lengths: list[int], ramps: list[bool], cut: int) -> None:
    """Wherever one is cut, the next goes on there; together they have each state of the run once."""
    segments = [
        segment("nvt", (300.0, 900.0) if ramp else 600.0, 0.01 * length)
        for length, ramp in zip(lengths, ramps, strict=False)
    ]
    schedule = Schedule.of(protocol(*segments))
    step, parts = 0, 0
    while step <= schedule.steps:
        stretch, part = next_part(schedule, step)
        assert 1 <= part.steps <= PART_STEPS + 1
        last = step + part.steps
        assert last <= stretch.stop + (stretch is schedule.stretches[-1])
        assert part.start_k == pytest.approx(stretch.target_k(min(step, stretch.stop)))
        assert part.end_k == pytest.approx(stretch.target_k(min(last, stretch.stop)))
        assert part.frame_interval_fs == part.time_step_fs == 2
        step += cut if parts == 0 and cut < part.steps else part.steps
        parts += 1
    assert step == schedule.steps + 1


@pytest.mark.slow
def test_the_temperature_follows_the_ramp(vasp_stand_in: Any, tmp_path: Path) -> None:
    structure = ideal_host().structure.copy()
    structure.make_supercell([1, 1, 3])
    heated = protocol(segment("nvt", (100.0, 900.0), 1.0), segment("nvt", 900.0, 0.5))
    found = trajectory_of(run_dynamics(AimdRequest(structure, VASP, heated, 1), tmp_path))
    assert found.observables is not None
    temperatures = found.observables.temperatures_k
    # potential energy takes half of what is given; the thermostat's period is 80 fs
    ramp = np.polyfit(found.times_ps[20:100], temperatures[20:100], 1)[0]
    assert ramp == pytest.approx(800, rel=0.25)
    assert temperatures[100:].mean() == pytest.approx(900, rel=0.1)


# ---- cut ----


def test_errors_and_kills_lose_nothing(vasp_stand_in: Any, uncut: AimdRun, tmp_path: Path) -> None:
    """An error in step 8, whose correction later parts keep; then a kill after step 23 of the rest."""
    vasp_stand_in.fail({"fault": "edddav", "kind": "md", "step": 8}, {"fault": "kill", "kind": "md", "step": 23})
    run = run_dynamics(REQUEST, tmp_path)
    assert vasp_stand_in.happened() == 2
    assert_same(run, uncut)
    first, second = run.history.corrections
    assert (first.handler, first.errors) == ("VaspErrorHandler", ["edddav"])
    assert "INCAR: ALGO = All" in first.actions
    assert (second.handler, second.actions) == ("CutShort", ["go on from there"])
    assert second.errors == ["VASP ended after 23 of 54 steps in segment 0"]
    parts = incars(tmp_path)
    assert [part["NSW"] for part in parts] == [61, 54, 31]
    # the first one's INCAR was corrected after it had run
    assert [part["ALGO"] for part in parts] == ["All"] * 3
    assert Incar.from_file(tmp_path / "part-0000" / "INCAR.orig")["ALGO"] == "Fast"
    assert {part["POTIM"] for part in parts} == {2}
    progress = Progress.read(tmp_path)
    assert progress is not None
    assert progress.tags["ALGO"] == "All"


def test_a_killed_launch_goes_on_and_takes_its_vasp_along(
    vasp_stand_in: Any, uncut: AimdRun, tmp_path: Path, fork: Callable[..., Any]
) -> None:
    vasp_stand_in.fail({"fault": "frozen", "kind": "md", "step": 20})  # or it might have ended before it is killed
    child = fork(run_dynamics, REQUEST, tmp_path)
    wait_until(written(tmp_path, 17))
    vasps = psutil.Process(child.pid).children(recursive=True)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert vasps
    psutil.wait_procs(vasps, timeout=10)
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in vasps)
    run = run_dynamics(REQUEST, tmp_path)
    assert_same(run, uncut)
    assert len(incars(tmp_path)) == 2


def stopped_after(steps: int, request: AimdRequest, folder: Path, stand_in: Any) -> AimdRun:
    """A run whose time is over once VASP has told of so many more steps of the calculation that goes on."""
    before = len(list(folder.glob("part-*")))

    def stop() -> None:
        wait_until(lambda: len(list(folder.glob("part-*"))) > before and written(folder, steps)())
        newest = max(folder.glob("part-*"))
        (newest / "lzc_stopped").touch()
        (newest / "STOPCAR").write_text("LSTOP = .TRUE.\n")

    threading.Thread(target=stop, daemon=True).start()
    return run_dynamics(request, folder)


def test_a_run_that_is_stopped_goes_on_elsewhere(vasp_stand_in: Any, uncut: AimdRun, tmp_path: Path) -> None:
    """From the folder where it got farthest; another run's is refused."""
    request = replace(REQUEST, protocol=LONG)
    first, here, none = (tmp_path / name for name in ("first", "here", "none"))
    for folder in (here, none):
        folder.mkdir()
    stopped = stopped_after(13, request, first, vasp_stand_in)
    assert (stopped.outcome.finished, stopped.history.corrections) == (False, [])
    assert 13 <= stopped.outcome.step < 20000
    assert take_over(replace(request, seed=8), [first], none) is None
    assert take_over(request, [tmp_path / "absent", none, first], here) == first
    assert take_over(request, [first], here) is None  # it has its own
    frames = trajectory_of(replace(stopped, folder=here))
    assert len(frames) == (stopped.outcome.step - 1) // 5 + 1
    with pytest.raises(InputError, match=r"of another run; take another folder$"):
        run_dynamics(REQUEST, here)
    again = stopped_after(61, request, here, vasp_stand_in)
    assert again.history.launches == 2
    whole = trajectory_of(again)
    assert whole.times_ps == pytest.approx(np.arange(len(whole)) * 0.01, rel=1e-9, abs=1e-12)
    assert whole.positions[: len(frames)] == pytest.approx(frames.positions, rel=0, abs=1e-6)
    assert whole.positions[:13] == pytest.approx(trajectory_of(uncut).positions, rel=0, abs=1e-5)


def test_the_walltime_is_heard(vasp_stand_in: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a VASP that runs; and before the next one begins."""
    monkeypatch.setattr(vasp_md, "PART_STEPS", 10)
    vasp_stand_in.set(LZC_WALLTIME_END_S=time.time() + 121)  # a second more than the margin
    run = run_dynamics(replace(REQUEST, protocol=LONG), tmp_path)
    assert (run.outcome.finished, run.history.corrections) == (False, [])
    assert 0 < run.outcome.step < 20000
    step = run.outcome.step
    again = run_dynamics(replace(REQUEST, protocol=LONG), tmp_path)
    assert (again.outcome.finished, again.outcome.step) == (False, step)


LONG = protocol(segment("nve", 900.0, 40.0))


# ---- what fails ----


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ("edddav", r"^VASP ended before its end 2 times on end: Error EDDDAV: Call to ZHEGV failed"),
        pytest.param("kill", r"^VASP ended before its end 2 times on end: ", marks=pytest.mark.slow),
        # without symmetry, and with atoms far enough from each other, custodian knows no answer
        pytest.param(
            "zpotrf", r"^VASP's molecular dynamics failed after 1 corrections: zpotrf$", marks=pytest.mark.slow
        ),
        pytest.param("posmap", r"^VASP ended before its end 2 times on end: POSMAP", marks=pytest.mark.slow),
        pytest.param("zbrent", r"^VASP ended before its end 2 times on end: ", marks=pytest.mark.slow),
    ],
)
def test_what_never_goes_on_ends_by_name(
    vasp_stand_in: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, named: str
) -> None:
    monkeypatch.setattr(vasp_md, "MOST_CUTS", 2)
    vasp_stand_in.fail({"fault": fault, "kind": "md", "step": 1, "times": None})
    with pytest.raises(CalculationError, match=named):
        run_dynamics(REQUEST, tmp_path)
    assert {part["POTIM"] for part in incars(tmp_path)} == {2}


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["brmix", "eddrmm"])
def test_what_vasp_warns_of_and_survives_is_in_the_history(
    vasp_stand_in: Any, uncut: AimdRun, tmp_path: Path, fault: str
) -> None:
    vasp_stand_in.fail({"fault": fault, "kind": "md", "step": 20, "times": None})
    run = run_dynamics(REQUEST, tmp_path)
    assert_same(run, uncut)
    # each time that custodian saw it while VASP ran, VASP was started again
    assert {error for correction in run.history.corrections for error in correction.errors} == {fault}


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["nonconverging", "frozen", "truncated"])
def test_what_vasp_does_not_say_is_mended(vasp_stand_in: Any, uncut: AimdRun, tmp_path: Path, fault: str) -> None:
    vasp_stand_in.set(LZC_DFT_FROZEN_S=15)
    vasp_stand_in.fail({"fault": fault, "kind": "md", "step": 1 if fault == "truncated" else 20})
    run = run_dynamics(REQUEST, tmp_path)
    assert vasp_stand_in.happened() == 1
    assert_same(run, uncut)


def test_bad_input_is_refused_before_anything_is_written(vasp_stand_in: Any, tmp_path: Path) -> None:
    noble = REQUEST.structure.copy()
    noble.replace(0, "Xe")
    with pytest.raises(InputError, match=r"^dft.vasp.potcars: no POTCAR is chosen for Xe"):
        run_dynamics(replace(REQUEST, structure=noble), tmp_path / "new")
    vasp_stand_in.command("vasp_of_another_machine")
    with pytest.raises(InputError, match=r"^engine 'vasp': no command"):
        run_dynamics(REQUEST, tmp_path / "new")
    vasp_stand_in.command(*STAND_IN)
    vasp_stand_in.potcars(None)
    with pytest.raises(InputError, match=r"^POTCAR library: PMG_VASP_PSP_DIR is not set"):
        run_dynamics(REQUEST, tmp_path / "new")
    assert not (tmp_path / "new").exists()
