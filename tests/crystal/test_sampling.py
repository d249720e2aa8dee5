from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from lzc_flows.crystal.counting import arrangements
from lzc_flows.crystal.electrostatics import Electrostatics
from lzc_flows.crystal.enumeration import Enumeration
from lzc_flows.crystal.histogram import Tally
from lzc_flows.crystal.host import ideal_host
from lzc_flows.crystal.ions import VACANT, charge_of
from lzc_flows.crystal.orbits import Placement, canonical, one_by_one
from lzc_flows.crystal.sampling import random_states, sample
from lzc_flows.crystal.sitelattice import SiteLattice
from lzc_flows.crystal.survey import survey
from lzc_flows.errors import InputError


def lithium_and_oxygen(repeats: tuple[int, int, int]) -> Enumeration:
    """Two O2- and the two Li+ that they need: 5,508 arrangements in the unit cell, 382 orbits and more in others."""
    sites = SiteLattice(ideal_host(), repeats)
    placements = [Placement("O2-", sites.with_labels(("6i",)), 2), Placement("Li+", sites.vacant, 2)]
    return Enumeration(sites.permutations, placements, Electrostatics(sites.ewald_ev, sites.charges))


# ---- uniform ----

SHARED = {
    "apart": [Placement("A", (0, 3), 1), Placement("B", (1, 2, 4, 5), 2)],
    "on one sublattice": [Placement("A", (5, 0, 1, 4, 2), 2), Placement("B", (0, 1, 2, 4, 5), 2)],
    "one within the other": [Placement("A", (0, 1, 2, 3, 4), 2), Placement("B", (1, 3), 1)],
    "full": [Placement("A", (0, 1, 2, 3), 2), Placement(VACANT, (0, 1, 2, 3), 2)],
    "overlap in part": [Placement("A", (0, 1, 2), 1), Placement("B", (2, 3, 4), 2), Placement("C", (1, 2, 4, 5), 2)],
}


@pytest.mark.parametrize("name", list(SHARED))
def test_every_arrangement_is_as_likely(name: str) -> None:
    placements = SHARED[name]
    # with nothing but the identity, every arrangement is an orbit
    (every,) = Enumeration(np.arange(6)[None, :], placements)
    size = 500 * len(every)
    drawn = random_states(placements, size, np.random.default_rng(1))
    counts = Counter(map(tuple, drawn.tolist()))
    assert set(counts) == set(map(tuple, every.states.tolist()))
    assert chisquare(list(counts.values())).pvalue > 1e-3


def test_orbits_come_by_their_multiplicity() -> None:
    enumeration = lithium_and_oxygen((1, 1, 1))
    (orbits,) = enumeration
    drawn = sample(enumeration, 100_000, 2).states
    found = Counter(map(tuple, canonical(enumeration.group, drawn, [slice(0, 2), slice(2, 4)]).tolist()))
    # the enumeration's representatives may be other images
    representatives = canonical(enumeration.group, orbits.states, [slice(0, 2), slice(2, 4)])
    observed = [found.pop(tuple(state)) for state in representatives.tolist()]
    assert not found
    expected = orbits.multiplicities * (len(drawn) / enumeration.arrangements)
    assert chisquare(observed, expected).pvalue > 1e-3


def test_numbers_beyond_floats() -> None:
    """Allocations are weighted by exact integers: here beyond 10^308, where floats end."""
    sites = tuple(range(1200))
    placements = [Placement("A", sites, 600), Placement("B", sites[:150], 100)]
    assert arrangements(placements) > 10**350
    drawn = random_states(placements, 50, np.random.default_rng(3))
    assert all(len(set(state)) == 700 for state in drawn.tolist())
    assert (drawn[:, 600:] < 150).all()
    # of the 1,100 sites that B leaves, 50 are among the first 150
    assert (drawn[:, :600] < 150).mean() == pytest.approx(50 / 1100, abs=0.005)


# ---- energies ----


def test_energies_are_the_quadratic_form() -> None:
    sites = SiteLattice(ideal_host(), (2, 2, 1))
    metal, chlorine = sites.with_labels(("1a", "2d")), sites.with_labels(("6i",))
    placements = [
        Placement("Nb5+", metal, 2),
        Placement("Mg2+", metal, 4),
        Placement("F-", chlorine, 5),
        Placement("O2-", chlorine, 3),
        Placement(VACANT, sites.mobile, 1),
        Placement("Li+", sites.vacant, 10),
    ]
    enumeration = Enumeration(sites.permutations, placements, Electrostatics(sites.ewald_ev, sites.charges))
    assert enumeration.arrangements > 10**20
    found = sample(enumeration, 200, 4)
    charges = np.repeat(sites.charges[None, :], 200, axis=0)
    for column, placement in enumerate(one_by_one(placements)):
        charges[np.arange(200), found.states[:, column]] = charge_of(placement.ion)
    assert np.abs(charges.sum(axis=1)).max() < 1e-9
    assert found.energies == pytest.approx(sites.electrostatic_ev(charges), rel=0, abs=1e-8)


def test_the_histogram_is_that_of_all_arrangements() -> None:
    enumeration = lithium_and_oxygen((2, 1, 1))
    exact, tally = Tally(1.0), Tally(1.0)
    survey(enumeration, 1, exact)
    tally.add(sample(enumeration, 50_000, 5).energies)
    assert sum(tally.weights.values()) == 50_000
    for index, weight in tally.weights.items():
        share = exact.weights[index] / enumeration.arrangements
        assert abs(weight - 50_000 * share) < 5 * np.sqrt(50_000 * share * (1 - share)) + 1


def test_the_seed_decides() -> None:
    enumeration = lithium_and_oxygen((1, 1, 1))
    one, same, other = (sample(enumeration, 100, seed) for seed in (0, 0, 1))
    assert one.states.tolist() == same.states.tolist()
    assert one.states.tolist() != other.states.tolist()


def test_nothing_to_place() -> None:
    sites = SiteLattice(ideal_host(), (1, 1, 1))
    enumeration = Enumeration(sites.permutations, [], Electrostatics(sites.ewald_ev, sites.charges))
    found = sample(enumeration, 3, 0)
    assert found.states.shape == (3, 0)
    assert found.energies == pytest.approx([sites.electrostatic_ev(sites.charges[None, :])[0]] * 3, rel=1e-12)


def test_bad_requests() -> None:
    enumeration = lithium_and_oxygen((1, 1, 1))
    with pytest.raises(InputError, match="sample of 0 arrangements: 1 and above is allowed"):
        sample(enumeration, 0, 0)
    with pytest.raises(InputError, match="seed -1: 0 and above is allowed"):
        sample(enumeration, 1, -1)
