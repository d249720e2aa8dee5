from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lzc_flows.documents.neb import HopDoc, LegDoc, SurroundingsDoc
from lzc_flows.errors import InputError
from lzc_flows.report.figure import write_png
from lzc_flows.report.neb import of_hop_doc
from lzc_flows.report.neb_compare import DopedPath, PathGroup, directions_figure, of_doped_hop, pairs_figure


def hop(barrier_ev: float, end_ev: float = 0.0, length: float = 3.7, **changes: Any) -> HopDoc:
    """A path of one leg with five images, sin² to its saddle in the middle and down to the end."""
    fractions = np.linspace(0, 1, 5)
    drop = np.where(fractions <= 0.5, 0.0, end_ev)
    energies = drop + (barrier_ev - drop) * np.sin(np.pi * fractions) ** 2
    slopes = np.pi / length * (barrier_ev - drop) * np.sin(2 * np.pi * fractions)
    leg = LegDoc(
        first_image=0,
        last_image=4,
        saddle_image=2,
        barrier_forward_eV=barrier_ev,
        barrier_reverse_eV=barrier_ev - end_ev,
        fmax_climbing=0.01,
        fmax_band=0.05,
        steps=20,
    )
    content: dict[str, Any] = {
        "id": "hop 1",
        "mechanism": "vacancy",
        "labels": ["6h", "6g"],
        "vacancy": None,
        "moves": [],
        "ways_A": [2.97],
        "direction": [0.0, 0.0, 1.0],
        "direction_word": "c",
        "multiplicity": 12,
        "charge_e": -1.0,
        "surroundings": around(0, "none"),
        "status": "converged",
        "energies_eV": energies.tolist(),
        "distances_A": (length * fractions).tolist(),
        "slopes_eV_A": slopes.tolist(),
        "legs": [leg],
    }
    return HopDoc(**content | changes)


def failed(status: str, **changes: Any) -> HopDoc:
    return hop(0.0, status=status, energies_eV=[], distances_A=[], slopes_eV_A=[], legs=[], **changes)


def around(fluorines: int, shell: str) -> SurroundingsDoc:
    anions = {"Cl": 3 - fluorines, "F": fluorines}
    return SurroundingsDoc(
        dopant_distances_angstrom={}, anions_in_bottleneck=anions, dopant_anions=fluorines, dopant_shell=shell
    )


HOPS = [
    hop(0.35, 0.12, 6.2, labels=["1b", "6h", "6g"], mechanism="interstitialcy", direction_word="oblique"),
    hop(0.70, labels=["6h", "6h"], ways_A=[3.76], direction_word="ab"),
    hop(0.41, labels=["6h", "6h"], ways_A=[3.61], direction_word="ab", id="one"),
    hop(0.42, labels=["6h", "6h"], ways_A=[3.61], direction_word="ab", id="two"),
    failed("unconverged", direction_word="ab"),
    failed("end moved", direction_word="ab"),
    failed("end moved", direction_word="ab"),
    hop(0.31, 0.2, 3.0),
]


def curves(axes: Axes) -> list[Line2D]:
    return [line for line in axes.lines if len(np.asarray(line.get_xdata())) > 50]


def diamonds(axes: Axes) -> list[tuple[float, float]]:
    found = [line for line in axes.lines if line.get_marker() == "D"]
    return [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in found]


def test_directions_have_their_panels() -> None:
    panels = directions_figure(HOPS).axes
    assert [axes.get_title() for axes in panels] == ["along c", "in the a–b plane", "oblique"]
    assert [len(curves(axes)) for axes in panels] == [1, 3, 1]
    assert len({axes.get_ylim() for axes in panels}) == len({axes.get_xlim() for axes in panels}) == 1
    assert panels[0].get_xlim()[1] > 6.2
    assert len(directions_figure(HOPS[:1]).axes) == 1


def test_lines_are_the_profiles_in_angstrom() -> None:
    axes = directions_figure(HOPS).axes[2]
    (line,) = curves(axes)
    expected = of_hop_doc(HOPS[0]).curve
    assert line.get_xdata() == pytest.approx(expected[0], abs=0)
    assert line.get_ydata() == pytest.approx(expected[1], abs=0)
    assert diamonds(axes) == [pytest.approx((3.1, 0.35))]


def test_legends_name_hops_barriers_and_failures() -> None:
    legends = [
        [text.get_text().replace("\n", " ") for text in axes.get_legend().get_texts()]
        for axes in directions_figure(HOPS).axes
    ]
    assert legends == [
        ["6h → 6g, vacancy: 0.310 eV, back 0.110 eV"],
        [
            "6h → 6h, vacancy, 3.76 Å: 0.700 eV",
            "6h → 6h, vacancy, 3.61 Å (one): 0.410 eV",
            "6h → 6h, vacancy, 3.61 Å (two): 0.420 eV",
            "no path: 2 end moved, 1 unconverged",
        ],
        ["1b → 6h → 6g, interstitialcy: 0.350 eV, back 0.230 eV"],
    ]


