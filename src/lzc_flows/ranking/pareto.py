"""Which candidates no other beats in performance and cost at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def pareto_front(performance: ArrayLike, cost: ArrayLike) -> NDArray[np.bool_]:
    """Return which candidates are not dominated.

    Candidate k dominates i if it performs no worse and costs no more, and is better in one of the two. Equal candidates
    are both on the front. Sorting by cost and a running maximum: O(n log n).

    Parameters
    ----------
    performance
        Shape (n,), higher is better; NaN: not compared, and not on the front.
    cost
        Shape (n,), lower is better; likewise.

    Returns
    -------
    Shape (n,).
    """
    scores, prices = np.asarray(performance, dtype=np.float64), np.asarray(cost, dtype=np.float64)
    compared = np.flatnonzero(~(np.isnan(scores) | np.isnan(prices)))
    on_front = np.zeros(scores.shape, dtype=bool)
    on_front[compared] = front_counts(scores[None, compared], prices[compared]) == 1
    return on_front


def front_counts(performance: NDArray[np.floating], cost: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return in how many samples of the performance each candidate is on the front.

    Parameters
    ----------
    performance
        Shape (samples, n), without NaN.
    cost
        Shape (n,) or (samples, n), without NaN; of one shape for all samples it is sorted once.

    Returns
    -------
    Shape (n,), 0 to the number of samples.
    """
    samples, n = performance.shape
    if n == 0:
        return np.zeros(0, dtype=np.int64)
    if cost.ndim == 2:
        counts = np.zeros(n, dtype=np.int64)
        for row in range(samples):
            counts += front_counts(performance[row][None], cost[row])
        return counts
    order = np.argsort(cost, kind="stable")
    prices = cost[order]
    starts = np.flatnonzero(np.r_[True, prices[1:] != prices[:-1]])
    price_of = np.cumsum(np.r_[False, prices[1:] != prices[:-1]])
    sorted_scores = performance[:, order]
    best = np.maximum.reduceat(sorted_scores, starts, axis=1)
    cheaper = np.full_like(best, -np.inf)
    np.maximum.accumulate(best[:, :-1], axis=1, out=cheaper[:, 1:])
    # of each price: what performs best among the equally dear, if all that is cheaper performs worse
    needed = np.where(best > cheaper, best, np.inf)[:, price_of]
    counts = np.empty(n, dtype=np.int64)
    counts[order] = np.count_nonzero(sorted_scores >= needed, axis=0)
    return counts
