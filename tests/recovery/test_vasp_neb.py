"""Elastic bands by VASP with VTST's code, whose stand-in has NEP89's forces: barriers must be those of our search."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.inputs import Incar

from lzc_flows.band.settle import SettleLimits, settle
from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.documents.dft import LZC, VaspSettings
from lzc_flows.documents.engine import EngineSpec, engine_spec
from lzc_flows.documents.protocols import HopProtocol, NebProtocol
from lzc_flows.engines.base import ions_of
from lzc_flows.engines.mlip import MLIPS
from lzc_flows.engines.neb_tasks import EndResult, Outcome, PathResult, Task, end_task, path_task
from lzc_flows.errors import InputError
from lzc_flows.hopping.ends import state_structure
from lzc_flows.jobs.hop_network import HopCrystal
from lzc_flows.jobs.neb import find_path
from lzc_flows.recovery.neb import NebRun, NebSetting
from lzc_flows.recovery.paths import run_tasks

VASP = engine_spec("vasp", LZC)
NEP = EngineSpec(name="nep")
ONE = NebProtocol(images=1, fmax_ends_ev_per_angstrom=0.02, fmax_climbing_ev_per_angstrom=0.02)


def vacancy() -> Structure:
    """LiCl without one Li of four, elements in turn: charge -1."""
    perfect = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.1), ["Li+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    return Structure.from_sites([perfect[number] for number in (4, 1, 5, 2, 6, 3, 7)])


LI = 1
"""The ion at (½, ½, 0) beside the vacancy at the origin."""


def ends_of(by: tuple[float, float, float]) -> list[EndResult]:
    """The ion on its site, and moved by so much of the cell, both relaxed."""
    found = []
    for way in ((0.0, 0.0, 0.0), by):
        start = vacancy()
        start.translate_sites([LI], way, to_unit_cell=False)
        force_field = MLIPS["nep"].force_field(ions_of(start))
        settled = settle(start.cart_coords, start.lattice.matrix, force_field, SettleLimits(1e-3, 200))
        found.append(EndResult(settled.positions, settled.energy_ev, settled.fmax))
    return found


@cache
def task(by: tuple[float, float, float] = (-0.5, -0.5, 0)) -> Task:
    """The path of the ion into the vacancy, or through it to its own image on the other side."""
    start = vacancy()
    return path_task(ions_of(start), start.lattice.matrix.copy(), ends_of(by))


@dataclass(frozen=True)
class Done:
    """A path found once."""

    folder: Path
    run: NebRun

    @property
    def path(self) -> PathResult:
        return PathResult.read(self.folder / self.run.names[0])


@pytest.fixture(scope="module")
def done(vasp_stands_in: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("band")
    with vasp_stands_in():
        return Done(folder, run_tasks([("path", task())], NebSetting(VASP, ONE, folder)))


def only(run: NebRun) -> Outcome:
    (outcome,) = run.outcomes.values()
    return outcome


# ---- what is found ----


def test_a_band_is_that_of_our_own_search(done: Done, tmp_path: Path) -> None:
    own = run_tasks([("path", task())], NebSetting(NEP, ONE, tmp_path))
    there = PathResult.read(tmp_path / own.names[0])
    outcome, path = only(done.run), done.path
    assert (outcome.status, done.run.corrections) == ("converged", [])
    assert path.energies_ev == pytest.approx(there.energies_ev, rel=0, abs=1e-3)
    assert path.positions == pytest.approx(there.positions, rel=0, abs=0.02)
    assert path.distances_angstrom == pytest.approx(there.distances_angstrom, abs=0.02)
    (leg,) = path.legs
    assert (leg.first_image, leg.saddle_image, leg.last_image) == (0, 1, 2)
    assert leg.fmax_climbing <= ONE.fmax_climbing_ev_per_angstrom
    assert leg.steps == outcome.evaluations > 2
    assert path.slopes_ev_per_angstrom == pytest.approx([0, 0, 0], abs=0.02)


def test_a_charged_cell_says_so(done: Done) -> None:
    """Li3Cl4 has -1: 3 · 3 + 4 · 7 + 1 electrons."""
    band = Incar.from_file(done.folder / done.run.names[0] / "band" / "INCAR")
    assert (band["NELECT"], band["IMAGES"], band["LCLIMB"]) == (38, 1, True)


def test_what_is_done_is_not_done_again(vasp_stand_in: Any, done: Done, tmp_path: Path) -> None:
    vasp_stand_in.command(sys.executable, "-c", "raise SystemExit('started')", "-m", "lzc_flows.rehearsal")
    assert run_tasks([("path", task())], NebSetting(VASP, ONE, done.folder)) == done.run
    earlier = NebSetting(VASP, ONE, tmp_path / "new", (tmp_path / "absent", done.folder))
    assert run_tasks([("path", task())], earlier) == done.run
    (name,) = done.run.names
    assert np.array_equal(PathResult.read(tmp_path / "new" / name).positions, done.path.positions)
    # a launch that was killed when VASP had ended, but before it said so
    (tmp_path / "new" / name / "outcome.json").unlink()
    again = run_tasks([("path", task())], NebSetting(VASP, ONE, tmp_path / "new"))
    assert only(again).status == "converged"


def test_a_minimum_on_the_way_splits_the_path(vasp_stand_in: Any, done: Done, tmp_path: Path) -> None:
    """Through the vacancy to the other side: twice the hop."""
    protocol = ONE.model_copy(update={"images": 3, "fmax_climbing_ev_per_angstrom": 0.05})
    run = run_tasks([("path", task((-1.0, -1.0, 0)))], NebSetting(VASP, protocol, tmp_path))
    assert only(run).status == "converged"
    path = PathResult.read(tmp_path / run.names[0])
    hops = [leg for leg in path.legs if leg.saddle_image is not None]
    # a leg without a saddle is a common shift of all ions, which costs nothing
    assert len(hops) == 2 < 4 > len(path.legs)
    for leg in hops:
        barrier = path.energies_ev[leg.saddle_image] - path.energies_ev[leg.first_image]
        assert barrier == pytest.approx(done.path.energies_ev.max() - done.path.energies_ev[0], abs=5e-3)
    middle = path.positions[hops[1].first_image, LI] / 5.1
    assert middle == pytest.approx(np.zeros(3), abs=0.08)
    assert path.positions[-1, LI] - path.positions[0, LI] == pytest.approx([-5.1, -5.1, 0], abs=1e-6)


@pytest.mark.slow
def test_a_hop_of_the_host(vasp_stand_in: Any, settled_host: Structure, tmp_path: Path) -> None:
    """A vacancy's hop, its ends relaxed by VASP as well."""
    crystal = HopCrystal(settled_host, HopProtocol(mechanisms=("vacancy",)), HostSpec(name="lzc"))
    hop = next(iter(crystal.orbits.values())).representative
    ends = [state_structure(crystal.sites, state) for state in (hop.initial(crystal.sites), hop.final(crystal.sites))]
    own = find_path(*ends, NebSetting(NEP, NebProtocol(images=3), tmp_path / "nep"))
    found = find_path(*ends, NebSetting(VASP, NebProtocol(images=3), tmp_path / "vasp"))
    assert own is not None
    assert found is not None
    assert found.barrier_forward_eV == pytest.approx(own.barrier_forward_eV, abs=5e-3)
    assert found.barrier_reverse_eV == pytest.approx(own.barrier_reverse_eV, abs=5e-3)
    assert len(found.legs) == len(own.legs)
    assert (found.charge_e, found.corrections) == (-1, [])


