"""Occupancies that sum to more than 1: by the rounding of a published table, or by a real excess."""

from __future__ import annotations

from collections.abc import Mapping

from lzc_flows.errors import InputError

ROUNDING_TOLERANCE = 5e-3
"""Published occupancies may sum to 1 + this (two or three decimals, a few species); more is a real excess."""

NEGLIGIBLE = 1e-6
"""Below the last decimal of published occupancies: sums of floating-point numbers, not worth a word."""


def excess_of(total: float, where: str) -> str | None:
    """Return what to say of a site whose occupancies sum to `total`; None where that is at most 1.

    Raises
    ------
    InputError
        The sum exceeds 1 by more than `ROUNDING_TOLERANCE`.
    """
    if total <= 1 + NEGLIGIBLE:
        return None
    said = f"{where}: occupancies sum to {total:.4f}"
    if total > 1 + ROUNDING_TOLERANCE + NEGLIGIBLE:
        raise InputError(f"{said}: at most 1 is allowed (rounding up to {ROUNDING_TOLERANCE} is normalised)")
    return said


def normalise_occupancy(occupancy: Mapping[str, float], where: str) -> tuple[dict[str, float], list[str]]:
    """Scale occupancies that exceed 1 by rounding only; say so in a note.

    Raises
    ------
    InputError
        The sum exceeds 1 by more than `ROUNDING_TOLERANCE`, or an occupancy is not in (0, 1].
    """
    for ion, value in occupancy.items():
        if not 0 < value <= 1:
            raise InputError(f"{where}: occupancy {value} of {ion}: a number above 0 and at most 1 is allowed")
    total = sum(occupancy.values())
    excess = excess_of(total, where)
    scale = max(total, 1.0)
    return {ion: value / scale for ion, value in occupancy.items()}, [f"{excess}, normalised to 1"] if excess else []
