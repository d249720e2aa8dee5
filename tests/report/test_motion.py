from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pytest

from lzc_flows.errors import InputError
from lzc_flows.report.figure import write_png
from lzc_flows.report.motion import msd_figure
from lzc_flows.transport.diffusion import Diffusion, diffusion
from lzc_flows.transport.motion import Motion

CELL = np.array([[11.2, 0, 0], [-5.6, 9.7, 0], [0, 0, 18.1]])


def walked(temperature_k: float) -> Diffusion:
    rng = np.random.default_rng(int(temperature_k))
    positions = np.zeros((2000, 15, 3))
    positions[:, :12] = (rng.normal(0, 0.5, (2000, 12, 3)) * [0.5, 0.5, 1.0]).cumsum(axis=0)
    return diffusion(Motion(positions, 0.05, ("Li",) * 12 + ("Cl",) * 3, CELL), "Li", temperature_k)


@pytest.fixture(scope="module")
def results() -> list[Diffusion]:
    return [walked(1100.0), walked(600.0)]


def test_each_temperature_has_its_panel_with_the_axes(results: list[Diffusion]) -> None:
    panels = msd_figure(results).axes
    assert [axes.get_title() for axes in panels] == ["Li, 600 K", "Li, 1100 K"]
    for axes, result in zip(panels, reversed(results), strict=True):
        shown = result.curves.lag_ps <= result.length_ps / 2
        assert [line.get_label()[0] for line in axes.lines] == ["a", "b", "c"]
        for line, direction in zip(axes.lines, "abc", strict=True):
            assert (line.get_xdata() == result.curves.lag_ps[shown]).all()
            assert (line.get_ydata() == result.curves.msd_A2[direction][shown]).all()
        assert axes.get_xlim() == (0, pytest.approx(result.length_ps / 2, rel=0.01))
        assert axes.get_ylim()[0] == 0
        (window,) = axes.patches
        box = window.get_window_extent().transformed(axes.transData.inverted())
        assert (box.x0, box.x1) == pytest.approx(result.window_ps)
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("Lag (ps)", "Mean squared displacement (Å²)")


def test_the_legend_holds_diffusivities_and_intervals(results: list[Diffusion]) -> None:
    found = results[1].by_direction["c"]
    text = msd_figure(results).axes[0].get_legend().get_texts()[2].get_text()
    assert text.endswith("×10⁻⁴ cm²/s")
    low, high = (bound * 1e4 for bound in found.D_interval)
    assert text.startswith(f"c: {found.D_cm2_s * 1e4:.1f} ({low:.1f}–{high:.1f})")


def test_many_temperatures_fill_rows(results: list[Diffusion]) -> None:
    figure = msd_figure(results * 3)
    assert len(figure.axes) == 6
    assert figure.get_size_inches()[1] == pytest.approx(2 * msd_figure(results).get_size_inches()[1])


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(InputError, match="no diffusivity"):
        msd_figure([])


def test_same_bytes_whatever_the_user_prefers(results: list[Diffusion], tmp_path: Path) -> None:
    write_png(msd_figure(results), tmp_path / "one.png", dpi=60)
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30, "lines.linewidth": 9}):
        write_png(msd_figure(results), tmp_path / "two.png", dpi=60)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
