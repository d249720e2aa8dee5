from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from pymatgen.core import Lattice, Structure
from scipy.interpolate import CubicHermiteSpline

from lzc_flows.documents.base import EngineStamp
from lzc_flows.documents.neb import HopDoc, LegDoc, NebDoc, SurroundingsDoc
from lzc_flows.documents.protocols import NebProtocol
from lzc_flows.errors import InputError
from lzc_flows.report.figure import write_png, write_svg
from lzc_flows.report.neb import PathProfile, of_hop_doc, of_neb_doc, path_figure

ONE = [0.0, 0.15, 0.48, 0.70, 0.48, 0.20, 0.10]
TWO = [0.0, 0.19, 0.405, 0.26, 0.106, 0.26, 0.39, 0.19, 0.05]


def leg(energies: list[float], first: int, last: int) -> LegDoc:
    part = energies[first : last + 1]
    top = first + part.index(max(part))
    return LegDoc(
        first_image=first,
        last_image=last,
        saddle_image=top if first < top < last else None,
        barrier_forward_eV=max(part) - part[0],
        barrier_reverse_eV=max(part) - part[-1],
        fmax_climbing=0.008,
        fmax_band=0.04,
        steps=30,
    )


def curve(energies: list[float], stops: list[int], length: float) -> dict[str, Any]:
    """Energies along a path of that length, slopes by differences and zero at its minima and saddles."""
    distances = np.linspace(0, length, len(energies))
    legs = [leg(energies, *pair) for pair in itertools.pairwise(stops)]
    slopes = np.gradient(energies, distances)
    slopes[[*stops, *(one.saddle_image for one in legs if one.saddle_image is not None)]] = 0.0
    return {
        "energies_eV": energies,
        "distances_A": distances.tolist(),
        "slopes_eV_A": slopes.tolist(),
        "legs": legs,
    }


def profile(energies: list[float], *middle: int, length: float = 3.7) -> PathProfile:
    found = curve(energies, [0, *middle, len(energies) - 1], length)
    return PathProfile("6h → 6g, vacancy", **{name: tuple(values) for name, values in found.items()})


def hop(**changes: Any) -> HopDoc:
    content: dict[str, Any] = {
        "id": "hop 3",
        "mechanism": "vacancy",
        "labels": ["6h", "6g"],
        "vacancy": None,
        "moves": [],
        "ways_A": [2.97],
        "direction": [0.0, 0.0, 1.0],
        "direction_word": "c",
        "multiplicity": 12,
        "charge_e": -1.0,
        "surroundings": SurroundingsDoc(
            dopant_distances_angstrom={}, anions_in_bottleneck={"Cl": 3}, dopant_anions=0, dopant_shell="none"
        ),
        "status": "converged",
        **curve(ONE, [0, 6], 3.7),
    }
    return HopDoc(**content | changes)


def axes_of(path: PathProfile) -> Axes:
    (axes,) = path_figure(path).axes
    return axes


def labelled(axes: Axes) -> dict[str, Line2D]:
    return {str(line.get_label()): line for line in axes.lines}


def texts_of(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts if text.get_text()]


def arrows_of(axes: Axes) -> list[tuple[float, float, float]]:
    """Place, foot and head of each arrow."""
    arrows = [text for text in axes.texts if isinstance(text, Annotation) and text.arrow_patch is not None]
    return [(arrow.xy[0], arrow.xyann[1], arrow.xy[1]) for arrow in arrows]


def test_the_line_is_the_spline_through_energies_and_slopes() -> None:
    path = profile(ONE)
    line = axes_of(path).lines[0]
    spline = CubicHermiteSpline(path.distances_A, path.energies_eV, path.slopes_eV_A)
    assert len(line.get_xdata()) > 100
    assert line.get_ydata() == pytest.approx(spline(line.get_xdata()), abs=1e-12)
    assert (line.get_xdata()[0], line.get_xdata()[-1]) == pytest.approx((0, 3.7))


def test_images_saddles_and_minima_have_their_own_marks() -> None:
    path = profile(TWO, 4)
    marks = labelled(axes_of(path))
    for label, images in (("image", [0, 1, 3, 5, 7, 8]), ("climbing image", [2, 6]), ("minimum", [4])):
        assert marks[label].get_xdata() == pytest.approx([path.distances_A[image] for image in images])
        assert marks[label].get_ydata() == pytest.approx([path.energies_eV[image] for image in images])
    assert "minimum" not in labelled(axes_of(profile(ONE)))


def test_barriers_reach_from_the_ends_to_the_highest_saddle() -> None:
    axes = axes_of(profile(TWO, 4))
    forward, reverse = arrows_of(axes)
    assert forward[0] < 0
    assert reverse[0] > 3.7
    assert forward[1:] == pytest.approx((0.0, 0.405))
    assert reverse[1:] == pytest.approx((0.05, 0.405))
    assert {"forward\n0.405 eV", "reverse\n0.355 eV"} <= set(texts_of(axes))


def test_each_leg_tells_its_barriers_and_each_minimum_its_energy() -> None:
    assert texts_of(axes_of(profile(ONE))) == ["forward\n0.700 eV", "reverse\n0.600 eV"]
    told = {"→ 0.405\n← 0.299", "→ 0.284\n← 0.340", "0.106"}
    assert told < set(texts_of(axes_of(profile(TWO, 4))))


