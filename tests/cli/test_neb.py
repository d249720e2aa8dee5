from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from ase.io import read
from pymatgen.core import Structure

from lzc_flows.engines.mlip import MLIPS
from lzc_flows.engines.neb_tasks import OUTCOME_FILE
from lzc_flows.engines.neb_worker import PROGRESS_FILE
from lzc_flows.hopping.ends import Ends
from lzc_flows.recovery import worker as recovery

COMMAND = [sys.executable, "-c", "from lzc_flows.cli.main import main; main()", "neb"]

Lzc = Callable[..., Any]


@pytest.fixture(autouse=True)
def quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "POLL_S", 0.02)


@pytest.fixture(scope="module")
def files(hop_ends: Ends, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Both ends of a hop as CIFs without charges, the second with its atoms in another order."""
    folder = tmp_path_factory.mktemp("ends")
    initial, final = (end.copy().remove_oxidation_states() for end in (hop_ends.initial, hop_ends.final))
    initial.to(str(folder / "initial.cif"))
    Structure.from_sites(list(reversed(final))).to(str(folder / "final.cif"))
    return folder / "initial.cif", folder / "final.cif"


@dataclass(frozen=True)
class Run:
    """A command that was run to its end in a folder of its own."""

    place: Path
    arguments: list[object]
    document: dict[str, Any]


@pytest.fixture(scope="module")
def whole(files: tuple[Path, Path], lzc: Lzc, tmp_path_factory: pytest.TempPathFactory) -> Run:
    place = tmp_path_factory.mktemp("whole")
    arguments: list[object] = [*files, "--engine", "nep", "--images", 5]
    with contextlib.chdir(place):
        result = lzc("neb", *arguments, "--json")
    assert (result.code, result.err) == (0, "")
    return Run(place, arguments, json.loads(result.out))


def contents(place: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


# ---- what it says ----


def test_json_says_all_of_the_path(whole: Run) -> None:
    document = whole.document
    asked = {"barrier_forward_eV", "barrier_reverse_eV", "converged", "fmax", "energies_eV", "distances_A"}
    assert set(document) > asked | {"charge_e", "charge_note", "engine", "protocol", "corrections", "legs", "written"}
    assert not {"initial_structure", "path"} & set(document)
    assert (document["finished"], document["converged"]) == (True, True)
    assert document["protocol"]["images"] == 5
    assert [len(document[name]) for name in ("energies_eV", "distances_A", "slopes_eV_A")] == [7] * 3
    assert document["barrier_forward_eV"] == max(document["energies_eV"]) == pytest.approx(0.319, abs=0.002)
    assert document["barrier_reverse_eV"] == pytest.approx(0.168, abs=0.002)
    assert document["fmax"] <= 0.01
    assert document["charge_e"] is None  # the files name no charges
    assert document["engine"] == MLIPS["nep"].stamp().model_dump()
    assert document["folder"].startswith("neb-initial-")


def test_the_path_is_written_for_other_programs(whole: Run) -> None:
    document = whole.document
    assert sorted(Path(path).name for path in document["written"]) == ["path.cif", "path.extxyz", "profile.png"]
    images = read(whole.place / document["folder"] / "path.extxyz", index=":")
    assert len(images) == 7
    energies = np.array([image.get_potential_energy() for image in images])
    assert energies - energies[0] == pytest.approx(document["energies_eV"], abs=1e-5)
    overlay = Structure.from_file(whole.place / document["folder"] / "path.cif", occupancy_tolerance=100)
    assert sum(overlay.composition.values()) >= 26
    assert (whole.place / document["folder"] / "profile.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_command_again_runs_nothing(whole: Run, lzc: Lzc) -> None:
    tasks = {
        name: value for name, value in contents(whole.place).items() if Path(name).parent.name[:4] in {"end-", "path"}
    }
    assert len(tasks) >= 9  # task, outcome and result of each
    with contextlib.chdir(whole.place):
        again = lzc("neb", *whole.arguments, "--json")
    assert (again.code, json.loads(again.out)) == (0, whole.document)
    after = contents(whole.place)
    assert {name: after[name] for name in tasks} == tasks


def test_the_lines_are_for_people(whole: Run, lzc: Lzc) -> None:
    with contextlib.chdir(whole.place):
        lines = lzc("neb", *whole.arguments).out.splitlines()
    document = whole.document
    assert lines[0].startswith(
        f"barrier {document['barrier_forward_eV']:.4f} eV forward, {document['barrier_reverse_eV']:.4f} eV back (nep; "
    )
    assert document["reordered"]
    assert lines[1] == "atoms of the final end were matched in another order than given, for the shortest ways"
    assert lines[2].startswith("charge of the cell not known: ignored: a machine-learned potential knows no charge")
    assert lines[3:] == [f"wrote {path}" for path in document["written"]]


# ---- cut off ----


def start(*arguments: object) -> subprocess.Popen:
    return subprocess.Popen([*COMMAND, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def workers_of(process: subprocess.Popen) -> list[psutil.Process]:
    return [child for child in psutil.Process(process.pid).children() if "neb_worker" in " ".join(child.cmdline())]


def begun(folder: Path) -> bool:
    """Whether the worker is at the path."""
    progress = folder / PROGRESS_FILE
    return progress.is_file() and json.loads(progress.read_text())["what"] == "paths"


def test_a_killed_command_leaves_no_worker_and_goes_on(
    files: tuple[Path, Path], whole: Run, tmp_path: Path, lzc: Lzc
) -> None:
    """Bit for bit, but for the time that it took; what was done before is not done again."""
    arguments = [*files, "--images", 5, "--out", tmp_path / "run"]
    process = start(*arguments)
    end = time.monotonic() + 120
    while not begun(tmp_path / "run"):
        assert time.monotonic() < end
        time.sleep(0.002)
    workers = workers_of(process)
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []
    ends = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").glob(f"end-*/{OUTCOME_FILE}")}
    assert len(ends) == 2
    result = lzc("neb", *arguments, "--json")
    assert result.code == 0, result.err
    document = json.loads(result.out)
    changing = {"folder", "written", "wall_s"}
    assert {name: document[name] for name in set(document) - changing} == {
        name: whole.document[name] for name in set(whole.document) - changing
    }
    assert {path: path.stat().st_mtime_ns for path in ends} == ends


def test_ctrl_c_leaves_no_worker(files: tuple[Path, Path], tmp_path: Path) -> None:
    ears = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    command = [sys.executable, "-c", ears, *COMMAND, *map(str, files), "--out", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    end = time.monotonic() + 120
    while not (tmp_path / PROGRESS_FILE).is_file():
        assert time.monotonic() < end
        time.sleep(0.002)
    workers = workers_of(process)
    os.killpg(process.pid, signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode != 0
    assert b"Traceback" not in complaint
    assert psutil.wait_procs(workers, timeout=10)[1] == []


def test_a_run_stops_in_order_before_its_time(files: tuple[Path, Path], tmp_path: Path, lzc: Lzc) -> None:
    arguments = ["neb", *files, "--out", tmp_path, "--walltime-minutes", 1e-6]
    result = lzc(*arguments, "--json")
    assert result.code == 0, result.err
    initial, final = map(str, files)
    assert json.loads(result.out) == {"initial": initial, "final": final, "folder": str(tmp_path), "finished": False}


# ---- what fails ----


def test_a_path_that_does_not_converge_is_one_line_and_no_number(
    files: tuple[Path, Path], tmp_path: Path, lzc: Lzc
) -> None:
    result = lzc("neb", *files, "--max-steps", 2, "--out", tmp_path, "--json")
    assert (result.code, result.out) == (1, "")
    initial, final = files
    assert result.err.startswith(f"lzc: {initial}, {final}: final end: end not relaxed after ")
    assert len(result.err.splitlines()) == 1


def through_another(at: float) -> Structure:
    """A Li on one side or the other of a Cl."""
    anions = [[0.5, 0.5, 0.5], [0, 0, 0], [0, 0.5, 0]]
    return Structure(8 * np.eye(3), ["Li", "Cl", "Cl", "Cl"], [[at, 0.5, 0.5], *anions])


def write_bad_ends(folder: Path, structure: Structure) -> None:
    partial, fewer, wide, radon = (structure.copy() for _ in range(4))
    lithium = next(number for number, site in enumerate(structure) if site.specie.symbol == "Li")
    partial[lithium] = {"Li": 0.5, "Na": 0.5}
    fewer.remove_sites([lithium])
    wide.scale_lattice(wide.volume * 1.01)
    radon.replace(0, "Rn")
    radon_end = radon.copy()
    radon_end.translate_sites([lithium], [0, 0, 0.1])
    ends = {
        "partial": partial,
        "fewer": fewer,
        "wide": wide,
        "here": through_another(0.3),
        "there": through_another(0.7),
    }
    for name, end in {**ends, "radon": radon, "radon-end": radon_end}.items():
        end.to(str(folder / f"{name}.cif"))
    (folder / "words.cif").write_text("no crystal\n")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["initial.cif", "absent.cif"], "absent.cif: no such file"),
        (["initial.cif", "."], ".: no such file"),
        (["words.cif", "final.cif"], "words.cif: not a readable crystal structure"),
        (["initial.cif", "initial.cif"], "initial.cif, initial.cif: identical ends: no atom moves farther than 0.00 Å"),
        (["initial.cif", "fewer.cif"], "different atoms: the final structure has 1 Li fewer; the same atoms"),
        (["initial.cif", "wide.cif"], "cells differ: lattice vector "),
        (["initial.cif", "partial.cif"], "final structure: sites are partially occupied; ordered structures are"),
        (["here.cif", "there.cif"], "a hop through another atom: Li"),
        (["initial.cif", "final.cif", "--images", "4"], "images: an odd number of at least 1 is allowed"),
        (["initial.cif", "final.cif", "--images", "0"], "images: an odd number of at least 1 is allowed"),
        (["initial.cif", "final.cif", "--images", "-3"], "images: an odd number of at least 1 is allowed"),
        (["initial.cif", "final.cif", "--fmax", "0"], "fmax_climbing_ev_per_angstrom: Input should be greater than 0"),
        (["initial.cif", "final.cif", "--fmax", "nan"], "fmax_climbing_ev_per_angstrom: "),
        (["initial.cif", "final.cif", "--fmax-band", "-1"], "fmax_band_ev_per_angstrom: Input should be greater than"),
        (["initial.cif", "final.cif", "--max-steps", "1"], "max_steps: Input should be greater than or equal to 2"),
        (["initial.cif", "final.cif", "--engine", "vasp6"], "engine 'vasp6': allowed are chgnet, nep"),
        (["initial.cif", "final.cif", "--walltime-minutes", "0"], "--walltime-minutes 0: above 0 is allowed"),
        (["initial.cif", "final.cif", "--out", "words.cif"], "words.cif: a folder that can be written is allowed"),
        (["initial.cif", "final.cif", "--out", "words.cif/in"], "a folder that can be written is allowed"),
        (["radon.cif", "radon-end.cif"], "engine 'nep': its model does not know Rn"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    files: tuple[Path, Path], tmp_path: Path, assert_refused: Any, arguments: list[str], named: str
) -> None:
    for file in files:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    write_bad_ends(tmp_path, Structure.from_file(files[0]))
    assert_refused(["neb", *arguments], named)


def test_one_process_at_a_time_runs_in_a_folder(files: tuple[Path, Path], tmp_path: Path, lzc: Lzc) -> None:
    from lzc_flows.recovery.folder import alone_in
    from lzc_flows.recovery.neb import LOCK_FILE

    with alone_in(tmp_path, LOCK_FILE):
        result = lzc("neb", *files, "--out", tmp_path)
    assert (result.code, result.out) == (2, "")
    assert result.err.endswith(f"{tmp_path}: another process runs there now; one at a time is allowed\n")
