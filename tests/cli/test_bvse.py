from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from lzc_flows.crystal.host import host_by_name
from lzc_flows.documents.protocols import BvseProtocol
from lzc_flows.jobs.bvse import bvse_document, bvse_field
from lzc_flows.transport.landscape import analyse


@pytest.fixture
def host() -> Structure:
    return host_by_name("lzc").structure


@pytest.fixture
def cif(host: Structure, tmp_path: Path) -> Path:
    path = tmp_path / "lzc.cif"
    host.copy().remove_oxidation_states().to(str(path))
    return path


BARRIERS = [f"barrier_{target}" for target in ("1d", "2d", "3d", "a", "b", "c", "ab")]


def test_json_has_the_barriers_of_the_job(lzc: Callable, cif: Path, host: Structure) -> None:
    result = lzc("bvse", cif, "--mobile", "Li+", "--resolution", "0.2", "--convention", "bvlain", "--json")
    assert result.code == 0
    document = json.loads(result.out)
    protocol = BvseProtocol(resolution_angstrom=0.2, convention="bvlain")
    landscape = analyse(bvse_field(host, protocol))
    expected = bvse_document(landscape, protocol)
    for name in BARRIERS:
        # the CIF rounds its coordinates
        assert document[name] == pytest.approx(getattr(expected, name), rel=1e-3, abs=0)
        own = getattr(expected.from_component_minimum, name)
        assert document["from_component_minimum"][name] == pytest.approx(own, rel=1e-3, abs=0)
    assert document["grid"] == [55, 55, 30]
    assert set(document["seconds"]) == {"field", "percolation", "total"}
    assert 0 < document["seconds"]["field"] < document["seconds"]["total"]
    assert document["formula"] == "Li2ZrCl6"
    assert document["file"] == str(cif)
    assert not {"field", "network"} & set(document)
    assert document["written"] == []
    assert len(document["sites"]) == expected.sites
    assert document["sites"][0]["energy_above_minimum_ev"] == 0
    assert set(document["bottlenecks"]) == {"1d", "2d", "3d", "a", "b", "c", "ab"}
    # charges guessed from the composition are those of the labelled host
    assert document["protocol"]["mobile"] == "Li+"


def test_options_reach_the_calculation(lzc: Callable, cif: Path) -> None:
    coarse = ("bvse", cif, "--resolution", "0.6", "--json")
    first = without_seconds(lzc(*coarse).out)
    assert first["grid"] < without_seconds(lzc("bvse", cif, "--resolution", "0.5", "--json").out)["grid"]
    for options in (["--convention", "bvlain"], ["--cutoff", "5"]):
        assert without_seconds(lzc(*coarse, *options).out)["minimum_ev"] != first["minimum_ev"]
    stated = [word for charge in ("Li=1", "Zr=4", "Cl=-1") for word in ("--charge", charge)]
    assert without_seconds(lzc(*coarse, *stated).out) == first


def without_seconds(out: str) -> dict:
    content = json.loads(out)
    content.pop("seconds")
    return content


def test_the_table_is_for_people(lzc: Callable, cif: Path) -> None:
    result = lzc("bvse", cif, "--resolution", "0.6")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0].startswith("Li2ZrCl6, Li+, softbv, grid ")
    assert [line.split()[0] for line in lines[2:9]] == ["1D", "2D", "3D", "a", "b", "c", "ab"]
    assert all(line.count(" eV") == 2 for line in lines[2:9])
    assert sum(int(line.split(" × ")[0]) for line in lines[10:]) >= 15


def test_files_for_vesta_tables_and_pictures(lzc: Callable, cif: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    result = lzc("bvse", cif, "--resolution", "0.5", "--out", folder, "--json")
    assert result.code == 0
    document = json.loads(result.out)
    assert sorted(document["written"]) == sorted(str(path) for path in folder.iterdir())
    with (folder / "paths.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    for target in ("1d", "a", "b", "c"):
        along = [float(row["energy_above_minimum_ev"]) for row in rows if row["path"] == target]
        assert max(along) == pytest.approx(document[f"barrier_{target}"], abs=1e-3)
    # a second run replaces them, byte for byte the same
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert lzc("bvse", cif, "--resolution", "0.5", "--out", folder, "--json").code == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_that_cannot_be_made_stops_before_the_calculation(lzc: Callable, cif: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    result = lzc("bvse", cif, "--out", tmp_path / "taken")
    assert (result.code, result.out) == (2, "")
    assert "a folder that can be written is allowed" in result.err
    assert len(result.err.splitlines()) == 1
    assert (tmp_path / "taken").read_text() == "a file"


def test_a_grid_too_fine_for_the_memory_is_refused_with_the_number(lzc: Callable, cif: Path) -> None:
    result = lzc("bvse", cif, "--resolution", "0.0005")
    assert (result.code, result.out) == (2, "")
    assert "GiB" in result.err
    assert "0.0005 Å" in result.err
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--resolution", "0"], "resolution_angstrom: Input should be greater than 0 (given: 0.0)"),
        (["--resolution", "nan"], "resolution"),
        (["--resolution", "inf"], "resolution"),
        (["--cutoff", "-1"], "cutoff_angstrom"),
        (["--convention", "mine"], "'mine': allowed are bvlain, softbv"),
        (["--mobile", "Na+"], "mobile ion Na+ is not in the structure, which holds Cl-, Li+, Zr4+"),
        (["--mobile", "Cl-"], "mobile ion Cl-: a cation is allowed, such as Li+"),
        (["--mobile", "Xx"], "Xx"),
        (["--mobile", "Li2+"], "Li2+"),
        (["--charge", "Zr=4"], "--charge names some elements but not "),
        (["--charge", "Zr"], "charge 'Zr': ELEMENT=CHARGE is allowed"),
        (["--charge", "Na=1"], "charge 'Na=1': ELEMENT=CHARGE is allowed for "),
    ],
)
def test_bad_options_are_one_line(lzc: Callable, cif: Path, options: list[str], named: str) -> None:
    result = lzc("bvse", cif, *options)
    assert (result.code, result.out) == (2, "")
    assert named in result.err
    assert len(result.err.splitlines()) == 1


def test_sites_on_top_of_each_other_are_named_with_the_file(lzc: Callable, tmp_path: Path) -> None:
    path = tmp_path / "overlap.cif"
    sites = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.52]]
    Structure(Lattice.cubic(5), ["Li+", "Cl-", "Br-"], sites, validate_proximity=False).to(str(path))
    result = lzc("bvse", path)
    assert (result.code, result.out) == (2, "")
    assert "overlap.cif: site 1 (Br-) and site 2 (Cl-) are 0.100 Å apart" in result.err
    assert len(result.err.splitlines()) == 1