def test_a_path_that_only_rises_has_one_barrier() -> None:
    axes = axes_of(profile([0.0, 0.1, 0.25, 0.4, 0.48]))
    assert "climbing image" not in labelled(axes)
    assert len(arrows_of(axes)) == 1
    assert texts_of(axes) == ["forward\n0.480 eV", "reverse\n0.000 eV"]


def test_nothing_overlaps() -> None:
    """Six legs, the most that a path has, saddles at equal and at different heights."""
    energies = [0.0]
    for saddle, minimum in ((0.44, 0.1), (0.44, -0.04), (0.2, 0.02), (0.4, 0.23), (0.29, 0.12), (0.4, 0.05)):
        energies += [(energies[-1] + saddle) / 2, saddle, (saddle + minimum) / 2, minimum]
    figure = path_figure(profile(energies, 4, 8, 12, 16, 20, length=14.0))
    figure.draw_without_rendering()
    (axes,) = figure.axes
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text()]
    assert len(boxes) == 2 + 6 + 5
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    legend = axes.get_legend().get_window_extent()
    assert not any(box.overlaps(legend) for box in boxes)
    assert not axes.title.get_window_extent().overlaps(legend)
    assert all(axes.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1 for box in boxes)
    assert "−0.040" in texts_of(axes)


def test_documents_as_stored_are_drawn() -> None:
    stored = hop().model_dump() | {"@module": "x", "@class": "y"}
    assert of_hop_doc(HopDoc.from_stored(stored)) == profile(ONE)
    assert of_hop_doc(hop(vacancy="6h")).label == "6h → 6g, vacancy at 6h"
    document = NebDoc(
        barrier_forward_eV=0.405,
        barrier_reverse_eV=0.355,
        converged=True,
        fmax=0.008,
        fmax_band=0.04,
        **curve(TWO, [0, 4, 8], 3.7),
        initial_energy_eV=-310.0,
        moved_atoms=[0],
        reordered=False,
        longest_way_A=3.6,
        evaluations=300,
        evaluations_ends=40,
        attempts=1,
        wall_s=3.0,
        charge_e=None,
        charge_note="ignored",
        engine=EngineStamp(name="nep", version="1"),
        protocol=NebProtocol(),
        initial=Structure(Lattice.cubic(4), ["Li"], [[0, 0, 0]]),
    )
    path = of_neb_doc(NebDoc.from_stored(document.model_dump()), "Li")
    assert path.label == "Li"
    assert path.energies_eV == tuple(TWO)
    assert (path.barrier_forward_eV, path.barrier_reverse_eV) == pytest.approx(
        (document.barrier_forward_eV, document.barrier_reverse_eV)
    )


def test_a_hop_without_a_path_is_refused() -> None:
    with pytest.raises(InputError, match="hop 3: unconverged"):
        of_hop_doc(hop(status="unconverged", energies_eV=[], distances_A=[], slopes_eV_A=[], legs=[]))


def test_the_way_back() -> None:
    path = profile(TWO, 4)
    back = path.reversed()
    assert (back.barrier_forward_eV, back.barrier_reverse_eV) == pytest.approx((0.355, 0.405))
    assert (back.saddles, back.minima) == ([2, 6], [4])
    assert back.legs[0].barrier_forward_eV == pytest.approx(0.39 - 0.05)
    along, energies = back.curve
    there = CubicHermiteSpline(path.distances_A, path.energies_eV, path.slopes_eV_A)
    assert energies == pytest.approx(there(3.7 - along) - 0.05, abs=1e-12)
    again = back.reversed()
    assert again.energies_eV == pytest.approx(path.energies_eV, abs=1e-15)
    assert again.slopes_eV_A == path.slopes_eV_A
    assert again.legs == path.legs


def test_profiles_that_are_none_are_refused() -> None:
    good = profile(ONE)
    legs = good.legs
    with pytest.raises(InputError, match="one distance, energy and slope"):
        PathProfile("x", good.distances_A[:-1], good.energies_eV, good.slopes_eV_A, legs)
    with pytest.raises(InputError, match="one distance, energy and slope"):
        PathProfile("x", (0.0,), (0.0,), (0.0,), ())
    with pytest.raises(InputError, match="must grow"):
        PathProfile("x", good.distances_A[::-1], good.energies_eV, good.slopes_eV_A, legs)
    with pytest.raises(InputError, match="legs must lead"):
        PathProfile("x", good.distances_A, good.energies_eV, good.slopes_eV_A, ())
    with pytest.raises(InputError, match="legs must lead"):
        PathProfile("x", good.distances_A, good.energies_eV, good.slopes_eV_A, (legs[0], legs[0]))


def test_same_bytes_whatever_the_user_prefers(tmp_path: Path) -> None:
    for write, name in ((write_png, "png"), (write_svg, "svg")):
        write(path_figure(profile(TWO, 4)), tmp_path / f"one.{name}")
        with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30, "lines.linewidth": 9}):
            write(path_figure(profile(TWO, 4)), tmp_path / f"two.{name}")
        assert (tmp_path / f"one.{name}").read_bytes() == (tmp_path / f"two.{name}").read_bytes()
