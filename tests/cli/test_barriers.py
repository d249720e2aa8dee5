from __future__ import annotations

import contextlib
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from pymatgen.core import Structure

from lzc_flows.engines.neb_tasks import OUTCOME_FILE
from lzc_flows.engines.neb_worker import PROGRESS_FILE
from lzc_flows.recovery import worker as recovery

COMMAND = [sys.executable, "-c", "from lzc_flows.cli.main import main; main()", "barriers"]
OPTIONS = ["--host", "lzc", "--mechanism", "frenkel"]

Lzc = Callable[..., Any]


@pytest.fixture(autouse=True)
def quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "POLL_S", 0.02)


@pytest.fixture(scope="module")
def cif(settled_host: Structure, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("crystal") / "lzc.cif"
    settled_host.to(str(path))
    return path


@dataclass(frozen=True)
class Run:
    """A command that was run to its end in a folder of its own."""

    place: Path
    document: dict[str, Any]


@pytest.fixture(scope="module")
def whole(cif: Path, lzc: Lzc, tmp_path_factory: pytest.TempPathFactory) -> Run:
    place = tmp_path_factory.mktemp("whole")
    with contextlib.chdir(place):
        result = lzc("barriers", cif, *OPTIONS, "--temperature", 300, "--temperature", 600, "--json")
    assert (result.code, result.err) == (0, "")
    return Run(place, json.loads(result.out))


def test_json_says_all_of_the_hops(whole: Run, cif: Path) -> None:
    document = whole.document
    assert (document["file"], document["folder"], document["finished"]) == (str(cif), "barriers-lzc", True)
    assert not {"structure", "paths"} & set(document)
    assert document["statuses"] == {"converged": 2}
    hop = next(hop for hop in document["hops"] if hop["labels"] == ["6h", "6g"])
    assert hop["barrier_forward_eV"] == pytest.approx(0.319, abs=0.002)
    assert (hop["charge_e"], hop["direction_word"], hop["multiplicity"]) == (0, "c", 12)
    # JSON has no word for infinity: null is where the hops lead nowhere
    assert document["barriers_eV"]["c"] == pytest.approx(hop["barrier_forward_eV"], abs=2e-3)
    assert document["barriers_eV"]["3d"] is None
    assert list(document["carriers"][0]["D_cm2_s"]) == ["300", "600"]
    assert document["written"] == [f"barriers-lzc/{name}.png" for name in ("barriers", "directions")]
    for path in document["written"]:
        assert (whole.place / path).read_bytes().startswith(b"\x89PNG")


def test_the_table_is_for_people_and_nothing_is_done_again(whole: Run, cif: Path, lzc: Lzc) -> None:
    done = {path: path.stat().st_mtime_ns for path in whole.place.rglob(OUTCOME_FILE)}
    with contextlib.chdir(whole.place):
        lines = lzc("barriers", cif, *OPTIONS, "--out", "barriers-lzc").out.splitlines()
    assert lines[0].startswith("P-3m1, nep; charges ignored: ")
    assert [line.split()[0] for line in lines[1:6]] == ["hop", "frenkel-1", "frenkel-2", "carrier", "frenkel"]
    hops = {hop["id"]: hop for hop in whole.document["hops"]}
    for line in lines[2:4]:
        hop = hops[line.split()[0]]
        assert line.endswith(f"{hop['barrier_forward_eV']:.3f}  {hop['barrier_reverse_eV']:.3f}")
    assert lines[5].endswith("2 of 2 hops")
    assert math.isinf(float(lines[5].split()[3]))
    assert {path: path.stat().st_mtime_ns for path in whole.place.rglob(OUTCOME_FILE)} == done


def test_a_killed_command_leaves_no_worker_and_goes_on(cif: Path, whole: Run, tmp_path: Path, lzc: Lzc) -> None:
    arguments = [cif, *OPTIONS, "--temperature", 300, "--temperature", 600, "--out", tmp_path / "run"]
    process = subprocess.Popen([*COMMAND, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    progress, end = tmp_path / "run" / PROGRESS_FILE, time.monotonic() + 120
    while not (progress.is_file() and json.loads(progress.read_text())["what"] == "paths"):
        assert time.monotonic() < end
        time.sleep(0.002)
    workers = [child for child in psutil.Process(process.pid).children() if "neb_worker" in " ".join(child.cmdline())]
    process.kill()
    process.communicate()
    assert psutil.wait_procs(workers, timeout=10)[1] == []
    result = lzc("barriers", *arguments, "--json")
    assert result.code == 0, result.err
    document = json.loads(result.out)
    changing = {"folder", "written", "wall_s"}
    assert {name: document[name] for name in set(document) - changing} == {
        name: whole.document[name] for name in set(whole.document) - changing
    }


def test_a_run_stops_in_order_before_its_time(cif: Path, tmp_path: Path, lzc: Lzc) -> None:
    arguments = ["barriers", cif, *OPTIONS, "--out", tmp_path, "--walltime-minutes", 1e-6]
    result = lzc(*arguments)
    assert result.code == 0, result.err
    assert result.out == f"{tmp_path}: stopped in order; the same command goes on\n"


def write_bad_crystals(folder: Path, structure: Structure) -> None:
    partial, bare, small, noble = (structure.copy() for _ in range(4))
    lithium = [number for number, site in enumerate(structure) if site.specie.symbol == "Li"]
    partial[lithium[0]] = {"Li+": 0.5, "Na+": 0.5}
    bare.remove_sites(lithium)
    small.scale_lattice(0.4 * small.volume)
    noble.replace(next(number for number, site in enumerate(structure) if site.specie.symbol == "Zr"), "Rn4+")
    for name, crystal in (("partial", partial), ("bare", bare), ("small", small), ("noble", noble)):
        crystal.to(str(folder / f"{name}.cif"))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["absent.cif"], "absent.cif: no such file"),
        (["."], ".: no such file"),
        (["partial.cif", *OPTIONS], "is partially occupied: an ordered crystal is needed"),
        (["bare.cif", *OPTIONS], "mobile ion Li: the crystal has none; its elements are Cl, Zr"),
        (["small.cif", *OPTIONS], "a supercell of host lzc, its edges within 10%"),
        (["noble.cif", *OPTIONS], "engine 'nep': its model does not know Rn"),
        (["lzc.cif", *OPTIONS, "--mobile", "Na"], "mobile ion Na: the crystal has none"),
        (["lzc.cif", *OPTIONS, "--mobile", "Xx"], "'Xx'"),
        (["lzc.cif", "--host", "lzc-rietveld"], "host lzc-rietveld is partially occupied: an ordered one, such as lzc"),
        (["lzc.cif", "--host", "lzc", "--mobile", "Zr"], "mobile ion Zr: of host lzc, Li is allowed"),
        (["lzc.cif", "--host", "lzd"], "host 'lzd': allowed are lzc, "),
        (["lzc.cif", "--mechanism", "exchange"], "mechanisms: Input should be 'vacancy', 'interstitial'"),
        (["lzc.cif", *OPTIONS, "--engine", "vasp6"], "engine 'vasp6': allowed are chgnet, nep"),
        (["lzc.cif", *OPTIONS, "--supercell", "1", "1", "0"], "supercell: Input should be greater than 0 (given: 0)"),
        (["lzc.cif", *OPTIONS, "--symprec", "0"], "symprec_angstrom: Input should be greater than 0"),
        (["lzc.cif", *OPTIONS, "--temperature", "-5"], "temperatures_k: Input should be greater than 0"),
        (["lzc.cif", *OPTIONS, "--temperature", "nan"], "temperatures_k: "),
        (["lzc.cif", *OPTIONS, "--charge", "Zr"], "charge 'Zr': ELEMENT=CHARGE is allowed"),
        (["lzc.cif", *OPTIONS, "--walltime-minutes", "nan"], "--walltime-minutes nan: above 0 is allowed"),
        (["lzc.cif", *OPTIONS, "--out", "bare.cif"], "bare.cif: a folder that can be written is allowed"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    cif: Path, settled_host: Structure, tmp_path: Path, assert_refused: Any, arguments: list[str], named: str
) -> None:
    (tmp_path / "lzc.cif").write_bytes(cif.read_bytes())
    write_bad_crystals(tmp_path, settled_host)
    assert_refused(["barriers", *arguments], named)
