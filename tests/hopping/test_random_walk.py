from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzc_flows.errors import InputError
from lzc_flows.hopping.random_walk import CM2_S_PER_A2_HZ, Network, conductances, random_walk
from lzc_flows.transport.conductivity import BOLTZMANN_EV
from lzc_flows.transport.percolation import percolation
from lzc_flows.transport.sitegraph import SiteGraph

NU = 1e13
T = 500.0
KT = BOLTZMANN_EV * T
HEXAGONAL = np.array([[6.0, 0, 0], [-3.0, 3 * math.sqrt(3), 0], [0, 0, 5.0]])


def network(energies, hops, cell=None, fractional=None, attempt=NU) -> Network:
    """Hops as (first, second, translation, saddle)."""
    energies = np.array(energies, dtype=float)
    graph = SiteGraph(
        energies,
        np.array([hop[:2] for hop in hops], dtype=np.int64).reshape(-1, 2),
        np.array([hop[2] for hop in hops], dtype=np.int64).reshape(-1, 3),
        np.array([hop[3] for hop in hops], dtype=float),
    )
    cell = np.eye(3) * 3.0 if cell is None else np.asarray(cell, dtype=float)
    return Network(graph, np.zeros((len(energies), 3)) if fractional is None else fractional, cell, attempt)


def rate(barrier: float) -> float:
    return NU * math.exp(-barrier / KT)


def chain(energies, saddles, length: float) -> Network:
    """Sites along a; saddle i lies between i and i + 1."""
    n = len(energies)
    hops = [(i, (i + 1) % n, (int(i == n - 1), 0, 0), saddles[i]) for i in range(n)]
    return network(energies, hops, np.diag([length, 4.0, 5.0]))


@st.composite
def networks(draw, most_sites=5, kinds=6) -> Network:
    """Connected; energies and saddles in steps of 0.1 eV."""
    n = draw(st.integers(1, most_sites))
    energies = [0.1 * draw(st.integers(0, 3)) for _ in range(n)]
    vector = st.tuples(*[st.integers(-1, 1)] * 3)
    pairs = [(draw(st.integers(0, i - 1)), i) for i in range(1, n)]
    pairs += draw(st.lists(st.tuples(*[st.integers(0, n - 1)] * 2), min_size=1, max_size=8))
    hops = [(*pair, draw(vector), 0.1 * (3 + draw(st.integers(0, kinds)))) for pair in pairs]
    return network(energies, hops, np.diag([3.0, 4.0, 5.0]))


def repeated(one: Network, repeats) -> Network:
    cells = list(product(*map(range, repeats)))
    index = {cell: number for number, cell in enumerate(cells)}
    n, graph = len(one.graph.energies_ev), one.graph
    hops = []
    for cell, number in index.items():
        for (i, j), t, level in zip(graph.sites, graph.translations, graph.levels_ev, strict=True):
            beyond, inside = np.divmod(np.array(cell) + t, repeats)
            hops.append((number * n + i, index[tuple(inside.tolist())] * n + j, beyond, level))
    fractional = np.concatenate([(one.fractional + cell) / repeats for cell in cells])
    return network(
        np.tile(graph.energies_ev, len(cells)), hops, np.diag(repeats) @ one.cell, fractional, one.attempt_hz
    )


def by_bias_vectors(one: Network, temperature: float) -> tuple[np.ndarray, float]:
    """Trinkle's expression with the sites' positions, by a pseudo-inverse, and its first part's trace; Å²·Hz."""
    graph, kt = one.graph, BOLTZMANN_EV * temperature
    weights = np.exp(-graph.energies_ev / kt)
    strengths = one.attempt_hz * np.exp(-graph.levels_ev / kt) / weights.sum()
    n = len(weights)
    laplacian, bias, bare = np.zeros((n, n)), np.zeros((n, 3)), np.zeros((3, 3))
    for (i, j), t, strength in zip(graph.sites, graph.translations, strengths, strict=True):
        d = (one.fractional[j] + t - one.fractional[i]) @ one.cell
        bare += strength * np.outer(d, d)
        bias[i] += strength * d
        bias[j] -= strength * d
        laplacian[[i, j, i, j], [i, j, j, i]] += np.array([1, 1, -1, -1]) * strength * (i != j)
    return bare - bias.T @ np.linalg.pinv(laplacian, rcond=1e-12) @ bias, float(np.trace(bare))


