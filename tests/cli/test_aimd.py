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
import yaml
from pymatgen.core import Structure

from lzc_flows.crystal.host import ideal_host
from lzc_flows.documents.aimd_protocol import load_protocol
from lzc_flows.dynamics.checkpoint import steps_done
from lzc_flows.engines.aimd_worker import CHECKPOINT_FILE, TRAJECTORY_FILE
from lzc_flows.engines.mlip import MLIPS
from lzc_flows.recovery import worker as recovery
from lzc_flows.trajectory.reader import read_trajectory

COMMAND = [sys.executable, "-c", "from lzc_flows.cli.main import main; main()", "aimd"]
STEPS = 600

Lzc = Callable[..., Any]


@pytest.fixture(autouse=True)
def quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "POLL_S", 0.05)


def crystal() -> Structure:
    structure = ideal_host().structure.copy().remove_oxidation_states()
    return Structure(structure.lattice, structure.species, structure.frac_coords)


def write_protocol(path: Path, kelvin: float, ps: float, **more: Any) -> Path:
    """A ramp of 0.2 ps, then a constant temperature, with a checkpoint every 50 steps."""
    ramp = {"ensemble": "nvt", "temperature": [300, kelvin], "ps": 0.2, "time_step_fs": 2}
    hold = {"ensemble": "nvt", "temperature": kelvin, "ps": ps, "time_step_fs": 2}
    path.write_text(yaml.safe_dump({"segments": [ramp, hold], "checkpoint_interval_fs": 100, **more}))
    return path


