from __future__ import annotations

import json
from collections.abc import Callable
from math import comb
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Structure
from pymatgen.io.cif import CifWriter

from lzc_flows.crystal.host import ideal_host

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
    keys = {"arrangements", "orbits", "method", "exhaustive", "tiers", "decided_by", "lowest", "histogram"}
    assert set(document) == keys
    lowest = document["lowest"]
    assert len(lowest) == 100
    energies = [entry["energy_ev"] for entry in lowest]
    assert energies == pytest.approx([energies[0]] * 100, abs=1e-6)  # point charges cannot tell F from Cl
    assert all(entry["multiplicity"] * entry["stabiliser"] == 48 for entry in lowest)
    strains = [round(entry["instability_vu"], 6) for entry in lowest]
    assert strains == sorted(strains)
    ties = [entry["stabiliser"] for entry, strain in zip(lowest, strains, strict=True) if strain == strains[0]]
    assert ties == sorted(ties, reverse=True)
    electrostatics, bond_valence, symmetry = document["tiers"]
    assert electrostatics["compared"] == document["orbits"]
    assert electrostatics["tied"] == bond_valence["compared"]
    assert bond_valence["tied"] == symmetry["compared"] == len(ties)
    assert document["decided_by"] == "symmetry"
    assert set(lowest[0]["sites"]) == {"Ti3+", "F-", "Li+"}
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
    assert (document["method"], document["runs"]) == ("sampled", 32)
    assert document["runs_at_lowest"] >= 1  # bond valence tells them apart
    assert not document["exhaustive"]
    assert len(document["lowest"]) == 2
    lines = lzc("order", *options, "--tiers", "electrostatics,symmetry").out.splitlines()
    assert lines[1] == "too many to list, and no choice changes the energy: random orbits"


def test_the_table_is_for_people(lzc: Callable) -> None:
    result = lzc("order", "--cation", "Ti3+", "--top", "3")
    assert result.code == 0
    # one Ti on three Zr sites, one Li on nine vacant octahedra
    assert result.out.splitlines()[0].startswith("Ti3-1a+2d-x1_1x1x1: 27 arrangements, ")
    # counts, three tiers, the decision, a header and three rows
    assert len(result.out.splitlines()) == 9


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
        (["--top", "0"], "--top 0: Input should be greater than or equal to 1"),
        (["--seed", "-1"], "--seed -1: Input should be greater than or equal to 0"),
        (["--symprec", "1"], "symmetry tolerance 1 Å: above 0 and up to 0.124 Å"),
        (["--symprec", "0"], "--symprec 0"),
        (["--tiers", "symmetry,electrostatics"], "--tiers symmetry,electrostatics: electrostatics, then bond-valence"),
        (["--tiers", "electrostatics,static-energy,relaxed-energy,symmetry"], "static-energy or relaxed-energy, then"),
        (["--tiers", "x"], "--tiers x: Input should be"),
        (["--mobile", "Na+"], "host 'lzc': --mobile, --charge and --vacant are for crystal files"),
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
        ([*PAPER, "--count", "--figure", "x.png"], "--count: not together with --figure or --out"),
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


# ---- an engine, structures, charged cells ----


def test_an_engine_decides_and_the_structures_are_written(lzc: Callable, tmp_path: Path) -> None:
    options = ["--cation", "Ti3+", "--anion", "F-", "--n-anion", "2", "--top", "3", "--out", tmp_path / "best"]
    tiers = "electrostatics,bond-valence,relaxed-energy,symmetry"
    result = lzc("order", *options, "--tiers", tiers, "--engine", "nep", "--json")
    assert result.code == 0
    document = json.loads(result.out)
    energies = [entry["engine_energy_ev"] for entry in document["lowest"]]
    assert energies == sorted(energies)
    assert document["decided_by"] == "relaxed-energy"
    assert document["tiers"][2]["margin"] == pytest.approx(energies[1] - energies[0], rel=1e-6)
    files = sorted((tmp_path / "best").iterdir())
    assert [file.name for file in files] == ["1.cif", "2.cif", "3.cif"]
    structure = Structure.from_file(files[0])
    assert structure.composition.formula == "Li7 Zr2 Ti1 Cl16 F2"
    assert {str(species) for species in structure.elements} == {"Li+", "Ti3+", "Zr4+", "Cl-", "F-"}
    labels = {site.label.rpartition("_")[0] for site in structure if site.specie.symbol in ("Ti", "F")}
    assert labels in ({"Ti_1a", "F_6i"}, {"Ti_2d", "F_6i"})
    assert result.err == ""


