"""From values with units to [0, 1], where 1 is the best of the table.

The normalisations share these rules. NaN (missing) stays NaN and takes no part. An infinite value in the
worse direction (no percolation: a barrier of +∞) is a result, the worst: it gives 0 and does not stretch the
scale of the others. A column whose finite values are all equal gives 1 for each of them: none is worse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from lzc_flows.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from lzc_flows.ranking.criteria import Direction

NormalisationName = Literal["min-max", "rank"]


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


NORMALISATIONS: dict[NormalisationName, Callable[[ArrayLike, Direction], NDArray[np.float64]]] = {
    "min-max": min_max,
    "rank": rank_fraction,
}
"""Every normalisation by its name in a campaign."""


def _badness(values: ArrayLike, direction: Direction) -> NDArray[np.float64]:
    badness = np.asarray(values, dtype=np.float64) * (1.0 if direction == "lower" else -1.0)
    if (unbounded := np.flatnonzero(np.isneginf(badness))).size:
        raise InputError(f"value {unbounded[0]} is infinite in the better direction ({direction} is better)")
    return badness
