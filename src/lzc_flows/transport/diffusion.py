"""Diffusivity and conductivity of a trajectory, with errors, and a refusal where there is too little motion for them.

The rules, whose coverage `bench/diffusion_coverage.py` measures:

- **Window.** From τ to 2τ, τ the first lag at which the mean squared displacement reaches 3a² (a the distance of a
  hop): by then jumps that are taken back have been. At most a twentieth of the trajectory, so that the error can be
  measured; a note says so where that cut it short.
- **Error.** See `lzc_flows.transport.einstein`.
- **Refusal.** Fewer than 10 effective hops, or a relative standard error above ½.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lzc_flows.errors import InputError
from lzc_flows.transport.conductivity import CM2_S_PER_A2_PS, PER_CM3_OF_PER_A3, nernst_einstein
from lzc_flows.transport.einstein import LONGEST_LAG, Estimate, local_slopes, ratio, slope
from lzc_flows.transport.motion import Motion, displacements
from lzc_flows.transport.msd import DIMENSIONS, DIRECTIONS, Direction, mean_squared_displacement, projected

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOP_DISTANCE_A = 3.4
"""Distance of a hop in Li2ZrCl6, Å: the mean of 3.0 (along c) and 3.7 (in the plane) between octahedra. Distances of
3.39 to 3.50 Å turn the total mean squared displacements of the source, 7380 and 47700 Å², into its 18 % and 9 %."""

LEAST_FRAMES = 100
LEAST_HOPS = 10
LARGEST_RELATIVE_ERROR = 0.5

_WINDOW_HOPS = 3.0  # τ: where the MSD is so many a²
_CURVE_POINTS = 150  # on a linear and as many on a logarithmic axis


class TooFewHops(InputError):
    """A trajectory in which the ions move too little for a diffusivity with an error."""


@dataclass(frozen=True)
class Diffusivity:
    """A diffusivity with its 68 % interval, cm²/s.

    Attributes
    ----------
    D_cm2_s
        The diffusivity.
    D_interval
        Its 68 % interval.
    """

    D_cm2_s: float
    D_interval: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Curves:
    """Mean squared displacements for plots, at some 300 lags, close at first.

    Attributes
    ----------
    lag_ps
        Lags, ps, shape (lags,).
    msd_A2
        For each of `DIRECTIONS`, Å², shape (lags,).
    charge_msd_A2
        (Σ Δr)²/N over the N mobile ions, Å², shape (lags,): what charge diffuses.
    """

    lag_ps: NDArray[np.float64]
    msd_A2: dict[Direction, NDArray[np.float64]]
    charge_msd_A2: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Diffusion:
    """How a species diffuses; intervals hold 68 %.

    Attributes
    ----------
    species, temperature_k, charge
        As given.
    ions, length_ps
        Number of mobile ions, length of the trajectory.
    D_cm2_s, D_interval
        Tracer diffusivity in three dimensions, cm²/s.
    D_standard_error
        Its standard error, cm²/s, of so many `degrees_of_freedom`.
    degrees_of_freedom
        Of the standard error.
    rsd_he, tmsd_A2
        Relative standard deviation by He et al. and the total mean squared displacement that it is from, Å²: see
        `relative_deviation_he`.
    carriers_per_cm3
        Mobile ions per cm³.
    sigma_mS_cm, sigma_interval
        Conductivity by Nernst and Einstein from the tracer diffusivity, mS/cm.
    by_direction
        Diffusivity along a, b, c and in the plane of a and b.
    charge_diffusivity
        Of the charge, that is of the ions' common centre times their number: what conductivity in fact is from.
    haven_ratio, haven_interval
        Tracer over charge diffusivity. There is one centre where there are many ions, so its error is large. None,
        with a note, where the charge diffusivity's relative standard error is above ½.
    window_ps
        τ and 2τ, between which the slope was taken.
    exponent
        log₂ MSD(2τ)/MSD(τ): 1 for diffusion, less where vibrations are still a part of the MSD.
    n_hops
        Effective hops, 6 D t N/a²: those that led somewhere.
    hop_distance_A
        a, as given.
    curves
        Mean squared displacements for plots.
    notes
        What to know before using the numbers.
    """

    species: str
    temperature_k: float
    charge: float
    ions: int
    length_ps: float
    D_cm2_s: float
    D_interval: tuple[float, float]
    D_standard_error: float
    degrees_of_freedom: int
    rsd_he: float
    tmsd_A2: float
    carriers_per_cm3: float
    sigma_mS_cm: float
    sigma_interval: tuple[float, float]
    by_direction: dict[Direction, Diffusivity]
    charge_diffusivity: Diffusivity
    haven_ratio: float | None
    haven_interval: tuple[float, float] | None
    window_ps: tuple[float, float]
    exponent: float
    n_hops: float
    hop_distance_A: float
    curves: Curves
    notes: tuple[str, ...] = ()


def diffusion(
    motion: Motion,
    species: str,
    temperature_k: float,
    charge: float = 1.0,
    hop_distance_A: float = HOP_DISTANCE_A,
) -> Diffusion:
    """Return how a species diffuses in a trajectory.

    Parameters
    ----------
    motion
        The trajectory, without its heat-up and equilibration.
    species
        The mobile species, a chemical symbol.
    temperature_k
        Temperature, K.
    charge
        Of a mobile ion, in elementary charges.
    hop_distance_A
        Mean distance of a hop, Å.

    Raises
    ------
    InputError
        If the temperature or the hop distance is not positive, the charge is zero, the species is missing or alone, or
        the trajectory has fewer than 100 frames.
    TooFewHops
        If the ions made fewer than 10 effective hops, or the relative standard error is above ½.
    """
    _check(motion, temperature_k, charge, hop_distance_A)
    moved = displacements(motion, species, mobile=species)
    ions = moved.shape[1]
    # the centre of the ions times √N: one walker that carries the current
    centre = moved.sum(axis=1, keepdims=True) / math.sqrt(ions)
    msd, charge_msd = mean_squared_displacement(moved), mean_squared_displacement(centre)
    total = projected(msd, motion.cell, "total")
    lag, notes = _window(total, hop_distance_A)

    tensors, centre_tensors = local_slopes(moved, lag), local_slopes(centre, lag)
    unit = CM2_S_PER_A2_PS / motion.time_step_ps
    found = {
        direction: slope(projected(tensors, motion.cell, direction), lag, dimensions).scaled(unit)
        for direction, dimensions in DIMENSIONS.items()
    }
    tracer = found.pop("total")
    n_hops = 6 * tracer.value / CM2_S_PER_A2_PS * motion.length_ps * ions / hop_distance_A**2
    _refuse(species, tracer, n_hops)

    series, centre_series = (projected(one, motion.cell, "total") for one in (tensors, centre_tensors))
    charge_slope = slope(centre_series, lag, DIMENSIONS["total"]).scaled(unit)
    haven, haven_interval, more = _haven(series, centre_series, charge_slope, lag)
    carriers = ions / motion.volume * PER_CM3_OF_PER_A3
    conductivity = nernst_einstein(carriers, charge, temperature_k)
    rsd_he, tmsd = relative_deviation_he(total, ions, hop_distance_A)
    return Diffusion(
        species=species,
        temperature_k=temperature_k,
        charge=charge,
        ions=ions,
        length_ps=motion.length_ps,
        D_cm2_s=tracer.value,
        D_interval=tracer.interval,
        D_standard_error=tracer.standard_error,
        degrees_of_freedom=tracer.degrees_of_freedom,
        rsd_he=rsd_he,
        tmsd_A2=tmsd,
        carriers_per_cm3=carriers,
        sigma_mS_cm=tracer.value * conductivity,
        sigma_interval=(tracer.interval[0] * conductivity, tracer.interval[1] * conductivity),
        by_direction={direction: _diffusivity(one) for direction, one in found.items()},
        charge_diffusivity=_diffusivity(charge_slope),
        haven_ratio=haven,
        haven_interval=haven_interval,
        window_ps=(lag * motion.time_step_ps, 2 * lag * motion.time_step_ps),
        exponent=math.log2(total[2 * lag] / total[lag]),
        n_hops=n_hops,
        hop_distance_A=hop_distance_A,
        curves=_curves(motion, msd, charge_msd),
        notes=notes + more,
    )


def relative_deviation_he(msd_A2: NDArray[np.float64], ions: int, hop_distance_A: float) -> tuple[float, float]:
    """Return the relative standard deviation of a diffusivity by He et al., and the total mean squared displacement.

    He, Zhu, Epstein & Mo, npj Comput. Mater. 4, 18 (2018), eqs. 8 and 9: 3.43/√N + 0.04 with N = max(TMSD)/a², the
    number of effective hops. TMSD is the mean squared displacement summed over the mobile ions, its maximum that
    over all lags.

    Parameters
    ----------
    msd_A2
        Mean squared displacement at every lag, averaged over ions and origins, Å², shape (lags,).
    ions
        Number of mobile ions.
    hop_distance_A
        a, Å.
    """
    tmsd = ions * float(msd_A2.max())
    return 3.43 / math.sqrt(tmsd / hop_distance_A**2) + 0.04, tmsd


def _check(motion: Motion, temperature_k: float, charge: float, hop_distance_A: float) -> None:
    if not (math.isfinite(temperature_k) and temperature_k > 0):
        raise InputError(f"temperature {temperature_k} K: more than zero is allowed")
    if not (math.isfinite(charge) and charge != 0):
        raise InputError(f"charge {charge} of the mobile ion: any but zero is allowed")
    if not (math.isfinite(hop_distance_A) and hop_distance_A > 0):
        raise InputError(f"hop distance {hop_distance_A} Å: more than zero is allowed")
    if motion.frames < LEAST_FRAMES:
        raise InputError(
            f"trajectory of {motion.frames} frames ({motion.length_ps:g} ps): too short for a fit, "
            f"which needs at least {LEAST_FRAMES}"
        )


def _window(msd_A2: NDArray[np.float64], hop_distance_A: float) -> tuple[int, tuple[str, ...]]:
    """Return τ in frames, and a note where the trajectory is too short for what it should be."""
    longest = int(len(msd_A2) * LONGEST_LAG)
    reached = np.flatnonzero(msd_A2[: longest + 1] >= _WINDOW_HOPS * hop_distance_A**2)
    if len(reached):
        return int(reached[0]), ()
    hops = msd_A2[longest] / hop_distance_A**2
    return longest, (
        f"within a twentieth of the trajectory the mean squared displacement reached {hops:.2g} a², "
        f"not {_WINDOW_HOPS:g}: "
        "returns that come later than the window count as diffusion",
    )


def _refuse(species: str, tracer: Estimate, n_hops: float) -> None:
    if n_hops < LEAST_HOPS:
        raise TooFewHops(
            f"{species} made {max(n_hops, 0):.1f} effective hops: a diffusivity needs at least {LEAST_HOPS}; "
            "run longer, hotter or with a larger cell"
        )
    if tracer.relative_error > LARGEST_RELATIVE_ERROR:
        raise TooFewHops(
            f"{species} diffuses with a relative standard error of {tracer.relative_error:.0%}: at most "
            f"{LARGEST_RELATIVE_ERROR:.0%} is allowed; run longer, hotter or with a larger cell"
        )


def _haven(
    series: NDArray[np.float64], centre_series: NDArray[np.float64], charge_slope: Estimate, lag: int
) -> tuple[float | None, tuple[float, float] | None, tuple[str, ...]]:
    """Return the Haven ratio and its interval; a note instead where the charge diffusivity may as well be zero."""
    if charge_slope.relative_error > LARGEST_RELATIVE_ERROR:
        note = "the charge diffusivity has a relative standard error above 50 %: no Haven ratio"
        return None, None, (note,)
    estimate = ratio(series, centre_series, lag)
    return estimate.value, estimate.interval, ()


def _diffusivity(estimate: Estimate) -> Diffusivity:
    return Diffusivity(estimate.value, estimate.interval)


def _curves(motion: Motion, msd: NDArray[np.float64], charge_msd: NDArray[np.float64]) -> Curves:
    last = len(msd) - 1
    lags = np.union1d(np.linspace(1, last, _CURVE_POINTS), np.geomspace(1, last, _CURVE_POINTS)).astype(np.int64)
    lags = np.unique(np.append(lags, 0))
    return Curves(
        (lags * motion.time_step_ps).astype(np.float64),
        {direction: projected(msd[lags], motion.cell, direction) for direction in DIRECTIONS},
        projected(charge_msd[lags], motion.cell, "total"),
    )