@pytest.mark.slow
def test_climbing_of_our_own_on_the_forces_of_single_points(vasp_stand_in: Any, done: Done, tmp_path: Path) -> None:
    """A VASP without VTST's code: each force is a run of VASP, so that the ends stand near the saddle."""
    engine = EngineSpec(name="vasp", dft=LZC.model_copy(update={"vasp": VaspSettings(climbing="lzc")}))
    loose = ONE.model_copy(update={"fmax_climbing_ev_per_angstrom": 0.5, "fmax_band_ev_per_angstrom": 0.5})
    run = run_tasks([("path", task())], NebSetting(engine, loose, tmp_path))
    assert only(run).status == "converged"
    path = PathResult.read(tmp_path / run.names[0])
    assert path.energies_ev.max() == pytest.approx(done.path.energies_ev.max(), abs=0.05)
    # no band of VASP's: its single points
    assert not list(tmp_path.rglob("band"))
    assert (tmp_path / "vasp-points").is_dir()


# ---- faults ----


def test_errors_and_kills_are_gone_on_from(vasp_stand_in: Any, done: Done, tmp_path: Path) -> None:
    """An error in step 2, whose correction stays; a kill after step 2 of the rest; and an output that is cut."""
    vasp_stand_in.fail(
        {"fault": "edddav", "kind": "neb", "step": 2},
        {"fault": "kill", "kind": "neb", "step": 2},
        {"fault": "truncated", "kind": "neb", "step": 1},
    )
    run = run_tasks([("path", task())], NebSetting(VASP, ONE, tmp_path))
    assert vasp_stand_in.happened() == 3
    assert only(run).status == "converged"
    path = PathResult.read(tmp_path / run.names[0])
    assert path.energies_ev == pytest.approx(done.path.energies_ev, rel=0, abs=2e-3)
    assert [correction.handler for correction in run.corrections] == ["VaspErrorHandler", "CutShort", "CutShort"]
    assert "INCAR: ALGO = All" in run.corrections[0].actions
    assert run.corrections[1].actions == ["go on from the last images"]
    incar = Incar.from_file(tmp_path / run.names[0] / "band" / "INCAR")
    assert (incar["ALGO"], incar["IOPT"], incar["POTIM"]) == ("All", 1, 0)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["zbrent", "eddrmm", "brmix", "posmap", "nonconverging", "unconverged", "frozen"])