def test_a_charged_cell_is_asked_for(lzc: Callable) -> None:
    document = json.loads(lzc("order", "--cation", "Ti3+", "--charged", "--json").out)
    assert document["arrangements"] == 3  # one Ti3+ on three Zr sites, no Li+
    assert set(document["lowest"][0]["sites"]) == {"Ti3+"}


# ---- crystal files ----


@pytest.fixture
def host_file(tmp_path: Path) -> Path:
    """The ideal host as a file with charges and nothing else."""
    path = tmp_path / "host.cif"
    CifWriter(ideal_host().structure).write_file(path)
    return path


VACANT = ["--vacant", "1b=0,0,0.5", "--vacant", "6g=0.3397,0,0"]


def test_a_crystal_file_is_a_host(lzc: Callable, host_file: Path) -> None:
    """1b, 6g and 2d' of the built-in host: 2d' is the second orbit of Wyckoff letter d."""
    assert ideal_host().site_counts == {"6h": 6, "1a": 1, "2d": 2, "6i": 18}
    built_in = json.loads(lzc("order", "--supercell", "2", "2", "1", "--cation", "Nb5+", "--count", "--json").out)
    options = ["--host", host_file, "--supercell", "2", "2", "1", "--cation", "Nb5+", "--count", "--json"]
    assert json.loads(lzc("order", *options).out) == built_in
    with_vacant = lzc("order", *options[:6], "--cation", "Ti3+", *VACANT, "--count", "--json")
    assert with_vacant.code == 0, with_vacant.err
    assert json.loads(with_vacant.out)["arrangements"] == 12 * 4 * 7


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--cation", "Ti3+"], "the supercell has 0 vacant sites"),
        (["--mobile", "Na+"], "no mobile Na+ in it: Cl-, Li+, Zr4+ are"),
        (["--vacant", "1b=0,0"], "vacant site '1b=0,0': LABEL=x,y,z is allowed"),
        (["--vacant", "1b=0,0,0"], "vacant site '1b' at [0.0, 0.0, 0.0] is taken"),
        (["--vacant", "3b=0,0,0.5"], "its orbit has 1 sites: 3 is allowed"),
        (["--charge", "Zr=3", "--charge", "Li=1", "--charge", "Cl=-1"], "its charges sum to -3 e: 0 is allowed"),
        (["--charge", "Zr=x"], "charge 'Zr=x'"),
    ],
)
def test_bad_crystal_files_are_one_line(lzc: Callable, host_file: Path, options: list[str], named: str) -> None:
    result = lzc("order", "--host", host_file, *options, "--count")
    assert (result.code, result.out) == (2, "")
    assert named in result.err
    assert len(result.err.splitlines()) == 1


def test_overlapping_sublattices_are_refused(lzc: Callable, tmp_path: Path) -> None:
    structure = ideal_host().structure.copy()
    structure.append("Li+", structure[0].frac_coords + np.array([0, 0, 0.02]), properties={"wyckoff": "6h"})
    structure.append("Cl-", [0.5, 0.5, 0.25], properties={"wyckoff": "6i"})
    path = tmp_path / "overlap.cif"
    CifWriter(structure).write_file(path)
    result = lzc("order", "--host", path, "--count")
    assert (result.code, result.out) == (2, "")
    assert "overlap, 0.12 Å apart: 0.5 Å and above is allowed" in result.err
    assert len(result.err.splitlines()) == 1
