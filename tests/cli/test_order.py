from __future__ import annotations

import json
from collections.abc import Callable

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
    lowest = document["lowest"]
    assert len(lowest) == 100
    energies = [entry["energy_ev"] for entry in lowest]
    assert energies == pytest.approx([energies[0]] * 100, abs=1e-6)  # point charges cannot tell F from Cl
    assert all(entry["multiplicity"] * entry["stabiliser"] == 48 for entry in lowest)
    stabilisers = [entry["stabiliser"] for entry in lowest]
    assert stabilisers == sorted(stabilisers, reverse=True)
    assert sum(document["histogram"]["arrangements"]) == document["arrangements"]
    assert document["histogram"]["centres_ev"][0] == pytest.approx(energies[0], abs=0.005)


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
