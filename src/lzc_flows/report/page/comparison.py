"""Ours beside measured halide electrolytes: conductivities, and cost with conductivity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lzc_flows.report.curves import Curves
from lzc_flows.report.measured import MeasuredWithCost, conductivities, with_costs
from lzc_flows.report.neb import COLORS
from lzc_flows.report.page.rows import bars_between, dots, row_figure
from lzc_flows.report.words import chemical

MOST = 20
"""Candidates in a comparison, those of the highest conductivity."""

MEASURED = COLORS[0]

CROWDED = 2.0
"""Names of dots that are this close, as a ratio of costs and of conductivities, would lie on each other."""

SIGMA = "Ionic conductivity (mS/cm)"
ROW_HOVER = "%{text}<br>%{x:.3g} mS/cm<extra></extra>"
COST_HOVER = "%{text}<br>%{x:.3g} $/kg, %{y:.3g} mS/cm<extra></extra>"


@dataclass(frozen=True)
class OurConductivity:
    """A conductivity that the campaign has computed.

    Attributes
    ----------
    name
        The candidate in words.
    kind
        How it was found, with the temperature that it is of, such as ``molecular dynamics at 1100 K``.
    sigma_mS_cm
        In mS/cm.
    interval
        Its 68 % interval, in mS/cm; None if there is none.
    cost_usd_per_kg
        Raw-material cost of the candidate, in $/kg; None if an element has no price.
    """

    name: str
    formula: str
    kind: str
    sigma_mS_cm: float
    interval: tuple[float, float] | None
    cost_usd_per_kg: float | None


def comparisons(ours: tuple[OurConductivity, ...]) -> list[Curves]:
    """Return both comparisons as figures: Supplementary Table 1, and Supplementary Table 11."""
    shown = highest(ours)
    return [conductivity_figure(shown), cost_figure(shown)]


def highest(ours: tuple[OurConductivity, ...]) -> list[OurConductivity]:
    """Return those of the `MOST` highest conductivities of each kind, the highest first."""
    kinds = dict.fromkeys(one.kind for one in ours)
    kept = [
        sorted((one for one in ours if one.kind == kind), key=lambda one: -one.sigma_mS_cm)[:MOST] for kind in kinds
    ]
    return sorted((one for some in kept for one in some), key=lambda one: -one.sigma_mS_cm)


def conductivity_figure(ours: list[OurConductivity]) -> Curves:
    """Return a dot a material on a logarithmic scale, ours above the measured ones, the highest first."""
    measured = sorted(conductivities(), key=lambda one: -one.sigma_mS_cm)
    # two crystals of one formula are two rows
    names = [_row(one) for one in ours] + [f"{chemical(one.formula)} [{one.reference}]" for one in measured]
    first = len(ours)
    dots_of_others = dots(
        "measured at 25 °C", [one.sigma_mS_cm for one in measured], range(first, len(names)), MEASURED
    ) | {"text": names[first:], "hovertemplate": ROW_HOVER}
    data = [dots_of_others]
    for number, kind in enumerate(dict.fromkeys(one.kind for one in ours)):
        places = [place for place, one in enumerate(ours) if one.kind == kind]
        those = [ours[place] for place in places]
        found = dots(f"here, {kind}", [one.sigma_mS_cm for one in those], places, COLORS[1 + number], "diamond")
        data.append(
            found | {"text": [names[place] for place in places], "error_x": _errors(those), "hovertemplate": ROW_HOVER}
        )
    scale = {"title": {"text": SIGMA}, "type": "log"}
    return row_figure("Supplementary Table 1", "ionic conductivities of halide electrolytes", names, data, scale)


def cost_figure(ours: list[OurConductivity]) -> Curves:
    """Return conductivity over cost, both on logarithmic scales."""
    measured = with_costs()
    data = [
        dots(
            "measured at 25 °C, cost as printed",
            [one.cost_usd_per_kg for one in measured],
            [one.sigma_mS_cm for one in measured],
            MEASURED,
        )
        | {
            "text": [chemical(one.formula) for one in measured],
            "mode": "markers+text",
            "textposition": _sides(measured),
        }
    ]
    for number, kind in enumerate(dict.fromkeys(one.kind for one in ours)):
        those = [one for one in ours if one.kind == kind and one.cost_usd_per_kg is not None]
        costs = [one.cost_usd_per_kg or 0.0 for one in those]
        data.append(
            dots(f"here, {kind}", costs, [one.sigma_mS_cm for one in those], COLORS[1 + number], "diamond")
            | {"text": [one.name for one in those], "error_y": _errors(those), "hovertemplate": COST_HOVER}
        )
    layout = {
        "xaxis": {"title": {"text": "Raw-material cost ($/kg)"}, "type": "log"},
        "yaxis": {"title": {"text": SIGMA}, "type": "log"},
        "height": 460,
        "showlegend": True,
    }
    return Curves("Supplementary Table 11", "cost and conductivity", "", data, layout)


def _sides(measured: Sequence[MeasuredWithCost]) -> list[str]:
    """Return where the names stand: above the dots, below where another dot is close above."""

    def is_crowded(one: MeasuredWithCost) -> bool:
        above = (other.sigma_mS_cm / one.sigma_mS_cm for other in measured if _is_near(one, other))
        return any(1 < ratio < CROWDED for ratio in above)

    return ["bottom right" if is_crowded(one) else "top center" for one in measured]


def _is_near(one: MeasuredWithCost, other: MeasuredWithCost) -> bool:
    return 1 / CROWDED < other.cost_usd_per_kg / one.cost_usd_per_kg < CROWDED


def _row(one: OurConductivity) -> str:
    return f"{one.name}, {one.kind}"


def _errors(those: list[OurConductivity]) -> dict:
    """Return the 68 % intervals as Plotly's error bars."""
    values = [one.sigma_mS_cm for one in those]
    ends = [one.interval or (one.sigma_mS_cm, one.sigma_mS_cm) for one in those]
    return bars_between(values, [low for low, _ in ends], [high for _, high in ends], 2)
