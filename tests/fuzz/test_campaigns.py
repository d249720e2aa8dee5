"""Campaign files that nobody meant to write: refused in one line, or queued whole."""

from __future__ import annotations

import copy
import datetime
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fireworks import LaunchPad
from hypothesis import given, settings
from hypothesis import strategies as st

from lzc_flows.crystal.doping import GridSpec
from lzc_flows.database.stores import CAMPAIGNS, PLAN, Database
from lzc_flows.launch.launchpad import open_launchpad

LONG = settings.get_current_profile_name() == "fuzz-long"
FUZZ = settings.get_profile("fuzz-long" if LONG else "fuzz")
FLOWS = Path(__file__).parents[2] / "flows"
Place = tuple[str | int, ...]


# ---- odd content ----

ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2, 7, 1000, 2**31, 2**63, 10**30, -(10**30), 0.5, -0.0, 1e-300, 1e308, float("nan"),
    float("inf"), float("-inf"), "", " ", "nan", "1e400", "1" * 30, "9" * 5000, "../../etc", "/", "a/b", ".",
    "con", "$where", "a.b",
    "\x00", "\x1b[31m", "a\nb", "\u202e", "é", "💥", "\ud800", "x" * 300, "x" * 70_000, [], {}, [[]], [None],
    [[[[[]]]]],
    {"": ""}, {"a\nb": 1}, {"a.b": 1}, {"$a": 1}, {"\x00": 1}, {1: 2}, {None: None}, datetime.date(2020, 1, 1),
    b"\xff", {1, 2},
    "Ti3+", "F-", "Li+", "Cl-", "Xx2+", "Ti99+", "Zr4+", "1a", "6i", "6h", "1a+1a", "1a+2d", "2d+1a", "1a+6i", "+",
    "9z", "nep", "vasp",
    "cp2k", "chgnet", "lzc", "lzc-rietveld", "lzc-short", "softbv", "bvlain", [1, 1, 1], [1, 1], [2, 2, 2], [9, 9,
    9], [40, 40, 40],
    [10**6, 10**6, 10**6], [-1, 1, 1], [0, 1, 2, 3], list(range(200)), ["Ti3+"] * 50, ["1a", "1a"],
    {"name": "lzc"}, {"name": "x", "cif": "nothing.cif"},
    {"name": "x", "cif": "x" * 300}, {"name": "x", "cif": "."}, {"name": "x", "cif": "a\nb"},
]  # fmt: skip
VALUES = st.sampled_from(ODD) | st.integers() | st.floats() | st.text(max_size=20) | st.integers(-5, 40)


def nodes(content: Any, above: Place = ()) -> Iterator[Place]:
    """Paths of all values."""
    inside = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in inside:
        yield (*above, key)
        yield from nodes(value, (*above, key))


def mutate(draw: st.DrawFn, content: dict[str, Any]) -> None:
    """Change one place."""
    path = draw(st.sampled_from(list(nodes(content)) or [()]))
    if not path:
        return
    inner: Any = content
    for part in path[:-1]:
        inner = inner[part]
    key = path[-1]
    kind = draw(st.sampled_from(["replace", "replace", "replace", "delete", "add", "rename", "wrap"]))
    if kind == "delete":
        del inner[key]
    elif kind == "wrap":
        inner[key] = draw(st.sampled_from([[inner[key]], {"a": inner[key]}, str(inner[key]), [inner[key]] * 3]))
    elif kind == "replace" or isinstance(inner, list):
        inner[key] = copy.deepcopy(draw(VALUES))
    elif kind == "add":
        inner[draw(st.text(max_size=8) | st.sampled_from(["name", "top", "hop", "vasp", "dft", "a\nb", "x" * 300]))] = (
            draw(VALUES)
        )
    else:
        inner[draw(st.text(max_size=8))] = inner.pop(key)


def bases() -> list[dict[str, Any]]:
    return [yaml.safe_load(path.read_text()) for path in sorted(FLOWS.glob("*.yaml"))]


@st.composite
def contents(draw: st.DrawFn, base: st.SearchStrategy[dict[str, Any]]) -> dict[str, Any]:
    content = copy.deepcopy(draw(base))
    for _ in range(draw(st.integers(1, 3))):
        mutate(draw, content)
    return content


