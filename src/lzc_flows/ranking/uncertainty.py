"""How far the values of a table may be off: numbers for each of them from what the criteria say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lzc_flows.errors import InputError
from lzc_flows.ranking.criteria import Spread, StandardError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lzc_flows.ranking.spec import RankingSpec


@dataclass(frozen=True)
class UncertainValues:
    """Values of a criterion with their uncertainties; what z deviations off is either of two.

    Normal: value + std·z. Lognormal: value·exp(std·z), whose median is the value. NaN (missing) and infinite values (no
    percolation) stay what they are at any z.

    Attributes
    ----------
    values
        Shape (n,), in the criterion's unit.
    std
        Shape (n,): in the criterion's unit, or of the logarithm; 0 where no uncertainty is known.
    lognormal
        Which of the two.
    """

    values: NDArray[np.float64]
    std: NDArray[np.float64]
    lognormal: bool

    @property
    def is_exact(self) -> bool:
        """Whether no value has an uncertainty."""
        return not self.std.any()

    def at(self, z: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return the values z standard deviations off; shape of z is (..., n), and the result has its precision."""
        values, std = self.values.astype(z.dtype), self.std.astype(z.dtype)
        return values * np.exp(std * z) if self.lognormal else values + std * z

    @property
    def ends(self) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Lower and upper ends of the 68 % intervals, each of shape (n,), in the criterion's unit."""
        one = np.ones(self.values.shape)
        return self.at(-one), self.at(one)


def uncertain_values(table: pd.DataFrame, name: str, spec: RankingSpec) -> UncertainValues:
    """Return a criterion's values with their uncertainties.

    From the ends of a 68 % interval (low, high) of a positive value x follows the standard deviation of ln x,
    s = ln(high / low) / 2; from one end alone, where the other is missing or not positive, s = |ln(end / x)|. Where
    there is neither, or no standard error, it is 0: that nothing is known of an uncertainty does not make one.

    Parameters
    ----------
    table
        Candidates with the criterion, and the columns of its interval if it has one.
    name
        Name of the criterion.
    spec
        Where standard deviations may stand that go before the criterion's own.

    Raises
    ------
    InputError
        The table lacks a column that an uncertainty is read from.
    """
    values = table[name].to_numpy(dtype=np.float64, na_value=np.nan)
    said = spec.uncertainty_of(name)
    if isinstance(said, Spread):
        std = np.where(np.isfinite(values), said.std, 0.0)
        return UncertainValues(values, std, lognormal=False)
    if isinstance(said, StandardError):
        std = _numbers(table, said.column)
        return UncertainValues(values, np.where(np.isfinite(values) & np.isfinite(std), std, 0.0), lognormal=False)
    return UncertainValues(
        values, _log_std(values, _numbers(table, said.low), _numbers(table, said.high)), lognormal=True
    )


def _numbers(table: pd.DataFrame, name: str) -> NDArray[np.float64]:
    if name not in table.columns:
        raise InputError(f"the table of candidates has no column {name!r}")
    return pd.to_numeric(table[name]).to_numpy(np.float64, na_value=np.nan)


def _log_std(values: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        below, above = np.log(values / low), np.log(high / values)
    sides = np.stack([below, above])
    sides[~np.isfinite(sides)] = np.nan
    known = np.isfinite(sides).sum(axis=0)
    return np.abs(np.where(known > 0, np.nansum(sides, axis=0) / np.maximum(known, 1), 0.0))