def boxes_of(figure: Figure) -> list[Any]:
    figure.draw_without_rendering()
    legends = [axes.get_legend().get_window_extent() for axes in figure.axes if axes.get_legend()]
    labels = [axes.xaxis.label.get_window_extent() for axes in figure.axes]
    return [*legends, *labels, *(legend.get_window_extent() for legend in figure.legends)]


def test_legends_keep_clear_of_each_other() -> None:
    """Also where all panels have long labels."""
    long = {"labels": ["6i''", "6h", "6i''"], "mechanism": "interstitialcy", "ways_A": [2.16, 2.16]}
    wide = [hop(0.4, 0.1, direction_word=word, **long) for word in ("c", "ab", "oblique") for _ in range(2)]
    for hops in (HOPS, wide):
        boxes = boxes_of(directions_figure(hops))
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(InputError, match="no hop"):
        directions_figure([])
    with pytest.raises(InputError, match="direction 'up'"):
        directions_figure([hop(0.3, direction_word="up")])
    with pytest.raises(InputError, match="no path, pristine or doped"):
        pairs_figure([PathGroup("x", None, ())])
    with pytest.raises(InputError, match="hop 1: unconverged"):
        of_doped_hop(failed("unconverged"))


PRISTINE = of_hop_doc(hop(0.7))
GROUPS = [
    PathGroup(
        "6h → 6g, vacancy, c",
        PRISTINE,
        tuple(
            of_doped_hop(hop(barrier, 0.05, length, surroundings=around(*kind)))
            for barrier, length, kind in (
                (0.5, 3.5, (0, "near")),
                (0.6, 4.1, (1, "near")),
                (0.62, 4.0, (1, "near")),
                (0.8, 3.9, (1, "far")),
            )
        ),
    ),
    PathGroup("6g → 6g, interstitial, ab", None, (of_doped_hop(hop(0.4, surroundings=around(2, "near"))),)),
    PathGroup("6h → 6h, vacancy, ab", PRISTINE, ()),
]


def test_what_a_doped_hop_is_drawn_by() -> None:
    found = of_doped_hop(hop(0.5, surroundings=around(2, "far")))
    assert found == DopedPath(of_hop_doc(hop(0.5)), 2, "far")


def test_doped_lines_lie_on_the_broad_pristine_one() -> None:
    first, second, third = pairs_figure(GROUPS).axes
    assert [len(curves(axes)) for axes in (first, second, third)] == [5, 1, 1]
    broad, *thin = curves(first)
    assert all(line.get_linewidth() < broad.get_linewidth() / 2 for line in thin)
    for line, path in zip([broad, *thin], [PRISTINE, *(one.profile for one in GROUPS[0].doped)], strict=True):
        distances, energies = path.curve
        assert line.get_xdata() == pytest.approx(distances / path.distances_A[-1], abs=0)
        assert line.get_ydata() == pytest.approx(energies, abs=0)
    assert diamonds(first) == [pytest.approx((0.5, barrier)) for barrier in (0.5, 0.6, 0.62, 0.8)]
    assert first.get_xlim() == (0, 1)
    assert first.get_ylim() == second.get_ylim()


def test_kinds_of_surroundings_share_color_and_dashes_with_the_legend() -> None:
    figure = pairs_figure(GROUPS)
    _, *thin = curves(figure.axes[0])
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["pristine", "0, near (1)", "1, far (1)", "1, near (2)", "2, near (1)"]
    handles = dict(zip(texts, legend.legend_handles, strict=True))
    for line, kind in zip(thin, ("0, near (1)", "1, near (2)", "1, near (2)", "1, far (1)"), strict=True):
        assert same_color(line.get_color(), handles[kind].get_color())
        assert (line.get_linestyle() == "-") == kind.startswith(("0, near", "1, near"))
    assert len({handles[kind].get_color() for kind in texts}) == 4


def test_the_legend_does_not_grow_with_hops() -> None:
    many = [PathGroup(str(number), PRISTINE, GROUPS[0].doped * 12) for number in range(4)]
    figure = pairs_figure(many)
    assert len(figure.axes) == 4
    assert [len(curves(axes)) for axes in figure.axes] == [49] * 4
    assert len(figure.legends[0].get_texts()) == 4
    boxes = boxes_of(figure)
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


def test_panels_sum_up_their_barriers() -> None:
    panels = pairs_figure(GROUPS).axes
    assert [axes.get_title().strip() for axes in panels] == [group.title for group in GROUPS]
    assert [axes.texts[0].get_text() for axes in panels] == [
        "pristine 0.700 eV; doped 0.500 to 0.800 eV (4)",
        "no pristine path; doped 0.400 eV (1)",
        "pristine 0.700 eV; no doped path",
    ]


@pytest.mark.parametrize("draw", [lambda: directions_figure(HOPS), lambda: pairs_figure(GROUPS)])
def test_same_bytes_whatever_the_user_prefers(draw: Any, tmp_path: Path) -> None:
    write_png(draw(), tmp_path / "one.png", dpi=60)
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30, "lines.linewidth": 9}):
        write_png(draw(), tmp_path / "two.png", dpi=60)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
