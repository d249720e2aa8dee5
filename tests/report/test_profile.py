from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes

from lzc_flows.errors import InputError
from lzc_flows.report.figure import write_png
from lzc_flows.report.profile import profile_figure
from lzc_flows.report.scene import PATH_COLORS


def make_path(barrier_ev: float, length: float = 6.0, hops: int = 2) -> SimpleNamespace:
    distances = np.linspace(0, length, 24 * hops + 1)
    energies = -4.2 + barrier_ev * np.sin(np.pi * hops * distances / length) ** 2
    return SimpleNamespace(fractional=np.zeros((len(distances), 3)), energies_ev=energies, distances_angstrom=distances)


PATHS = {"a": make_path(0.4981), "b": make_path(0.4979, 7.0), "c": make_path(0.537, 9.5, 3)}


def axes_of(paths: dict[str, SimpleNamespace]) -> Axes:
    (axes,) = profile_figure(paths).axes
    return axes


def test_lines_are_energies_above_each_paths_lowest_point() -> None:
    lines = [line for line in axes_of(PATHS).lines if not line.get_label().startswith("_")]
    assert [line.get_label() for line in lines] == ["a", "b", "c"]
    assert [line.get_color() for line in lines] == list(PATH_COLORS[:3])
    for line, path in zip(lines, PATHS.values(), strict=True):
        assert line.get_xdata() == pytest.approx(path.distances_angstrom, abs=0)
        assert line.get_ydata() == pytest.approx(path.energies_ev + 4.2)
    assert len({str(line.get_linestyle()) + str(line._dash_pattern) for line in lines}) == 3


def test_barriers_stand_once_where_they_are_equal() -> None:
    assert [text.get_text() for text in axes_of(PATHS).texts] == ["b, a: 0.498 eV", "c: 0.537 eV"]


def test_the_first_of_equal_tops_is_marked() -> None:
    marks = [line for line in axes_of(PATHS).lines if line.get_marker() == "o"]
    places = [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in marks]
    expected = [(1.5, 0.4981), (1.75, 0.4979), (9.5 / 6, 0.537)]
    assert places == [pytest.approx(place) for place in expected]


def test_close_barriers_do_not_overwrite_each_other() -> None:
    figure = profile_figure({"a": make_path(0.50), "b": make_path(0.51), "c": make_path(0.52)})
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 3
    assert all(lower.y1 <= upper.y0 for lower, upper in pairwise(boxes))


def test_axes_say_what_they_show_and_hold_it() -> None:
    axes = axes_of(PATHS)
    assert axes.get_xlabel() == "Distance along the path (Å)"
    assert axes.get_ylabel() == "Energy above the path's lowest point (eV)"
    assert axes.get_xlim() == (0, 9.5)
    assert axes.get_ylim()[1] > 0.537


def test_no_path_is_refused() -> None:
    with pytest.raises(InputError, match="no migration path"):
        profile_figure({})


def test_same_bytes_whatever_the_user_prefers(tmp_path: Path) -> None:
    write_png(profile_figure(PATHS), tmp_path / "one.png")
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30, "lines.linewidth": 9}):
        write_png(profile_figure(PATHS), tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
