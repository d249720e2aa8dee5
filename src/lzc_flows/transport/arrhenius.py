r"""Activation energy and extrapolation of diffusivities at several temperatures.

ln D = ln D₀ − Eₐ/(kT) is fitted by least squares weighted with each diffusivity's own error of ln D. Slope and
intercept of such a fit are almost wholly anti-correlated. Inverse temperatures are therefore counted from their
weighted mean, where the level and the slope are independent, and errors at any temperature follow from

    var ln D(T) = var(level) + (1/kT − mean)² var(Eₐ) ,

which is the full covariance. Intervals are symmetric in ln D, and so asymmetric in D and σ.

Where the points scatter more than their errors allow (χ² per degree of freedom above one), all errors are multiplied
by its root: the Birge ratio, as the Particle Data Group does (Phys. Rev. D 110, 030001 (2024), introduction,
section 5.2.2). They are never made smaller. Where such a χ² has a chance below 5 %, a note says that one
activation energy does not fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lzc_flows.errors import InputError
from lzc_flows.transport.conductivity import BOLTZMANN_EV, nernst_einstein

LEAST_TEMPERATURES = 3
"""With two, any line fits and nothing checks it."""

_MISFIT = 0.05


@dataclass(frozen=True)
class ArrheniusPoint:
    """A diffusivity at a temperature.

    Attributes
    ----------
    temperature_k
        Temperature, K.
    D_cm2_s, D_interval
        Diffusivity and its 68 % interval, cm²/s.
    carriers_per_cm3
        Mobile ions per cm³.
    charge
        Of one of them, in elementary charges.
    """

    temperature_k: float
    D_cm2_s: float
    D_interval: tuple[float, float]
    carriers_per_cm3: float
    charge: float = 1.0

    def __post_init__(self) -> None:
        low, high = self.D_interval
        if not (math.isfinite(self.temperature_k) and self.temperature_k > 0):
            raise InputError(f"temperature {self.temperature_k} K: more than zero is allowed")
        if not (0 < low <= self.D_cm2_s <= high < math.inf and low < high):
            raise InputError(
                f"diffusivity {self.D_cm2_s:g} ({low:g} to {high:g}) cm²/s at {self.temperature_k:g} K: "
                "a positive number within its interval is allowed"
            )

    @property
    def error_of_ln_D(self) -> float:
        """Half the interval's width in ln D."""
        return 0.5 * math.log(self.D_interval[1] / self.D_interval[0])


@dataclass(frozen=True)
class Extrapolation:
    """A number at a temperature with its 68 % interval.

    Attributes
    ----------
    temperature_k
        Temperature, K.
    value
        The number, in the unit of what was asked for.
    interval
        Its 68 % interval.
    """

    temperature_k: float
    value: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Arrhenius:
    """A fitted line of Arrhenius; errors are standard errors.

    Attributes
    ----------
    Ea_ev, Ea_standard_error
        Activation energy, eV.
    D0_cm2_s, D0_interval
        Prefactor and its 68 % interval, cm²/s.
    mean_inverse_ev
        Weighted mean of 1/kT, 1/eV, where the level and the slope of the line are independent.
    level, level_standard_error
        ln(D/cm² s⁻¹) there.
    correlation
        Of ln D₀ and Eₐ: near one, that is of the intercept and the slope −Eₐ near minus one.
    chi2, degrees_of_freedom, misfit_probability
        χ² of the fit, its degrees of freedom, and the chance that it is so large or larger.
    inflation
        What all errors were multiplied by, see the module.
    carriers_per_cm3, charge
        For the conductivity: the mean of the points', and their common charge.
    notes
        What to know before using the numbers.
    """

    Ea_ev: float
    Ea_standard_error: float
    D0_cm2_s: float
    D0_interval: tuple[float, float]
    mean_inverse_ev: float
    level: float
    level_standard_error: float
    correlation: float
    chi2: float
    degrees_of_freedom: int
    misfit_probability: float
    inflation: float
    carriers_per_cm3: float
    charge: float
    notes: tuple[str, ...] = ()

    def diffusivity(self, temperature_k: float) -> Extrapolation:
        """Return the diffusivity at a temperature, cm²/s; raise InputError if it is not positive."""
        if not (math.isfinite(temperature_k) and temperature_k > 0):
            raise InputError(f"temperature {temperature_k} K: more than zero is allowed")
        away = 1 / (BOLTZMANN_EV * temperature_k) - self.mean_inverse_ev
        return _exponential(
            temperature_k,
            self.level - self.Ea_ev * away,
            math.hypot(self.level_standard_error, away * self.Ea_standard_error),
        )

    def conductivity(self, temperature_k: float) -> Extrapolation:
        """Return the conductivity by Nernst and Einstein, mS/cm; raise InputError as `diffusivity` does."""
        diffusivity = self.diffusivity(temperature_k)
        factor = nernst_einstein(self.carriers_per_cm3, self.charge, temperature_k)
        low, high = diffusivity.interval
        return Extrapolation(temperature_k, diffusivity.value * factor, (low * factor, high * factor))