def test_simple_cubic():
    one = network([0.0], [(0, 0, axis, 0.3) for axis in np.eye(3, dtype=int)])
    found = random_walk(one, T)
    expected = rate(0.3) * 9 * CM2_S_PER_A2_HZ
    assert found.mean.tensor_cm2_s == pytest.approx(expected * np.eye(3), rel=1e-12, abs=1e-30)
    assert found.mean.D_cm2_s == pytest.approx(dict.fromkeys(("total", "a", "b", "c", "ab"), expected), rel=1e-12)
    assert found.mean.activation_ev == pytest.approx(dict.fromkeys(found.mean.D_cm2_s, 0.3), rel=1e-9)
    assert found.components[0].share == 1


def test_honeycomb_is_isotropic_in_its_plane_and_still_across():
    # each site has three neighbours at a/√3; of two equal sites the bias vectors cancel: D = Γ d²/4
    hops = [(0, 1, t, 0.3) for t in [(0, 0, 0), (-1, 0, 0), (0, 1, 0)]]
    fractional = np.array([[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0]])
    found = random_walk(network([0.0, 0.0], hops, HEXAGONAL, fractional), T).mean
    expected = 3 * rate(0.3) * 36 / 3 / 4 * CM2_S_PER_A2_HZ
    assert found.tensor_cm2_s == pytest.approx(np.diag([expected, expected, 0]), rel=1e-12, abs=1e-25)
    assert found.D_cm2_s["a"] == pytest.approx(expected, rel=1e-12)
    assert found.D_cm2_s["ab"] == pytest.approx(expected, rel=1e-12)
    assert found.D_cm2_s["c"] == 0
    assert found.activation_ev["c"] == math.inf


def test_two_sites_of_different_energy_are_correlated():
    # in series: 1/g adds up, over the partition function
    found = random_walk(chain([0.0, 0.1], [0.3, 0.45], 6.0), T).mean
    partition = 1 + math.exp(-0.1 / KT)
    expected = 36 / (1 / rate(0.3) + 1 / rate(0.45)) / partition * CM2_S_PER_A2_HZ
    assert found.D_cm2_s["a"] == pytest.approx(expected, rel=1e-12)
    assert found.D_cm2_s["total"] == pytest.approx(expected / 3, rel=1e-12)
    assert (found.D_cm2_s["b"], found.D_cm2_s["c"]) == (0, 0)


@given(
    st.lists(st.tuples(st.floats(-0.3, 0.3), st.floats(0.3, 2)), min_size=1, max_size=9),
    st.floats(150, 1500),
)
def test_random_chain_has_its_closed_form(levels, temperature):
    # D = L² / (Σ exp(−E/kT) Σ exp(S/kT)/ν): Zwanzig, PNAS 85, 2029 (1988), for hops
    energies, saddles = np.array(levels).T
    kt = BOLTZMANN_EV * temperature
    found = random_walk(chain(energies, saddles, 10.0), temperature).mean
    wells, walls = np.exp(-energies / kt), np.exp(saddles / kt)
    assert found.D_cm2_s["a"] == pytest.approx(100 * NU / wells.sum() / walls.sum() * CM2_S_PER_A2_HZ, rel=1e-10)
    activation = (walls @ saddles) / walls.sum() - (wells @ energies) / wells.sum()
    assert found.activation_ev["a"] == pytest.approx(activation, rel=1e-6, abs=1e-8)


def test_attempt_frequencies_of_each_hop():
    one = replace(chain([0.0, 0.0], [0.3, 0.3], 6.0), attempt_hz=np.array([1e12, 3e13]))
    expected = 36 / 2 / (1 / 1e12 + 1 / 3e13) * math.exp(-0.3 / KT) * CM2_S_PER_A2_HZ
    assert random_walk(one, T).mean.D_cm2_s["a"] == pytest.approx(expected, rel=1e-12)


