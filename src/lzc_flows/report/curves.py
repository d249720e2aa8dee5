"""The curves of a candidate's stages as Plotly figures: numbers and labels, which a page's script draws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lzc_flows.documents.neb import HopDoc
from lzc_flows.report.neb import COLORS, PathProfile, of_hop_doc
from lzc_flows.transport.conductivity import BOLTZMANN_EV

_AXES = ("a", "b", "c")
_PER_K = 1000.0  # the axis of an Arrhenius plot is 1000/T
_ROOM_K = 300.0
_SHOWN_LAGS = 0.5
"""Of a trajectory's length: beyond, few origins are left for a mean squared displacement."""

MOST_HOPS = 20
"""Paths that one figure can show, each with its line in the legend."""
PAGE_DASHES = ("solid", "dash", "dot", "dashdot")
"""Plotly's names of the dashes in `lzc_flows.report.neb.DASHES`."""


@dataclass(frozen=True)
class Curves:
    """A figure of a stage: Plotly's traces and layout, and a line of what to know before reading it."""

    stage: str
    title: str
    note: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


def order_curves(output: Mapping[str, Any]) -> Curves | None:
    """Return the energies of the compared arrangements above the lowest; None where no engine was asked."""
    energies = [entry.get("engine_energy_ev") for entry in output.get("shortlist", [])]
    known = [energy for energy in energies if energy is not None]
    if not known:
        return None
    above = [None if energy is None else 1000 * (energy - min(known)) for energy in energies]
    bars = {"type": "bar", "x": [f"{number + 1}" for number in range(len(above))], "y": above, "name": "arrangement"}
    layout = _layout("Arrangement, the chosen one first", "Energy above the lowest (meV a cell)")
    layout["xaxis"]["type"] = "category"
    note = f"Decided by: {output.get('decided_by')}."
    return Curves("order", "Arrangements that were compared", note, [bars | _bar_color()], layout)


def bvse_curves(network: Mapping[str, Any]) -> Curves | None:
    """Return the energy along the paths of least resistance, each above its own lowest point."""
    paths = {axis: network["paths"][axis] for axis in _AXES if axis in network.get("paths", {})}
    if not paths:
        return None
    data = []
    for (axis, path), color in zip(paths.items(), COLORS, strict=False):
        energies = np.array(path["energies_ev"])
        barrier = np.ptp(energies)
        name = f"along {axis}: {barrier:.3f} eV"
        data.append(_line(name, path["distances_angstrom"], (energies - energies.min()).tolist(), color))
    layout = _layout("Distance along the path (Å)", "Energy above the path's lowest point (eV)")
    return Curves("bvse", "Bond-valence site energy along the paths", "", data, layout)


def aimd_curves(output: Mapping[str, Any]) -> Curves | None:
    """Return mean squared displacements along a, b and c up to half the trajectory; shaded where the slope is taken."""
    diffusion = output.get("diffusion")
    if diffusion is None:
        return None
    lags = np.array(diffusion["curves"]["lag_ps"])
    shown = lags <= _SHOWN_LAGS * diffusion["length_ps"]
    data = []
    for axis, color in zip(_AXES, COLORS, strict=False):
        msd = np.array(diffusion["curves"]["msd_A2"][axis])
        data.append(_line(f"along {axis}", lags[shown].tolist(), msd[shown].tolist(), color))
    low, high = diffusion["window_ps"]
    window = {"type": "rect", "xref": "x", "yref": "paper", "x0": low, "x1": high, "y0": 0, "y1": 1}
    layout = _layout("Lag (ps)", "Mean squared displacement (Å²)")
    layout["shapes"] = [window | {"fillcolor": "rgba(128,128,128,0.18)", "line": {"width": 0}}]
    title = f"{diffusion['species']} at {diffusion['temperature_k']:g} K"
    return Curves("aimd", f"Mean squared displacement of {title}", "; ".join(diffusion["notes"]), data, layout)


def arrhenius_curves(output: Mapping[str, Any]) -> Curves | None:
    """Return diffusivities over inverse temperature with their 68 % intervals, and the line through them to 300 K."""
    runs = [run["diffusion"] for run in output.get("runs", []) if run.get("diffusion")]
    line = output.get("line")
    if not runs:
        return None
    points = {point["temperature_k"]: point for point in runs}
    data = [_points("molecular dynamics, 68 %", points, COLORS[6])]
    notes = [f"{temperature}: {why}" for temperature, why in (output.get("left_out") or {}).items()]
    if line:
        low, high = line["sigma_300K_interval"]
        name = f"Ea = {line['Ea_eV']:.3f} ± {line['Ea_standard_error']:.3f} eV"
        inverse = np.linspace(_PER_K / max(points), _PER_K / _ROOM_K, 2)
        away = inverse / (_PER_K * BOLTZMANN_EV) - line["mean_inverse_ev"]
        data.append(_line(name, inverse.tolist(), np.exp(line["level"] - line["Ea_eV"] * away).tolist(), COLORS[0]))
        words = f"σ(300 K) = {line['sigma_300K_mS_cm']:.3g} ({low:.3g}–{high:.3g}) mS/cm"
        room = {_ROOM_K: {"D_cm2_s": line["D_300K_cm2_s"], "D_interval": line["D_300K_interval"]}}
        data.append(_points(words, room, COLORS[0]))
        notes += line["notes"]
    elif output.get("no_line_because"):
        notes.append(f"no line: {output['no_line_because']}")
    layout = _layout("1000/T (1/K)", "Diffusivity (cm²/s)")
    layout["yaxis"] = {"title": layout["yaxis"]["title"], "type": "log", "exponentformat": "power"}
    return Curves("arrhenius", "Diffusivity over inverse temperature", "; ".join(notes), data, layout)


