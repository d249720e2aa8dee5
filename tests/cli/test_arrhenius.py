from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scipy import constants

from lzc_flows.transport.arrhenius import ArrheniusPoint, arrhenius

EA_EV, D0 = 0.25, 3e-3  # cm²/s
KB_EV = constants.k / constants.e
TEMPERATURES = (600.0, 800.0, 1000.0)


@pytest.fixture(scope="module")
def results(
    lzc: Callable, make_walk: Callable, write_run: Callable, tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """What `lzc diffusion --json` prints of walks at three temperatures, with a known activation energy."""
    folder, paths = tmp_path_factory.mktemp("results"), []
    for number, temperature in enumerate(TEMPERATURES):
        # D = step²/(2 · 0.02 ps), 1 Å²/ps = 1e-4 cm²/s
        step = math.sqrt(0.04 * D0 * 1e4 * math.exp(-EA_EV / (KB_EV * temperature)))
        walk = make_walk(frames=3000, step_A=step, seed=number)
        run = write_run(folder / f"{temperature:g}.h5", walk, temperature_k=temperature)
        paths.append(folder / f"{temperature:g}.json")
        paths[-1].write_text(lzc("diffusion", run, "--json").out)
    return paths


@pytest.fixture
def edited(results: list[Path], tmp_path: Path) -> Callable[..., Path]:
    """A copy of the first result with other entries."""

    def edit(**changes: Any) -> Path:
        path = tmp_path / "edited.json"
        path.write_text(json.dumps(json.loads(results[0].read_text()) | changes))
        return path

    return edit


def refused(result: Any, *named: str) -> None:
    assert (result.code, result.out) == (2, "")
    assert len(result.err.splitlines()) == 1
    for word in named:
        assert word in result.err


def test_the_activation_energy_of_the_walks(lzc: Callable, results: list[Path]) -> None:
    result = lzc("arrhenius", *results, "--json")
    assert (result.code, result.err) == (0, "")
    document = json.loads(result.out)
    assert abs(document["Ea_eV"] - EA_EV) < 4 * document["Ea_standard_error"]
    assert document["Ea_interval"] == pytest.approx(
        [document["Ea_eV"] - document["Ea_standard_error"], document["Ea_eV"] + document["Ea_standard_error"]]
    )
    low, high = document["sigma_300K_interval"]
    sigma = document["sigma_300K_mS_cm"]
    assert low < sigma < high
    # symmetric in the logarithm
    assert high / sigma == pytest.approx(sigma / low, rel=1e-9, abs=0)
    ratio = constants.e**2 * document["carriers_per_cm3"] * 1e6 / (constants.k * 300) * 1e-4 * 10
    assert sigma == pytest.approx(ratio * document["D_300K_cm2_s"], rel=1e-9, abs=0)
    assert document["extrapolation"]["sigma_mS_cm"] == sigma


def test_the_document_is_that_of_the_fit(lzc: Callable, results: list[Path]) -> None:
    read = [json.loads(path.read_text()) for path in results]
    names = ("temperature_k", "D_cm2_s", "D_interval", "carriers_per_cm3", "charge")
    line = arrhenius([ArrheniusPoint(*(one[name] for name in names)) for one in read])
    # in any order
    document = json.loads(lzc("arrhenius", *results[::-1], "--temperature", 400, "--json").out)
    assert document["Ea_eV"] == pytest.approx(line.Ea_ev, rel=1e-9, abs=0)
    assert document["D0_cm2_s"] == pytest.approx(line.D0_cm2_s, rel=1e-9, abs=0)
    assert document["chi2"] == pytest.approx(line.chi2, rel=1e-6, abs=1e-12)
    assert document["extrapolation"]["temperature_k"] == 400
    assert document["extrapolation"]["sigma_interval"] == pytest.approx(line.conductivity(400.0).interval, rel=1e-9)
    assert document["sigma_300K_interval"] == pytest.approx(line.conductivity(300.0).interval, rel=1e-9)
    assert [point["temperature_k"] for point in document["points"]] == list(TEMPERATURES)
    assert [point["tmsd_A2"] for point in document["points"]] == [one["tmsd_A2"] for one in read]


def test_people_read_lines_and_a_plot(lzc: Callable, results: list[Path], tmp_path: Path) -> None:
    result = lzc("arrhenius", *results, "--temperature", 350, "--figure", tmp_path / "arrhenius.png")
    assert result.code == 0
    for words in ("Ea = 0.", "σ(300 K) = ", "σ(350 K) = ", "degrees of freedom", "RSD by He"):
        assert words in result.out
    assert (tmp_path / "arrhenius.png").read_bytes().startswith(b"\x89PNG")


def test_too_few_temperatures(lzc: Callable, results: list[Path], tmp_path: Path) -> None:
    figure = tmp_path / "arrhenius.png"
    refused(lzc("arrhenius", *results[:2], "--figure", figure), "2 distinct temperature(s): at least 3")
    assert not figure.exists()


def test_one_result_twice(lzc: Callable, results: list[Path]) -> None:
    refused(lzc("arrhenius", *results, results[0]), "at 600 K stands twice")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("{}", "D_cm2_s: Field required"),
        ("[1]", "object"),
        ("words", "Invalid JSON"),
        ('{"D_cm2_s": "much"}', "D_cm2_s"),
    ],
)
def test_other_files_are_named(lzc: Callable, results: list[Path], tmp_path: Path, content: str, named: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    refused(lzc("arrhenius", *results, path), f"{path}: not what `lzc diffusion --json` prints", named)


def test_a_trajectory_is_no_result(lzc: Callable, results: list[Path]) -> None:
    path = results[0].with_suffix(".h5")
    refused(lzc("arrhenius", *results, path), f"{path}: not what `lzc diffusion --json` prints")


def test_a_file_that_is_not_there(lzc: Callable, results: list[Path], tmp_path: Path) -> None:
    refused(lzc("arrhenius", *results, tmp_path / "none.json"), "none.json: no such file")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"species": "Na"}, "results of mobile species Li and Na: one mobile species is allowed"),
        ({"formula": "Li3YCl6"}, "results of material Li2Cl and Li3YCl6"),
        ({"engine": "chgnet 1"}, "results of engine chgnet 1 and nep 1"),
        ({"engine": None}, "results of engine nep 1 and unknown"),
        ({"charge": 2.0, "D_cm2_s": 2.2e-5}, "one charge is allowed"),
        ({"D_cm2_s": -1.0}, "diffusivity -1 ("),
        ({"temperature_k": -600.0}, "temperature -600.0 K"),
    ],
)
def test_results_that_do_not_belong_together(
    lzc: Callable, results: list[Path], edited: Callable[..., Path], changes: dict[str, Any], named: str
) -> None:
    refused(lzc("arrhenius", *results, edited(**changes)), named)


@pytest.mark.parametrize("temperature", ["0", "-300", "nan", "inf"])
def test_temperatures_that_make_no_sense(lzc: Callable, results: list[Path], temperature: str) -> None:
    refused(lzc("arrhenius", *results, "--temperature", temperature, "--json"), f"temperature {float(temperature)} K")
