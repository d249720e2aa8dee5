from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import curve_fit

from lzc_flows.errors import InputError
from lzc_flows.transport.arrhenius import ArrheniusPoint, arrhenius

K_EV = 8.617333262e-5
TEMPERATURES = (600.0, 700.0, 800.0, 900.0, 1000.0, 1100.0)
CARRIERS = 18 / 1971.2 * 1e24


def points(logarithms, errors, temperatures=TEMPERATURES, charge=1.0):
    return [
        ArrheniusPoint(t, math.exp(ln), (math.exp(ln - s), math.exp(ln + s)), CARRIERS, charge)
        for t, ln, s in zip(temperatures, logarithms, errors, strict=True)
    ]


def line(energy, prefactor, temperatures=TEMPERATURES):
    return math.log(prefactor) - energy / (K_EV * np.array(temperatures))


def test_points_on_a_line() -> None:
    fit = arrhenius(points(line(0.257, 2e-3), [0.1] * 6))
    assert fit.Ea_ev == pytest.approx(0.257, rel=1e-9)
    assert fit.D0_cm2_s == pytest.approx(2e-3, rel=1e-8)
    assert fit.chi2 == pytest.approx(0, abs=1e-12)
    assert fit.inflation == 1
    assert fit.notes == ()
    assert fit.diffusivity(300.0).value == pytest.approx(2e-3 * math.exp(-0.257 / (K_EV * 300)), rel=1e-8, abs=0)


def test_it_is_the_weighted_fit_of_scipy_with_its_whole_covariance() -> None:
    rng = np.random.default_rng(0)
    errors = np.array([0.2, 0.15, 0.12, 0.1, 0.08, 0.05])
    logarithms = line(0.3, 1e-3) + 0.5 * errors * rng.normal(size=6)
    fit = arrhenius(points(logarithms, errors))
    inverse = 1 / (K_EV * np.array(TEMPERATURES))

    def straight(x, level, energy):
        return level - energy * x

    (level, energy), covariance = curve_fit(
        straight, inverse, logarithms, sigma=errors, absolute_sigma=True, p0=(0, 0.3)
    )
    assert fit.inflation == 1
    assert fit.Ea_ev == pytest.approx(energy, rel=1e-6)
    assert math.log(fit.D0_cm2_s) == pytest.approx(level, rel=1e-6)
    assert fit.Ea_standard_error == pytest.approx(math.sqrt(covariance[1, 1]), rel=1e-6)
    assert math.log(fit.D0_interval[1] / fit.D0_cm2_s) == pytest.approx(math.sqrt(covariance[0, 0]), rel=1e-6)
    assert fit.correlation == pytest.approx(covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1]), rel=1e-6)
    assert fit.correlation > 0.9
    for temperature in (300.0, 850.0):
        x = np.array([1, -1 / (K_EV * temperature)])
        error = math.sqrt(x @ covariance @ x)
        found = fit.diffusivity(temperature)
        assert math.log(found.interval[1] / found.value) == pytest.approx(error, rel=1e-5)
        assert math.log(found.value / found.interval[0]) == pytest.approx(error, rel=1e-5)


def test_conductivity_at_300_k_in_the_format_of_the_source() -> None:
    """Diffusivities with the source's Ea and σ(300 K), 0.257 eV and 6.46 mS/cm, return them; the interval is skew."""
    D = 6.46e-3 * 1.380649e-23 * 300 / (CARRIERS * 1.602176634e-19**2)
    fit = arrhenius(points(line(0.257, D * math.exp(0.257 / (K_EV * 300))), [0.12] * 6))
    sigma = fit.conductivity(300.0)
    assert sigma.value == pytest.approx(6.46, rel=1e-6)
    assert sigma.interval[1] - sigma.value > sigma.value - sigma.interval[0]
    # six points of 12 % each make the source's ± 0.015 eV
    assert fit.Ea_ev == pytest.approx(0.257, rel=1e-6)
    assert fit.Ea_standard_error == pytest.approx(0.015, rel=0.15)


