from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzc_flows.crystal.electrostatics import Electrostatics
from lzc_flows.crystal.enumeration import Enumeration
from lzc_flows.crystal.histogram import Tally
from lzc_flows.crystal.host import ideal_host
from lzc_flows.crystal.orbits import Placement
from lzc_flows.crystal.sitelattice import SiteLattice
from lzc_flows.crystal.survey import TIE, Ground, survey
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
            orbits.energies.tolist(), orbits.stabilisers.tolist(), orbits.states.tolist(), strict=True
        )
    ]
    # the placements with the fewest choices are compared first: Ti3+, then Nb5+, then F-
    return sorted(rows, key=lambda row: (round(row[0] / TIE), -row[1], row[2][2:], row[2][:2]))


@given(size=st.integers(1, 500), chunk=st.integers(5, 700))
@settings(max_examples=60, deadline=None)
def test_the_lowest_are_the_first_of_all_sorted(size: int, chunk: int) -> None:
    found = survey(enumeration(chunk), size).lowest
    rows = list(zip(found.energies.tolist(), found.stabilisers.tolist(), found.states.tolist(), strict=True))
    assert rows == everything()[:size]


def test_ties_go_to_the_higher_symmetry() -> None:
    rows = everything()
    tied = [order for energy, order, _ in rows if round(energy / TIE) == round(rows[0][0] / TIE)]
    assert len(set(tied)) > 1
    assert survey(enumeration(100), len(tied)).lowest.stabilisers.tolist() == sorted(tied, reverse=True)


def test_more_than_there_are() -> None:
    found = survey(enumeration(1000), 10**6)
    assert len(found.lowest) == found.orbits == enumeration(1).orbits == len(everything())


@pytest.mark.parametrize("bin_ev", [1e-4, 0.03, 1.0, 1e4])
@pytest.mark.parametrize("chunk", [17, 100_000])
def test_histogram_counts_every_arrangement(bin_ev: float, chunk: int) -> None:
    expected: Counter[int] = Counter()
    operations = len(enumeration(chunk).group)
    for energy, order, _ in everything():
        expected[round(energy / bin_ev)] += operations // order
    tally = Tally(bin_ev)
    survey(enumeration(chunk), 1, tally)
    histogram = tally.histogram()
    assert dict(zip(histogram.bins.tolist(), histogram.weights, strict=True)) == expected
    assert histogram.bins.tolist() == sorted(expected)
    assert sum(histogram.weights) == enumeration(chunk).arrangements
    lowest = everything()[0][0]
    assert abs(histogram.centres_ev[0] - lowest) <= bin_ev / 2


@pytest.mark.parametrize("chunk", [1, 17, 100_000])
def test_the_ground_of_all(chunk: int) -> None:
    rows = everything()
    tied = [order for energy, order, _ in rows if round(energy / TIE) == round(rows[0][0] / TIE)]
    found = survey(enumeration(chunk), 1).ground
    assert found.energy == pytest.approx(rows[0][0], rel=0, abs=TIE)
    assert (found.orbits, found.stabiliser, found.most_symmetric) == (len(tied), max(tied), tied.count(max(tied)))
    assert found.gap == pytest.approx(rows[len(tied)][0] - rows[0][0], rel=0, abs=TIE)


def test_one_energy_has_no_gap() -> None:
    """Without an energy all arrangements of two ions on four sites in a ring tie at 0."""
    turns = np.array([np.roll(np.arange(4), shift) for shift in range(4)])
    found = survey(Enumeration(turns, [Placement("X", (0, 1, 2, 3), 2)]), 5)
    # neighbours: 4 arrangements; opposite each other: 2, kept by half a turn
    assert found.ground == Ground(energy=0.0, orbits=2, gap=None, stabiliser=2, most_symmetric=1)
    assert found.lowest.multiplicities.tolist() == [2, 4]


def test_bad_requests() -> None:
    with pytest.raises(InputError, match="number of lowest orbits 0: 1 and above is allowed"):
        survey(enumeration(100), 0)
