r"""The slope of the mean squared displacement in a window, with an error that is measured, not assumed.

In a window [τ, 2τ] the slope is D = [MSD(2τ) − MSD(τ)] / (2dτ): what ions do within τ and never
repeat, vibrations above all, is in both and drops out. Written by successive displacements A and B of one ion, each
over τ, it is the mean of a local quantity,

    s(t) = ½A² + ½B² + 2 A·B ,   D = ⟨s⟩ / (2dτ) ,

the covariance-based estimator of Vestergaard, Blainey & Flyvbjerg, Phys. Rev. E 89, 022726 (2014), averaged
over all origins. For a random walk it is at least as efficient as a straight line fitted by least squares to any
window that begins at τ. Its error comes from the scatter of s itself: the trajectory is cut into blocks longer than s
remembers, and the variance of their means is that of D (batch means: Flyvbjerg & Petersen, J. Chem. Phys. 91, 461
(1989)). All ions are averaged before the blocks are compared, so ions that move together are not taken
for independent ones, and rare hops, whose number scatters, need no model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST_LAG = 1 / 20
"""The longest τ, of the number of frames: nine blocks of 2τ still fit in its origins, 18 τ."""

CONFIDENCE = 0.6827
"""Of every interval: that of one standard deviation."""

_MOST_BLOCKS = 40
_SHARED = 0.54  # τ; see `block_error`
_RELATIVE_ERROR_OF_LOG = 0.5
_CHUNK_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Estimate:
    """A number with its error.

    Attributes
    ----------
    value
        The number.
    standard_error
        Its standard error, in the same unit.
    degrees_of_freedom
        Of the standard error, which is itself estimated.
    """

    value: float
    standard_error: float
    degrees_of_freedom: int

    @property
    def relative_error(self) -> float:
        """The standard error over the value; +inf where the value is not positive."""
        return self.standard_error / self.value if self.value > 0 else math.inf

    @property
    def interval(self) -> tuple[float, float]:
        """The 68 % interval by Student's t.

        Diffusivities are positive and their scatter grows with them, so it is the logarithm that is taken for
        normal: value · exp(± t s/value). Beyond a relative error of ½ it is value ± t s, cut off at zero.
        """
        reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, self.degrees_of_freedom))
        if self.relative_error > _RELATIVE_ERROR_OF_LOG:
            low, high = self.value - reach * self.standard_error, self.value + reach * self.standard_error
            return max(low, 0.0), max(high, 0.0)
        factor = math.exp(reach * self.relative_error)
        return self.value / factor, self.value * factor

    def scaled(self, factor: float) -> Estimate:
        """Return the estimate in another unit."""
        return Estimate(self.value * factor, self.standard_error * factor, self.degrees_of_freedom)


def local_slopes(moved: NDArray[np.float64], lag: int) -> NDArray[np.float64]:
    """Return the tensor of s at every origin, averaged over the ions.

    Parameters
    ----------
    moved
        Displacements, Å, shape (frames, ions, 3).
    lag
        τ in frames, 1 to less than half the frames.

    Returns
    -------
    NDArray
        Å², shape (frames − 2 lag, 3, 3): ½(A⊗A + B⊗B) + A⊗B + B⊗A.
    """
    frames, ions, _ = moved.shape
    squares, crossed = np.empty((frames - lag, 3, 3)), np.empty((frames - 2 * lag, 3, 3))
    step = max(lag, _CHUNK_BYTES // (24 * ions))
    for first in range(0, frames - lag, step):
        last = min(first + step, frames - lag)
        # up to one lag more than this chunk's origins, for what follows them
        steps = moved[first + lag : last + 2 * lag] - moved[first : last + lag][: frames - lag - first]
        mine = steps[: last - first].transpose(0, 2, 1)
        squares[first:last] = mine @ steps[: last - first]
        follow = steps[lag:]
        crossed[first : first + len(follow)] = mine[: len(follow)] @ follow
    return (0.5 * (squares[:-lag] + squares[lag:]) + crossed + crossed.transpose(0, 2, 1)) / ions


def block_error(series: NDArray[np.float64], lag: int) -> tuple[float, int]:
    """Return the standard error of the mean of a series that remembers 2 lag frames, and its degrees of freedom.

    The series is cut into blocks of at least 2 lag frames, at most 40. Neighbouring blocks share displacements, so
    their means scatter too little, by ∑|h|C(h)/∑C(h) over the block's length for an autocorrelation C. That is
    0.41 lag for Brownian motion and 0.67 lag for rare hops, of which C falls linearly over 2 lag. The mean of both is
    corrected for, which leaves at most 6 % of the error in either.
    """
    blocks = min(len(series) // (2 * lag), _MOST_BLOCKS)
    edges = np.linspace(0, len(series), blocks + 1).astype(np.int64)
    means = np.add.reduceat(series, edges[:-1]) / np.diff(edges)
    missing = _SHARED * lag / (len(series) / blocks) * (blocks + 1) / blocks
    return math.sqrt(means.var(ddof=1) / blocks / (1 - missing)), blocks - 1


def slope(series: NDArray[np.float64], lag: int, dimensions: int) -> Estimate:
    """Return the diffusivity, Å² per frame, of a projection of `local_slopes` on so many dimensions."""
    error, freedom = block_error(series, lag)
    return Estimate(float(series.mean()), error, freedom).scaled(1 / (2 * dimensions * lag))


def ratio(above: NDArray[np.float64], below: NDArray[np.float64], lag: int) -> Estimate:
    """Return the ratio of the means of two series of one trajectory; what they share does not count as error."""
    value = float(above.mean() / below.mean())
    error, freedom = block_error(above / above.mean() - below / below.mean(), lag)
    return Estimate(value, abs(value) * error, freedom)
