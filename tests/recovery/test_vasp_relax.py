"""Relaxations and single points by VASP, whose stand-in has NEP89's forces: what NEP89's own worker finds is the truth
to compare with."""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.inputs import Incar, Poscar

from lzc_flows.documents.dft import LZC, VaspSettings
from lzc_flows.documents.engine import EngineSpec, engine_spec
from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.recovery.relax import RelaxRun
from lzc_flows.recovery.relaxations import relax_shortly, relax_to_convergence
from lzc_flows.recovery.vasp_calculation import DONE_FILE

VASP = engine_spec("vasp", LZC)
NEP = EngineSpec(name="nep")
PROTOCOL = RelaxProtocol(fmax_ev_per_angstrom=0.005, max_steps=100, optimizer="LBFGS")
QUICK = RelaxProtocol(fmax_ev_per_angstrom=0.03, max_steps=60, relax_cell=False)


def salt(seed: int = 7, by_angstrom: float = 0.06) -> Structure:
    """LiCl, 8 atoms out of their minimum, Li and Cl in turn, one of them beyond the cell's face."""
    perfect = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.2), ["Li+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    turns = Structure.from_sites(
        [perfect[number] for pair in zip(range(4), range(4, 8), strict=True) for number in pair]
    )
    moves = np.random.default_rng(seed).normal(scale=by_angstrom, size=(8, 3))
    moved = Structure(turns.lattice, turns.species, turns.cart_coords + moves, coords_are_cartesian=True)
    moved.translate_sites([3], [1, 0, -1], to_unit_cell=False)
    return moved


SALT = salt()


@dataclass(frozen=True)
class Done:
    """A relaxation done once."""

    folder: Path
    run: RelaxRun


