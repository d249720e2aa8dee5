from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from pymatgen.core import Lattice, Structure

from lzc_flows.errors import InputError
from lzc_flows.report import density as density_module
from lzc_flows.report.density import density_figure
from lzc_flows.report.figure import write_png
from lzc_flows.report.isosurface import isosurface
from lzc_flows.transport.density import Density

LATTICE = Lattice.from_parameters(8, 8, 5, 90, 90, 120)
STRUCTURE = Structure(LATTICE, ["Li+", "Zr4+", "Cl-"], [[0.5, 0.5, 0.5], [0, 0, 0], [0.4, 0.7, 0.3]])
SIGMA = 0.6


def make_density(operations: int = 1) -> Density:
    """A ball of 2 Å⁻³ at its middle, the middle of the cell."""
    grid = np.stack(np.meshgrid(*(np.arange(n) / n for n in (40, 40, 24)), indexing="ij"), axis=-1)
    values = 2 * np.exp(-(((grid - 0.5) @ LATTICE.matrix) ** 2).sum(axis=-1) / (2 * SIGMA**2))
    return Density(values, (values, values), np.array(LATTICE.matrix), "Li", 6, 2500, 1e4, operations)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in [legend.get_title(), *legend.get_texts()]]


def test_the_legend_says_what_is_drawn() -> None:
    assert texts(density_figure(make_density(), STRUCTURE)) == [
        "Probability density of Li, 2500 frames",
        "Pmax/50 = 0.04 Å⁻³",
        "",
        "Cl",
        "Zr",
    ]
    found = texts(density_figure(make_density(12), STRUCTURE, 0.3))
    assert found[:2] == ["Probability density of Li, 2500 frames, mean over 12 operations", "0.3 Pmax = 0.6 Å⁻³"]


@pytest.mark.parametrize("fraction", [0.02, 0.3])
def test_the_surface_lies_at_the_fraction_of_the_highest_density(
    fraction: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    real = density_module.isosurface_figure

    def spy(field, structure, levels, paths):
        drawn.append(isosurface(field, levels[0]))
        return real(field, structure, levels, paths)

    monkeypatch.setattr(density_module, "isosurface_figure", spy)
    density_figure(make_density(), STRUCTURE, fraction)
    radii = np.linalg.norm((drawn[0].fractional - 0.5) @ LATTICE.matrix, axis=1)
    # P = fraction · Pmax; straight lines between nodes 0.2 Å apart
    assert radii == pytest.approx(SIGMA * np.sqrt(-2 * np.log(fraction)), abs=0.03)


@pytest.mark.parametrize("fraction", [0.0, 1.0, 0.004])
def test_surfaces_that_are_not_there_are_refused(fraction: float) -> None:
    ball = make_density()
    with pytest.raises(InputError, match=r"of the highest density: between 0\.00498 and 1"):
        density_figure(replace(ball, per_angstrom3=ball.per_angstrom3 + 0.01), STRUCTURE, fraction)


def test_same_bytes_whatever_the_user_prefers(tmp_path: Path) -> None:
    write_png(density_figure(make_density(), STRUCTURE), tmp_path / "one.png", dpi=60)
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30}):
        write_png(density_figure(make_density(), STRUCTURE), tmp_path / "two.png", dpi=60)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
