from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Composition, Species

from lzc_flows.transport.conventions import CONVENTIONS, pair_energy
from lzc_flows.transport.radial import (
    CORE_EV,
    CORE_VALUE_EV,
    MIN_SQUARED,
    first_interval,
    interval,
    left_end,
    tabulate,
)

LI = Species("Li", 1)
PARTNERS = [Species("Zr", 4), Species("Cl", -1), Species("F", -1), Species("O", -2)]


def pair(partner: Species, occupancy: float = 1.0):
    function = pair_energy(LI, partner, CONVENTIONS["softbv"], Composition())
    return lambda r: occupancy * function(r)


# most of a full ion's core is cut off; a twentieth of one is finite down to the nucleus
FUNCTIONS = [pair(partner, occupancy) for partner in PARTNERS for occupancy in (1.0, 0.05)]


@pytest.mark.parametrize("tolerance", [1e-6, 1e-8])
def test_tables_equal_the_functions_within_the_error_they_state(tolerance):
    tables = tabulate(FUNCTIONS, 10.0, tolerance)
    assert 0 < tables.error_ev <= tolerance
    generator = np.random.default_rng(1)
    distances = np.concatenate([generator.uniform(0, 10, 50_000), 10 ** generator.uniform(-9, 1, 50_000), [10.0]])
    for kind, function in enumerate(FUNCTIONS):
        exact = function(distances)
        below = exact < CORE_EV
        found = tables.energies_ev(kind, distances)
        # a few per cent for the next term of the error, and rounding
        assert np.abs(found - exact)[below].max() <= 1.05 * tables.error_ev + 1e-11
        assert (found[~below] > 0.99 * CORE_EV).all()


def test_steep_cores_are_one_large_value():
    tables = tabulate([pair(Species("Zr", 4))], 10.0, 1e-6)
    assert (tables.energies_ev(0, np.array([0.0, 1e-9, 1e-3])) == CORE_VALUE_EV).all()


def test_a_finer_tolerance_takes_more_intervals():
    coarse, fine = (tabulate(FUNCTIONS, 10.0, tolerance) for tolerance in (1e-5, 1e-9))
    assert coarse.coefficients.shape[1] < fine.coefficients.shape[1]
    assert fine.coefficients.nbytes < 2e6 * len(FUNCTIONS)


def test_what_cannot_be_tabulated_is_refused():
    with pytest.raises(ValueError, match="cannot be tabulated to"):
        tabulate([lambda r: np.where(r < 2.0001, 1.0, 0.0)], 10.0, 1e-6)


@given(st.floats(MIN_SQUARED, 400.0), st.integers(38, 50))
def test_intervals_hold_their_distances(squared, shift):
    index = interval(np.array([squared]), shift)
    ends = left_end(np.concatenate([index, index + 1]), shift)
    assert index[0] >= 0
    assert ends[0] <= squared < ends[1]
    # 2^m equal intervals an octave
    assert ends[1] - ends[0] <= 2.0 ** (shift - 52) * ends[0]


def test_the_first_interval_starts_at_the_smallest_distance():
    assert left_end(np.array([0]), 45)[0] == MIN_SQUARED
    assert interval(np.array([MIN_SQUARED]), 45)[0] == 0
    assert first_interval(52) == 1023 - 60  # the biased exponent