@given(networks(), st.integers(0, 2**32 - 1))
def test_agrees_with_bias_vectors_wherever_the_sites_lie(one, seed):
    placed = replace(one, fractional=np.random.default_rng(seed).random(one.fractional.shape))
    found = random_walk(placed, 800.0).mean.tensor_cm2_s
    reference, bare = by_bias_vectors(placed, 800.0)
    assert found == pytest.approx(reference * CM2_S_PER_A2_HZ, rel=1e-8, abs=1e-11 * bare * CM2_S_PER_A2_HZ)


def exactly(one: Network, strengths: list[Fraction]) -> list[Fraction]:
    """Σg t² − bᵀL⁺b along each lattice vector in rational numbers, by Gauss's elimination."""
    n = len(one.graph.energies_ev)
    results = []
    for axis in range(3):
        matrix = [[Fraction(0)] * n for _ in range(n)]
        bias, bare = [Fraction(0)] * n, Fraction(0)
        for (i, j), t, g in zip(one.graph.sites.tolist(), one.graph.translations.tolist(), strengths, strict=True):
            bare += g * t[axis] ** 2
            if i != j:
                bias[i] += g * t[axis]
                bias[j] -= g * t[axis]
                for row, column, sign in ((i, i, 1), (j, j, 1), (i, j, -1), (j, i, -1)):
                    matrix[row][column] += sign * g
        for pivot in range(n - 1):  # the last site's potential is free
            bare -= bias[pivot] ** 2 / matrix[pivot][pivot]
            for row in range(pivot + 1, n):
                factor = matrix[row][pivot] / matrix[pivot][pivot]
                bias[row] -= factor * bias[pivot]
                for column in range(n):
                    matrix[row][column] -= factor * matrix[pivot][column]
        results.append(bare)
    return results


@given(networks(), st.data())
def test_rates_that_differ_by_thirty_orders_of_magnitude_lose_nothing(one, data):
    powers = [data.draw(st.integers(-30, 0)) for _ in one.graph.levels_ev]
    (found,) = conductances(one, np.array(powers) * math.log(10))
    expected = exactly(one, [Fraction(10) ** power for power in powers])
    lengths = np.diag(one.cell)
    scale = math.exp(found.log_scale)
    for name, length, exact in zip("abc", lengths, expected, strict=True):
        assert found.along[name] * scale == pytest.approx(float(exact) * length**2, rel=1e-11, abs=0)


def test_a_slow_direction_beside_a_fast_diagonal_one():
    # the fast channel runs along 2a + b, normal to b in a hexagonal cell; 1e-40 as fast are hops along b
    fast = network([0.0], [(0, 0, (2, 1, 0), 0.3), (0, 0, (0, 1, 0), 0.3)], HEXAGONAL)
    (found,) = conductances(fast, np.array([0.0, -40 * math.log(10)]))
    assert found.along["b"] == pytest.approx(36e-40, rel=1e-12, abs=0)


@given(networks(most_sites=4), st.permutations([1, 1, 2]))
def test_supercells_change_nothing(one, repeats):
    small, large = random_walk(one, T), random_walk(repeated(one, repeats), T)
    scale = max(small.mean.D_cm2_s.values()) or 1e-30
    assert large.mean.tensor_cm2_s == pytest.approx(small.mean.tensor_cm2_s, rel=1e-9, abs=1e-12 * scale)
    assert large.mean.D_cm2_s == pytest.approx(small.mean.D_cm2_s, rel=1e-9, abs=0)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(-2, 2), st.integers(-2, 2),
                          st.integers(-1, 1), st.floats(0.3, 0.9)), min_size=1, max_size=6))  # fmt: skip
def test_tensor_has_the_symmetry_of_the_crystal(base):
    # four sites that a fourfold axis along c turns into each other, and one on it
    def turned(site, turns):
        return 4 if site == 4 else (site + turns) % 4

    quarter, hops = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]), []
    for first, second, x, y, z, saddle in base:
        for turns in range(4):
            t = np.linalg.matrix_power(quarter, turns) @ (x, y, z)
            hops.append((turned(first, turns), turned(second, turns), t, saddle))
    tensor = random_walk(network([0.1] * 4 + [0.0], hops, np.diag([4.0, 4.0, 5.0])), T).mean.tensor_cm2_s
    rounding = 1e-12 * max(np.trace(tensor), 1e-30)
    assert quarter @ tensor @ quarter.T == pytest.approx(tensor, rel=1e-9, abs=rounding)
    assert np.linalg.eigvalsh(tensor).min() > -rounding


