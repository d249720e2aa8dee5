from __future__ import annotations

import itertools
import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import matplotlib
import matplotlib.image
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from lzc_flows.errors import InputError
from lzc_flows.ranking.score import rank
from lzc_flows.ranking.spec import RankingSpec
from lzc_flows.report import heatmap
from lzc_flows.report.heatmap import draw_heatmap, write_heatmap

SPEC = RankingSpec()
Make = Callable[[list[str], list[str]], pd.DataFrame]
SCORES = ("performance", "performance_cost")


def panels(figure: Figure) -> tuple[Axes, Axes]:
    upper, lower, _ = figure.axes
    return upper, lower


def hatched(axes: Axes) -> set[tuple[float, float]]:
    return {patch.get_xy() for patch in axes.patches if isinstance(patch, Rectangle) and patch.get_hatch()}


def filled(axes: Axes) -> dict[tuple[float, float], tuple[float, ...]]:
    return {
        patch.get_xy(): patch.get_facecolor()
        for patch in axes.patches
        if isinstance(patch, Rectangle) and patch.get_fill() and not patch.get_hatch()
    }


def values(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts if "." in text.get_text()]


def badges(axes: Axes) -> list[str]:
    return sorted(text.get_text() for text in axes.texts if "." not in text.get_text())


def test_every_value_is_written_and_the_missing_are_hatched(candidates: pd.DataFrame) -> None:
    ranking = rank(candidates, SPEC)
    for axes, score in zip(panels(draw_heatmap(ranking, SPEC)), SCORES, strict=True):
        present = ranking[score].dropna()
        assert sorted(values(axes)) == sorted(f"{value:.2f}" for value in present)
        assert len(hatched(axes)) == len(ranking) - len(present)
        assert len(filled(axes)) == len(present)
        assert not hatched(axes) & filled(axes).keys()
    assert ranking["performance"].isna().sum() == 2
    assert ranking["performance_cost"].isna().sum() == 3


def test_five_best_are_circled_with_their_ranks(candidates: pd.DataFrame) -> None:
    figure = draw_heatmap(rank(candidates, SPEC), SPEC)
    for axes in panels(figure):
        assert badges(axes) == ["1", "2", "3", "4", "5"]


def test_no_more_than_five_are_circled_when_scores_are_equal(make_candidates: Make) -> None:
    table = make_candidates(["Ti3+", "Al3+", "Sc3+", "V3+"], ["1a", "2d"])
    table[["barrier_1d", "barrier_3d", "cost_usd_per_kg"]] = 0.5
    for axes in panels(draw_heatmap(rank(table, SPEC), SPEC)):
        assert badges(axes) == ["1"] * 5


def test_cations_by_charge_then_atomic_number_and_rows_in_natural_order(make_candidates: Make) -> None:
    table = make_candidates(["W6+", "Ti4+", "Ti3+", "Al3+", "Mg2+", "Li+"], ["x = 0.1", "x = 0.05", "x = 10"])
    _, lower = panels(draw_heatmap(rank(table, SPEC), SPEC))
    labels = [label.get_text() for label in lower.get_xticklabels()]
    assert labels == ["Li⁺", "Mg²⁺", "Al³⁺", "Ti³⁺", "Ti⁴⁺", "W⁶⁺"]
    assert [label.get_text() for label in lower.get_yticklabels()] == ["x = 0.05", "x = 0.1", "x = 10"]


def test_host_stands_at_the_left_across_all_rows(candidates: pd.DataFrame) -> None:
    upper, _ = panels(draw_heatmap(rank(candidates, SPEC), SPEC))
    assert upper.get_xticklabels()[0].get_text() == "host"
    assert [label.get_text() for label in upper.get_yticklabels()] == ["1a", "2d"]
    host = next(patch for patch in upper.patches if isinstance(patch, Rectangle) and patch.get_xy() == (0, 0))
    assert host.get_height() == 2


def test_host_alone_is_drawn(candidates: pd.DataFrame) -> None:
    upper, _ = panels(draw_heatmap(rank(candidates.tail(1), SPEC), SPEC))
    assert values(upper) == ["1.00"]


def test_combination_outside_the_grid_is_blank(make_candidates: Make) -> None:
    table = make_candidates(["Al3+", "Ti3+"], ["1a", "2d"])
    whole = draw_heatmap(rank(table, SPEC), SPEC)
    parts = draw_heatmap(rank(table.drop(index=3), SPEC), SPEC)
    assert [len(filled(axes)) for axes in panels(parts)] == [3, 3]
    assert [len(hatched(axes)) for axes in panels(parts)] == [0, 0]
    entries = [[text.get_text() for text in figure.legends[0].get_texts()] for figure in (whole, parts)]
    assert set(entries[1]) - set(entries[0]) == {"blank: not in the grid"}


def test_values_contrast_with_their_cells(make_candidates: Make) -> None:
    """WCAG 2.1 asks for a contrast of 4.5 for text; computed here from its definition."""
    table = make_candidates(["Al3+", "Ti3+", "Sc3+", "Y3+", "In3+", "V3+"], [f"{n}" for n in range(10)])
    upper, _ = panels(draw_heatmap(rank(table, SPEC), SPEC))
    cells = filled(upper)

    def luminance(color) -> float:
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color))
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    checked = 0
    for text in upper.texts:
        x, y = text.get_position()
        if "." in text.get_text():
            pair = sorted([luminance(text.get_color()), luminance(cells[x - 0.5, y - 0.5])])
            assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5
            checked += 1
    assert checked == 60


