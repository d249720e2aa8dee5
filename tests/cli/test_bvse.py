from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from lzc_flows.crystal.host import host_by_name
from lzc_flows.documents.protocols import BvseProtocol
from lzc_flows.jobs.bvse import bvse_document


@pytest.fixture
def host() -> Structure:
    return host_by_name("lzc").structure


@pytest.fixture
def cif(host: Structure, tmp_path: Path) -> Path:
    path = tmp_path / "lzc.cif"
    host.copy().remove_oxidation_states().to(str(path))
    return path


def test_json_has_the_barriers_of_the_job(lzc: Callable, cif: Path, host: Structure) -> None:
    result = lzc("bvse", cif, "--mobile", "Li+", "--resolution", "0.2", "--json")
    assert result.code == 0
    document = json.loads(result.out)
    expected = bvse_document(host, BvseProtocol(resolution_angstrom=0.2))
    for name in ("barrier_1d", "barrier_2d", "barrier_3d", "component_barrier_1d", "component_barrier_3d"):
        # the CIF rounds its coordinates
        assert document[name] == pytest.approx(getattr(expected, name), rel=1e-3, abs=0)
    assert document["formula"] == "Li2ZrCl6"
    assert document["file"] == str(cif)
    assert "field" not in document
    assert document["grid_shape"] == list(expected.grid_shape)
    # charges guessed from the composition are those of the labelled host
    assert document["protocol"]["mobile"] == "Li+"


def test_options_reach_the_calculation(lzc: Callable, cif: Path) -> None:
    coarse = ("bvse", cif, "--resolution", "0.6", "--json")
    first = json.loads(lzc(*coarse).out)
    assert first["grid_shape"] < json.loads(lzc("bvse", cif, "--resolution", "0.5", "--json").out)["grid_shape"]
    for options in (["--convention", "bvlain"], ["--cutoff", "5"]):
        assert json.loads(lzc(*coarse, *options).out)["minimum_ev"] != first["minimum_ev"]
    stated = [word for charge in ("Li=1", "Zr=4", "Cl=-1") for word in ("--charge", charge)]
    assert json.loads(lzc(*coarse, *stated).out) == first


def test_the_table_is_for_people(lzc: Callable, cif: Path) -> None:
    result = lzc("bvse", cif, "--resolution", "0.6")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0].startswith("Li2ZrCl6, Li+, softbv, grid ")
    assert [line.split()[0] for line in lines[1:]] == ["1D", "2D", "3D"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--resolution", "0"], "resolution_angstrom: Input should be greater than 0 (given: 0.0)"),
        (["--resolution", "nan"], "resolution"),
        (["--resolution", "inf"], "resolution"),
        (["--cutoff", "-1"], "cutoff_angstrom"),
        (["--convention", "mine"], "'mine': allowed are bvlain, softbv"),
        (["--mobile", "Na+"], "Na"),
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
