from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import same_color
from matplotlib.container import BarContainer
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from lzc_flows.documents.base import EngineStamp
from lzc_flows.documents.neb import HopDoc, InterlayerPoint, InterlayerScanDoc, SurroundingsDoc
from lzc_flows.errors import InputError
from lzc_flows.report.figure import write_png
from lzc_flows.report.neb_barriers import ScanPoint, barriers_figure, interlayer_figure, scan_points

C, A, B = "6h → 6g, vacancy, c", "6h → 6h, vacancy, ab", "6h → 1b, vacancy, ab"
DISTANCES = [5.7, 5.8, 5.9, 6.0]
SCAN = [
    *(ScanPoint(C, distance, 0.31) for distance in DISTANCES[::-1]),
    *(ScanPoint(A, distance, None if distance == 5.9 else 6.5 - distance) for distance in DISTANCES),
    *(ScanPoint(B, distance, 7 - distance if distance in (5.8, 6.0) else None) for distance in DISTANCES),
]


def axes_of(points: list[ScanPoint]) -> Axes:
    (axes,) = interlayer_figure(points).axes
    return axes


def crosses(axes: Axes) -> list[Line2D]:
    return [line for line in axes.lines if line.get_marker() == "x" and len(np.asarray(line.get_xdata()))]


def test_each_path_has_its_line_by_distance() -> None:
    lines = {str(line.get_label()): line for line in axes_of(SCAN).lines}
    assert lines[C].get_xdata() == pytest.approx(DISTANCES, abs=0)
    assert lines[C].get_ydata() == pytest.approx([0.31] * 4, abs=0)
    assert lines[A].get_ydata() == pytest.approx([0.8, 0.7, math.nan, 0.5], nan_ok=True)
    assert len({lines[path].get_color() for path in (C, A, B)}) == 3
    assert len({lines[path].get_marker() for path in (C, A, B)}) == 3


def test_missing_points_are_gaps_with_a_cross_at_the_foot() -> None:
    axes = axes_of(SCAN)
    lines = {str(line.get_label()): line for line in axes.lines}
    found = crosses(axes)
    assert [float(cross.get_xdata()[0]) for cross in found] == [5.9, 5.7, 5.9]
    for cross, path in zip(found, (A, B, B), strict=True):
        assert same_color(cross.get_color(), lines[path].get_color())
    axes.figure.draw_without_rendering()
    places = [cross.get_window_extent() for cross in found]
    assert all(axes.bbox.y0 <= place.y0 < axes.bbox.y0 + 0.12 * axes.bbox.height for place in places)
    assert not any(one.overlaps(other) for one, other in itertools.combinations(places, 2))
    assert axes.get_ylim()[0] == 0


def test_the_legend_names_paths_and_crosses() -> None:
    names = [text.get_text() for text in interlayer_figure(SCAN).legends[0].get_texts()]
    assert names == [C, A, B, "not converged"]
    names = [text.get_text() for text in interlayer_figure(SCAN[:4]).legends[0].get_texts()]
    assert names == [C]


def test_many_paths_have_room_and_differ() -> None:
    paths = [f"6h → 6i'', vacancy at 6h, ab ({number})" for number in range(24)]
    figure = interlayer_figure([ScanPoint(path, d, 0.5 + 0.01 * n) for n, path in enumerate(paths) for d in DISTANCES])
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert len({(line.get_color(), line.get_marker()) for line in axes.lines}) == 24
    assert axes.bbox.height > 0.3 * axes.bbox.width
    legend = figure.legends[0].get_window_extent()
    assert not legend.overlaps(axes.bbox)
    assert legend.x0 >= 0
    assert legend.x1 <= figure.bbox.x1


def test_a_path_that_never_converged_is_named() -> None:
    axes = axes_of([*SCAN[:4], ScanPoint("x", 5.8, None)])
    assert [float(cross.get_xdata()[0]) for cross in crosses(axes)] == [5.8]
    assert "x" in {line.get_label() for line in axes.lines}


def test_scans_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match="nothing to draw"):
        interlayer_figure([])
    with pytest.raises(InputError, match=r"one barrier at 5\.7 Å"):
        interlayer_figure([*SCAN, ScanPoint(C, 5.7, 0.4)])


def hop(mechanism: str, barrier_ev: float | None, status: str = "converged") -> HopDoc:
    around = SurroundingsDoc(
        dopant_distances_angstrom={}, anions_in_bottleneck={}, dopant_anions=0, dopant_shell="none"
    )
    return HopDoc(
        id="1",
        mechanism=mechanism,
        labels=["6h", "6g"],
        vacancy=None,
        moves=[],
        ways_A=[2.97],
        direction=[0, 0, 1],
        direction_word="c",
        multiplicity=1,
        charge_e=None,
        surroundings=around,
        status=status,
        barrier_forward_eV=barrier_ev,
    )


