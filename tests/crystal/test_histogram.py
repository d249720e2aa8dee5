from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzc_flows.crystal.histogram import Tally
from lzc_flows.errors import InputError

energies = st.lists(st.tuples(st.floats(-50, 50), st.integers(1, 10**12)), max_size=20)


@given(st.lists(energies, min_size=1, max_size=4), st.sampled_from([0.01, 0.3, 100.0]))
def test_every_arrangement_is_in_its_bin(chunks: list[list[tuple[float, int]]], bin_ev: float) -> None:
    tally, expected = Tally(bin_ev), Counter[int]()
    for chunk in chunks:
        tally.add(np.array([energy for energy, _ in chunk]), [weight for _, weight in chunk])
        for energy, weight in chunk:
            expected[int(np.rint(energy / bin_ev))] += weight
    histogram = tally.histogram()
    assert dict(zip(histogram.bins.tolist(), histogram.weights, strict=True)) == expected
    assert histogram.bins.tolist() == sorted(expected)
    assert histogram.centres_ev == pytest.approx(histogram.bins * bin_ev, rel=1e-15)


def test_more_than_64_bits() -> None:
    tally = Tally(0.1)
    tally.add(np.array([1.0, 1.0, 2.0]))
    histogram = tally.histogram().times(10**20)
    assert histogram.weights == (2 * 10**20, 10**20)


@pytest.mark.parametrize("bin_ev", [0.0, -1.0, np.nan])
def test_bins_have_a_width(bin_ev: float) -> None:
    with pytest.raises(InputError, match=f"histogram bins of {bin_ev:g} eV: above 0 is allowed"):
        Tally(bin_ev)
