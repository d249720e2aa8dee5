from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from lzc_flows.crystal.host import aimd_host, ideal_host, rietveld_host
from lzc_flows.documents.aimd_protocol import AimdProtocol, Segment
from lzc_flows.hopping.host_sites import host_sites
from lzc_flows.trajectory.model import Frame, Header
from lzc_flows.trajectory.writer import Writer


@pytest.fixture
def cif(tmp_path: Path) -> Path:
    path = tmp_path / "lzc.cif"
    ideal_host().structure.copy().remove_oxidation_states().to(str(path))
    return path


@pytest.fixture
def tall(tmp_path: Path) -> Path:
    path = tmp_path / "tall.cif"
    aimd_host().structure.copy().remove_oxidation_states().to(str(path))
    return path


def test_json_from_the_hosts_lattice(lzc: Callable, tall: Path) -> None:
    result = lzc("hops", tall, "--host", "lzc", "--json")
    assert result.code == 0
    document = json.loads(result.out)
    assert (document["file"], document["formula"], document["symmetry"]) == (str(tall), "Li2ZrCl6", "P-3m1")
    assert {(site["label"], site["occupied"], site["multiplicity"]) for site in document["sites"]} == {
        ("6h", True, 18),
        ("6g", False, 18),
        ("1b", False, 3),
        ("2d'", False, 6),
    }
    hops = {hop["id"]: hop for hop in document["hops"]}
    assert len(hops) == len(document["hops"]) == 13
    along_c = hops["vacancy-1"]
    assert (along_c["labels"], along_c["vacancy"], along_c["direction_word"]) == (["6h", "6g"], "6h", "c")
    assert along_c["multiplicity"] == 36
    assert along_c["distance_angstrom"] == pytest.approx(3.0199, abs=1e-3)
    assert (along_c["extra_ions"], along_c["charge_e"]) == (-1, -1)
    assert abs(along_c["direction"][2]) == pytest.approx(1, abs=1e-2)
    assert along_c["surroundings"] == {
        "dopant_distances_angstrom": {},
        "anions_in_bottleneck": {"Cl": 3},
        "dopant_anions": 0,
        "dopant_shell": "none",
    }
    knock = hops["interstitialcy-1"]
    assert len(knock["labels"]) == 3
    assert len(knock["distances_angstrom"]) == len(knock["moves"]) == 2
    assert knock["distance_angstrom"] == knock["distances_angstrom"][0]


def test_json_from_the_landscape(lzc: Callable, cif: Path) -> None:
    document = json.loads(lzc("hops", cif, "--mechanism", "frenkel", "--mechanism", "interstitial", "--json").out)
    assert document["source"] == "bvse"
    assert [hop["mechanism"] for hop in document["hops"]] == ["frenkel"] * 2 + ["interstitial"] * 5
    found = {(*hop["labels"], hop["multiplicity"]) for hop in document["hops"][:2]}
    assert found == {("6h", "6i''", 12), ("6h", "6g", 12)}


def test_dopants_are_told(lzc: Callable, tmp_path: Path) -> None:
    structure = aimd_host().structure.copy().remove_oxidation_states()
    structure.replace(next(i for i, s in enumerate(structure) if s.specie.symbol == "Zr"), "Ti")
    structure.replace(next(i for i, s in enumerate(structure) if s.specie.symbol == "Cl"), "F")
    path = tmp_path / "doped.cif"
    structure.to(str(path))
    options = ("hops", path, "--host", "lzc", "--mechanism", "frenkel")
    hops = json.loads(lzc(*options, "--json").out)["hops"]
    around = [hop["surroundings"] for hop in hops]
    assert all(set(entry["dopant_distances_angstrom"]) == {"F", "Ti"} for entry in around)
    assert {entry["dopant_anions"] for entry in around} == {0, 1}
    assert {entry["dopant_shell"] for entry in around} == {"near", "far"}
    lines = lzc(*options).out.splitlines()
    assert sum("Ti at" in line for line in lines) == len(hops)


def test_the_table_is_for_people(lzc: Callable, cif: Path) -> None:
    result = lzc("hops", cif, "--host", "lzc")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == "Li2ZrCl6, P-3m1, sites of Li from lzc"
    assert [line.split()[0] for line in lines[2:6]] == ["6h", "1b", "2d'", "6g"]
    assert len(lines) == 7 + 12
    assert "6g → 6h → 6g" in result.out


