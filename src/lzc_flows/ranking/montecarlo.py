"""What uncertain values do to ranks, by Monte Carlo.

In each sample s every value is drawn anew from its distribution (`lzc_flows.ranking.uncertainty`), all are normalised
again over the same candidates, and both scores and ranks follow as they do from the values themselves:

    x_ij(s) = value_ij (+ or ×) error of z_ig(s),   p_i(s) = Σ_j w_j n_j(x_ij(s)),   r_i(s) = 1 + #{k : p_k(s) > p_i(s)}

with one standard normal deviate z for each candidate i and group g of criteria that err together (`errs_with`), such
as barriers read from one lattice. Candidates are independent; what all have in common does not change ranks. The 68 %
and 95 % intervals of a rank lie between quantiles of r_i: 0.16 and 0.84, 0.025 and 0.975. Of S samples a probability p
is good to √(p(1 − p)/S): 0.01 of 2000.

The method is the propagation of distributions of JCGM 101:2008 (GUM Supplement 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from lzc_flows.ranking.criteria import COST, CRITERIA
from lzc_flows.ranking.normalise import desirability, rank_fraction
from lzc_flows.ranking.spec import SCORES
from lzc_flows.ranking.uncertainty import uncertain_values

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from lzc_flows.ranking.spec import RankingSpec, Score

    Samples = NDArray[np.float32]

QUANTILES = {"low95": 0.025, "low68": 0.16, "high68": 0.84, "high95": 0.975}
"""Ends of the rank intervals."""

_AT_A_TIME = 250_000  # values of a criterion in memory: what the processor's cache holds


@dataclass(frozen=True)
class RankCertainty:
    """What is certain of the ranks of n candidates by one score.

    Attributes
    ----------
    ends
        Ranks by the names of `QUANTILES`, each of shape (n,): the lowest rank whose cumulative probability reaches the
        quantile.
    top_probability
        Shape (n,), probability that the rank is among the best.
    """

    ends: dict[str, NDArray[np.int64]]
    top_probability: NDArray[np.float64]


@dataclass(frozen=True)
class Drawn:
    """Some samples of n candidates.

    Attributes
    ----------
    scores
        For each score an array of shape (samples, n) in [0, 1], single precision; meaningless where a criterion of the
        score is missing.
    cost
        In $/kg: shape (n,) where costs are taken as they are, else (samples, n).
    """

    scores: dict[Score, Samples]
    cost: NDArray[np.floating]


class Sampler:
    """Draws samples of the scores of candidates, in pieces that may be drawn in any order and at the same time.

    Deterministic: the random numbers of a piece follow from the seed and the piece. Candidate by candidate in the order
    of the rows, which is to be that of the keys.

    Parameters
    ----------
    table
        Candidates that have all criteria of the performance score, with the columns that uncertainties are read from.
    spec
        Weights, normalisation, number of samples, seed.
    salt
        Makes other random numbers of the same seed.

    Attributes
    ----------
    pieces
        Which samples each piece holds, `spec.samples` in all.
    """

    def __init__(self, table: pd.DataFrame, spec: RankingSpec, salt: int = 0) -> None:
        rows = max(1, _AT_A_TIME // max(len(table), 1))
        self.pieces = [slice(first, min(first + rows, spec.samples)) for first in range(0, spec.samples, rows)]
        self._spec, self._salt, self._candidates = spec, salt, len(table)
        columns = {name: uncertain_values(table, name, spec) for name in dict.fromkeys([*spec.criteria, COST.name])}
        self._cost = columns[COST.name].values
        self._moving = {name: column for name, column in columns.items() if not column.is_exact}
        self._errors = {name: CRITERIA[name].errs_with or name for name in self._moving}
        exact = [name for name in spec.criteria if name not in self._moving]
        self._fixed = {name: _normalised(columns[name].values[None], name, spec) for name in exact}

    def draw(self, piece: slice) -> Drawn:
        """Return the samples of one of the pieces."""
        spec, shape = self._spec, (piece.stop - piece.start, self._candidates)
        z = {word: self._normal(word, piece.start, shape) for word in set(self._errors.values())}
        drawn = {name: column.at(z[self._errors[name]]) for name, column in self._moving.items()}
        known = self._fixed | {
            name: _normalised(values, name, spec) for name, values in drawn.items() if name in spec.criteria
        }
        scores = {score: _weighted(spec.weights(score), known, shape) for score in SCORES}
        return Drawn(scores, drawn.get(COST.name, self._cost))

    def _normal(self, word: str, first: int, shape: tuple[int, int]) -> Samples:
        """Return standard normal deviates of what makes an error."""
        random = np.random.default_rng([self._spec.seed, self._salt, crc32(word.encode()), first])
        return random.standard_normal(shape, dtype=np.float32)


def ranks_of(scores: Samples) -> NDArray[np.uint32]:
    """Return 1 for the highest score of each row; equal ones share the lowest of their ranks.

    The bits of a single-precision number that is not negative are in its order, so that a score, turned round, and its
    place make one integer: sorting these is several times faster than sorting places by scores.

    Parameters
    ----------
    scores
        Shape (samples, n), in [0, 1].
    """
    samples, n = scores.shape
    bits = (scores + np.float32(0)).view(np.uint32)  # −0 becomes 0
    packed = (~bits).astype(np.uint64) << np.uint64(32)
    packed |= np.arange(n, dtype=np.uint64)
    packed.sort(axis=1)
    place = (packed & np.uint64(0xFFFFFFFF)).astype(np.intp)
    packed >>= np.uint64(32)
    first = np.ones((samples, n), dtype=bool)
    np.not_equal(packed[:, 1:], packed[:, :-1], out=first[:, 1:])
    sorted_ranks = np.maximum.accumulate(np.where(first, np.arange(1, n + 1, dtype=np.uint32), np.uint32(0)), axis=1)
    ranks = np.empty((samples, n), dtype=np.uint32)
    np.put_along_axis(ranks, place, sorted_ranks, axis=1)
    return ranks


class RankCounter:
    """Collects the ranks of some candidates among themselves, piece after piece, in any order.

    Holds 2 bytes a candidate and sample, 4 of more than 65,535 candidates.

    Parameters
    ----------
    members
        Places of the candidates in the scores.
    samples
        How many samples will come.
    """

    def __init__(self, members: NDArray[np.intp], samples: int) -> None:
        self.members = members
        kind = np.uint16 if members.size <= np.iinfo(np.uint16).max else np.uint32
        self.ranks = np.empty((samples, members.size), dtype=kind)

    def add(self, scores: Samples, piece: slice) -> None:
        """Take the scores of some samples, shape (samples, all candidates)."""
        whole = self.members.size == scores.shape[1]
        self.ranks[piece] = ranks_of(scores if whole else scores[:, self.members])

    def certainty(self, top: int, ahead: int = 0) -> RankCertainty:
        """Return intervals and probabilities, where `ahead` others come before all of these whatever they score."""
        samples, n = self.ranks.shape
        places = {name: int(np.ceil(quantile * samples)) - 1 for name, quantile in QUANTILES.items()}
        ends = {name: np.empty(n, dtype=np.int64) for name in QUANTILES}
        for first in range(0, n, 512):  # as many as stay in the cache
            some = slice(first, first + 512)
            # sorting of 16-bit integers is faster than looking for four of them
            in_order = np.sort(np.ascontiguousarray(self.ranks[:, some].T), axis=1)
            for name, place in places.items():
                ends[name][some] = in_order[:, place] + np.int64(ahead)
        return RankCertainty(ends, np.mean(self.ranks <= top - ahead, axis=0) if top > ahead else np.zeros(n))


def _weighted(weights: dict[str, float], values: dict[str, Samples], shape: tuple[int, int]) -> Samples:
    total = np.zeros(shape, dtype=np.float32)
    for name, weight in weights.items():
        total += np.float32(weight) * values[name]
    return total


def _normalised(values: NDArray[np.floating], name: str, spec: RankingSpec) -> Samples:
    """Return samples of a criterion, shape (samples, n), row by row as `score.normalised` does; missing: 0."""
    direction = CRITERIA[name].direction
    found: NDArray[np.floating]
    if spec.normalisation == "desirability":
        found = desirability(values, direction, spec.desirability[name].goal)
    elif spec.normalisation == "rank":
        found = np.stack([rank_fraction(row, direction) for row in values])
    else:
        found = _min_max(values if direction == "lower" else -values)
    missing = np.isnan(found[0])
    if missing.any():
        found[:, missing] = 0.0
    return found.astype(np.float32, copy=False)


def _min_max(badness: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return `normalise.min_max` of each row, of which all have finite values at the same places; missing: 0."""
    finite = np.isfinite(badness[0])
    known = badness if finite.all() else badness[:, finite]
    if not known.shape[1]:
        return np.zeros_like(badness)
    worst = known.max(axis=1, keepdims=True)
    width = worst - known.min(axis=1, keepdims=True)
    flat = width == 0
    way = np.where(flat, 1.0, (worst - known) / np.where(flat, 1.0, width)).astype(badness.dtype)
    if finite.all():
        return way
    found = np.zeros_like(badness)
    found[:, finite] = way
    return found