def test_bad_files_are_one_line(lzc: Callable, tmp_path: Path) -> None:
    (tmp_path / "broken.cif").write_text("data_x\nloop_\n")
    (tmp_path / "words.txt").write_text("no crystal")
    Structure(Lattice.cubic(3), ["Li", "Xe"], [[0, 0, 0], [0.5, 0.5, 0.5]]).to(str(tmp_path / "odd.cif"))
    for name, reason in [
        ("none.cif", "no such file"),
        ("broken.cif", "not a readable crystal structure"),
        ("words.txt", "not a readable crystal structure"),
        ("odd.cif", "state them with --charge"),
        ("", "no such file"),
    ]:
        result = lzc("bvse", tmp_path / name)
        assert (result.code, result.out) == (2, "")
        assert reason in result.err
        assert str(tmp_path / name) in result.err
        assert len(result.err.splitlines()) == 1


# ---- partly occupied crystals ----

CHARGES = [word for charge in ("Li=1", "Zr=4", "Ti=3", "Cl=-1", "F=-1") for word in ("--charge", charge)]


@pytest.mark.parametrize("with_states", [True, False])
def test_a_partly_occupied_cif_has_the_barriers_of_the_built_in_host(
    lzc: Callable, tmp_path: Path, with_states: bool
) -> None:
    structure = host_by_name("lzc-10tf-rietveld").structure
    protocol = BvseProtocol(resolution_angstrom=0.5)
    expected = bvse_document(analyse(bvse_field(structure, protocol)), protocol)
    path = tmp_path / "refined.cif"
    (structure if with_states else structure.copy().remove_oxidation_states()).to(str(path))
    result = lzc("bvse", path, "--resolution", "0.5", "--json", *([] if with_states else CHARGES))
    assert (result.code, result.err.strip()) == (0, "")
    document = json.loads(result.out)
    for name in ("barrier_1d", "barrier_2d", "barrier_3d", "minimum_ev"):
        # the CIF rounds its coordinates
        assert document[name] == pytest.approx(getattr(expected, name), rel=1e-6, abs=0)


def test_occupancies_that_rounding_puts_above_1_are_one_line_on_stderr(lzc: Callable, tmp_path: Path) -> None:
    path = tmp_path / "refined.cif"
    structure = host_by_name("lzc-10tf-rietveld").structure
    structure.to(str(path))
    exact = lzc("bvse", path, "--resolution", "0.6", "--json")
    whole = path.read_text()
    # Zr12 and Ti13 share 1a: 0.6642 + 0.0265, filled up to 1.004 and to 1.03
    path.write_text(whole.replace("0.0265", "0.3398"))
    rounded = lzc("bvse", path, "--resolution", "0.6", "--json")
    said = f"lzc: {path}: site Zr12/Ti13 at (0, 0, 0): occupancies sum to "
    assert (rounded.code, rounded.err.strip()) == (0, f"{said}1.0040, normalised to 1")
    assert json.loads(rounded.out)["minimum_ev"] != json.loads(exact.out)["minimum_ev"]
    path.write_text(whole.replace("0.0265", "0.3658"))
    refused = lzc("bvse", path, "--resolution", "0.6", "--json")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == f"{said}1.0300: at most 1 is allowed (rounding up to 0.005 is normalised)\n"


def test_a_partly_occupied_cif_without_charges_asks_for_them(lzc: Callable, tmp_path: Path) -> None:
    path = tmp_path / "refined.cif"
    host_by_name("lzc-10tf-rietveld").structure.copy().remove_oxidation_states().to(str(path))
    result = lzc("bvse", path)
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        f"lzc: {path}: no oxidation states in the file and no neutral guess: state them with --charge\n"
    )
