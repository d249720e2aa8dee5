from __future__ import annotations

import json
from collections.abc import Callable
from math import comb
from pathlib import Path

import pytest

PAPER = [
    "--host",
    "lzc",
    "--supercell",
    "2",
    "2",
    "1",
    "--cation",
    "Ti3+",
    "--n-cation",
    "1",
    "--cation-sites",
    "1a,2d",
]
PAPER += ["--anion", "F-", "--n-anion", "3"]


def test_the_count_of_the_source(lzc: Callable) -> None:
    # section 1.10: 12 × C(72, 3) × 36 arrangements
    result = lzc("order", *PAPER, "--count", "--json")
    assert result.code == 0
    document = json.loads(result.out)
    assert document["arrangements"] == 25_764_480
    assert set(document) == {"arrangements", "orbits"}
    # every orbit holds at most as many arrangements as the supercell has operations, 12 × 4
    assert document["orbits"] > document["arrangements"] / 48


def test_the_lowest_orbits_and_the_histogram(lzc: Callable) -> None:
    result = lzc("order", *PAPER, "--top", "100", "--json")
    assert result.code == 0
    document = json.loads(result.out)
    assert document["method"] == "enumerated"
    assert set(document) == {"arrangements", "orbits", "method", "lowest", "histogram"}
    lowest = document["lowest"]
    assert len(lowest) == 100
    energies = [entry["energy_ev"] for entry in lowest]
    assert energies == pytest.approx([energies[0]] * 100, abs=1e-6)  # point charges cannot tell F from Cl
    assert all(entry["multiplicity"] * entry["stabiliser"] == 48 for entry in lowest)
    stabilisers = [entry["stabiliser"] for entry in lowest]
    assert stabilisers == sorted(stabilisers, reverse=True)
    assert sum(document["histogram"]["arrangements"]) == document["arrangements"]
    assert document["histogram"]["centres_ev"][0] == pytest.approx(energies[0], abs=0.005)


TOO_MANY = ["--supercell", "2", "2", "1", "--cation", "Mg2+", "--n-cation", "3", "--anion", "O2-", "--n-anion", "4"]


def test_too_many_to_list_are_sampled(lzc: Callable) -> None:
    # 3 Mg2+ on 12 sites, 4 O2- on 72, the 10 Li+ that they need on 36
    result = lzc("order", *TOO_MANY, "--top", "3", "--seed", "5", "--json")
    assert result.code == 0
    document = json.loads(result.out)
    assert document["arrangements"] == comb(12, 3) * comb(72, 4) * comb(36, 10)
    assert document["orbits"] > document["arrangements"] / 48
    assert (document["method"], document["samples"], document["seed"], document["runs"]) == ("sampled", 100_000, 5, 32)
    assert 1 <= document["runs_at_lowest"] <= 32
    assert len(document["lowest"]) == 3
    assert all(entry["multiplicity"] * entry["stabiliser"] == 48 for entry in document["lowest"])
    histogram = document["histogram"]
    assert set(histogram) == {"bin_ev", "centres_ev", "sampled_arrangements"}
    assert sum(histogram["sampled_arrangements"]) == 100_000
    assert document["lowest"][0]["energy_ev"] < histogram["centres_ev"][0]  # the search beats chance


def test_more_than_1e20_that_no_choice_tells_apart(lzc: Callable) -> None:
    options = ["--supercell", "2", "2", "2", "--anion", "F-", "--n-anion", "30", "--top", "2"]
    document = json.loads(lzc("order", *options, "--json").out)
    assert document["arrangements"] == comb(144, 30) > 10**20
    assert (document["method"], document["runs"], document["runs_at_lowest"]) == ("sampled", 0, 0)
    assert len(document["lowest"]) == 2
    lines = lzc("order", *options).out.splitlines()
    assert lines[1] == "too many to list, and no choice changes the energy: random orbits"


def test_the_table_is_for_people(lzc: Callable) -> None:
    result = lzc("order", "--cation", "Ti3+", "--top", "3")
    assert result.code == 0
    # one Ti on three Zr sites, one Li on nine vacant octahedra
    assert result.out.splitlines()[0].startswith("Ti3-1a+2d-x1_1x1x1: 27 arrangements, ")
    assert len(result.out.splitlines()) == 5


def test_nothing_to_place_is_one_arrangement(lzc: Callable) -> None:
    assert json.loads(lzc("order", "--count", "--json").out) == {"arrangements": 1, "orbits": 1}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--host", "x"], "host 'x': allowed are lzc"),
        (["--host", "lzc-rietveld", "--cation", "Ti3+"], "host 'lzc-rietveld': partially occupied"),
        (["--cation", "F-"], "--cation F-: a cation is allowed"),
        (["--anion", "Ti3+"], "--anion Ti3+: an anion is allowed"),
        (["--cation", "Ti3+", "--n-cation", "0"], "--n-cation 0: 1 and above is allowed"),
        (["--cation", "Ti3+", "--n-cation", "9"], "9 Ti3+ on '1a+2d'"),
        (["--cation", "Ti3+", "--cation-sites", "9z"], "site '9z'"),
        (["--cation", "Ti3+", "--cation-sites", "1a,1a"], "each label once is allowed"),
        (["--supercell", "0", "1", "1"], "supercell 0 1 1: three positive integers are allowed"),
    ],
)
def test_bad_input_is_one_line(lzc: Callable, options: list[str], named: str) -> None:
    result = lzc("order", *options, "--count")
    assert (result.code, result.out) == (2, "")
    assert named in result.err
    assert len(result.err.splitlines()) == 1


def test_the_figure_of_all_energies(lzc: Callable, tmp_path: Path) -> None:
    path = tmp_path / "histogram.png"
    assert lzc("order", *PAPER, "--figure", path, "--json").code == 0
    first = path.read_bytes()
    assert first.startswith(b"\x89PNG")
    assert lzc("order", *PAPER, "--figure", path, "--json").code == 0
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ([*PAPER, "--count", "--figure", "x.png"], "--figure: not together with --count"),
        ([*PAPER, "--figure", "/proc/none/x.png"], "a file that can be written is allowed"),
        # F for Cl changes no charge: one energy, no histogram
        (["--anion", "F-", "--figure", "x.png"], "all arrangements have the energy"),
    ],
)
def test_figures_that_cannot_be(lzc: Callable, options: list[str], named: str, tmp_path: Path) -> None:
    result = lzc("order", *options)
    assert (result.code, result.out) == (2, "")
    assert named in result.err
    assert len(result.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())