SNIPPETS = [
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\t", b"---\n", b"...\n", b"&a [*a]", b"*nobody", b"<<: *a\n",
    b"!!python/object:os.system x", b"!!python/name:os.system ",
    b"!!map [1]", b"!!map x", b"!!set [1]", b"!!omap x", b"!!int x", b"!!float x", b"!!bool x", b"!!null x",
    b"!!timestamp x", b"2001-99-99", b"!!binary \xc3\xa9",
    b"0b_", b"0x" + b"f" * 9000, b"1" * 5000, b"1:99:99", b"? [a]\n: b\n", b"? {a: b}\n: c\n", b"- a\n",
    b"[" * 3000, b"{" * 3000, b"- " * 2000, b"\"\\ud800\"", b"'", b'"', b"|", b"%YAML 9.9\n",
    b"%TAG ! tag:x,2000:\n", b"grid: 1\n", b"name: again\n", b"? ", b": ", b"#", b"!", b"@", b"`", b"\x85",
    b"\xe2\x80\xa8", b".inf", b"=", b"<<: 3\n", b"<<: [1]\n",
]  # fmt: skip


@st.composite
def texts(draw: st.DrawFn, base: st.SearchStrategy[dict[str, Any]]) -> bytes:
    """A file: a campaign whose bytes are changed."""
    text = yaml.safe_dump(draw(base), sort_keys=False).encode()
    for _ in range(draw(st.integers(1, 2))):
        kind = draw(st.sampled_from(["cut", "insert", "value", "line", "double", "flip"]))
        at = draw(st.integers(0, len(text)))
        lines = text.split(b"\n")
        line = draw(st.integers(0, len(lines) - 1))
        if kind == "cut":
            text = text[:at]
        elif kind == "insert":
            text = text[:at] + draw(st.sampled_from(SNIPPETS)) + text[at:]
        elif kind == "value":
            key, colon, _ = lines[line].partition(b":")
            lines[line] = key + colon + b" " + draw(st.sampled_from(SNIPPETS))
            text = b"\n".join(lines)
        elif kind == "flip":
            text = text[:at] + draw(st.binary(min_size=1, max_size=3)) + text[at + 1 :]
        else:
            lines[line : line + 1] = [] if kind == "line" else [lines[line], lines[line]]
            text = b"\n".join(lines)
    return text


# ---- what must hold ----


def check(result: Any) -> None:
    """Done, or refused in one line."""
    lines = result.err.splitlines()
    assert result.code in (0, 2)
    assert len(lines) == (result.code == 2)
    assert all(line.startswith("lzc: ") for line in lines)
    assert result.code == 0 or result.out == ""
    assert len(result.err) < 3000


@pytest.fixture
def written(tmp_path: Path) -> Callable[[bytes], Path]:
    numbers = itertools.count()

    def write(text: bytes) -> Path:
        path = tmp_path / f"c{next(numbers)}.yaml"
        path.write_bytes(text)
        return path

    return write


@FUZZ
@given(content=contents(st.sampled_from(bases())))
def test_grid_of_odd_content(lzc: Callable, written: Callable, content: dict[str, Any]) -> None:
    check(lzc("grid", written(yaml.safe_dump(content).encode())))


LAUGHS = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (letter + 1, letter + 1, b",".join([b"*%c" % letter] * 9)) for letter in range(97, 105)
)
FOUND = [
    b"", LAUGHS, b"&a {b: *a}", b"a" * 10**7, b"[" * 5000, b"- " * 5000,
    b"".join(b"k%d: 1\n" % i for i in range(20_000)),
    b"".join(b"k%d: 1\n" % i for i in range(2000)) * 2, b'name: "\\ud800"', b"name: 0x" + b"f" * 9000,
    b"name: " + b"1" * 5000,
    b"name: !!map [1]", b"!!map [1]", b"!!int x: 1", b"!!float x: 1", b"!!bool x: 1", b"!!timestamp x: 1",
    b"name: 2001-99-99",
    b"!!python/object/apply:os.system [echo]", b"\xff\xfe\x00", b'? "a\\nb"\n: 1', b"name: 1\nname: 2",
]  # fmt: skip


@pytest.mark.parametrize("text", FOUND, ids=range(len(FOUND)))
def test_files_that_once_ended_in_a_traceback_or_never(lzc: Callable, written: Callable, text: bytes) -> None:
    result = lzc("grid", written(text))
    check(result)
    assert result.code == 2


def test_a_folder_is_no_file(lzc: Callable, tmp_path: Path) -> None:
    check(lzc("grid", tmp_path))