@pytest.fixture(scope="module")
def done(vasp_stands_in: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("relax")
    with vasp_stands_in():
        return Done(folder, relax_to_convergence(SALT, VASP, PROTOCOL, folder))


@pytest.fixture
def no_vasp(vasp_stand_in: Any) -> None:
    """A VASP that starts ends at once, and has done nothing."""
    vasp_stand_in.command(sys.executable, "-c", "raise SystemExit('started')", "lzc_flows.rehearsal")


def tags(folder: Path) -> Incar:
    return Incar.from_file(folder / "INCAR")


def handlers(run: RelaxRun) -> list[str]:
    return [correction.handler for correction in run.corrections]


def stop_after_the_first_step(stand_in: Any, folder: Path) -> None:
    """Let the batch job's time be over as soon as VASP has told of an ionic step."""

    def watch() -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end and "F=" not in read(folder / "OSZICAR"):
            time.sleep(0.005)
        (folder / "STOPCAR").write_text("LSTOP = .TRUE.\n")
        (folder / "lzc_stopped").touch()

    threading.Thread(target=watch, daemon=True).start()


def read(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


# ---- what is found ----


def test_a_relaxation_is_that_of_the_same_forces_elsewhere(done: Done, tmp_path: Path) -> None:
    (found,) = done.run.attempts
    there = relax_to_convergence(SALT, NEP, PROTOCOL, tmp_path).attempts[-1]
    assert (found.converged, done.run.finished, done.run.corrections) == (True, True, [])
    assert found.max_force_ev_per_angstrom <= PROTOCOL.fmax_ev_per_angstrom
    assert found.energy_ev == pytest.approx(there.energy_ev, rel=0, abs=2e-4)
    assert found.structure.volume == pytest.approx(there.structure.volume, rel=2e-3)
    assert 2 < found.steps < 100
    assert found.wall_s > 0
    # as given: the ions in their order, and in the cells where they were
    assert found.structure.species == SALT.species
    # but for a common shift, which costs nothing
    moved = found.structure.frac_coords - there.structure.frac_coords
    assert (moved - moved.mean(axis=0)) @ SALT.lattice.matrix == pytest.approx(np.zeros((8, 3)), abs=0.02)
    assert np.abs(found.structure.frac_coords - SALT.frac_coords).max() < 0.1


@pytest.mark.usefixtures("no_vasp")
def test_what_is_done_is_not_done_again(done: Done, tmp_path: Path) -> None:
    """In its folder; and in a new one, which has the old one's files then."""
    before = (done.folder / "vasp" / "OUTCAR").stat().st_mtime_ns
    again = relax_to_convergence(SALT, VASP, PROTOCOL, done.folder)
    assert again == done.run
    elsewhere = relax_to_convergence(SALT, VASP, PROTOCOL, tmp_path / "new", [tmp_path / "absent", done.folder])
    assert elsewhere == done.run
    assert (done.folder / "vasp" / "OUTCAR").stat().st_mtime_ns == before


def test_single_points_and_short_relaxations_of_several(vasp_stand_in: Any, tmp_path: Path) -> None:
    """Two single points, then two relaxations that run out of three steps; those elsewhere have the same energies."""
    several = [SALT, salt(seed=8)]
    points = relax_shortly(several, VASP, None, tmp_path / "points")
    (tmp_path / "nep").mkdir()
    there = relax_shortly(several, NEP, None, tmp_path / "nep")
    for found, expected, start in zip(points.attempts, there.attempts, several, strict=True):
        assert found.energy_ev == pytest.approx(expected.energy_ev, rel=0, abs=1e-6)
        assert found.max_force_ev_per_angstrom == pytest.approx(expected.max_force_ev_per_angstrom, rel=1e-5)
        assert found.structure == start
    short = relax_shortly(several[1:], VASP, QUICK.model_copy(update={"max_steps": 3}), tmp_path / "short")
    (relaxed,) = short.attempts
    assert (relaxed.steps, relaxed.converged, short.corrections) == (3, False, [])
    assert relaxed.energy_ev < points.attempts[1].energy_ev


# ---- over several launches ----


def test_a_run_goes_on_where_its_time_was_over(vasp_stand_in: Any, done: Done, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    stop_after_the_first_step(vasp_stand_in, first / "vasp")
    cut = relax_to_convergence(SALT, VASP, PROTOCOL, first)
    assert (cut.finished, cut.attempts) == (False, [])
    assert not (first / "vasp" / DONE_FILE).exists()
    # of a launch whose ions are older, and of another structure
    other = tmp_path / "other" / "vasp"
    other.mkdir(parents=True)
    (other / "lzc_identity").write_text("another")
    (other / "CONTCAR").write_text("nothing that could be read")
    run = relax_to_convergence(SALT, VASP, PROTOCOL, second, [tmp_path / "other", first])
    assert run.finished
    left = Poscar.from_file(first / "vasp" / "CONTCAR").structure
    assert Poscar.from_file(second / "vasp" / "POSCAR").structure == left
    assert run.attempts[-1].energy_ev == pytest.approx(done.run.attempts[-1].energy_ev, rel=0, abs=2e-4)
    history = json.loads((second / "vasp" / "lzc_history.json").read_text())
    assert (history["launches"], run.corrections) == (2, [])


def test_the_walltime_is_heard(vasp_stand_in: Any, tmp_path: Path) -> None:
    """A run whose time is over writes what it has, and asks to go on."""
    vasp_stand_in.set(LZC_WALLTIME_END_S=time.time() + 60)  # within the margin
    slow = PROTOCOL.model_copy(update={"fmax_ev_per_angstrom": 1e-9, "max_steps": 2000})
    run = relax_to_convergence(SALT, VASP, slow, tmp_path)
    assert (run.finished, run.attempts) == (False, [])
    assert "soft stop encountered" in read(tmp_path / "vasp" / "OUTCAR")


def test_an_earlier_launch_of_another_calculation_is_left_alone(vasp_stand_in: Any, done: Done, tmp_path: Path) -> None:
    """Of the same crystal with other numbers: from the start."""
    shutil.copytree(done.folder / "vasp", tmp_path / "earlier" / "vasp-00")
    other = EngineSpec(name="vasp", dft=LZC.model_copy(update={"cutoff_ev": 450.0}))
    run = relax_shortly([SALT], other, None, tmp_path, [tmp_path / "earlier"])
    assert run.attempts[0].structure == SALT
    assert tags(tmp_path / "vasp-00")["ENCUT"] == 450


def test_a_vasp_that_does_not_start_is_not_taken_for_done(vasp_stand_in: Any, done: Done, tmp_path: Path) -> None:
    """The whole output of an earlier launch lies there, which was only stopped."""
    folder = tmp_path / "vasp-00"
    relax_shortly([SALT], VASP, None, tmp_path)
    (folder / DONE_FILE).unlink()
    vasp_stand_in.command(sys.executable, "-c", "raise SystemExit('no licence')", "lzc_flows.rehearsal")
    with pytest.raises(
        CalculationError, match=r"^VASP's single point failed after \d corrections: VASP ended without a"
    ):
        relax_shortly([SALT], VASP, None, tmp_path)


# ---- faults ----

FIRST, SECOND = {"kind": "relax", "step": 1}, {"kind": "relax", "step": 2}


@pytest.mark.parametrize(
    ("faults", "changed", "words"),
    [
        (
            [{"fault": "zbrent", **SECOND}, {"fault": "edddav", **SECOND}, {"fault": "eddrmm", **FIRST}],
            {"NELMIN": 8, "EDIFF": 1e-6},
            ["CONTCAR copied to POSCAR", "INCAR: EDIFF = 1e-06", "INCAR: NELMIN = 8", "INCAR: ALGO = "],
        ),
        (
            [{"fault": "posmap", **FIRST}, {"fault": "zpotrf", **SECOND}, {"fault": "brmix", **SECOND}],
            {"SYMPREC": 1e-6},
            ["INCAR: SYMPREC = 1e-06", "INCAR: POTIM = 0.25", "INCAR: I"],
        ),
    ],
)
def test_what_vasp_says_is_mended(
    vasp_stand_in: Any, tmp_path: Path, faults: list[dict[str, Any]], changed: dict[str, Any], words: list[str]
) -> None:
    vasp_stand_in.fail(*faults)
    run = relax_to_convergence(SALT, VASP, QUICK, tmp_path)
    assert vasp_stand_in.happened() == 3
    assert run.attempts[-1].converged
    assert {error for correction in run.corrections for error in correction.errors} == {
        fault["fault"] for fault in faults
    }
    assert set(handlers(run)) == {"VaspErrorHandler"}
    said = [action for correction in run.corrections for action in correction.actions]
    assert all(any(action.startswith(word) for action in said) for word in words), said
    assert {tag: tags(tmp_path / "vasp")[tag] for tag in changed} == changed


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        (["kill", "truncated"], {"CutShortHandler": "CONTCAR copied to POSCAR"}),
        (["unconverged"], {"IonicallyUnconvergedHandler": "INCAR: IBRION = 1"}),
        # what was killed because it was frozen goes on from where it was
        pytest.param(
            ["frozen"],
            {"FrozenJobErrorHandler": "INCAR: ALGO = Normal", "CutShortHandler": "CONTCAR copied to POSCAR"},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_vasp_does_not_say_is_mended(
    vasp_stand_in: Any, tmp_path: Path, faults: list[str], expected: dict[str, str]
) -> None:
    vasp_stand_in.fail(
        *({"fault": fault, "kind": "relax", "step": 1 if fault == "truncated" else 2} for fault in faults)
    )
    vasp_stand_in.set(LZC_DFT_FROZEN_S=15)
    run = relax_to_convergence(SALT, VASP, QUICK.model_copy(update={"max_steps": 12}), tmp_path)
    assert vasp_stand_in.happened() == len(faults)
    assert run.attempts[-1].converged
    assert set(handlers(run)) == set(expected)
    assert all(expected[correction.handler] in correction.actions for correction in run.corrections)


def test_electrons_that_do_not_converge_are_mended(vasp_stand_in: Any, tmp_path: Path) -> None:
    vasp_stand_in.fail({"fault": "nonconverging", "kind": "static", "step": 1, "until": {"ALGO": ["Normal"]}})
    run = relax_shortly([SALT], VASP, None, tmp_path)
    assert handlers(run) == ["ElectronicallyUnconvergedHandler"]
    assert run.corrections[0].actions == ["INCAR: ALGO = Normal"]
    assert tags(tmp_path / "vasp-00")["ALGO"] == "Normal"


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ("kill", r"after \d corrections: VASP ended without a message and without its last output"),
        pytest.param("edddav", r"after \d corrections: edddav", marks=pytest.mark.slow),
        pytest.param("zpotrf", r"after \d corrections: zpotrf", marks=pytest.mark.slow),
        pytest.param("posmap", r"after \d corrections: posmap", marks=pytest.mark.slow),
        pytest.param("brmix", r"after \d corrections: brmix", marks=pytest.mark.slow),
        pytest.param("zbrent", r"after \d corrections: zbrent", marks=pytest.mark.slow),
        pytest.param("eddrmm", r"after \d corrections: eddrmm", marks=pytest.mark.slow),
        pytest.param("unconverged", r"after \d corrections: Unconverged", marks=pytest.mark.slow),
        pytest.param("nonconverging", r"after \d corrections: ", marks=pytest.mark.slow),
        pytest.param("truncated", r"after \d corrections: VASP ended without a message", marks=pytest.mark.slow),
        pytest.param("frozen", r"after \d corrections: Frozen job", marks=pytest.mark.slow),
    ],
)
def test_what_nothing_mends_ends_by_name(vasp_stand_in: Any, tmp_path: Path, fault: str, named: str) -> None:
    vasp_stand_in.fail({"fault": fault, "times": None})
    vasp_stand_in.set(LZC_DFT_FROZEN_S=8)
    protocol = QUICK.model_copy(update={"max_steps": 8})
    with pytest.raises(CalculationError, match=rf"^VASP's relaxation failed {named}") as error:
        relax_to_convergence(SALT, VASP, protocol, tmp_path)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "vasp" / DONE_FILE).exists()


# ---- refused before anything is written ----


def assert_refused(named: str, structure: Structure, engine: EngineSpec, folder: Path) -> None:
    for run in (
        lambda: relax_to_convergence(structure, engine, QUICK, folder),
        lambda: relax_shortly([structure], engine, None, folder),
    ):
        with pytest.raises(InputError, match=named) as error:
            run()
        assert "\n" not in str(error.value)
    assert not folder.exists()


def test_without_vasp_or_potcars_nothing_begins(vasp_stand_in: Any, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    vasp_stand_in.potcars(None)
    assert_refused("^POTCAR library: PMG_VASP_PSP_DIR is not set", SALT, VASP, folder)
    vasp_stand_in.potcars(tmp_path / "absent")
    assert_refused("^POTCAR library: the folder of PMG_VASP_PSP_DIR does not exist", SALT, VASP, folder)
    vasp_stand_in.potcars(vasp_stand_in.library)
    vasp_stand_in.command("vasp_of_another_machine")
    assert_refused(
        "^engine 'vasp': no command 'vasp_of_another_machine' here; set ATOMATE2_VASP_CMD", SALT, VASP, folder
    )


def test_bad_input_is_refused_before_anything_begins(vasp_stand_in: Any, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    noble = SALT.copy()
    noble.replace(0, "Xe")
    assert_refused("^dft.vasp.potcars: no POTCAR is chosen for Xe", noble, VASP, folder)
    odd = SALT.copy()
    odd.remove_sites([0])
    odd.remove_oxidation_states()
    closed = EngineSpec(name="vasp", dft=LZC.model_copy(update={"spin": "none"}))
    assert_refused("^dft.spin: none wants an even number of electrons", odd, closed, folder)
    own = EngineSpec(name="vasp", dft=LZC.model_copy(update={"vasp": VaspSettings(incar={"IBRION": 1})}))
    assert_refused("^dft.vasp.incar: IBRION is set already; it follows from", SALT, own, folder)