def test_threefold_network_is_isotropic_in_the_plane():
    # kagome (3 sites of one orbit) with different hops within its two kinds of triangles, stacked along c
    hops = [(0, 1, (0, 0, 0), 0.3), (1, 2, (0, 0, 0), 0.3), (2, 0, (0, 0, 0), 0.3)]
    hops += [(0, 1, (-1, 0, 0), 0.5), (1, 2, (1, 1, 0), 0.5), (2, 0, (0, -1, 0), 0.5)]
    hops += [(i, i, (0, 0, 1), 0.4) for i in range(3)]
    found = random_walk(network([0.0] * 3, hops, HEXAGONAL), T).mean
    plane = found.tensor_cm2_s[0, 0]
    assert found.tensor_cm2_s == pytest.approx(
        np.diag([plane, plane, rate(0.4) * 25 * CM2_S_PER_A2_HZ]), rel=1e-10, abs=1e-12 * plane
    )
    assert found.D_cm2_s["ab"] == pytest.approx(plane, rel=1e-10)
    assert found.D_cm2_s["b"] == pytest.approx(plane, rel=1e-10)


def test_components_are_listed_and_averaged():
    hops = [(0, 0, (1, 0, 0), 0.3), (1, 1, (0, 1, 0), 0.5)]
    found = random_walk(network([0.05, 0.0, 1.0], hops), T)
    weights = np.exp(-np.array([0.0, 0.05, 1.0]) / KT)
    assert [one.sites.tolist() for one in found.components] == [[1], [0], [2]]
    assert [one.share for one in found.components] == pytest.approx(weights / weights.sum(), rel=1e-12)
    along_b, along_a, nowhere = found.components
    assert along_b.D_cm2_s["b"] == pytest.approx(rate(0.5) * 9 * CM2_S_PER_A2_HZ, rel=1e-12)
    assert (along_b.D_cm2_s["a"], along_a.D_cm2_s["b"]) == (0, 0)
    assert not nowhere.tensor_cm2_s.any()
    mean = sum(one.share * one.tensor_cm2_s for one in found.components)
    assert found.mean.tensor_cm2_s == pytest.approx(mean, rel=1e-12, abs=1e-30)
    assert found.mean.D_cm2_s["a"] == pytest.approx(along_a.share * along_a.D_cm2_s["a"], rel=1e-12)


@given(networks(most_sites=6))
def test_cold_activation_energies_are_percolation_barriers(one):
    # The carrier rests on the lowest site and passes at the lowest level at which any loop leads along x. Without the
    # other components of the translations such a loop is one that percolates.
    found = random_walk(one, 20.0).mean.activation_ev
    lowest = one.graph.energies_ev.min()
    for axis, name in enumerate("abc"):
        kept = np.zeros(3, dtype=int)
        kept[axis] = 1
        projected = replace(one.graph, translations=one.graph.translations * kept)
        threshold = percolation(projected).thresholds["1d"]
        # ln of numbers of equal paths and sites does not depend on T: only levels 0.1 eV = 58 kT apart mix
        assert found[name] == pytest.approx(threshold.level_ev - lowest, rel=1e-6, abs=1e-9)


def test_cold_activation_energy_of_a_crystal_is_its_threshold_along_the_lattice_vector():
    hops = [(0, 1, (0, 0, 0), 0.4), (1, 0, (0, 0, 1), 0.5), (0, 0, (1, 0, 0), 0.9), (1, 1, (0, 1, 0), 1.2)]
    one = network([0.0, 0.1], hops)
    found, thresholds = random_walk(one, 30.0).mean.activation_ev, percolation(one.graph).thresholds
    for name in "abc":
        assert found[name] == pytest.approx(thresholds[name].barrier_ev, rel=1e-6)