def test_points_of_a_stored_scan() -> None:
    def at(distance: float, *hops: HopDoc) -> InterlayerPoint:
        return InterlayerPoint(c_angstrom=distance, interlayer_angstrom=distance, barriers_eV={}, hops=list(hops))

    in_plane = {"labels": ["6h", "6h"], "direction_word": "ab"}
    longer, shorter = (hop("vacancy", barrier).model_copy(update=in_plane) for barrier in (1.6, 1.7))
    longer.ways_A, shorter.ways_A = [3.76], [3.61]
    points = [
        at(5.9, hop("vacancy", 0.31), longer, shorter),
        at(6.0, shorter, longer, hop("vacancy", None, "unconverged")),
    ]
    scan = InterlayerScanDoc(points=points, engine=EngineStamp(name="nep", version="1"))
    found = scan_points(InterlayerScanDoc.from_stored(scan.model_dump()))
    ab = "6h → 6h, vacancy, ab"
    expected = [(C, 5.9, 0.31), (C, 6.0, None)]
    expected += [(f"{ab} (1)", d, 1.7) for d in (5.9, 6.0)] + [(f"{ab} (2)", d, 1.6) for d in (5.9, 6.0)]
    assert sorted(found, key=lambda one: (one.path, one.distance_A)) == [
        ScanPoint(*one) for one in sorted(expected, key=lambda one: one[:2])
    ]


BATCH = [
    *(hop("vacancy", barrier) for barrier in (0.12, 0.13, 0.31, 0.42)),
    *(hop("interstitialcy", barrier) for barrier in (0.11, 0.44)),
    *(hop("vacancy", None, "unconverged") for _ in range(3)),
    hop("interstitial", None, "end moved"),
]


def bars(axes: Axes) -> list[list[Any]]:
    return [list(group) for group in axes.containers if isinstance(group, BarContainer)]


def test_bars_count_converged_hops_stacked_by_mechanism() -> None:
    left, _ = barriers_figure(BATCH, "batch").axes
    groups = bars(left)
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["vacancy (4)", "interstitialcy (2)"]
    assert [sum(bar.get_height() for bar in group) for group in groups] == [4, 2]
    for group, barriers in zip(groups, ((0.12, 0.13, 0.31, 0.42), (0.11, 0.44)), strict=True):
        for bar in group:
            inside = [b for b in barriers if bar.get_x() <= b < bar.get_x() + bar.get_width()]
            assert bar.get_height() == len(inside)
    for lower, upper in zip(*groups, strict=True):
        assert upper.get_y() == lower.get_height()
    assert groups[0][0].get_width() == pytest.approx(0.05)


@pytest.mark.parametrize("barriers", [[0.3], [0.0, 0.25], [0.01, 0.02, 7.3], [0.1, 130.0], [-0.02, 0.7]])
def test_every_barrier_is_counted_whatever_the_range(barriers: list[float]) -> None:
    (group,) = bars(barriers_figure([hop("frenkel", barrier) for barrier in barriers], "batch").axes[0])
    assert sum(bar.get_height() for bar in group) == len(barriers)
    assert len(group) <= 30


def test_statuses_are_counted_and_named() -> None:
    _, right = barriers_figure(BATCH, "batch").axes
    assert [label.get_text() for label in right.get_yticklabels()] == ["converged", "unconverged", "end moved"]
    (group,) = bars(right)
    assert [bar.get_width() for bar in group] == [6, 3, 1]
    assert [text.get_text() for text in right.texts] == ["6", "3", "1"]
    assert right.get_xlabel() == "Hops, of 10"
    colors = [bar.get_facecolor() for bar in group if isinstance(bar, Rectangle)]
    assert colors[0] != colors[1] == colors[2]


def test_a_batch_in_which_all_failed() -> None:
    left, right = barriers_figure(BATCH[6:], "batch").axes
    assert [text.get_text() for text in left.texts] == ["no hop converged"]
    assert [label.get_text() for label in right.get_yticklabels()] == ["unconverged", "end moved"]
    with pytest.raises(InputError, match="batch: no hop"):
        barriers_figure([], "batch")


def test_texts_keep_clear() -> None:
    figure = barriers_figure([*BATCH, hop("interstitial", 0.2), hop("frenkel", 0.3)], "a batch of hops")
    figure.draw_without_rendering()
    left, right = figure.axes
    boxes = [left.get_legend(), figure._suptitle, *right.texts, *right.get_yticklabels()]
    extents = [box.get_window_extent() for box in boxes]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(extents, 2))


@pytest.mark.parametrize("draw", [lambda: interlayer_figure(SCAN), lambda: barriers_figure(BATCH, "batch")])
def test_same_bytes_whatever_the_user_prefers(draw: Any, tmp_path: Path) -> None:
    write_png(draw(), tmp_path / "one.png", dpi=60)
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30, "lines.linewidth": 9}):
        write_png(draw(), tmp_path / "two.png", dpi=60)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
