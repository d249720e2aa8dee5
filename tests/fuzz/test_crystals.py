"""Crystal files that are broken in the ways in which files break: refused in one line, or computed."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from lzc_flows.crystal.host import host_by_name

LONG = settings.get_current_profile_name() == "fuzz-long"
FUZZ = settings.get_profile("fuzz-long" if LONG else "fuzz")

LICL = """data_LiCl
_cell_length_a 5.13
_cell_length_b 5.13
_cell_length_c 5.13
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
_symmetry_Int_Tables_number 225
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Li1 Li+ 0 0 0 1
Cl1 Cl- 0.5 0.5 0.5 1
"""


def bases() -> list[str]:
    ideal = host_by_name("lzc").structure
    refined = host_by_name("lzc-10tf-rietveld").structure
    bare = ideal.copy().remove_oxidation_states()
    return [LICL, ideal.to(fmt="cif"), refined.to(fmt="cif"), bare.to(fmt="cif")]


WORDS = [
    "0", "1", "-1", "0.5", "1e-9", "0.01", "3", "100", "1e3", "1e6", "1e300", "1e400", "-5.13", "nan", "inf",
    "-inf", "?", ".", "", "x", "0.5(3)", "1(", "180", "179.99", "-90", "60", "1.2",
    "0.9999", "1/3", "Xx", "Uuo", "D", "T", "H", "OH", "Li", "Li+", "Li2+", "Zr4+", "Zr9+", "Og", "Fe", "Cl-", "F",
    "X", "'a b'", "é", "\x00", "Wat", "P1", "'P 1'", "'F m -3 m'", "'x, x, x'", "'0, 0, 0'", "'-x, y, z+1/2'",
    "'x/0,y,z'", "1 1",
]  # fmt: skip
BYTES = [
    b"\x00",
    b"\xff",
    b"\n",
    b"'",
    b";\n",
    b"loop_\n",
    b"data_\n",
    b"data_x\n",
    b"_cell_length_a 3\n",
    b"#",
    b"_atom_site_label\n",
    b"\xc3",
    b"\r",
    b"\t",
    b"save_\n",
    b"global_\n",
]
SOURCES = bases()


@st.composite
def cifs(draw: st.DrawFn) -> bytes:
    """A CIF with a few faults."""
    text = draw(st.sampled_from(SOURCES))
    for _ in range(draw(st.integers(1, 3))):
        lines = text.split("\n")
        at = draw(st.integers(0, len(lines) - 1))
        kind = draw(st.sampled_from(["word", "word", "word", "word", "drop", "double", "swap", "cut", "scale"]))
        words = lines[at].split()
        if kind == "word" and words:
            words[draw(st.integers(0, len(words) - 1))] = draw(st.sampled_from(WORDS) | st.floats(-2, 2).map(str))
            lines[at] = " ".join(words)
        elif kind == "drop":
            del lines[at : at + draw(st.integers(1, 4))]
        elif kind == "double":
            lines[at:at] = [lines[at]] * draw(st.sampled_from([1, 1, 2, 30]))
        elif kind == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == "cut":
            lines = lines[:at]
        elif kind == "scale":
            value = draw(st.sampled_from(["0", "1e-3", "0.3", "1", "60", "400", "1e5", "1e12", "-4", "nan", "1e200"]))
            lines = [
                f"{line.split()[0]} {value}"
                if line.startswith(("_cell_length", draw(st.sampled_from(["_cell_length", "_cell_angle"]))))
                else line
                for line in lines
            ]
        text = "\n".join(lines)
    data = text.encode()
    if draw(st.integers(0, 5)) == 0:
        place = draw(st.integers(0, len(data)))
        data = data[:place] + draw(st.sampled_from(BYTES) | st.binary(max_size=4)) + data[place:]
    return data


def check(result: Any, out: Path | None = None) -> None:
    """Done, or refused in one line that nothing is left of."""
    said = [line for line in result.err.splitlines() if not line.endswith(", normalised to 1")]
    assert result.code in (0, 1, 2)
    assert len(said) == (result.code != 0)
    assert all(line.startswith("lzc: ") for line in result.err.splitlines())
    assert len(result.err) < 3000
    if result.code:
        assert result.out == ""
        assert out is None or not out.exists()


@pytest.fixture
def folders(tmp_path: Path) -> Callable[[], Path]:
    numbers = itertools.count()

    def make() -> Path:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return folder

    return make


@FUZZ
@given(cif=cifs(), sites=st.sampled_from(["1a", "4a", "6h", "1a,2d", "9z", ""]))
def test_order(lzc: Callable, folders: Callable, cif: bytes, sites: str) -> None:
    folder = folders()
    (folder / "c.cif").write_bytes(cif)
    how = ["--tiers", "electrostatics,bond-valence,symmetry", "--top", 2, "--out", folder / "out"]
    check(lzc("order", "--host", folder / "c.cif", "--cation", "Ti3+", "--cation-sites", sites, *how), folder / "out")


@FUZZ
@given(cif=cifs())
def test_bvse(lzc: Callable, folders: Callable, cif: bytes) -> None:
    (path := folders() / "c.cif").write_bytes(cif)
    check(lzc("bvse", path, "--resolution", 1.0, "--cutoff", 5))


@FUZZ
@given(cif=cifs(), charge=st.sampled_from([-1, 1, 2, 4]), vacant=st.booleans())
def test_a_campaigns_host(lzc: Callable, folders: Callable, cif: bytes, charge: int, vacant: bool) -> None:
    folder = folders()
    (folder / "c.cif").write_bytes(cif)
    rows = [line.split() for line in cif.decode("latin1").splitlines()]
    labels = {word: "1a" for row in rows for word in row[:2] if word.isascii() and word.isalnum()}
    host = {"name": "mine", "cif": "c.cif", "labels": labels, "vacant": {"4c": [0.25, 0.25, 0.25]} if vacant else {}}
    host["oxidation_states"] = {"Li": 1, "Cl": -1, "F": -1, "Ti": 3, "Zr": charge}
    grid = {"supercell": [1, 1, 1], "cations": ["Ti3+"], "cation_sites": ["1a"]}
    (folder / "c.yaml").write_text(yaml.safe_dump({"name": "x", "host": host, "grid": grid}))
    check(lzc("grid", folder / "c.yaml"))


def with_edge(length: str, angle: str = "90") -> str:
    return LICL.replace("5.13", length).replace("alpha 90", f"alpha {angle}")


@pytest.mark.parametrize(
    "cif",
    [
        with_edge("0.01"), with_edge("400"), with_edge("1e200"), with_edge("nan"), with_edge("-5.13"),
        with_edge("5.13", "0.01"),
        with_edge("5.13", "nan"), LICL.replace("Li+ 0 0 0", "Li+ nan 0 0"), LICL[:200], "",
        LICL.replace("0.5 0.5 0.5 1", "0.01 0 0 1"),
    ],
    ids=["tiny", "huge", "overflow", "nan", "negative", "flat", "angle", "no number", "cut", "empty",
    "overlap"],
)  # fmt: skip
def test_cells_that_are_none_are_refused_and_leave_no_folder(lzc: Callable, tmp_path: Path, cif: str) -> None:
    (tmp_path / "c.cif").write_text(cif)
    out = tmp_path / "new" / "out"
    for command in (["bvse", tmp_path / "c.cif"], ["order", "--host", tmp_path / "c.cif"]):
        result = lzc(*command, "--out", out)
        check(result, out.parent)
        assert result.code == 2


def test_states_that_nobody_could_guess_in_time_are_asked_for(lzc: Callable, tmp_path: Path) -> None:
    """Once this went on for hours: each element has many states."""
    counts = {"Fe": 40, "Mn": 31, "V": 29, "Cr": 23, "S": 37, "Br": 19, "N": 11}
    elements = [element for element, count in counts.items() for _ in range(count)]
    grid = [[x / 6, y / 6, z / 6] for x in range(6) for y in range(6) for z in range(6)]
    crystal = Structure(Lattice.cubic(18), elements, grid[: len(elements)])
    (tmp_path / "c.cif").write_text(crystal.to(fmt="cif"))
    for command in (["bvse", tmp_path / "c.cif"], ["order", "--host", tmp_path / "c.cif"]):
        result = lzc(*command)
        check(result)
        assert result.code == 2
        assert result.err.endswith("too many oxidation states come into question: state them with --charge\n")


def test_a_folder_is_taken_away_where_the_landscape_is_refused(lzc: Callable, tmp_path: Path) -> None:
    (tmp_path / "c.cif").write_text(LICL)
    result = lzc("bvse", tmp_path / "c.cif", "--mobile", "Na+", "--out", tmp_path / "new" / "out")
    check(result, tmp_path / "new")
    assert result.code == 2


IONS = st.sampled_from(
    ["Ti3+", "Ti", "3+", "", "F-", "Xx2+", "Ti0+", "Ti99+", "ti3+", "Ti3+ ", "\n", "D+", "Li+", "Zr4+"]
) | st.text(max_size=5)


@FUZZ
@given(ion=IONS, mobile=IONS, sites=st.text(max_size=5), size=st.integers(-1, 10**6), charge=st.text(max_size=5))
def test_options_of_order(lzc: Callable, ion: str, mobile: str, sites: str, size: int, charge: str) -> None:
    repeats = ["--supercell", 1, 1, size]
    check(lzc("order", "--count", f"--cation={ion}", f"--cation-sites={sites}", *repeats))
    check(lzc("order", "--count", "--cation=Ti3+", f"--mobile={mobile}", f"--charge={charge}"))
