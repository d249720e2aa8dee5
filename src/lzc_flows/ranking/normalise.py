"""From values with units to [0, 1], where 1 is the best of the table, or as good as can be wished for.

The normalisations share these rules. NaN (missing) stays NaN and takes no part. An infinite value in the
worse direction (no percolation: a barrier of +∞) is a result, the worst: it gives 0 and does not stretch the
scale of the others. Relative to a table, a column whose finite values are all equal gives 1 for each of them: none is
worse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from lzc_flows.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from lzc_flows.ranking.criteria import Direction

NormalisationName = Literal["min-max", "rank", "desirability"]
RelativeName = Literal["min-max", "rank"]


def min_max(values: ArrayLike, direction: Direction) -> NDArray[np.float64]:
    """(worst − value) / (worst − best) over the finite values.

    Parameters
    ----------
    values
        Shape (n,), any unit.
    direction
        Which values are better, `"lower"` or `"higher"`.

    Returns
    -------
    Shape (n,), dimensionless: 1 for the best, 0 for the worst finite and for an infinite value, NaN where
    missing. Unchanged by an affine map of the values that keeps their order.

    Raises
    ------
    InputError
        A value is infinite in the better direction.
    """
    badness = _badness(values, direction)
    finite = np.isfinite(badness)
    normalised = np.where(np.isnan(badness), np.nan, 0.0)
    if finite.any():
        best, worst = badness[finite].min(), badness[finite].max()
        normalised[finite] = 1.0 if worst == best else (worst - badness[finite]) / (worst - best)
    return normalised


def rank_fraction(values: ArrayLike, direction: Direction) -> NDArray[np.float64]:
    """1 − r / (m − 1), with r = 0, 1, … the place of a value among the m distinct ones, best first.

    Insensitive to outliers: any increasing map of the values leaves it unchanged. Infinite values take the
    last place to themselves, so that the worst finite one stays above 0.

    Parameters
    ----------
    values
        Shape (n,), any unit.
    direction
        Which values are better, `"lower"` or `"higher"`.

    Returns
    -------
    Shape (n,), dimensionless: 1 for the best, 0 for the worst, equal values alike, NaN where missing.

    Raises
    ------
    InputError
        A value is infinite in the better direction.
    """
    badness = _badness(values, direction)
    present = ~np.isnan(badness)
    normalised = np.full(badness.shape, np.nan)
    if present.any():
        distinct, place = np.unique(badness[present], return_inverse=True)
        only = float(np.isfinite(distinct[0]))
        normalised[present] = only if distinct.size == 1 else 1.0 - place / (distinct.size - 1)
    return normalised


NORMALISATIONS: dict[RelativeName, Callable[[ArrayLike, Direction], NDArray[np.float64]]] = {
    "min-max": min_max,
    "rank": rank_fraction,
}
"""Normalisations over the values of a table, by their names in a campaign."""


@dataclass(frozen=True)
class Goal:
    """What is wished of a criterion, whatever the other candidates have.

    Attributes
    ----------
    worst
        From here on a value is of no use, in the criterion's unit.
    best
        From here on a value is as good as can be wished for, in the criterion's unit.
    shape
        Exponent r > 0: 1 is a straight line; above 1 only values close to the best count much, below 1 all that leave
        the worst do.
    """

    worst: float
    best: float
    shape: float = 1.0


def desirability(values: ArrayLike, direction: Direction, goal: Goal) -> NDArray[np.float64]:
    """Return the one-sided desirability of Derringer and Suich, J. Qual. Technol. 12, 214 (1980).

    d = 0 up to the worst, ((value − worst) / (best − worst))^r between, 1 from the best on. It is absolute: what other
    candidates there are changes nothing. (They join the d of all criteria by a geometric mean; scores here are weighted
    arithmetic means, as with the other normalisations.)

    Parameters
    ----------
    values
        Shape (...), any unit.
    direction
        Which values are better, `"lower"` or `"higher"`.
    goal
        Worst, best and shape, in the same unit; the best lies on the better side of the worst.

    Returns
    -------
    Shape (...), dimensionless, NaN where missing. An infinite value in the worse direction has 0.

    Raises
    ------
    InputError
        A value is infinite in the better direction.
    """
    _badness(values, direction)
    way = (np.asarray(values, dtype=np.float64) - goal.worst) / (goal.best - goal.worst)
    return np.clip(way, 0.0, 1.0) ** goal.shape


def _badness(values: ArrayLike, direction: Direction) -> NDArray[np.float64]:
    badness = np.asarray(values, dtype=np.float64) * (1.0 if direction == "lower" else -1.0)
    if (unbounded := np.flatnonzero(np.isneginf(badness))).size:
        raise InputError(f"value {unbounded[0]} is infinite in the better direction ({direction} is better)")
    return badness
