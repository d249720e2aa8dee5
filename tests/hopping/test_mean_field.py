from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from lzc_flows.errors import InputError
from lzc_flows.hopping.mean_field import mean_field, mean_rate
from lzc_flows.hopping.random_walk import CM2_S_PER_A2_HZ, Network, random_walk
from lzc_flows.transport.conductivity import BOLTZMANN_EV
from lzc_flows.transport.sitegraph import SiteGraph

T = 700.0
SEEDS = st.integers(0, 2**32 - 1)


def random_network(seed: int) -> Network:
    """Some sites in a row and further hops between them and their images."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 7))
    row = np.column_stack([np.arange(n - 1), np.arange(1, n)])
    sites = np.vstack([row, rng.integers(0, n, (8, 2))])
    translations = np.vstack([np.zeros((n - 1, 3), int), rng.integers(-1, 2, (8, 3))])
    energies = rng.uniform(0, 0.2, n)
    levels = energies[sites].max(axis=1) + rng.uniform(0.1, 0.4, len(sites))
    return Network(SiteGraph(energies, sites, translations, levels), rng.random((n, 3)), np.diag([3.0, 4, 5]), 1e13)


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_one_ion_is_the_random_walk_and_one_vacancy_another(seed: int) -> None:
    one, few = random_network(seed), 1e-9
    graph, n = one.graph, len(one.graph.energies_ev)
    assert mean_field(one, T, few) == pytest.approx(random_walk(one, T).mean.D_cm2_s, rel=1e-6, abs=0)
    # a vacancy on site i costs −E_i, and passes over saddles that are those of the ion less both sites' energies
    swapped = SiteGraph(
        -graph.energies_ev,
        graph.sites,
        graph.translations,
        graph.levels_ev - graph.energies_ev[graph.sites].sum(axis=1),
    )
    vacancy = random_walk(Network(swapped, one.fractional, one.cell, 1e13), T).mean.D_cm2_s
    expected = {direction: value * few / (n - few) for direction, value in vacancy.items()}
    assert mean_field(one, T, n - few) == pytest.approx(expected, rel=1e-5, abs=0)


@pytest.mark.parametrize("filled", [0.1, 0.5, 0.9])
def test_equal_sites_are_blocked_in_proportion(filled: float) -> None:
    # simple cubic: (1 − c) Γ a²
    graph = SiteGraph(np.zeros(1), np.zeros((3, 2), int), np.eye(3, dtype=int), np.full(3, 0.3))
    cubic = Network(graph, np.zeros((1, 3)), np.diag([3.0] * 3), 1e13)
    rate = 1e13 * math.exp(-0.3 / (BOLTZMANN_EV * T))
    expected = (1 - filled) * rate * 9 * CM2_S_PER_A2_HZ
    assert mean_field(cubic, T, filled)["total"] == pytest.approx(expected, rel=1e-9, abs=0)
    # six neighbours
    assert mean_rate(cubic, T, filled) == pytest.approx(6 * (1 - filled) * rate, rel=1e-9, abs=0)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.floats(0.1, 0.9))
def test_the_rate_of_hops_is_that_of_the_mean_occupations(seed: int, filled: float) -> None:
    one = random_network(seed)
    graph, kt = one.graph, BOLTZMANN_EV * T
    ions = filled * len(graph.energies_ev)

    def occupied(potential: float) -> np.ndarray:
        return 1 / (1 + np.exp((graph.energies_ev - potential) / kt))

    n = occupied(brentq(lambda potential: occupied(potential).sum() - ions, -3, 3, xtol=1e-14))
    total = 0.0
    for (i, j), level in zip(graph.sites.tolist(), graph.levels_ev, strict=True):
        for here, there in ((i, j), (j, i)):
            total += n[here] * (1 - n[there]) * 1e13 * math.exp(-(level - graph.energies_ev[here]) / kt)
    assert mean_rate(one, T, ions) == pytest.approx(total / ions, rel=1e-7, abs=0)


def test_bad_input() -> None:
    one = random_network(1)
    n = len(one.graph.energies_ev)
    for ions in (0, n):
        with pytest.raises(InputError, match=f"^{ions} ions in a cell of {n} sites: more than none and fewer"):
            mean_field(one, T, ions)
    with pytest.raises(InputError, match="temperature"):
        mean_field(one, -1, 1)
    still = SiteGraph(np.zeros(2), np.empty((0, 2), int), np.empty((0, 3), int), np.empty(0))
    with pytest.raises(InputError, match="no hop that ever happens"):
        mean_rate(Network(still, np.zeros((2, 3)), np.eye(3), 1e13), T, 1)
