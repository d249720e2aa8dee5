from __future__ import annotations

import math
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from lzc_flows.errors import InputError
from lzc_flows.report.arrhenius import PublishedLine, arrhenius_figure
from lzc_flows.report.figure import write_png
from lzc_flows.transport.arrhenius import ArrheniusPoint, arrhenius
from lzc_flows.transport.conductivity import BOLTZMANN_EV, nernst_einstein

CARRIERS = 9.1e21
POINTS = [
    ArrheniusPoint(t, d := 1e-3 * math.exp(-0.3 / (BOLTZMANN_EV * t)), (0.9 * d, 1.15 * d), CARRIERS)
    for t in (1100.0, 600.0, 800.0)
]
FIT = arrhenius(POINTS)
PUBLISHED = PublishedLine("doped-LZC paper", 0.257, 6.463)


def axes_of(published: PublishedLine | None = None) -> Axes:
    return arrhenius_figure(FIT, POINTS, published).axes[0]


def legend_of(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_line_and_band_are_those_of_the_fit() -> None:
    axes = axes_of()
    line = axes.lines[0]
    for inverse, value in zip(line.get_xdata(), line.get_ydata(), strict=True):
        assert value == pytest.approx(FIT.diffusivity(1000 / inverse).value, rel=1e-12)
    (band,) = (one for one in axes.collections if isinstance(one, PolyCollection))
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices.tolist()}
    for inverse in line.get_xdata()[::50]:
        low, high = FIT.diffusivity(1000 / inverse).interval
        found = sorted(y for x, y in corners if x == inverse)
        assert (found[0], found[-1]) == pytest.approx((low, high), rel=1e-9)
    assert axes.get_yscale() == "log"


def test_points_carry_their_intervals() -> None:
    container = next(one for one in axes_of().containers if one.get_label() == "simulated, 68 %")
    marks, _, (bars,) = container.lines
    assert marks.get_xdata() == pytest.approx([1000 / point.temperature_k for point in POINTS])
    assert marks.get_ydata() == pytest.approx([point.D_cm2_s for point in POINTS], rel=1e-12)
    ends = [tuple(segment[:, 1]) for segment in bars.get_segments()]
    assert ends == [pytest.approx(point.D_interval, rel=1e-9) for point in POINTS]


def test_room_temperature_is_marked_and_told() -> None:
    axes = axes_of()
    sigma = FIT.conductivity(300)
    label = f"σ(300 K) = {sigma.value:.3g} ({sigma.interval[0]:.3g}–{sigma.interval[1]:.3g}) mS/cm"
    assert f"Ea = {FIT.Ea_ev:.3f} ± {FIT.Ea_standard_error:.3f} eV, band: 68 %" in legend_of(axes)
    container = next(one for one in axes.containers if one.get_label() == label)
    mark = container.lines[0]
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == pytest.approx((10 / 3, FIT.diffusivity(300).value), rel=1e-12)
    low, high = axes.get_xlim()
    assert low < 1000 / 1100 < 10 / 3 < high


def test_a_published_line_has_its_energy_and_its_conductivity() -> None:
    axes = axes_of(PUBLISHED)
    line = next(one for one in axes.lines if str(one.get_label()).startswith("doped-LZC"))
    assert "doped-LZC paper: 0.257 eV, 6.46 mS/cm at 300 K" in legend_of(axes)
    inverse, value = np.array(line.get_xdata()), np.array(line.get_ydata())
    slope = np.diff(np.log(value)) / np.diff(inverse / 1000)
    assert -slope * BOLTZMANN_EV == pytest.approx([0.257], rel=1e-9)
    at_room = value[0] * math.exp(-0.257 / BOLTZMANN_EV * (1 / 300 - inverse[0] / 1000))
    assert at_room * nernst_einstein(CARRIERS, 1, 300) == pytest.approx(6.463, rel=1e-9)


def test_axes_are_read_in_plain_text_and_in_kelvin() -> None:
    figure = arrhenius_figure(FIT, POINTS)
    figure.canvas.draw()
    axes, top = figure.axes
    assert {label.get_text() for label in axes.get_yticklabels()} >= {"10⁻⁵", "10⁻⁶"}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("1000/T (1/K)", "Diffusivity (cm²/s)")
    assert [label.get_text() for label in top.get_xticklabels()] == ["300", "400", "500", "700", "1000"]
    assert top.get_xticks() == pytest.approx([10 / 3, 2.5, 2.0, 1000 / 700, 1.0])
    assert top.get_xlim() == axes.get_xlim()


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(InputError, match="no diffusivity"):
        arrhenius_figure(FIT, [])
    with pytest.raises(InputError, match="published line 'x'"):
        PublishedLine("x", 0.2, 0.0)


def test_same_bytes_whatever_the_user_prefers(tmp_path: Path) -> None:
    write_png(arrhenius_figure(FIT, POINTS, PUBLISHED), tmp_path / "one.png", dpi=60)
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30, "text.parse_math": True}):
        write_png(arrhenius_figure(FIT, POINTS, PUBLISHED), tmp_path / "two.png", dpi=60)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