def brute_force(one: Network, temperature: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """D of walkers followed hop by hop and its standard error, along each axis, Å²·Hz."""
    rng, graph, kt = np.random.default_rng(seed), one.graph, BOLTZMANN_EV * temperature
    n, walkers = len(graph.energies_ev), 4000
    ways = [[] for _ in range(n)]
    for (i, j), t, level in zip(graph.sites.tolist(), graph.translations, graph.levels_ev, strict=True):
        ways[i].append((j, t, level - graph.energies_ev[i]))
        ways[j].append((i, -t, level - graph.energies_ev[j]))
    most = max(map(len, ways))
    target, steps, rates = np.zeros((n, most), int), np.zeros((n, most, 3)), np.zeros((n, most))
    for i, some in enumerate(ways):
        for number, (j, t, barrier) in enumerate(some):
            target[i, number], steps[i, number] = j, t @ one.cell
            rates[i, number] = one.attempt_hz * math.exp(-barrier / kt)
    total, weights = rates.sum(axis=1), np.exp(-graph.energies_ev / kt)
    chances = rates.cumsum(axis=1) / total[:, None]
    horizon = 200 / (total @ weights / weights.sum())
    places, site, clock = np.zeros((walkers, 3)), rng.choice(n, walkers, p=weights / weights.sum()), np.zeros(walkers)
    halfway = np.zeros((walkers, 3))
    while True:
        after = clock + rng.exponential(size=walkers) / total[site]
        passing = (clock < horizon / 2) & (after >= horizon / 2)
        halfway[passing] = places[passing]
        moving = after < horizon
        if not moving.any():
            break
        choice = np.minimum((rng.random(walkers)[:, None] > chances[site]).sum(axis=1), most - 1)
        places[moving] += steps[site[moving], choice[moving]]
        clock = np.where(moving, after, np.inf)
        site = np.where(moving, target[site, choice], site)
    # the slope between half the time and all of it drops what is bound
    slopes = (places**2 - halfway**2) / horizon
    return slopes.mean(axis=0), slopes.std(axis=0) / math.sqrt(walkers)


def test_agrees_with_walkers_followed_hop_by_hop():
    hops = [
        (0, 1, (0, 0, 0), 0.25), (1, 2, (0, 0, 0), 0.3), (2, 0, (1, 0, 0), 0.28), (0, 0, (0, 1, 0), 0.35),
        (1, 2, (0, 1, 1), 0.27), (2, 1, (1, 0, 0), 0.33),
    ]  # fmt: skip
    one = network([0.0, 0.05, 0.08], hops, np.diag([3.0, 4.0, 5.0]))
    expected = random_walk(one, 900.0).mean.tensor_cm2_s
    found, error = brute_force(one, 900.0, seed=1)
    assert (error < 0.05 * found).all()
    assert (np.abs(found - np.diag(expected) / CM2_S_PER_A2_HZ) < 3 * error).all()


def test_bad_input():
    good = network([0.0], [(0, 0, (1, 0, 0), 0.3)])
    with pytest.raises(InputError, match="temperature 0"):
        random_walk(good, 0)
    with pytest.raises(InputError, match="attempt frequency"):
        replace(good, attempt_hz=-1.0)
    with pytest.raises(InputError, match="attempt frequency"):
        replace(good, attempt_hz=np.ones(2))
    with pytest.raises(InputError, match="coordinates of 1 sites"):
        replace(good, fractional=np.zeros((2, 3)))
    with pytest.raises(InputError, match="cell"):
        replace(good, cell=np.ones((3, 3)))


@settings(max_examples=20)
@given(networks(), st.floats(0.5, 2))
def test_activation_energy_is_the_slope_of_a_finite_difference(one, factor):
    temperature = 500.0 * factor
    found = random_walk(one, temperature).mean
    near, far = (random_walk(one, temperature * (1 + way * 1e-3)).mean.D_cm2_s for way in (1, -1))
    step = (1 / 0.999 - 1 / 1.001) / (BOLTZMANN_EV * temperature)
    for name, value in found.activation_ev.items():
        if math.isfinite(value):
            assert value == pytest.approx(math.log(near[name] / far[name]) / step, rel=1e-4, abs=1e-5)
        else:
            assert found.D_cm2_s[name] == 0
