"""What the choice of weights does: who wins for which weights, and which weights would give a wanted result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

_AT_A_TIME = 250_000  # scores in memory: what the processor's cache holds


@dataclass(frozen=True)
class WeightShares:
    """Shares of all weights for which candidates are the best.

    Attributes
    ----------
    first
        Shape (n,), share for which each wins; adds up to 1. Of equal scores the first in the table wins.
    top
        Shape (n,), share for which each is among the best.
    """

    first: NDArray[np.float64]
    top: NDArray[np.float64]


@dataclass(frozen=True)
class Winner:
    """Who wins over a range of the cost weight.

    Attributes
    ----------
    place
        Row of the winner.
    low, high
        Ends of the range, 0 to 1.
    """

    place: int
    low: float
    high: float


@dataclass(frozen=True)
class Reproduction:
    """Weights that bring the most wanted labels to the top.

    Attributes
    ----------
    overlap
        How many of the wanted are among the best `top` labels then.
    weights
        Shape (k,), the centre of all sampled weights with that overlap, if it has it too; else one of them.
    share
        Share of all weights with that overlap.
    labels
        The best labels with these weights, best first.
    """

    overlap: int
    weights: NDArray[np.float64]
    share: float
    labels: list[str]


def simplex(criteria: int, samples: int, seed: int) -> NDArray[np.float64]:
    """Return weights distributed uniformly over all that are not negative and add up to 1 (Dirichlet(1, …, 1)).

    Returns
    -------
    Shape (samples, criteria). Deterministic.
    """
    return np.random.default_rng([seed, criteria]).dirichlet(np.ones(criteria), size=samples)


def weight_shares(normalised: NDArray[np.float64], weights: NDArray[np.float64], top: int) -> WeightShares:
    """Return for which share of the weights each candidate wins, and is among the best `top`.

    Parameters
    ----------
    normalised
        Shape (n, k), n candidates by k criteria, 0 to 1, without NaN.
    weights
        Shape (samples, k), such as those of `simplex`.
    top
        How many are the best.
    """
    n = len(normalised)
    first, among = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    rows = max(1, _AT_A_TIME // max(n, 1))
    criteria = normalised.T.astype(np.float32)
    for start in range(0, len(weights) if n else 0, rows):
        some = weights[start : start + rows].T.astype(np.float32)
        # no matrix product: for so few criteria BLAS spends its time on waking its threads
        scores = np.zeros((some.shape[1], n), dtype=np.float32)
        for weight, values in zip(some, criteria, strict=True):
            scores += np.outer(weight, values)
        first += np.bincount(scores.argmax(axis=1), minlength=n)
        if top < n:
            best = np.argpartition(scores, n - top, axis=1)[:, n - top :]
            among += np.bincount(best.ravel(), minlength=n)
        else:
            among += len(scores)
    return WeightShares(first / len(weights), among / len(weights))


def winners_by_cost_weight(performance: NDArray[np.float64], cost: NDArray[np.float64]) -> list[Winner]:
    """Return who wins by performance and cost as the weight c of the cost goes from 0 to 1.

    Each candidate's score (1 − c)·performance + c·cost is a straight line in c, and the winners are their upper
    envelope. From the winner at c = 0 on, the next is the one whose steeper line is the first to cross the winner's.
    Exact, O(n) for each winner.

    Parameters
    ----------
    performance, cost
        Shape (n,), normalised, 0 to 1, without NaN.
    """
    if performance.size == 0:
        return []
    slope = cost - performance
    now = int(np.lexsort((-slope, -performance))[0])
    low = 0.0
    winners: list[Winner] = []
    while True:
        steeper = slope > slope[now]
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = np.where(steeper, (performance[now] - performance) / (slope - slope[now]), np.inf)
        at = float(crossing.min())
        if not at < 1.0:
            return [*winners, Winner(now, low, 1.0)]
        winners.append(Winner(now, low, at))
        candidates = np.flatnonzero(crossing == at)
        now, low = int(candidates[np.argmax(slope[candidates])]), at


def weights_for(
    normalised: NDArray[np.float64], labels: Sequence[str], wanted: Collection[str], weights: NDArray[np.float64]
) -> Reproduction:
    """Search weights for those that bring the most of the wanted labels to the top.

    The top are the best labels by the best score of each label's candidates, as many as are wanted. It tells what a
    published ranking would need; no ranking uses it.

    Parameters
    ----------
    normalised
        Shape (n, k), 0 to 1, without NaN.
    labels
        n labels, such as each candidate's cation; several candidates may have the same.
    wanted
        Labels that should be at the top.
    weights
        Shape (samples, k) to search in, such as those of `simplex`.
    """
    names, label_of = np.unique(np.asarray(labels), return_inverse=True)
    is_wanted = np.isin(names, list(wanted))
    by_label = np.argsort(label_of, kind="stable")
    starts = np.searchsorted(label_of[by_label], np.arange(names.size))

    def best(some: NDArray[np.float64]) -> NDArray[np.intp]:
        scores = np.maximum.reduceat(some @ normalised[by_label].T, starts, axis=1)
        return np.argsort(-scores, axis=1, kind="stable")[:, : len(wanted)]

    rows = max(1, _AT_A_TIME // len(normalised))
    pieces = [weights[start : start + rows] for start in range(0, len(weights), rows)]
    overlaps = np.concatenate([is_wanted[best(piece)].sum(axis=1) for piece in pieces])
    reached = weights[overlaps == overlaps.max()]
    centre = reached.mean(axis=0)
    chosen = centre if is_wanted[best(centre[None])].sum() == overlaps.max() else reached[0]
    found = [str(names[place]) for place in best(chosen[None])[0]]
    return Reproduction(int(overlaps.max()), chosen, len(reached) / len(weights), found)