def arrhenius(points: Sequence[ArrheniusPoint]) -> Arrhenius:
    """Return the line of Arrhenius through diffusivities at three temperatures or more.

    Raises
    ------
    InputError
        If there are fewer than three distinct temperatures, or the charges differ.
    """
    distinct = {point.temperature_k for point in points}
    if len(distinct) < LEAST_TEMPERATURES:
        raise InputError(f"{len(distinct)} distinct temperature(s): at least {LEAST_TEMPERATURES} are needed for a fit")
    charges = {point.charge for point in points}
    if len(charges) > 1:
        raise InputError(f"mobile ions of charges {sorted(charges)}: one charge is allowed")
    inverse = np.array([1 / (BOLTZMANN_EV * point.temperature_k) for point in points])
    logarithm = np.log([point.D_cm2_s for point in points])
    weight = np.array([point.error_of_ln_D for point in points]) ** -2.0

    mean = float(np.average(inverse, weights=weight))
    level = float(np.average(logarithm, weights=weight))
    away = inverse - mean
    spread = float(weight @ away**2)
    energy = -float(weight @ (away * (logarithm - level))) / spread
    chi2 = float(weight @ (logarithm - level + energy * away) ** 2)
    return _with_errors(points, (mean, level, energy), (float(weight.sum()), spread), chi2)


def _with_errors(
    points: Sequence[ArrheniusPoint], line: tuple[float, float, float], weights: tuple[float, float], chi2: float
) -> Arrhenius:
    mean, level, energy = line
    freedom = len(points) - 2
    inflation = math.sqrt(max(1.0, chi2 / freedom))
    level_error, energy_error = (inflation / math.sqrt(weight) for weight in weights)
    from scipy import stats  # slow, and campaign files need only the words of this module

    probability = float(stats.chi2.sf(chi2, freedom))
    prefactor_error = math.hypot(level_error, mean * energy_error)
    prefactor = _exponential(math.inf, level + energy * mean, prefactor_error)
    note = (
        f"one activation energy does not fit: χ² {chi2:.1f} with {freedom} degrees of freedom has a chance of "
        f"{probability:.1g}; errors are multiplied by {inflation:.2f}"
    )
    return Arrhenius(
        Ea_ev=energy,
        Ea_standard_error=energy_error,
        D0_cm2_s=prefactor.value,
        D0_interval=prefactor.interval,
        mean_inverse_ev=mean,
        level=level,
        level_standard_error=level_error,
        correlation=mean * energy_error / prefactor_error,
        chi2=chi2,
        degrees_of_freedom=freedom,
        misfit_probability=probability,
        inflation=inflation,
        carriers_per_cm3=float(np.mean([point.carriers_per_cm3 for point in points])),
        charge=points[0].charge,
        notes=(note,) if probability < _MISFIT else (),
    )


def _exponential(temperature_k: float, logarithm: float, error: float) -> Extrapolation:
    value = math.exp(logarithm)
    return Extrapolation(temperature_k, value, (value * math.exp(-error), value * math.exp(error)))