def test_both_ends_as_files(lzc: Callable, cif: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "ends"
    result = lzc("hops", cif, "--host", "lzc", "--mechanism", "interstitialcy", "--out", folder, "--json")
    document = json.loads(result.out)
    assert sorted(document["written"]) == sorted(map(str, folder.iterdir()))
    assert len(document["written"]) == 2 * len(document["hops"])
    for hop in document["hops"]:
        initial, final = (Structure.from_file(folder / f"{hop['id']}-{end}.cif") for end in ("initial", "final"))
        assert initial.species == final.species
        assert len(initial) == 28
        apart = final.frac_coords - initial.frac_coords
        lengths = np.linalg.norm((apart - np.rint(apart)) @ initial.lattice.matrix, axis=1)
        moved = lengths[lengths > 1e-3]
        assert sorted(moved) == pytest.approx(sorted(hop["distances_angstrom"]), abs=1e-3)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our own file of 20 ps of the 81-atom host: one ion goes ten times between its 6h and the 6g next to it."""
    host = aimd_host()
    crystal = host.structure
    sites = host_sites(crystal, host)
    to, cell = next(one for one in sorted(sites.neighbours[0]) if sites.labels[one[0]] == "6g")
    held = Segment(ensemble="nvt", temperature=900.0, ps=20, time_step_fs=2)
    header = Header(
        tuple(site.specie.symbol for site in crystal),
        *(2.0, 10, "nep 1", AimdProtocol(segments=(held,)).model_dump_json(), 1, "0" * 16),
    )
    rng = np.random.default_rng(2)
    path = tmp_path_factory.mktemp("run") / "trajectory.h5"
    with Writer.create(path, header) as writer:
        for number in range(1001):
            fractional = crystal.frac_coords.copy()
            if number // 91 % 2:
                fractional[sites.atoms[0]] = sites.fractional[to] + cell
            positions = fractional @ crystal.lattice.matrix + rng.uniform(-0.3, 0.3, fractional.shape)
            writer.append(Frame(10 * number, 0.02 * number, positions, crystal.lattice.matrix, 900.0, 0.0, 0.0, 0.0))
    return path


def test_hops_that_a_trajectory_shows(lzc: Callable, tall: Path, run: Path) -> None:
    options = ("hops", tall, "--host", "lzc", "--trajectory", run)
    document = json.loads(lzc(*options, "--json").out)
    shown = document["trajectory"]
    assert (shown["file"], shown["jumps"], shown["between_neighbours"]) == (str(run), 10, 10)
    assert shown["length_ps"] == pytest.approx(20)
    # as it is, the one pair is a Frenkel hop; that of a vacancy by way of 6g needs a second pair
    (hop,) = document["hops"]
    assert (hop["id"], hop["labels"], hop["multiplicity"]) == ("frenkel-1", ["6h", "6g"], 36)
    assert hop["observed"]["jumps"] == 10
    # each of 18 ions has two such ways; this one is away five times, for 91 frames
    assert hop["observed"]["rate_forward_per_ps"] == pytest.approx(5 / (2 * (18 * 20 - 9.1)))
    assert hop["observed"]["rate_backward_per_ps"] == pytest.approx(5 / (2 * 9.1))

    none = json.loads(lzc(*options, "--least-jumps", "11", "--json").out)
    assert none["hops"] == []
    assert none["trajectory"]["between_neighbours"] == 0
    table = lzc(*options).out
    assert f"10 jumps in 20 ps of {run}, 10 of them between neighbours" in table
    assert "6h → 6g; 10 jumps, 0.00712 and 0.275 /ps" in table

    before = json.loads(lzc("hops", tall, "--host", "lzc", "--json").out)
    assert before["trajectory"] is None
    assert {hop["observed"] for hop in before["hops"]} == {None}


def test_trajectories_of_something_else_end_with_one_line(lzc: Callable, cif: Path, tall: Path, run: Path) -> None:
    for arguments, message in (
        ([cif, "--trajectory", run], f"{run}: cell of 11.21 × 11.21 × 18.11 Å: that of the crystal, 10.97 × 10.97 ×"),
        ([tall, "--trajectory", tall], f"{tall}: of unknown format"),
        ([tall, "--trajectory", run, "--least-jumps", "0"], "--least-jumps 0: at least 1 is allowed"),
    ):
        result = lzc("hops", *arguments, "--host", "lzc")
        assert result.code == 2
        assert message in result.err
        assert len(result.err.strip().splitlines()) == 1


def written(tmp_path: Path, structure: Structure) -> Path:
    path = tmp_path / "crystal.cif"
    structure.to(str(path))
    return path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mobile", "Na"], "mobile ion Na: the crystal has none; its elements are Cl, Li, Zr"),
        (["--mobile", "lithium"], "mobile ion 'lithium': the symbol of an element is allowed"),
        (
            ["--mechanism", "exchange"],
            "--mechanism exchange: allowed are vacancy, interstitial, interstitialcy, frenkel",
        ),
        (["--host", "nacl"], "host 'nacl': allowed are lzc"),
        (["--host", "lzc-rietveld"], "--host lzc-rietveld is partially occupied"),
        (["--host", "lzc", "--mobile", "Zr"], "--mobile Zr: of host lzc, Li is allowed"),
        (["--host", "lzc", "--symprec", "-1"], "symmetry tolerance -1 Å: no space group found"),
        (["--charge", "Li=1"], "--charge names some elements but not Cl"),
    ],
)
def test_bad_options_end_with_one_line(lzc: Callable, cif: Path, options: list[str], message: str) -> None:
    result = lzc("hops", cif, *options)
    assert result.code == 2
    assert result.out == ""
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 1


def test_bad_files_end_with_one_line(lzc: Callable, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.cif"
    garbage.write_text("not a crystal")
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.13), ["Li", "Cl"], [[0] * 3, [0.5] * 3])
    partial = written(tmp_path, rietveld_host("lzc").structure)
    other = tmp_path / "salt.cif"
    salt.to(str(other))
    for arguments, message in (
        ([tmp_path / "none.cif"], "no such file"),
        ([garbage], "not a readable crystal structure"),
        ([partial], "is partially occupied"),
        ([other, "--host", "lzc"], "a supercell of host lzc"),
        ([other, "--host", "lzc", "--out", garbage], f"--out {garbage}: a folder that can be written is allowed"),
    ):
        result = lzc("hops", *arguments)
        assert result.code == 2
        assert message in result.err
        assert len(result.err.strip().splitlines()) == 1


def test_an_ion_off_its_sites_is_a_failed_calculation(lzc: Callable, tmp_path: Path) -> None:
    off = ideal_host().structure.copy().remove_oxidation_states()
    off.translate_sites([0], [0.2, 0.03, 0.1])
    result = lzc("hops", written(tmp_path, off), "--host", "lzc")
    assert result.code == 1
    assert "Li (atom 0) lies" in result.err
    assert len(result.err.strip().splitlines()) == 1
