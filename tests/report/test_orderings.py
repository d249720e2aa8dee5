from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from lzc_flows.crystal.doping import Combination, Substitution
from lzc_flows.crystal.histogram import Histogram, Tally
from lzc_flows.crystal.host import ideal_host
from lzc_flows.crystal.ordering import enumeration
from lzc_flows.crystal.survey import survey
from lzc_flows.documents.protocols import SYMPREC_ANGSTROM
from lzc_flows.errors import InputError
from lzc_flows.report.figure import write_png
from lzc_flows.report.orderings import MOST_BARS, histogram_figure


def make_histogram(weights_by_bin: dict[int, int], bin_ev: float = 0.01) -> Histogram:
    bins, weights = zip(*sorted(weights_by_bin.items()), strict=True)
    return Histogram(bin_ev, np.array(bins, dtype=np.int64), weights)


def axes_of(histogram: Histogram) -> Axes:
    (axes,) = histogram_figure(histogram, "title").axes
    return axes


def bars_of(histogram: Histogram) -> list[Rectangle]:
    return list(axes_of(histogram).patches)


FEW = make_histogram({-113_700: 48, -113_690: 1_431_360, -113_650: 7, -113_600: 2_862_720})


# ---- bars ----


def test_a_bar_is_as_high_as_its_weight_and_around_its_normalised_energy() -> None:
    bars = bars_of(FEW)
    assert [bar.get_height() for bar in bars] == list(FEW.weights)
    centres = [bar.get_x() + bar.get_width() / 2 for bar in bars]
    assert centres == pytest.approx([0, 0.1, 0.5, 1])
    assert [bar.get_width() for bar in bars] == pytest.approx([0.01] * 4)


weights_by_bin = st.dictionaries(st.integers(-120_000, -100_000), st.integers(1, 10**12), min_size=2, max_size=300)


@given(weights_by_bin)
@settings(max_examples=20, deadline=None)
def test_bars_are_few_and_hold_every_arrangement_where_it_belongs(weights_by_bin: dict[int, int]) -> None:
    histogram = make_histogram(weights_by_bin)
    bars = bars_of(histogram)
    width = bars[0].get_width()
    assert sum(int(bar.get_height()) for bar in bars) == sum(weights_by_bin.values())
    first, last = int(histogram.bins[0]), int(histogram.bins[-1])
    assert (1 + 1 / (last - first)) / width <= MOST_BARS + 1e-9
    for bar in bars:
        assert bar.get_width() == width
        places = (histogram.bins - first) / (last - first)
        inside = (places > bar.get_x()) & (places < bar.get_x() + width)
        assert int(bar.get_height()) == np.array(histogram.weights)[inside].sum()


# ---- scales ----


@pytest.mark.parametrize(
    ("weights_by_bin", "label"),
    [
        ({0: 1, 100: 999}, "Arrangements in 0.01 eV"),
        ({0: 1, 100: 1_000}, "Arrangements in 0.01 eV (10³)"),
        ({0: 2_862_720, 835: 7}, "Arrangements in 0.06 eV (10⁶)"),
        ({0: 10**12, 100: 7}, "Arrangements in 0.01 eV (10¹²)"),
    ],
)
def test_vertical_scale_names_the_width_of_a_bar_and_the_power_of_its_numbers(
    weights_by_bin: dict[int, int], label: str
) -> None:
    axes = axes_of(make_histogram(weights_by_bin))
    assert axes.get_ylabel() == label
    power = (len(str(max(weights_by_bin.values()))) - 1) // 3 * 3
    written = axes.yaxis.get_major_formatter()(max(weights_by_bin.values()), 0)
    assert float(written) == pytest.approx(max(weights_by_bin.values()) / 10**power, rel=1e-5)


def test_the_scale_above_is_the_energy_above_the_lowest() -> None:
    for range_ev in (1.0, 2.5):
        figure = histogram_figure(make_histogram({-300: 1, -300 + round(100 * range_ev): 1}), "title")
        figure.draw_without_rendering()
        (axes,) = figure.axes
        (above,) = axes.child_axes
        assert above.get_xlim() == pytest.approx([limit * range_ev for limit in axes.get_xlim()])


@pytest.mark.parametrize("last", [1, 2, 159, 160, 1_000])
def test_no_bar_is_cut(last: int) -> None:
    axes = axes_of(make_histogram({0: 1, last: 1}))
    first, final = axes.patches
    assert axes.get_xlim()[0] <= first.get_x()
    assert axes.get_xlim()[1] >= final.get_x() + final.get_width()


def test_one_energy_is_refused() -> None:
    with pytest.raises(InputError, match=r"^F on Cl: all arrangements have the energy -3\.00 eV; nothing to draw$"):
        histogram_figure(make_histogram({-300: 25_764_480}), "F on Cl")


# ---- the source's case, smaller ----


def test_figure_of_an_enumeration_shows_all_its_arrangements() -> None:
    cation = Substitution(ion="Ti3+", labels=("1a", "2d"), count=1)
    every = enumeration(ideal_host(), Combination(supercell=(2, 2, 1), cation=cation), SYMPREC_ANGSTROM)
    tally = Tally(0.01)
    survey(every, 1, tally)
    histogram = tally.histogram()
    bars = bars_of(histogram)
    assert sum(bar.get_height() for bar in bars) == 12 * 36


def test_same_bytes_whatever_the_user_prefers(tmp_path: Path) -> None:
    write_png(histogram_figure(FEW, "title"), tmp_path / "one.png")
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30, "patch.linewidth": 9}):
        write_png(histogram_figure(FEW, "title"), tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
