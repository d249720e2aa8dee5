from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from lzc_flows.report.curves import MOST_HOPS, STAGE_CURVES, arrhenius_curves, cineb_curves, order_curves
from lzc_flows.report.curves_figure import curves_figure
from lzc_flows.report.page.rows import bars_between, dots, row_figure
from lzc_flows.transport.conductivity import BOLTZMANN_EV

EA_EV, D0 = 0.3, 1e-3


def diffusivity(temperature_k: float) -> float:
    return D0 * float(np.exp(-EA_EV / (BOLTZMANN_EV * temperature_k)))


def runs(*temperatures_k: float) -> list[dict[str, Any]]:
    found = [(one, diffusivity(one)) for one in temperatures_k]
    return [
        {"diffusion": {"temperature_k": one, "D_cm2_s": value, "D_interval": (0.9 * value, 1.2 * value)}}
        for one, value in found
    ]


@pytest.fixture
def output() -> dict[str, Any]:
    """What the arrhenius stage's document has of a line without errors."""
    middle = 1 / (BOLTZMANN_EV * 900)
    room = diffusivity(300.0)
    line = {
        "Ea_eV": EA_EV,
        "Ea_standard_error": 0.02,
        "mean_inverse_ev": middle,
        "level": float(np.log(D0) - EA_EV * middle),
        "D_300K_cm2_s": room,
        "D_300K_interval": (room / 2, room * 2),
        "sigma_300K_mS_cm": 1.5,
        "sigma_300K_interval": (0.7, 3.1),
        "notes": ["few points"],
    }
    left_out = {"600 K": "melted"}
    return {"runs": [*runs(1100.0, 900.0, 800.0), {}], "line": line, "left_out": left_out, "no_line_because": None}


def test_the_line_of_arrhenius_goes_through_its_points_to_300_k(output: dict[str, Any]) -> None:
    curves = arrhenius_curves(output)
    assert curves is not None
    points, line, room = curves.data
    assert points["x"] == pytest.approx([1000 / 1100, 1000 / 900, 1000 / 800])
    assert line["x"] == pytest.approx([1000 / 1100, 1000 / 300])
    assert line["y"] == pytest.approx([points["y"][0], room["y"][0]], rel=1e-9, abs=0)
    assert points["error_y"]["array"] == pytest.approx([0.2 * value for value in points["y"]])
    assert (line["name"], room["name"]) == ("Ea = 0.300 ± 0.020 eV", "σ(300 K) = 1.5 (0.7–3.1) mS/cm")
    assert curves.note == "600 K: melted; few points"


def test_points_without_a_line_and_no_points(output: dict[str, Any]) -> None:
    curves = arrhenius_curves(output | {"line": None, "no_line_because": "too few"})
    assert curves is not None
    assert (len(curves.data), curves.note) == (1, "600 K: melted; no line: too few")
    assert arrhenius_curves({"runs": [], "line": None}) is None
    assert set(STAGE_CURVES) == {"order", "bvse", "aimd", "arrhenius", "cineb", "electronic"}


def hop(number: int, barrier_ev: float, mechanism: str = "vacancy", status: str = "converged") -> dict[str, Any]:
    """A hop over a saddle in the middle of 3 Å, as the cineb stage's document has it."""
    around = {"dopant_distances_angstrom": {}, "anions_in_bottleneck": {"Cl": 3}, "dopant_anions": 0}
    leg = {"first_image": 0, "last_image": 2, "saddle_image": 1, "fmax_climbing": 0.01, "fmax_band": 0.04, "steps": 9}
    path = {
        "energies_eV": [0.0, barrier_ev, 0.0],
        "distances_A": [0.0, 1.5, 3.0],
        "slopes_eV_A": [0.0, 0.0, 0.0],
        "legs": [leg | {"barrier_forward_eV": barrier_ev, "barrier_reverse_eV": barrier_ev}],
    }
    return {
        "id": f"hop {number}",
        "mechanism": mechanism,
        "labels": ["6h", "6g"],
        "vacancy": None,
        "moves": [],
        "ways_A": [3.0],
        "direction": [0.0, 0.0, 1.0],
        "direction_word": "c",
        "multiplicity": 1,
        "charge_e": None,
        "surroundings": around | {"dopant_shell": "none"},
        "status": status,
        **(path if status == "converged" else {"reason": "too many steps"}),
    }


def test_few_hops_are_all_drawn_by_their_barriers() -> None:
    curves = cineb_curves({"hops": [hop(0, 0.5), hop(1, 0.3), hop(2, 0.4, status="unconverged")]})
    assert curves is not None
    assert [trace["name"] for trace in curves.data[::2]] == ["6h → 6g, vacancy: 0.300 eV", "6h → 6g, vacancy: 0.500 eV"]
    assert curves.note == "2 of 3 distinct hops converged; barriers forward in the legend."
    line, images = curves.data[:2]
    assert max(line["y"]) == pytest.approx(0.3, abs=1e-4)
    assert images["y"] == [0.0, 0.3, 0.0]


def test_of_many_hops_the_middle_of_each_kind_is_drawn_with_the_range_of_all() -> None:
    vacancies = [hop(number, 0.3 + 0.01 * number) for number in range(MOST_HOPS)]
    curves = cineb_curves({"hops": [*vacancies[::-1], hop(99, 0.2, "frenkel")]})
    assert curves is not None
    names = ["6h → 6g, frenkel: 0.200 eV", f"6h → 6g, vacancy: 0.300–0.490 eV, {MOST_HOPS} hops"]
    assert [trace["name"] for trace in curves.data[::2]] == names
    assert max(curves.data[2]["y"]) == pytest.approx(0.39, abs=1e-4)
    assert curves.note.endswith("Of each kind the one with the middle barrier is drawn.")


def test_curves_become_a_figure_for_paper(output: dict[str, Any]) -> None:
    arrhenius = arrhenius_curves(output)
    bars = order_curves({"shortlist": [{"engine_energy_ev": 0.0}, {"engine_energy_ev": 0.1}, {}], "decided_by": "x"})
    assert arrhenius is not None
    assert bars is not None
    drawn = curves_figure(arrhenius)
    assert isinstance(drawn, Figure)
    (axes,) = drawn.axes
    assert (axes.get_yscale(), axes.get_xlabel()) == ("log", "1000/T (1/K)")
    written = {text.get_text() for text in drawn.legends[0].get_texts()}
    assert written == {trace["name"] for trace in arrhenius.data}
    (bar_axes,) = curves_figure(bars).axes
    assert [patch.get_height() for patch in bar_axes.patches][:2] == [0.0, pytest.approx(100.0)]


def test_an_interval_that_does_not_hold_its_value_is_drawn_from_end_to_end() -> None:
    """The first of many has rank 1, and an interval that may begin at 2."""
    ranks = dots("68 %", [1, 2], [0, 1], "#0072B2") | {"error_x": bars_between([1, 2], [2, 1], [28, 25], 5)}
    (axes,) = curves_figure(row_figure("Rank intervals", "", ["a", "b"], [ranks], {})).axes
    (bars,) = axes.collections
    assert [segment[:, 0].tolist() for segment in bars.get_segments()] == [[2.0, 28.0], [1.0, 25.0]]
    (line,) = axes.lines
    assert np.asarray(line.get_xdata()).tolist() == [1, 2]
