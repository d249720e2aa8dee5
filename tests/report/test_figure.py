from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from lzc_flows.report.figure import drawn_extent, figure_style, write_pdf, write_png, write_svg


def labelled(layout: str | None) -> Figure:
    """A figure whose labels need room: within the page with a layout, outside of it without."""
    with figure_style():
        figure = Figure(figsize=(4, 3), layout=layout)
        axes = figure.add_subplot()
        axes.plot([1e-6, 2e6], [0.001, 123456.789])
        axes.set_xlabel("below\nin three\nlines")
        axes.set_ylabel("a long label at the side", fontsize=16)
        axes.set_title("above", fontsize=20)
    return figure


def ink(path: Path) -> np.ndarray:
    """Where an image is not white."""
    return np.asarray(Image.open(path).convert("L")) < 250


@pytest.mark.parametrize("layout", ["constrained", "tight", None])
@pytest.mark.parametrize("times", [1, 2])
def test_all_that_is_drawn_is_saved_with_a_margin(layout: str | None, times: int, tmp_path: Path) -> None:
    figure, path = labelled(layout), tmp_path / "figure.png"
    extent = drawn_extent(figure) if times > 1 else None
    for _ in range(times):
        write_png(figure, path, dpi=100, extent=extent)
    drawn = ink(path)
    margin = 5  # of 10 pixels: fonts are a little larger or smaller at other resolutions
    assert drawn.any()
    assert not drawn[:margin].any()
    assert not drawn[-margin:].any()
    assert not drawn[:, :margin].any()
    assert not drawn[:, -margin:].any()
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    assert max(rows[0], columns[0], drawn.shape[0] - rows[-1], drawn.shape[1] - columns[-1]) < 20


def test_the_same_extent_gives_the_same_page_in_all_formats(tmp_path: Path) -> None:
    figure = labelled("constrained")
    extent = drawn_extent(figure)
    write_png(figure, tmp_path / "figure.png", dpi=200, extent=extent)
    write_svg(figure, tmp_path / "figure.svg", extent)
    write_pdf(figure, tmp_path / "figure.pdf", extent)
    width = Image.open(tmp_path / "figure.png").width
    assert width == pytest.approx(200 * extent.width, abs=1)
    (points,) = re.findall(r'<svg [^>]*width="([\d.]+)pt"', (tmp_path / "figure.svg").read_text())
    assert float(points) == pytest.approx(72 * extent.width, abs=0.01)
    (box,) = re.findall(rb"/MediaBox \[ ([^]]+) \]", (tmp_path / "figure.pdf").read_bytes())
    assert float(box.split()[2]) == pytest.approx(72 * extent.width, abs=0.01)
