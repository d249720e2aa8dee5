"""The figures of a report as files for a paper."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lzc_flows.errors import InputError
from lzc_flows.report.page.content import ReportContent
from lzc_flows.report.paper import write_figures

MAGIC = {".pdf": b"%PDF", ".png": b"\x89PNG", ".svg": b"<?xml"}


def test_every_figure_as_pdf_png_and_svg(content: ReportContent, tmp_path: Path) -> None:
    odd = replace(content.details[0], summary={**content.details[0].summary, "key": "../../x/y"})
    paths = write_figures(replace(content, details=(odd,)), tmp_path / "figures")
    assert sorted(tmp_path.rglob("*.*")) == sorted(paths)
    assert {path.parent for path in paths} == {tmp_path / "figures"}
    names = {path.stem for path in paths}
    certainty = {"ranks-performance", "ranks-performance_cost", "weights-static", "cost-weight-static"}
    assert names == {"heatmap", "pareto", "conductivity", "cost-conductivity", "aimd-.._.._x_y"} | certainty
    assert len(paths) == 3 * len(names)
    for path in paths:
        assert path.read_bytes().startswith(MAGIC[path.suffix])
    pdf = (tmp_path / "figures" / "conductivity.pdf").read_bytes()
    assert b"CreationDate" not in pdf
    assert b"/Type3" not in pdf  # fonts whose text is text


def test_a_folder_that_cannot_be_written_is_refused(content: ReportContent, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a folder that can be written is allowed"):
        write_figures(content, tmp_path / "file")