def cineb_curves(output: Mapping[str, Any]) -> Curves | None:
    """Return the energy along converged hops: the spline, and its images.

    Of more than `MOST_HOPS`, such as the hundreds of a doped crystal, that with the middle barrier of each kind: of the
    same sites and mechanism.
    """
    hops = [HopDoc.from_stored(hop) for hop in output.get("hops", [])]
    converged = [of_hop_doc(hop) for hop in hops if hop.status == "converged"]
    if not converged:
        return None
    note = f"{len(converged)} of {len(hops)} distinct hops converged; barriers forward in the legend."
    if len(converged) <= MOST_HOPS:
        named = [(_range_of(path.label, [path]), path) for path in _by_barrier(converged)]
    else:
        named = _middle_of_each_kind(converged)
        note += " Of each kind the one with the middle barrier is drawn."
    data = []
    for number, (name, path) in enumerate(named):
        color, dash = COLORS[number % len(COLORS)], PAGE_DASHES[number // len(COLORS) % len(PAGE_DASHES)]
        distances, energies = (numbers.round(4).tolist() for numbers in path.curve)
        line = _line(name, distances, energies, color) | {"legendgroup": name}
        data.append(line | {"line": line["line"] | {"dash": dash}})
        images = {"type": "scatter", "mode": "markers", "x": list(path.distances_A), "y": list(path.energies_eV)}
        data.append(images | {"name": name, "legendgroup": name, "showlegend": False, "marker": {"color": color}})
    layout = _layout("Distance along the path (Å)", "Energy above the initial end (eV)")
    return Curves("cineb", "Energy along the hops", note, data, layout)


def _by_barrier(paths: Iterable[PathProfile]) -> list[PathProfile]:
    return sorted(paths, key=lambda path: path.barrier_forward_eV)


def _middle_of_each_kind(paths: Sequence[PathProfile]) -> list[tuple[str, PathProfile]]:
    """Return the path with the middle barrier of each label, the lower of two, and words for it with all barriers."""
    kinds: dict[str, list[PathProfile]] = {}
    for path in _by_barrier(paths):
        kinds.setdefault(path.label, []).append(path)
    return [(_range_of(label, those), those[(len(those) - 1) // 2]) for label, those in kinds.items()]


def _range_of(label: str, paths: Sequence[PathProfile]) -> str:
    lowest, highest = paths[0].barrier_forward_eV, paths[-1].barrier_forward_eV
    if len(paths) == 1:
        return f"{label}: {lowest:.3f} eV"
    return f"{label}: {lowest:.3f}–{highest:.3f} eV, {len(paths)} hops"


def electronic_curves(output: Mapping[str, Any]) -> Curves | None:
    """Return the total densities of states at the points of the hop."""
    data = [
        _line(
            f"{point['point']}: gap {point['gap_ev']:.2f} eV", point["dos"]["energies_eV"], point["dos"]["total"], color
        )
        for point, color in zip(output.get("points", []), COLORS, strict=False)
    ]
    layout = _layout("Energy above the Fermi energy (eV)", "States per eV and cell")
    return Curves("electronic", f"Densities of states of {output['hop']}", "", data, layout) if data else None


_OF_ARRHENIUS = (
    *("line", "left_out", "no_line_because"),
    *("runs.diffusion.temperature_k", "runs.diffusion.D_cm2_s", "runs.diffusion.D_interval"),
)

STAGE_CURVES: dict[str, tuple[tuple[str, ...], Any]] = {
    "order": (("shortlist.engine_energy_ev", "decided_by"), order_curves),
    "bvse": (("network",), bvse_curves),
    "aimd": (("diffusion",), aimd_curves),
    "arrhenius": (_OF_ARRHENIUS, arrhenius_curves),
    "cineb": (("hops",), cineb_curves),
    "electronic": (("hop", "points.point", "points.gap_ev", "points.dos"), electronic_curves),
}
"""For each stage that leaves curves, the fields of its document that they are made of, and what makes them."""


def _line(name: str, x: Sequence[float], y: Sequence[float], color: str) -> dict[str, Any]:
    return {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "line": {"color": color, "width": 2}}


def _points(name: str, points: Mapping[float, Mapping[str, Any]], color: str) -> dict[str, Any]:
    """Return diffusivities by temperature (K) as dots with their intervals."""
    values = [point["D_cm2_s"] for point in points.values()]
    ends = [point["D_interval"] for point in points.values()]
    errors = {
        "type": "data",
        "symmetric": False,
        "array": [high - value for value, (_, high) in zip(values, ends, strict=True)],
        "arrayminus": [value - low for value, (low, _) in zip(values, ends, strict=True)],
        "thickness": 2,
    }
    marker = {"color": color, "symbol": "circle", "size": 8}
    places = [_PER_K / temperature_k for temperature_k in points]
    dots = {"type": "scatter", "mode": "markers", "name": name, "x": places, "y": values}
    return dots | {"marker": marker, "error_y": errors}


def _bar_color() -> dict[str, Any]:
    return {"marker": {"color": COLORS[0]}, "width": 0.6}


def _layout(x_label: str, y_label: str) -> dict[str, Any]:
    return {
        "xaxis": {"title": {"text": x_label}, "zeroline": False},
        "yaxis": {"title": {"text": y_label}, "rangemode": "tozero"},
        "showlegend": True,
    }