def test_other_faults_are_mended(vasp_stand_in: Any, done: Done, tmp_path: Path, fault: str) -> None:
    vasp_stand_in.set(LZC_DFT_FROZEN_S=15)
    vasp_stand_in.fail({"fault": fault, "kind": "neb", "step": 1 if fault == "posmap" else 2})
    protocol = ONE.model_copy(update={"max_steps": 20})
    run = run_tasks([("path", task())], NebSetting(VASP, protocol, tmp_path))
    assert vasp_stand_in.happened() == 1
    assert only(run).status == "converged"
    path = PathResult.read(tmp_path / run.names[0])
    assert path.energies_ev == pytest.approx(done.path.energies_ev, rel=0, abs=2e-3)
    # VASP goes on by itself after these two, and the band converges
    assert fault in ("nonconverging", "brmix") or run.corrections


def test_what_does_not_converge_is_named(vasp_stand_in: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lzc_flows.recovery.vasp_neb.MOST_LAUNCHES", 1)
    setting = NebSetting(VASP, ONE.model_copy(update={"max_steps": 2}), tmp_path)
    run = run_tasks([("path", task())], setting)
    outcome = only(run)
    assert outcome.status == "unconverged"
    assert outcome.reason is not None
    assert outcome.reason.startswith("band not converged in 1 runs of VASP: largest force 0.")
    assert not (tmp_path / run.names[0] / "result.npz").exists()
    # nor is it tried again
    assert run_tasks([("path", task())], setting).outcomes == run.outcomes


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["edddav", "posmap", "kill"])
def test_what_nothing_mends_ends_by_name(vasp_stand_in: Any, tmp_path: Path, fault: str) -> None:
    vasp_stand_in.fail({"fault": fault, "kind": "neb", "step": 1, "times": None})
    protocol = ONE.model_copy(update={"fmax_climbing_ev_per_angstrom": 1e-4})
    outcome = only(run_tasks([("path", task())], NebSetting(VASP, protocol, tmp_path)))
    assert outcome.status == "unconverged"
    assert outcome.reason is not None
    assert outcome.reason.startswith("band not converged in 5 runs of VASP: ")


