from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzc_flows.crystal.enumeration import Electrostatics, Enumeration
from lzc_flows.crystal.host import ideal_host
from lzc_flows.crystal.orbits import Placement
from lzc_flows.crystal.sitelattice import SiteLattice
from lzc_flows.crystal.survey import TIE_EV, survey
from lzc_flows.errors import InputError


@cache
def enumeration(chunk: int) -> Enumeration:
    """Ti3+ and Al3+ with F-: many ties, as F- changes no charge, and stabilisers of several orders."""
    sites = SiteLattice(ideal_host(), (1, 1, 2))
    metal = sites.with_labels(("1a", "2d"))
    placements = [
        Placement("F-", sites.with_labels(("6i",)), 2),
        Placement("Ti3+", metal, 1),
        Placement("Nb5+", metal, 1),
    ]
    return Enumeration(sites.permutations, placements, Electrostatics(sites.ewald_ev, sites.charges), chunk)


Row = tuple[float, int, list[int]]


@cache
def everything() -> list[Row]:
    """All orbits, sorted: energy, order of the stabiliser, state."""
    rows = [
        (energy, order, state)
        for orbits in enumeration(100_000)
        for energy, order, state in zip(
            orbits.energies_ev.tolist(), orbits.stabilisers.tolist(), orbits.states.tolist(), strict=True
        )
    ]
    # the placements with the fewest choices are compared first: Ti3+, then Nb5+, then F-
    return sorted(rows, key=lambda row: (round(row[0] / TIE_EV), -row[1], row[2][2:], row[2][:2]))


@given(size=st.integers(1, 500), chunk=st.integers(5, 700))
@settings(max_examples=60, deadline=None)
def test_the_lowest_are_the_first_of_all_sorted(size: int, chunk: int) -> None:
    found = survey(enumeration(chunk), size, 0.01).lowest
    rows = list(zip(found.energies_ev.tolist(), found.stabilisers.tolist(), found.states.tolist(), strict=True))
    assert rows == everything()[:size]


def test_ties_go_to_the_higher_symmetry() -> None:
    rows = everything()
    tied = [order for energy, order, _ in rows if round(energy / TIE_EV) == round(rows[0][0] / TIE_EV)]
    assert len(set(tied)) > 1
    assert survey(enumeration(100), len(tied), 1.0).lowest.stabilisers.tolist() == sorted(tied, reverse=True)


def test_more_than_there_are() -> None:
    found = survey(enumeration(1000), 10**6, 0.01)
    assert len(found.lowest) == found.orbits == enumeration(1).orbits == len(everything())


@pytest.mark.parametrize("bin_ev", [1e-4, 0.03, 1.0, 1e4])
@pytest.mark.parametrize("chunk", [17, 100_000])
def test_histogram_counts_every_arrangement(bin_ev: float, chunk: int) -> None:
    expected: Counter[int] = Counter()
    operations = len(enumeration(chunk).group)
    for energy, order, _ in everything():
        expected[round(energy / bin_ev)] += operations // order
    histogram = survey(enumeration(chunk), 1, bin_ev).histogram
    assert dict(zip(histogram.bins.tolist(), histogram.weights.tolist(), strict=True)) == expected
    assert histogram.bins.tolist() == sorted(expected)
    assert histogram.weights.sum() == enumeration(chunk).arrangements
    lowest = everything()[0][0]
    assert abs(histogram.centres_ev[0] - lowest) <= bin_ev / 2


@pytest.mark.parametrize(
    ("size", "bin_ev", "line"),
    [
        (0, 0.1, "number of lowest orbits 0: 1 and above is allowed"),
        (1, 0.0, "histogram bins of 0 eV: above 0 is allowed"),
        (1, np.nan, "histogram bins of nan eV: above 0 is allowed"),
    ],
)
def test_bad_requests(size: int, bin_ev: float, line: str) -> None:
    with pytest.raises(InputError, match=line):
        survey(enumeration(100), size, bin_ev)


def test_energies_are_needed() -> None:
    with pytest.raises(InputError, match="has no electrostatics"):
        survey(Enumeration(np.array([[0]]), [Placement("X", (0,), 1)]), 1, 0.1)