@pytest.fixture(scope="module")
def cif(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("crystal") / "lzc.cif"
    crystal().to(str(path))
    return path


@pytest.fixture(scope="module")
def short(cif: Path) -> Path:
    """1.2 ps at 900 K: too short for a diffusivity, long enough to be cut off."""
    return write_protocol(cif.parent / "short.yaml", 900, 1.0)


@dataclass(frozen=True)
class Run:
    """A command that was run to its end in a folder of its own."""

    place: Path
    arguments: list[object]
    document: dict[str, Any]


@pytest.fixture(scope="module")
def hot(cif: Path, lzc: Lzc, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """3.2 ps at 1800 K: Li hops often enough for a diffusivity."""
    place = tmp_path_factory.mktemp("hot")
    protocol = write_protocol(place / "hot.yaml", 1800, 3.0, frame_interval_fs=10)
    arguments: list[object] = [cif, "--engine", "nep", "--protocol", protocol, "--seed", 1]
    with contextlib.chdir(place):
        result = lzc("aimd", *arguments, "--json")
    assert result.code == 0, result.err
    return Run(place, arguments, json.loads(result.out))


@pytest.fixture(scope="module")
def uncut(cif: Path, short: Path, lzc: Lzc, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the short run, never stopped."""
    folder = tmp_path_factory.mktemp("uncut") / "run"
    assert lzc("aimd", cif, "--protocol", short, "--out", folder).code == 0
    return folder


def contents(place: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


def assert_same(one: Path, other: Path) -> None:
    """Bit for bit."""
    left, right = read_trajectory(one / TRAJECTORY_FILE), read_trajectory(other / TRAJECTORY_FILE)
    assert np.array_equal(left.positions, right.positions)
    assert left.observables is not None
    assert right.observables is not None
    for name, values in vars(left.observables).items():
        assert np.array_equal(values, getattr(right.observables, name)), name


# ---- what it says ----


def test_json_says_all_of_the_run(hot: Run) -> None:
    document = hot.document
    assert set(document) >= {"file", "folder", "finished", "kinetics", "stability", "density", "no_density_because"}
    assert set(document) >= {"diffusion", "no_diffusion_because", "engine", "protocol", "seed", "corrections"}
    assert not {"structure", "final_structure"} & set(document)
    assert (document["finished"], document["seed"], document["corrections"], document["halvings"]) == (True, 1, [], 0)
    assert document["engine"] == MLIPS["nep"].stamp().model_dump()
    kinetics = document["kinetics"]
    assert kinetics["ps"] == pytest.approx(3.2, rel=1e-9)
    assert kinetics["frames"] == 321
    # without the frame at the start of the last segment
    assert kinetics["production_ps"] == pytest.approx(2.99, rel=1e-9)
    # 78 degrees of freedom: one frame scatters by 16 %, and successive ones are not independent
    assert kinetics["temperature_k"] == pytest.approx(1800, rel=0.1)
    assert kinetics["temperature_deviation_k"] == pytest.approx(1800 * np.sqrt(2 / 78), rel=0.4)
    assert 0 < kinetics["drift_ev_per_atom"] < 0.01
    assert document["stability"]["motion"].keys() == {"Zr", "Cl"}
    assert document["density"]["percolates"].keys() == {"1d", "2d", "3d", "a", "b", "c", "ab"}
    assert Path(document["folder"]).name == Path(document["trajectory"]).parent.name
    assert (hot.place / document["folder"]).name.startswith("aimd-lzc-")


def test_the_trajectory_is_what_lzc_diffusion_reads(hot: Run, lzc: Lzc) -> None:
    assert hot.document["no_diffusion_because"] is None
    result = lzc("diffusion", hot.place / hot.document["trajectory"], "--species", "Li", "--json")
    assert result.code == 0, result.err
    again = json.loads(result.out)
    found = hot.document["diffusion"]
    assert {name: again[name] for name in found if name != "notes"} == {
        name: value for name, value in found.items() if name != "notes"
    }
    low, high = found["D_interval"]
    assert low < found["D_cm2_s"] < high
    assert found["temperature_k"] == 1800


def test_the_same_command_again_runs_nothing(hot: Run, lzc: Lzc) -> None:
    before = contents(hot.place)
    start = time.monotonic()
    with contextlib.chdir(hot.place):
        again = lzc("aimd", *hot.arguments, "--json")
    assert time.monotonic() - start < 3
    assert (again.code, json.loads(again.out)) == (0, hot.document)
    assert contents(hot.place) == before


def test_the_lines_are_for_people(hot: Run, uncut: Path, cif: Path, short: Path, lzc: Lzc) -> None:
    with contextlib.chdir(hot.place):
        lines = lzc("aimd", *hot.arguments).out.splitlines()
    assert lines[0].startswith("3.2 ps, production 2.99 ps at 1")
    assert lines[0].endswith(f" K: {hot.document['stability']['label']}")
    assert lines[1].startswith(f"D = {hot.document['diffusion']['D_cm2_s']:.3g} cm²/s (")
    assert lines[2].endswith(" mS/cm at 1800 K")
    assert lines[3] == f"trajectory: {hot.document['trajectory']}"
    result = lzc("aimd", cif, "--protocol", short, "--out", uncut)
    assert "no diffusivity: trajectory of 50 frames (0.98 ps): too short for a fit" in result.out


def test_a_supercell_and_another_mobile_ion(cif: Path, tmp_path: Path, lzc: Lzc) -> None:
    protocol = write_protocol(tmp_path / "p.yaml", 300, 0.1)
    result = lzc(
        "aimd", cif, "--protocol", protocol, "--supercell", 1, 1, 2, "--mobile", "Cl", "--out", tmp_path / "o", "--json"
    )
    assert result.code == 0, result.err
    trajectory = read_trajectory(Path(json.loads(result.out)["trajectory"]))
    assert len(trajectory.species) == 54
    assert trajectory.cells[0, 2] == pytest.approx(2 * crystal().lattice.matrix[2], rel=1e-6, abs=1e-6)


# ---- cut off ----


def start(*arguments: object) -> subprocess.Popen:
    """Start `lzc aimd` as a shell does: in a group of its own, which Ctrl-C reaches whole."""
    command = [*COMMAND, *map(str, arguments)]
    ears = [sys.executable, "-c", "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "]
    ears[-1] += "os.execv(sys.argv[1], sys.argv[1:])"  # not deaf where the tests run in the background
    return subprocess.Popen(
        [*ears, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def workers_of(process: subprocess.Popen) -> list[psutil.Process]:
    return [child for child in psutil.Process(process.pid).children() if "aimd_worker" in " ".join(child.cmdline())]


def reach(folder: Path, step: int) -> None:
    end = time.monotonic() + 120
    while steps_done(folder / CHECKPOINT_FILE) < step:
        assert time.monotonic() < end, f"never reached step {step}"
        time.sleep(0.005)


@pytest.mark.parametrize("whole_group", [False, True])
def test_kill_and_ctrl_c_leave_no_worker_and_the_run_goes_on(
    cif: Path, short: Path, uncut: Path, tmp_path: Path, lzc: Lzc, whole_group: bool
) -> None:
    """kill -9 of the command alone, Ctrl-C to it and its worker: then the same command gives the uncut run."""
    arguments = (cif, "--protocol", short, "--out", tmp_path)
    process = start(*arguments)
    reach(tmp_path, 200)
    (worker,) = workers_of(process)
    if whole_group:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.kill()
    _, complaint = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in complaint
    _, alive = psutil.wait_procs([worker], timeout=5)
    assert alive == []
    assert 200 <= steps_done(tmp_path / CHECKPOINT_FILE) < STEPS
    result = lzc("aimd", *arguments, "--json")
    assert (result.code, json.loads(result.out)["finished"]) == (0, True)
    assert json.loads(result.out)["corrections"] == []
    assert_same(tmp_path, uncut)


def test_one_process_at_a_time_runs_in_a_folder(cif: Path, short: Path, tmp_path: Path, lzc: Lzc) -> None:
    process = start(cif, "--protocol", short, "--out", tmp_path)
    try:
        reach(tmp_path, 50)
        result = lzc("aimd", cif, "--protocol", short, "--out", tmp_path)
        assert steps_done(tmp_path / CHECKPOINT_FILE) < STEPS
        assert (result.code, result.out) == (2, "")
        assert result.err == f"lzc: {tmp_path}: another process runs there now; one at a time is allowed\n"
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("setting", ["--walltime-minutes", "LZC_WALLTIME_END_S", "SLURM_JOB_END_TIME"])
def test_a_run_stops_in_order_before_its_time_and_goes_on(
    cif: Path, short: Path, uncut: Path, tmp_path: Path, lzc: Lzc, set_lzc: Callable, setting: str
) -> None:
    """Told on the command line, by the user's batch script, or by SLURM itself."""
    arguments: list[object] = ["aimd", cif, "--protocol", short, "--out", tmp_path]
    soon = str(round(time.time()) + 60)  # within the margin
    with pytest.MonkeyPatch.context() as patch, set_lzc(**{setting: soon} if setting.startswith("LZC_") else {}):
        if setting.startswith("SLURM"):
            patch.setenv(setting, soon)
        limit = ["--walltime-minutes", 1e-6] if setting.startswith("--") else []
        result = lzc(*arguments, *limit)
    assert (result.code, result.out) == (0, f"{tmp_path}: stopped in order; the same command goes on\n")
    assert steps_done(tmp_path / CHECKPOINT_FILE) == 0
    if setting.startswith("--"):
        assert json.loads(lzc(*arguments, "--json").out)["launches"] == 2
        assert_same(tmp_path, uncut)


@pytest.mark.parametrize(
    ("options", "ps", "kelvin"),
    [
        (("lzc-short",), 22, 1100),
        (("lzc-long", "--temperature", 600), 262, 600),
        (("lzrc-npt", "--temperature", 450), 110, 450),
    ],
)
def test_protocols_have_names(
    cif: Path, tmp_path: Path, lzc: Lzc, options: tuple[object, ...], ps: float, kelvin: float
) -> None:
    command = ("aimd", cif, "--protocol", *options, "--out", tmp_path, "--walltime-minutes", 1e-6, "--json")
    result = lzc(*command)
    assert result.code == 0, result.err
    assert json.loads(result.out) == {"file": str(cif), "folder": str(tmp_path), "finished": False}
    trajectory = read_trajectory(tmp_path / TRAJECTORY_FILE)
    assert trajectory.header is not None
    protocol = yaml.safe_load(trajectory.header.protocol)
    assert sum(segment["ps"] for segment in protocol["segments"]) == ps
    assert protocol["segments"][-1]["temperature"] == kelvin


# ---- what cannot be analysed is kept all the same ----


@pytest.mark.parametrize(
    ("segments", "reason"),
    [
        ([{"ensemble": "nvt", "temperature": [300, 500], "ps": 0.06}], "goes from 300 to 500 K"),
        ([{"ensemble": "npt", "temperature": 300, "ps": 0.06}], "the cell of frame 2 differs"),
        ([{"ensemble": "nvt", "temperature": 300, "ps": 0.02}], "1 frame, must have at least 2"),
    ],
)
def test_a_run_that_no_analysis_takes_is_kept_with_the_reasons(
    cif: Path, tmp_path: Path, lzc: Lzc, segments: list[dict[str, Any]], reason: str
) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump({"segments": [{**segment, "time_step_fs": 2} for segment in segments]}))
    assert load_protocol(path).ps < 0.1
    arguments = ("aimd", cif, "--protocol", path, "--out", tmp_path / "run")
    result = lzc(*arguments, "--json")
    assert result.code == 0, result.err
    document = json.loads(result.out)
    assert (document["density"], document["diffusion"]) == (None, None)
    assert (document["stability"]["label"], document["stability"]["intact"]) == ("unknown", False)
    for said in (*document["stability"]["notes"], document["no_density_because"], document["no_diffusion_because"]):
        assert reason in said
    assert len(read_trajectory(Path(document["trajectory"]))) == document["kinetics"]["frames"]
    assert reason in lzc(*arguments).out


# ---- bad input ----


def bad_crystals(folder: Path) -> None:
    partial, bare, noble = crystal(), crystal(), crystal()
    partial[0] = {"Li": 0.5, "Na": 0.5}
    bare.remove_species(["Li"])
    noble.replace(len(noble) - 1, "Rn")
    for name, structure in (("partial", partial), ("bare", bare), ("noble", noble)):
        structure.to(str(folder / f"{name}.cif"))


PROTOCOL = "segments: [{{ensemble: {}, temperature: {}, ps: {}, time_step_fs: {}}}]\n"
BAD_PROTOCOLS = {
    "no-step.yaml": PROTOCOL.format("nvt", 300, 0.1, 0),
    "cold.yaml": PROTOCOL.format("nvt", 0, 0.1, 2),
    "below.yaml": PROTOCOL.format("nvt", "[300, -5]", 0.1, 2),
    "nan.yaml": PROTOCOL.format("nvt", ".nan", 0.1, 2),
    "odd.yaml": PROTOCOL.format("nvt", 300, 0.1, 3),
    "misspelt.yaml": PROTOCOL.format("nvt", 300, 0.1, 2) + "frame_intervall_fs: 20\n",
    "ensemble.yaml": PROTOCOL.format("nph", 300, 0.1, 2),
    "empty.yaml": "segments: []\n",
    "no.yaml": "- 1\n",
}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["absent.cif"], "absent.cif: no such file"),
        (["."], ".: no such file"),
        (["partial.cif"], "partial.cif: partially occupied; a crystal with one element a site is allowed"),
        (["bare.cif"], "bare.cif: no Li in it; it has Cl, Zr"),
        (["lzc.cif", "--mobile", "Na"], "lzc.cif: no Na in it; it has Cl, Li, Zr"),
        (["noble.cif"], "engine 'nep': its model does not know Rn"),
        (["lzc.cif", "--engine", "vasp6"], "engine 'vasp6': allowed are chgnet, nep"),
        (["lzc.cif", "--supercell", "0", "1", "1"], "supercell 0 1 1: three positive integers are allowed"),
        (["lzc.cif", "--walltime-minutes", "0"], "--walltime-minutes 0: above 0 is allowed"),
        (["lzc.cif", "--walltime-minutes", "nan"], "--walltime-minutes nan: above 0 is allowed"),
        (["lzc.cif", "--protocol", "lzc-shrt"], "protocol 'lzc-shrt': allowed are lzc-short, lzc-long, lzrc-npt"),
        (["lzc.cif", "--protocol", "absent.yaml"], "absent.yaml"),
        (["lzc.cif", "--temperature", "900"], "a temperature of 1100 K is allowed (given: 900)"),
        (["lzc.cif", "--protocol", "lzc-long"], "a temperature of 600 to 1100 K is allowed (none given)"),
        (["lzc.cif", "--protocol", "lzc-long", "--temperature", "nan"], "600 to 1100 K is allowed (given: nan)"),
        (["lzc.cif", "--protocol", "fine.yaml", "--temperature", "900"], "no other is allowed"),
        (["lzc.cif", "--protocol", "no-step.yaml"], "no-step.yaml: segments.0.time_step_fs"),
        (["lzc.cif", "--protocol", "cold.yaml"], "temperatures above 0 K are allowed"),
        (["lzc.cif", "--protocol", "below.yaml"], "temperatures above 0 K are allowed"),
        (["lzc.cif", "--protocol", "nan.yaml"], "temperatures above 0 K are allowed"),
        (["lzc.cif", "--protocol", "odd.yaml"], "a whole number of time steps is allowed"),
        (["lzc.cif", "--protocol", "misspelt.yaml"], "frame_intervall_fs"),
        (["lzc.cif", "--protocol", "ensemble.yaml"], "ensemble"),
        (["lzc.cif", "--protocol", "empty.yaml"], "at least one segment is allowed"),
        (["lzc.cif", "--protocol", "no.yaml"], "no.yaml"),
        (["lzc.cif", "--out", "fine.yaml"], "fine.yaml: a folder that can be written is allowed (File exists)"),
        (["lzc.cif", "--out", "fine.yaml/in"], "fine.yaml/in: a folder that can be written is allowed"),
        (["lzc.cif", "--out", "/proc/in"], "/proc/in: a folder that can be written is allowed"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    cif: Path, tmp_path: Path, assert_refused: Any, arguments: list[str], named: str
) -> None:
    (tmp_path / "lzc.cif").write_bytes(cif.read_bytes())
    bad_crystals(tmp_path)
    for name, content in BAD_PROTOCOLS.items():
        (tmp_path / name).write_text(content)
    write_protocol(tmp_path / "fine.yaml", 300, 0.1)
    assert_refused(["aimd", *arguments], named)


@pytest.mark.parametrize("other", ["seed", "protocol", "structure"])
def test_a_folder_of_another_run_is_left_alone(
    cif: Path, short: Path, uncut: Path, tmp_path: Path, lzc: Lzc, other: str
) -> None:
    before = contents(uncut)
    arguments: dict[str, object] = {"file": cif, "--protocol": short, "--seed": 1, "--out": uncut}
    if other == "seed":
        arguments["--seed"] = 2
    if other == "protocol":
        arguments["--protocol"] = write_protocol(tmp_path / "p.yaml", 900, 1.2)
    if other == "structure":
        arguments["file"] = tmp_path / "moved.cif"
        crystal().perturb(0.01, seed=1).to(str(tmp_path / "moved.cif"))
    file = arguments.pop("file")
    result = lzc("aimd", file, *(word for option in arguments.items() for word in option))
    assert (result.code, result.out) == (2, "")
    expected = f"lzc: checkpoint {uncut / CHECKPOINT_FILE}: of another {other}; one of this run is allowed\n"
    assert result.err == expected
    assert contents(uncut) == before


def test_a_trajectory_of_another_run_is_left_alone(
    cif: Path, short: Path, uncut: Path, tmp_path: Path, lzc: Lzc
) -> None:
    """Also without a checkpoint beside it; and the worker is not tried again and again."""
    copy = tmp_path / TRAJECTORY_FILE
    copy.write_bytes((uncut / TRAJECTORY_FILE).read_bytes())
    result = lzc("aimd", cif, "--protocol", short, "--seed", 2, "--out", tmp_path)
    assert result.code == 2
    assert result.err == f"lzc: {copy}: of another run, its seed is 1, must be 2 to continue\n"
    assert copy.read_bytes() == (uncut / TRAJECTORY_FILE).read_bytes()


def test_a_damaged_checkpoint_is_one_line(cif: Path, short: Path, uncut: Path, tmp_path: Path, lzc: Lzc) -> None:
    (tmp_path / TRAJECTORY_FILE).write_bytes((uncut / TRAJECTORY_FILE).read_bytes())
    (tmp_path / CHECKPOINT_FILE).write_bytes((uncut / CHECKPOINT_FILE).read_bytes()[:1000])
    before = contents(tmp_path)
    result = lzc("aimd", cif, "--protocol", short, "--out", tmp_path)
    assert result.code == 2
    assert f"checkpoint {tmp_path / CHECKPOINT_FILE}: damaged" in result.err
    assert len(result.err.splitlines()) == 1
    assert contents(tmp_path) == before
