from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from custodian.utils import tracked_lru_cache
from custodian.vasp.handlers import VaspErrorHandler
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.inputs import Poscar

from lzc_flows.documents.dft import LZC
from lzc_flows.documents.engine import engine_spec
from lzc_flows.recovery.relaxations import relax_shortly
from lzc_flows.recovery.vasp_handlers import (
    STOPPED_FILE,
    TAIL_BYTES,
    CutShortHandler,
    ElectronicallyUnconvergedHandler,
    IonicallyUnconvergedHandler,
    NoClimbingHandler,
    StopInTimeHandler,
    is_whole_poscar,
    last_ionic_step_s,
)

SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.2), ["Li+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
LOOP = "      LOOP+:  cpu time{cpu:12.4f}: real time{real:12.4f}\n"


# ---- in time ----


def test_it_stops_while_there_is_time_for_three_more_steps(tmp_path: Path) -> None:
    """By the wall time of the last step."""
    steps = "".join(LOOP.format(cpu=900.0, real=real) for real in (50.0, 100.0))
    (tmp_path / "OUTCAR").write_text(
        "     LOOP:  cpu time      1.0: real time  7.0\n" + steps + "   total amount of memory\n"
    )
    assert last_ionic_step_s(tmp_path / "OUTCAR") == 100
    now, directory = time.time(), os.fspath(tmp_path)
    assert not StopInTimeHandler("OUTCAR", now + 310).check(directory)
    handler = StopInTimeHandler("OUTCAR", now + 290)
    assert handler.check(directory)
    assert handler.correct(directory)["actions"] is None
    assert (tmp_path / "STOPCAR").read_text() == "LSTOP = .TRUE.\n"
    # once
    assert not handler.check(directory)
    assert (tmp_path / STOPPED_FILE).exists()


def test_without_a_step_or_a_walltime(tmp_path: Path) -> None:
    now, directory = time.time(), os.fspath(tmp_path)
    assert not StopInTimeHandler("OUTCAR", None).check(directory)
    assert not StopInTimeHandler("OUTCAR", now + 10).check(directory)
    assert StopInTimeHandler("OUTCAR", now - 1).check(directory)
    (tmp_path / "OUTCAR").write_bytes(b"\xff not utf-8, no step yet\n")
    assert last_ionic_step_s(tmp_path / "OUTCAR") == 0


def test_a_long_outcar_is_read_from_its_end(tmp_path: Path) -> None:
    line = LOOP.format(cpu=1.0, real=2.0)
    (tmp_path / "OUTCAR").write_text(LOOP.format(cpu=1.0, real=9.0) + "x" * (TAIL_BYTES + 10) + "\n")
    assert last_ionic_step_s(tmp_path / "OUTCAR") == 0
    (tmp_path / "OUTCAR").write_text("x" * (2 * TAIL_BYTES) + "\n" + line + "y" * (TAIL_BYTES // 2))
    assert last_ionic_step_s(tmp_path / "OUTCAR") == 2


def test_a_vasp_without_vtst_is_seen_after_a_step(tmp_path: Path) -> None:
    (tmp_path / "01").mkdir()
    handler, outcar = NoClimbingHandler("01/OUTCAR"), tmp_path / "01" / "OUTCAR"
    assert not handler.check(os.fspath(tmp_path))
    outcar.write_text(" running\n")
    assert not handler.check(os.fspath(tmp_path))
    outcar.write_text(LOOP.format(cpu=1, real=1))
    assert handler.check(os.fspath(tmp_path))
    outcar.write_text(" NEB: projections on to tangent (spring, REAL)   0.1   0.2\n" + LOOP.format(cpu=1, real=1))
    assert not handler.check(os.fspath(tmp_path))


# ---- whole files ----


def contcar() -> str:
    """Places, velocities, and what VASP's integrator wants, as after molecular dynamics."""
    rows = [[0.1 * number, -0.02, 0.3] for number in range(1, 9)]
    places = Poscar(SALT, sort_structure=False).get_str(significant_figures=16)
    velocities = "\n".join("".join(f"  {value:.8E}" for value in row) for row in rows)
    preamble = "           1\n  0.2000E+01\n  0.10E-02  0.20E-02  0.30E-02  0.40E-02"
    return "\n".join([places.rstrip("\n"), "", velocities, "", preamble, *[velocities] * 3]) + "\n"


@given(cut=st.integers(0, len(contcar())))
def test_a_poscar_that_is_cut_is_whole_only_where_nothing_is_missing(tmp_path_factory: Any, cut: int) -> None:
    """Wherever it is cut: between its blocks it is whole, and has all of those before."""
    path, whole = tmp_path_factory.getbasetemp() / "CONTCAR", Poscar.from_str(contcar())
    path.write_text(contcar()[:cut])
    blocks = contcar().rstrip("\n").split("\n\n")
    ends = [len("\n\n".join(blocks[: count + 1])) for count in range(3)]
    assert is_whole_poscar(path) == any(end < cut <= end + 2 for end in ends)
    if is_whole_poscar(path):
        found = Poscar.from_file(path)
        assert found.structure.frac_coords == pytest.approx(whole.structure.frac_coords, abs=1e-15)
        if cut > ends[1]:
            assert np.array(found.velocities) == pytest.approx(np.array(whole.velocities), rel=1e-9)


def test_what_is_no_poscar(tmp_path: Path) -> None:
    assert not is_whole_poscar(tmp_path / "absent")
    (tmp_path / "CONTCAR").write_bytes(os.urandom(1000))
    assert not is_whole_poscar(tmp_path / "CONTCAR")


# ---- what VASP left, by the stand-in ----


@pytest.fixture(scope="module")
def point(vasp_stands_in: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A single point, done."""
    folder = tmp_path_factory.mktemp("point")
    with vasp_stands_in():
        relax_shortly([SALT], engine_spec("vasp", LZC), None, folder)
    return folder / "vasp-00"


@pytest.fixture
def folder(point: Path, tmp_path: Path) -> Path:
    """A copy of it; custodian remembers what it read of files until told otherwise."""
    for file in point.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tracked_lru_cache.tracked_cache_clear()
    return tmp_path


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_whole_run_is_no_error(folder: Path) -> None:
    directory = os.fspath(folder)
    handlers = [
        CutShortHandler([VaspErrorHandler()]),
        IonicallyUnconvergedHandler(),
        ElectronicallyUnconvergedHandler(),
    ]
    assert not any(handler.check(directory) for handler in handlers)


def test_a_cut_run_goes_on_from_its_ions(folder: Path) -> None:
    directory = os.fspath(folder)
    whole = (folder / "vasprun.xml").read_bytes()
    handler = CutShortHandler([VaspErrorHandler()])
    for content in (whole[: len(whole) // 2], whole[:-20], b""):
        (folder / "vasprun.xml").write_bytes(content)
        assert handler.check(directory)
    moved = SALT.copy()
    moved.translate_sites([0], [0.01, 0, 0])
    Poscar(moved, sort_structure=False).write_file(folder / "CONTCAR")
    assert handler.correct(directory)["actions"] == [{"file": "CONTCAR", "action": {"_file_copy": {"dest": "POSCAR"}}}]
    assert (folder / "POSCAR").read_text() == (folder / "CONTCAR").read_text()
    # from the start where there are none
    (folder / "CONTCAR").write_text("")
    assert handler.correct(directory)["actions"] == ["rerun"]
    # not where VASP said why
    with (folder / "vasp.out").open("a") as file:
        file.write(" Error EDDDAV: Call to ZHEGV failed. Returncode =  10 2  16\n")
    assert not handler.check(directory)


def test_electrons_that_did_not_converge(folder: Path) -> None:
    """NELM as large as the steps that were done; not where VASP was stopped."""
    steps = sum(line.startswith(("RMM:", "DAV:")) for line in (folder / "OSZICAR").read_text().splitlines())
    assert steps > 2
    change(folder / "vasprun.xml", 'name="NELM">   100', f'name="NELM">{steps:6d}')
    directory = os.fspath(folder)
    for handler in (ElectronicallyUnconvergedHandler(), IonicallyUnconvergedHandler()):
        tracked_lru_cache.tracked_cache_clear()
        assert handler.check(directory)
    (folder / STOPPED_FILE).touch()
    assert not ElectronicallyUnconvergedHandler().check(directory)
