from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from pymatgen.core import Lattice, Structure
from pymatgen.core.trajectory import Trajectory
from scipy import constants

from lzc_flows.documents.aimd_protocol import AimdProtocol, Segment
from lzc_flows.trajectory.model import Frame, Header
from lzc_flows.trajectory.writer import Writer
from lzc_flows.transport.diffusion import diffusion
from lzc_flows.transport.motion import Motion

Walk = Any
PROMISED = {"D_cm2_s", "D_interval", "rsd_he", "tmsd_A2", "sigma_mS_cm", "by_direction", "haven_ratio"}


@pytest.fixture(scope="module")
def walk(make_walk: Callable[..., Walk]) -> Walk:
    return make_walk()


@pytest.fixture(scope="module")
def run(walk: Walk, write_run: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("run") / "trajectory.h5", walk)


@pytest.fixture(scope="module")
def short(make_walk: Callable[..., Walk]) -> Walk:
    return make_walk(frames=500, step_A=0.5)


def extxyz(path: Path, walk: Walk, scales: np.ndarray | None = None) -> Path:
    """As ASE writes it, wrapped; each frame's cell may be scaled."""
    frames = []
    for number, positions in enumerate(walk.positions):
        scale = 1.0 if scales is None else scales[number]
        frames.append(Atoms(walk.species, positions * scale, cell=walk.cell * scale, pbc=True))
        frames[-1].wrap()
    ase.io.write(path, frames, format="extxyz")
    return path


def xdatcar(path: Path, walk: Walk) -> Path:
    """As pymatgen writes it."""
    fractional = walk.positions @ np.linalg.inv(walk.cell) % 1
    lattice = Lattice(walk.cell)
    Trajectory.from_structures([Structure(lattice, walk.species, one) for one in fractional]).write_Xdatcar(path)
    return path


def by_hand(positions: np.ndarray, walk: Walk, temperature_k: float) -> Any:
    return diffusion(Motion(positions, 0.02, walk.species, walk.cell), "Li", temperature_k)


def refused(result: Any, *named: str) -> None:
    assert (result.code, result.out) == (2, "")
    assert len(result.err.splitlines()) == 1
    for word in named:
        assert word in result.err


# ---- what it says ----


def test_our_own_file_needs_nothing_but_its_name(lzc: Callable, walk: Walk, run: Path) -> None:
    result = lzc("diffusion", run, "--json")
    assert (result.code, result.err) == (0, "")
    document = json.loads(result.out)
    # the ramp of 100 frames and the frame at its end are left out
    expected = by_hand(walk.positions[101:], walk, 900.0)
    assert document.keys() >= PROMISED
    assert document["part_ps"] == pytest.approx([101 * 0.02, 2999 * 0.02])
    assert document["D_cm2_s"] == pytest.approx(expected.D_cm2_s, rel=1e-6, abs=0)
    assert document["D_interval"] == pytest.approx(expected.D_interval, rel=1e-6, abs=0)
    assert document["sigma_mS_cm"] == pytest.approx(expected.sigma_mS_cm, rel=1e-6, abs=0)
    assert document["haven_ratio"] == pytest.approx(expected.haven_ratio, rel=1e-6, abs=0)
    for direction in ("a", "b", "c", "ab"):
        one = document["by_direction"][direction]
        assert one["D_cm2_s"] == pytest.approx(expected.by_direction[direction].D_cm2_s, rel=1e-6, abs=0)
        assert one["D_interval"][0] < one["D_cm2_s"] < one["D_interval"][1]
    assert (document["temperature_k"], document["formula"], document["engine"]) == (900.0, "Li2Cl", "nep 1")
    assert document["notes"] == []


def test_the_numbers_are_those_of_the_walk(lzc: Callable, walk: Walk, run: Path) -> None:
    document = json.loads(lzc("diffusion", run, "--json").out)
    assert abs(document["D_cm2_s"] - walk.diffusivity) < 4 * document["D_standard_error"]
    # σ = n q² D / kT in SI units: S/m is 10 mS/cm
    per_m3 = 12 / (abs(np.linalg.det(walk.cell)) * 1e-30)
    siemens_per_m = per_m3 * constants.e**2 * document["D_cm2_s"] * 1e-4 / (constants.k * 900)
    assert document["sigma_mS_cm"] == pytest.approx(10 * siemens_per_m, rel=1e-9, abs=0)
    hops = document["tmsd_A2"] / 3.4**2
    assert document["rsd_he"] == pytest.approx(3.43 / math.sqrt(hops) + 0.04, rel=1e-9, abs=0)