def test_intervals_hold_the_truth_in_68_percent() -> None:
    """2,000 fits of six points: 68.3 % without inflation, which never makes errors smaller, so more with it."""
    rng = np.random.default_rng(4)
    errors = np.array([0.25, 0.2, 0.15, 0.12, 0.1, 0.1])
    exact = line(0.3, 1e-3)
    energies, cold = [], []
    for _ in range(2000):
        fit = arrhenius(points(exact + errors * rng.normal(size=6), errors))
        energies.append(abs(fit.Ea_ev - 0.3) < fit.Ea_standard_error)
        low, high = fit.diffusivity(300.0).interval
        cold.append(low < 1e-3 * math.exp(-0.3 / (K_EV * 300)) < high)
    assert 0.66 < np.mean(energies) < 0.76
    assert 0.66 < np.mean(cold) < 0.76


def test_points_that_scatter_more_than_they_say_inflate_all_errors() -> None:
    zigzag = line(0.3, 1e-3) + 0.3 * np.array([1, -1, 1, -1, 1, -1])
    calm, wild = arrhenius(points(line(0.3, 1e-3), [0.1] * 6)), arrhenius(points(zigzag, [0.1] * 6))
    assert wild.inflation == pytest.approx(math.sqrt(wild.chi2 / 4))
    assert wild.inflation > 2.5
    assert wild.Ea_standard_error == pytest.approx(wild.inflation * calm.Ea_standard_error, rel=1e-9)
    assert wild.level_standard_error == pytest.approx(wild.inflation * calm.level_standard_error, rel=1e-9)
    assert "one activation energy does not fit" in wild.notes[0]


def test_several_runs_at_a_temperature_count_each() -> None:
    doubled = arrhenius(points(np.repeat(line(0.3, 1e-3), 2), [0.1] * 12, np.repeat(TEMPERATURES, 2)))
    single = arrhenius(points(line(0.3, 1e-3), [0.1] * 6))
    assert doubled.degrees_of_freedom == 10
    assert doubled.Ea_standard_error == pytest.approx(single.Ea_standard_error / math.sqrt(2), rel=1e-9)


@pytest.mark.parametrize("temperatures", [(), (600.0,), (600.0, 700.0), (600.0, 700.0, 700.0)])
def test_fewer_than_three_temperatures_are_refused(temperatures) -> None:
    with pytest.raises(InputError, match="at least 3"):
        arrhenius(points([-10.0] * len(temperatures), [0.1] * len(temperatures), temperatures))


def test_two_charges_are_refused() -> None:
    mixed = points(line(0.3, 1e-3), [0.1] * 6)[:5] + points([-10.0], [0.1], [1100.0], charge=2.0)
    with pytest.raises(InputError, match="one charge"):
        arrhenius(mixed)


@pytest.mark.parametrize(
    ("temperature", "D", "interval"),
    [
        (0.0, 1e-5, (0.9e-5, 1.1e-5)),
        (math.nan, 1e-5, (0.9e-5, 1.1e-5)),
        (900.0, -1e-5, (0.9e-5, 1.1e-5)),
        (900.0, 1e-5, (0.0, 1.1e-5)),
        (900.0, 1e-5, (1e-5, 1e-5)),
        (900.0, 1e-5, (1.1e-5, 1.2e-5)),
        (900.0, math.nan, (0.9e-5, 1.1e-5)),
    ],
)
def test_impossible_points_are_refused(temperature, D, interval) -> None:
    with pytest.raises(InputError, match="is allowed"):
        ArrheniusPoint(temperature, D, interval, CARRIERS)


@pytest.mark.parametrize("temperature", [0.0, -5.0, math.inf])
def test_extrapolation_to_no_temperature_is_refused(temperature) -> None:
    fit = arrhenius(points(line(0.3, 1e-3), [0.1] * 6))
    with pytest.raises(InputError, match="more than zero"):
        fit.conductivity(temperature)
