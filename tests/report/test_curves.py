from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from lzc_flows.report.curves import STAGE_CURVES, arrhenius_curves, order_curves
from lzc_flows.report.curves_figure import curves_figure
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