@pytest.mark.parametrize("write", [extxyz, xdatcar])
def test_files_that_others_wrote_give_the_same(lzc: Callable, short: Walk, tmp_path: Path, write: Callable) -> None:
    path = write(tmp_path / "others", short)
    result = lzc("diffusion", path, "--species", "Li", "--temperature", 700, "--time-step-fs", 20, "--json")
    assert (result.code, result.err) == (0, "")
    document = json.loads(result.out)
    expected = by_hand(short.positions, short, 700.0)
    # the files carry 6 to 8 decimals
    assert document["D_cm2_s"] == pytest.approx(expected.D_cm2_s, rel=1e-4, abs=0)
    assert document["tmsd_A2"] == pytest.approx(expected.tmsd_A2, rel=1e-4, abs=0)
    assert (document["engine"], document["mean_temperature_k"]) == (None, None)


def test_half_the_time_between_frames_is_twice_the_diffusivity(lzc: Callable, short: Walk, tmp_path: Path) -> None:
    path = extxyz(tmp_path / "x.xyz", short)
    slow, fast = (
        json.loads(lzc("diffusion", path, "--temperature", 700, "--time-step-fs", fs, "--json").out) for fs in (20, 10)
    )
    assert fast["D_cm2_s"] == pytest.approx(2 * slow["D_cm2_s"], rel=1e-9, abs=0)


def test_skip_ps_counts_from_the_start_of_what_is_analysed(lzc: Callable, walk: Walk, run: Path) -> None:
    document = json.loads(lzc("diffusion", run, "--skip-ps", 10, "--json").out)
    assert document["part_ps"][0] == pytest.approx(12.02)
    expected = by_hand(walk.positions[601:], walk, 900.0)
    assert document["D_cm2_s"] == pytest.approx(expected.D_cm2_s, rel=1e-6, abs=0)


def test_charge_and_hop_distance(lzc: Callable, run: Path) -> None:
    one, two = (
        json.loads(lzc("diffusion", run, *options, "--json").out)
        for options in ([], ["--charge", 2, "--hop-distance", 3.0])
    )
    # a shorter hop, a shorter window
    assert two["window_ps"][0] < one["window_ps"][0]
    ratio = two["sigma_mS_cm"] / two["D_cm2_s"] / (one["sigma_mS_cm"] / one["D_cm2_s"])
    assert ratio == pytest.approx(4, rel=1e-9, abs=0)


def test_people_read_a_table(lzc: Callable, run: Path) -> None:
    result = lzc("diffusion", run)
    assert result.code == 0
    for words in ("Li2Cl, 12 Li, 900 K", "D along c", "cm²/s", "mS/cm", "Haven ratio", "effective hops"):
        assert words in result.out


def test_the_figure_is_written(lzc: Callable, run: Path, tmp_path: Path) -> None:
    result = lzc("diffusion", run, "--figure", tmp_path / "msd.png")
    assert result.code == 0
    assert (tmp_path / "msd.png").read_bytes().startswith(b"\x89PNG")


def test_a_temperature_that_was_not_held_is_noted(
    lzc: Callable, make_walk: Callable, write_run: Callable, tmp_path: Path
) -> None:
    path = write_run(tmp_path / "t.h5", make_walk(frames=700, step_A=0.5), kinetic_k=600.0)
    document = json.loads(lzc("diffusion", path, "--json").out)
    assert "the mean kinetic temperature is 600 K, not 900 K" in document["notes"]


# ---- damaged files ----