def test_infinite_barrier_is_a_score_not_a_gap(make_candidates: Make) -> None:
    table = make_candidates(["Al3+", "Ti3+"], ["1a"])
    table.loc[0, ["barrier_1d", "barrier_3d"]] = math.inf
    upper, _ = panels(draw_heatmap(rank(table, SPEC), SPEC))
    assert sorted(values(upper)) == ["0.00", "1.00"]
    assert not hatched(upper)


ELEMENTS = ["Mg", "Sc", "Ti", "Nb", "Mo", "Sb", "Ta", "Bi", "La", "Hf"]
MANY = [f"{element}{charge}+" for charge in (2, 3, 4, 5) for element in ELEMENTS]


@pytest.mark.parametrize(
    ("cations", "columns"),
    [
        (["Ti3+"], ["1a"]),
        (["Al3+", "Ti3+", "P5+"], ["1a · F 6i · 1 Ti + 3 F", "2d · F 6i · 1 Ti + 3 F"]),
        (MANY[:14], ["1a · F 6i", "2d · F 6i"]),
        (MANY, [f"{site} · F 6i · x = {x}" for site in ("1a", "2d") for x in (0.05, 0.1)]),
    ],
)
def test_no_text_overlaps_another(make_candidates: Make, cations: list[str], columns: list[str]) -> None:
    title = "A heading that is longer than a narrow figure is wide and must be broken into lines to fit above it"
    ranking = rank(make_candidates(cations, columns).drop(index=0 if len(cations) > 1 else []), SPEC)
    figure = draw_heatmap(ranking, SPEC, title)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts]
    assert len(boxes) > 2 * len(ranking)
    for (one, box), (other, other_box) in itertools.combinations(boxes, 2):
        assert not box.overlaps(other_box), f"{one!r} overlaps {other!r}"


def test_files_are_whole_and_the_same_bytes_each_time(candidates: pd.DataFrame, tmp_path: Path) -> None:
    ranking = rank(candidates, SPEC)
    first = write_heatmap(ranking, SPEC, tmp_path / "one" / "ranking-0.5")
    with matplotlib.rc_context({"font.size": 20, "svg.hashsalt": "other", "savefig.facecolor": "red"}):
        second = write_heatmap(ranking, SPEC, tmp_path / "two" / "ranking-0.5")
    assert [path.name for path in first] == ["ranking-0.5.png", "ranking-0.5.svg"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [
        "ranking-0.5.png",
        "ranking-0.5.svg",
    ]

    png, svg = first
    height, width, _ = matplotlib.image.imread(png).shape
    assert width > height > 500
    assert ElementTree.parse(svg).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    for mark in (b"Matplotlib", b"dc:date", b"Software"):
        assert mark not in svg.read_bytes()
        assert mark not in png.read_bytes()


def test_caption_states_weights_and_normalisation(candidates: pd.DataFrame) -> None:
    spec = RankingSpec(performance={"barrier_1d": 3, "barrier_3d": 1}, cost_weight=0.2, normalisation="rank")
    words = " ".join(text.get_text() for text in draw_heatmap(rank(candidates, spec), spec, "Title").texts)
    words = " ".join(words.split())
    assert "Title" in words
    assert "Performance = 0.75 × 1D BVSE barrier + 0.25 × 3D BVSE barrier" in words
    assert "+ 0.2 × raw-material cost" in words
    assert "rank over the candidates" in words
    assert "Of 29 candidates, ranked: 27 by performance, 26 by performance–cost" in words


def test_bad_tables_are_refused(candidates: pd.DataFrame) -> None:
    ranking = rank(candidates, SPEC)
    with pytest.raises(InputError, match="no candidates"):
        draw_heatmap(ranking.head(0), SPEC)
    with pytest.raises(InputError, match="share the cell of cation 'Ti3\\+'"):
        draw_heatmap(ranking.assign(cation="Ti3+"), SPEC)
    with pytest.raises(InputError, match="share the cell of cation 'pristine'"):
        draw_heatmap(ranking.assign(cation="pristine"), SPEC)
    for cation in ("Xx3+", "titanium", "Ti-", ""):
        with pytest.raises(InputError, match="element with its charge"):
            draw_heatmap(ranking.tail(1).assign(cation=cation), SPEC)


def test_a_large_grid_is_a_mesh_with_the_five_best_on_it() -> None:
    number = heatmap.MANY + 10
    table = pd.DataFrame(
        {
            "key": [f"c{place:04d}" for place in range(number)],
            "cation": [("Ti3+", "Al3+", "Nb5+")[place % 3] for place in range(number)],
            "column": [f"2d ×{place // 3}" for place in range(number)],
            "barrier_1d": [math.nan if place == 7 else 0.3 + place / number for place in range(number)],
            "barrier_3d": 0.5,
            "cost_usd_per_kg": 8.0,
        }
    )
    figure = draw_heatmap(rank(table, RankingSpec()), RankingSpec())
    for axes in figure.axes[:2]:
        (mesh,) = axes.collections
        colors = mesh.get_array()
        assert (colors[..., 3] > 0).sum() == number
        assert [text.get_text() for text in axes.texts] == ["1", "2", "3", "4", "5"]
        assert not axes.patches