def test_what_custodian_has_no_answer_to_is_a_crash_by_name(vasp_stand_in: Any, tmp_path: Path) -> None:
    """Not for good: the next launch tries again."""
    vasp_stand_in.fail({"fault": "zpotrf", "kind": "neb", "step": 2})
    setting = NebSetting(VASP, ONE, tmp_path)
    outcome = only(run_tasks([("path", task())], setting))
    assert outcome.status == "crashed"
    assert outcome.reason == "VASP's elastic band failed after 1 corrections: zpotrf"
    assert only(run_tasks([("path", task())], setting)).status == "converged"


def test_a_vasp_without_vtst_is_named_at_once(vasp_stand_in: Any, tmp_path: Path) -> None:
    """What plain VASP writes: the stand-in's output without VTST's lines, and images that never move."""
    script = tmp_path / "plain.py"
    script.write_text(PLAIN)
    vasp_stand_in.command(sys.executable, str(script))
    start = time.monotonic()
    outcome = only(run_tasks([("path", task())], NebSetting(VASP, ONE, tmp_path / "run")))
    assert time.monotonic() - start < 50
    assert outcome.status == "crashed"
    assert outcome.reason == (
        "VASP's elastic band failed after 1 corrections: this VASP is without VTST's code; such a one needs "
        "dft.vasp.climbing: lzc"
    )


PLAIN = """
import time
from pathlib import Path

outcar = Path("01/OUTCAR")
for step in range(1, 1000):
    with outcar.open("a") as file:
        file.write("     LOOP+:  cpu time      0.1000: real time      0.1000\\n")
    time.sleep(0.1)
"""


# ---- over several launches ----


def test_a_band_that_is_stopped_goes_on(vasp_stand_in: Any, done: Done, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"

    def stop() -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            for oszicar in first.rglob("01/OSZICAR"):
                if "F=" in oszicar.read_text():
                    band = oszicar.parents[1]
                    (band / "STOPCAR").write_text("LSTOP = .TRUE.\n")
                    (band / "lzc_stopped").touch()
                    return
            time.sleep(0.005)

    threading.Thread(target=stop, daemon=True).start()
    tight = ONE.model_copy(update={"fmax_climbing_ev_per_angstrom": 1e-3})
    cut = run_tasks([("path", task())], NebSetting(VASP, tight, first))
    assert (cut.finished, cut.outcomes, cut.corrections) == (False, {}, [])
    run = run_tasks([("path", task())], NebSetting(VASP, tight, second, (first,)))
    assert only(run).status == "converged"
    path = PathResult.read(second / run.names[0])
    assert path.energies_ev == pytest.approx(done.path.energies_ev, rel=0, abs=2e-3)


def test_nothing_begins_when_the_time_is_over(vasp_stand_in: Any, tmp_path: Path) -> None:
    vasp_stand_in.set(LZC_WALLTIME_END_S=time.time() + 60)  # within the margin
    run = run_tasks([("path", task())], NebSetting(VASP, ONE, tmp_path))
    assert (run.finished, run.outcomes) == (False, {})
    assert not list(tmp_path.rglob("INCAR"))


def test_bad_input_is_refused_before_anything_is_written(vasp_stand_in: Any, tmp_path: Path) -> None:
    path, start = task(), vacancy()
    setting = NebSetting(VASP, ONE, tmp_path / "new")
    noble = replace(path.ions, species=("Xe", *path.species[1:]))
    with pytest.raises(InputError, match=r"^dft.vasp.potcars: no POTCAR is chosen for Xe"):
        run_tasks([("path", replace(path, ions=noble))], setting)
    soft = replace(setting, protocol=ONE.model_copy(update={"spring_ev_per_angstrom2": 0.5}))
    with pytest.raises(InputError, match=r"^spring_ev_per_angstrom2: a whole number is allowed with engine vasp"):
        run_tasks([("path", path)], soft)
    vasp_stand_in.potcars(None)
    end = end_task(ions_of(start), start.lattice.matrix.copy(), start.cart_coords)
    with pytest.raises(InputError, match=r"^POTCAR library: PMG_VASP_PSP_DIR is not set"):
        run_tasks([("end", end)], setting)
    vasp_stand_in.command("vasp_of_another_machine")
    with pytest.raises(InputError, match=r"^engine 'vasp': no command"):
        run_tasks([("end", end)], setting)
    assert not (tmp_path / "new").exists()