def test_a_file_that_was_cut_off_gives_what_is_whole_and_says_so(lzc: Callable, run: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.h5"
    whole = run.read_bytes()
    path.write_bytes(whole[: len(whole) * 3 // 4])
    result = lzc("diffusion", path, "--json")
    assert result.code == 0
    assert len(result.err.splitlines()) == 1
    assert str(path) in result.err
    assert "frames are whole and kept" in result.err
    document = json.loads(result.out)
    assert 2.02 + 10 < document["part_ps"][1] < 59.9


def test_a_file_with_nothing_left_is_refused(lzc: Callable, run: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.h5"
    path.write_bytes(run.read_bytes()[:600])
    refused(lzc("diffusion", path), str(path), "nothing can be recovered")


# ---- bad input ----


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--species", "Na"], ["species Na: not in the trajectory, which holds Cl, Li"]),
        (["--temperature", "1000"], ["--temperature 1000", "held at 900 K"]),
        (["--temperature", "nan"], ["--temperature nan", "held at 900 K"]),
        (["--time-step-fs", "20"], ["holds its own times"]),
        (["--skip-ps", "-1"], ["--skip-ps -1: 0 and above"]),
        (["--skip-ps", "nan"], ["--skip-ps nan: 0 and above"]),
        (["--skip-ps", "1000"], ["no frame between 1002.02 and inf ps"]),
        (["--skip-ps", "57"], ["frames (", "too short for a fit"]),
        (["--charge", "0"], ["charge 0.0"]),
        (["--hop-distance", "0"], ["hop distance 0.0 Å"]),
    ],
)
def test_bad_options_are_one_line(
    lzc: Callable, run: Path, tmp_path: Path, options: list[str], named: list[str]
) -> None:
    result = lzc("diffusion", run, *options, "--figure", tmp_path / "msd.png", "--json")
    refused(result, *named)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--temperature", "700"], ["does not hold the time between its frames"]),
        (["--time-step-fs", "20"], ["does not hold its temperature"]),
        (["--time-step-fs", "0", "--temperature", "700"], ["time step: 0.0 fs, must be above 0"]),
        (["--time-step-fs", "nan", "--temperature", "700"], ["time step: nan fs"]),
        (["--time-step-fs", "20", "--temperature", "0"], ["temperature 0.0 K: more than zero"]),
        (["--time-step-fs", "20", "--temperature", "-300"], ["temperature -300.0 K"]),
        (["--time-step-fs", "20", "--temperature", "inf"], ["temperature inf K"]),
    ],
)
def test_files_of_others_need_what_they_do_not_hold(
    lzc: Callable, short: Walk, tmp_path: Path, options: list[str], named: list[str]
) -> None:
    path = extxyz(tmp_path / "x.xyz", short)
    result = lzc("diffusion", path, *options, "--figure", tmp_path / "msd.png")
    refused(result, *named)
    assert list(tmp_path.iterdir()) == [path]


def test_a_cell_that_changes_is_refused(lzc: Callable, short: Walk, tmp_path: Path) -> None:
    path = extxyz(tmp_path / "x.xyz", short, np.linspace(1, 1.05, len(short.positions)))
    refused(lzc("diffusion", path, "--temperature", 700, "--time-step-fs", 20), str(path), "must be the same in all")


@pytest.mark.parametrize(
    ("content", "reason"), [("", "empty"), ("words\n" * 20, "unknown format"), (None, "no such file")]
)
def test_other_files_are_refused(lzc: Callable, tmp_path: Path, content: str | None, reason: str) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_text(content)
    refused(lzc("diffusion", path, "--temperature", 700, "--time-step-fs", 20), str(path), reason)


def test_a_run_that_ends_with_a_ramp_is_refused(lzc: Callable, short: Walk, tmp_path: Path) -> None:
    protocol = AimdProtocol(segments=(Segment(ensemble="nvt", temperature=(100.0, 900.0), ps=10, time_step_fs=2),))
    with Writer.create(
        tmp_path / "t.h5", Header(short.species, 2.0, 10, "", protocol.model_dump_json(), 1, "")
    ) as file:
        for number, positions in enumerate(short.positions):
            file.append(Frame(10 * number, 0.02 * number, positions, short.cell, 500.0, 0.0, 0.0, 0.0))
    refused(lzc("diffusion", tmp_path / "t.h5"), "goes from 100 to 900 K", "must be at one temperature")


def test_ions_that_stay_have_no_diffusivity(lzc: Callable, make_walk: Callable, tmp_path: Path) -> None:
    path = extxyz(tmp_path / "x.xyz", make_walk(frames=300, step_A=0.001))
    result = lzc("diffusion", path, "--temperature", 300, "--time-step-fs", 20, "--json")
    assert (result.code, result.out) == (1, "")
    assert len(result.err.splitlines()) == 1
    assert str(path) in result.err
    assert "effective hops: a diffusivity needs at least 10" in result.err


def test_a_figure_that_cannot_be_written_is_one_line(lzc: Callable, run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(lzc("diffusion", run, "--figure", tmp_path / "file" / "msd.png"), "--figure", "can be written")