def quickstart(**changes: Any) -> bytes:
    content = yaml.safe_load((FLOWS / "quickstart.yaml").read_text())
    content["grid"] |= changes.pop("grid", {})
    return yaml.safe_dump(content | changes).encode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (quickstart(grid={"supercell": [100, 100, 100]}), "36,000,000 sites, occupied and vacant; at most 5,000"),
        (
            quickstart(grid={"cation_counts": [*range(1, 6000)], "anion_counts": [*range(1, 6000)]}),
            "1,007,664,028 combinations; at most 200,000",
        ),
        (quickstart(name="a" * 300), "name: String should have at most 100 characters"),
        (quickstart(host={"name": "x", "cif": "y" * 300}), "File name too long"),
        (quickstart(stages={"order": {"protocol": {"seed": "1" * 30}}}), "integers up to 2,147,483,647"),
        (
            quickstart(stages={"relax": {"engine": {"name": "vasp", "dft": {"vasp": {"incar": {"NCORE": {}}}}}}}),
            "incar",
        ),
    ],
    ids=["supercell", "grid", "name", "cif", "seed", "incar"],
)
def test_sizes_are_refused_at_once_with_their_limit(lzc: Callable, written: Callable, text: bytes, said: str) -> None:
    result = lzc("grid", written(text))
    check(result)
    assert result.code == 2
    assert said in result.err


def test_fifty_thousand_combinations_are_allowed() -> None:
    grid = {"supercell": [4, 4, 4], "cations": ["Ti3+", "Al3+", "Sc3+", "In3+", "Y3+"], "undoped": False}
    grid |= {"cation_counts": [*range(1, 51)], "anion_counts": [*range(1, 101)]}
    assert sum(1 for _ in GridSpec(**grid, cation_sites=["1a", "2d"], anions=["F-"]).combinations()) == 50_000


@FUZZ
@given(text=texts(st.sampled_from(bases())))
def test_grid_of_odd_text(lzc: Callable, written: Callable, text: bytes) -> None:
    check(lzc("grid", written(text)))


def state(database: Database, launchpad: LaunchPad, folder: Path) -> dict[str, Any]:
    """All that a submit writes."""
    plans = database.collection(PLAN)
    return {
        "plans": sorted(plan["key"] for plan in plans.find({}, {"key": True})),
        "campaigns": sorted(document["name"] for document in database.collection(CAMPAIGNS).find({}, {"name": True})),
        "fireworks": len(launchpad.get_fw_ids()),
        "folders": sorted(folder.rglob("*")),
    }


@st.composite
def submitted(draw: st.DrawFn) -> bytes:
    tiny = {
        "name": "tiny",
        "host": "lzc",
        "grid": {
            "supercell": [1, 1, 1],
            "cations": ["Ti3+"],
            "cation_sites": ["1a"],
            "anions": ["F-"],
            "undoped": True,
        },
        "description": "",
        "stages": {
            "order": {"engine": "nep", "protocol": {"shortlist": 1, "max_steps": 100, "seed": 1}},
            "relax": {"engine": "nep"},
            "bvse": {"protocol": {"mobile": "Li+", "cutoff_angstrom": 8.0}},
            "aimd": {
                "engine": "nep",
                "top": 1,
                "protocol": {
                    "segments": [
                        {"ensemble": "nvt", "temperature": [100, 300], "ps": 1, "time_step_fs": 2},
                        {"ensemble": "nvt", "temperature": 300, "ps": 1, "time_step_fs": 2},
                    ]
                },
            },
            "cineb": {"engine": "nep", "top": None, "hops": {"mechanisms": ["vacancy"], "temperatures_k": [300]}},
        },
        "ranking": {"performance": {"barrier_1d": 1.0}, "cost_weight": 0.5},
    }
    if draw(st.booleans()):
        return yaml.safe_dump(draw(contents(st.just(tiny)))).encode()
    return draw(texts(st.just(tiny)))


@FUZZ
@given(text=submitted())
def test_submit(lzc: Callable, written: Callable, database: Database, tmp_path: Path, text: bytes) -> None:
    launchpad = open_launchpad(database)
    before = state(database, launchpad, tmp_path / "campaigns")
    result = lzc("submit", written(text))
    after = state(database, launchpad, tmp_path / "campaigns")
    check(result)
    if result.code == 2:
        assert after == before
