"""Halide electrolytes that others have made and measured, from Supplementary Tables 1 and 11 of the doped-LZC paper."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from lzc_flows.crystal.cost import cost_usd_per_kg
from lzc_flows.errors import InputError

FILE = "halide_electrolytes.yaml"

CAUTION = (
    "Measured conductivities are of pressed powders at 25 °C. Ours are of perfect crystals in short molecular dynamics "
    "with a potential, at the temperature that is named, or continued from there to 300 K along a line: they hold no "
    "grain boundary, no pore and no error of the potential. Beside each other they show orders of magnitude; they do "
    "not show that a candidate conducts better than a measured material."
)
"""What must stand beside every comparison with measured values."""


@dataclass(frozen=True)
class Measured:
    """A measured electrolyte.

    Attributes
    ----------
    formula
        As printed.
    sigma_mS_cm
        Ionic conductivity at 25 °C, in mS/cm.
    reference
        Number in the list of the supplement, or "This work".
    """

    formula: str
    sigma_mS_cm: float
    reference: str


@dataclass(frozen=True)
class MeasuredWithCost(Measured):
    """A measured electrolyte with its cost.

    Attributes
    ----------
    cost_usd_per_kg
        Raw-material cost as printed, in $/kg.
    our_cost_usd_per_kg
        The same by `lzc_flows.crystal.cost`, in $/kg; None for a formula that cannot be read.
    plating_mAh_cm2
        Cumulative plating capacity of Li metal, in mAh/cm².
    """

    cost_usd_per_kg: float
    our_cost_usd_per_kg: float | None
    plating_mAh_cm2: float


@cache
def conductivities() -> tuple[Measured, ...]:
    """Return the rows of Supplementary Table 1, in its order."""
    return tuple(
        Measured(row["formula"], float(row["sigma_mS_cm"]), str(row["reference"]))
        for row in _tables()["conductivities"]["rows"]
    )


@cache
def with_costs() -> tuple[MeasuredWithCost, ...]:
    """Return the rows of Supplementary Table 11, in its order."""
    return tuple(
        MeasuredWithCost(
            row["formula"],
            float(row["sigma_mS_cm"]),
            str(row["reference"]),
            float(row["cost_usd_per_kg"]),
            _cost(row["formula"]),
            float(row["plating_mAh_cm2"]),
        )
        for row in _tables()["comparison"]["rows"]
    )


@cache
def _tables() -> dict[str, Any]:
    return yaml.safe_load((files("lzc_flows.data") / FILE).read_text(encoding="utf-8"))


def _cost(formula: str) -> float | None:
    try:
        return cost_usd_per_kg(_tables()["composition"].get(formula, formula))
    except InputError:
        return None
