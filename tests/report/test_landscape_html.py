from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from lzc_flows.report.landscape_html import DIV_ID, landscape_html
from lzc_flows.transport.bvse import EnergyField

LATTICE = Lattice.from_parameters(8, 9, 6, 80, 95, 110)
STRUCTURE = Structure(
    LATTICE,
    [{"Li+": 0.5}, "Zr4+", {"Cl-": 0.957, "F-": 0.043}],
    [[0.3, 0.3, 0.3], [0.5, 0.0, 0.5], [0.25, 0.75, 0.6]],
)
PATH = SimpleNamespace(
    fractional=np.array([[0.5, 0.5, 0.5], [0.5, 0.5, 1.5]]),
    energies_ev=np.array([-5.0, -4.6]),
    distances_angstrom=np.array([0.0, 6.0]),
)
TITLE = "Li<sub>6</sub> & </script> {x}"


def make_page() -> str:
    """The field is the distance to the middle of the cell, the minimum −5 eV."""
    grid = np.stack(np.meshgrid(*(np.arange(n) / n for n in (32, 36, 24)), indexing="ij"), axis=-1)
    energies = np.linalg.norm((grid - 0.5) @ LATTICE.matrix, axis=-1) - 5
    field = EnergyField(energies, np.array(LATTICE.matrix), "Li+", "softbv", 8.0)
    return landscape_html(field, STRUCTURE, [1.0, 2.0], {"c": PATH}, TITLE)


@pytest.fixture(scope="module")
def page() -> str:
    return make_page()


@pytest.fixture(scope="module")
def traces(page: str) -> dict[str, dict[str, Any]]:
    """The traces by name, as a browser would read them."""
    start = page.index("Plotly.newPlot(")
    data = page.index("[", start)
    assert page[start:data].split('"')[1] == DIV_ID
    found, _ = json.JSONDecoder().raw_decode(page[data:])
    return {trace.get("name", trace.get("mode")): trace for trace in found}


def numbers(value: Any) -> np.ndarray:
    """An array of plotly's JSON, which is base64 or a list."""
    if isinstance(value, dict):
        shape = [int(n) for n in str(value.get("shape", "-1")).split(",")]
        return np.frombuffer(base64.b64decode(value["bdata"]), value["dtype"]).reshape(shape)
    return np.array([np.nan if item is None else item for item in value], dtype=float)


def places(trace: dict[str, Any]) -> np.ndarray:
    return np.stack([numbers(trace[axis]) for axis in "xyz"], axis=1)


def test_everything_has_a_switch_in_the_legend(traces: dict[str, dict[str, Any]]) -> None:
    assert list(traces) == ["1.00 eV", "2.00 eV", "Cl", "Zr", "Li", "path c", "cell", "text"]
    hidden = [name for name, trace in traces.items() if trace.get("visible") == "legendonly"]
    assert hidden == ["Li"]
    assert all(traces[name]["showlegend"] for name in ("1.00 eV", "2.00 eV"))


@pytest.mark.parametrize("radius", [1.0, 2.0])
def test_surfaces_are_where_the_energy_is(traces: dict[str, dict[str, Any]], radius: float) -> None:
    trace = traces[f"{radius:.2f} eV"]
    vertices = places(trace)
    centre = LATTICE.get_cartesian_coords([0.5, 0.5, 0.5])
    distances = np.linalg.norm(vertices - centre, axis=1)
    assert distances == pytest.approx(np.full(len(vertices), radius), rel=0.03)
    faces = np.stack([numbers(trace[corner]) for corner in "ijk"], axis=1)
    assert sorted(set(faces.ravel().tolist())) == list(range(len(vertices)))
    a, b, c = (vertices[corner].astype(float) for corner in faces.T)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2
    assert area == pytest.approx(4 * np.pi * radius**2, rel=0.03)


def test_atoms_are_at_their_sites_and_tell_who_they_are(traces: dict[str, dict[str, Any]]) -> None:
    zirconium = LATTICE.get_cartesian_coords([[0.5, 0, 0.5], [0.5, 1, 0.5]])
    assert places(traces["Zr"]) == pytest.approx(zirconium, abs=1e-5)
    assert traces["Cl"]["text"] == ["<b>Cl</b><br>fractional (0.2500, 0.7500, 0.6000)<br>occupancy Cl- 0.957, F- 0.043"]
    assert traces["Li"]["text"] == ["<b>Li</b><br>fractional (0.3000, 0.3000, 0.3000)<br>occupancy Li+ 0.5"]


def test_paths_are_wrapped_and_tell_energy_and_distance(traces: dict[str, dict[str, Any]]) -> None:
    trace = traces["path c"]
    expected = LATTICE.get_cartesian_coords([[0.5, 0.5, 0.5], [0.5, 0.5, 1], [np.nan] * 3, [0.5, 0.5, 0], [0.5] * 3])
    assert places(trace) == pytest.approx(expected, abs=1e-5, nan_ok=True)
    told = numbers(trace["customdata"])
    expected_told = np.array([[0, 0], [0.2, 3], [np.nan] * 2, [0.2, 3], [0.4, 6]])
    # energies above the minimum of the field's nodes, of which one is at the middle
    assert told == pytest.approx(expected_told, abs=1e-6, nan_ok=True)


def test_the_page_is_well_formed_and_needs_no_network(page: str) -> None:
    class Tags(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.tags: list[tuple[str, dict[str, str | None]]] = []
            self.text = ""

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.tags.append((tag, dict(attrs)))

        def handle_data(self, data: str) -> None:
            if self.tags and self.tags[-1][0] in ("title", "h1", "p"):
                self.text += data

    parser = Tags()
    parser.feed(page)
    assert [tag for tag, _ in parser.tags if tag in ("title", "h1", "main")] == ["title", "h1", "main"]
    assert parser.text.count(TITLE) == 2
    assert "Li⁺" in parser.text
    assert "convention softbv, cutoff 8 Å" in parser.text
    assert not [tag for tag, attributes in parser.tags if "src" in attributes or tag == "link"]
    assert re.search(r"plotly\.js v\d", page)


def test_the_page_is_small_and_the_same_twice(page: str) -> None:
    assert len(page.encode()) < 6e6
    assert make_page() == page
