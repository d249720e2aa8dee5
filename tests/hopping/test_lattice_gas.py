from __future__ import annotations

import math
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzc_flows.errors import InputError
from lzc_flows.hopping.lattice_gas import Filling, Sampling, lattice_gas
from lzc_flows.hopping.mean_field import mean_field
from lzc_flows.hopping.random_walk import Network, random_walk
from lzc_flows.transport.conductivity import BOLTZMANN_EV
from lzc_flows.transport.sitegraph import SiteGraph

T = 800.0
AXES = ("a", "b", "c")


def network(energies, hops, cell=(3.0, 4.0, 5.0), fractional=None) -> Network:
    """Hops as (first, second, translation, saddle)."""
    energies = np.array(energies, dtype=float)
    graph = SiteGraph(
        energies,
        np.array([hop[:2] for hop in hops]),
        np.array([hop[2] for hop in hops]),
        np.array([hop[3] for hop in hops], dtype=float),
    )
    return Network(graph, np.zeros((len(energies), 3)) if fractional is None else fractional, np.diag(cell), 1e13)


def simple_cubic() -> Network:
    return network([0.0], [(0, 0, axis, 0.3) for axis in np.eye(3, dtype=int)], (3.0, 3.0, 3.0))


def uneven() -> Network:
    hops = [
        (0, 1, (0, 0, 0), 0.25), (1, 2, (0, 0, 0), 0.3), (2, 0, (1, 0, 0), 0.28), (0, 1, (0, 1, 0), 0.35),
        (1, 2, (0, 0, 1), 0.27), (2, 1, (1, 1, 0), 0.33),
    ]  # fmt: skip
    return network([0.0, 0.05, 0.1], hops, fractional=np.array([[0, 0, 0], [0.4, 0.3, 0.2], [0.7, 0.6, 0.6]]))


def states_as_a_network(one: Network, repeats, ions: int, tagged: bool) -> Network:
    """Every arrangement of the ions in a supercell as one site of a walker, which the random walk solves exactly.

    What walks is the sum of the ions' places, or the first ion if it is tagged.
    """
    graph, n = one.graph, len(one.graph.energies_ev)
    cells = list(product(*map(range, repeats)))
    number = {cell: index for index, cell in enumerate(cells)}
    ways = []
    for cell, index in number.items():
        for (i, j), t, level in zip(graph.sites.tolist(), graph.translations, graph.levels_ev, strict=True):
            beyond = number[tuple(((np.array(cell) + t) % repeats).tolist())]
            ways.append((index * n + i, beyond * n + j, t, level))
    energies = np.tile(graph.energies_ev, len(cells))
    states = [
        (first, frozenset(others))
        for first in (range(len(energies)) if tagged else [-1])
        for others in combinations(sorted(set(range(len(energies))) - {first}), ions - tagged)
    ]
    place = {state: index for index, state in enumerate(states)}
    level_of = [sum(energies[list(others)]) + (energies[first] if first >= 0 else 0) for first, others in states]
    hops = []
    for (first, others), index in place.items():
        for i, j, t, level in ways:
            if j in others or j == first:
                continue
            if i == first:
                hops.append((index, place[j, others], t, level_of[index] + level - energies[i]))
            elif i in others:
                after = place[first, others - {i} | {j}]
                hops.append((index, after, np.zeros(3, int) if tagged else t, level_of[index] + level - energies[i]))
    return network(level_of, hops, np.diag(one.cell))


def vacancy_beside_tracer(length: int) -> Network:
    """Places of the one vacancy of a simple cubic box, seen from a tracer with which it exchanges."""
    places = [place for place in product(range(length), repeat=3) if any(place)]
    number = {place: index for index, place in enumerate(places)}
    hops = []
    for axis in np.eye(3, dtype=int):
        for place, index in number.items():
            beyond = tuple(((np.array(place) + axis) % length).tolist())
            if any(beyond):
                hops.append((index, number[beyond], (0, 0, 0), 0.3))
        hops.append((number[tuple(axis.tolist())], number[tuple((-axis % length).tolist())], axis, 0.3))
    return network(np.zeros(len(places)), hops, (3.0, 3.0, 3.0))


def within(estimate, expected: float, errors: float = 3.0) -> bool:
    return abs(estimate.value - expected) < errors * estimate.standard_error


def test_one_ion_is_the_random_walk():
    one = uneven()
    expected = random_walk(one, T).mean.D_cm2_s
    found = lattice_gas(one, Filling(T, 1, (2, 2, 2)), Sampling(seed=3, runs=400, window_hops=60))
    for direction, value in expected.items():
        assert within(found.tracer[direction], value)
        assert found.tracer[direction].relative_error < 0.1
        assert found.charge[direction].value == pytest.approx(found.tracer[direction].value, rel=1e-9)
    weights = np.exp(-one.graph.energies_ev / (BOLTZMANN_EV * T))
    assert found.occupations * 8 == pytest.approx(weights / weights.sum(), rel=0.05)


def test_several_ions_agree_with_all_arrangements_solved_exactly():
    one, repeats, ions = uneven(), (2, 1, 1), 3
    # a cell of two along a only: hops to other cells along b and c lead to the same sites of the supercell
    charge = random_walk(states_as_a_network(one, repeats, ions, tagged=False), T).mean.D_cm2_s
    tracer = random_walk(states_as_a_network(one, repeats, ions, tagged=True), T).mean.D_cm2_s
    found = lattice_gas(one, Filling(T, ions, repeats), Sampling(seed=2, runs=400, window_hops=60))
    for axis in AXES:
        assert within(found.charge[axis], charge[axis] / ions)
        assert within(found.tracer[axis], tracer[axis])
        assert found.tracer[axis].relative_error < 0.05


def test_occupations_are_those_of_all_sets_of_sites():
    one, repeats, ions = uneven(), (2, 1, 1), 3
    energies = np.tile(one.graph.energies_ev, 2)
    weights = {some: math.exp(-energies[list(some)].sum() / (BOLTZMANN_EV * 400)) for some in combinations(range(6), 3)}
    expected = np.zeros(3)
    for some, weight in weights.items():
        np.add.at(expected, np.array(some) % 3, weight / sum(weights.values()) / 2)
    found = lattice_gas(one, Filling(400, ions, repeats), Sampling(seed=1, runs=200, window_hops=100))
    assert found.occupations == pytest.approx(expected, rel=0.01)
    assert found.occupations.sum() * 2 == pytest.approx(ions, rel=1e-9)


def test_correlation_factor_of_one_vacancy_in_a_simple_cubic_crystal():
    # f = 0.6531: Compaan & Haven, Trans. Faraday Soc. 52, 786 (1956). The boxes of the exact walk and of the
    # simulation hold 1/N more, in which the vacancy comes around.
    free = random_walk(simple_cubic(), T).mean.D_cm2_s["a"]
    sizes = {length: length**3 for length in (5, 7)}
    exact = {
        length: random_walk(vacancy_beside_tracer(length), T).mean.D_cm2_s["a"] / free * (size - 1)
        for length, size in sizes.items()
    }
    slope = (exact[5] - exact[7]) / (1 / sizes[5] - 1 / sizes[7])
    assert exact[7] - slope / sizes[7] == pytest.approx(0.6531, abs=0.001)

    found = lattice_gas(simple_cubic(), Filling(T, sizes[7] - 1, (7, 7, 7)), Sampling(seed=5, runs=48, window_hops=10))
    tracer = found.tracer["total"].scaled((sizes[7] - 1) / free)
    assert within(tracer, exact[7])
    assert tracer.standard_error < 0.005
    assert found.occupations[0] == pytest.approx(1 - 1 / sizes[7], rel=1e-12)


def test_half_filled_simple_cubic_crystal():
    # the charge feels no correlation: (1 − c) D0; tracers do, less than with one vacancy
    free = random_walk(simple_cubic(), T).mean.D_cm2_s["a"]
    found = lattice_gas(simple_cubic(), Filling(T, 32, (4, 4, 4)), Sampling(seed=4, runs=150, window_hops=20))
    assert within(found.charge["total"], 0.5 * free)
    assert found.charge["total"].relative_error < 0.06
    assert 0.6531 * 0.5 * free < found.tracer["total"].value < 0.5 * free - 3 * found.tracer["total"].standard_error
    assert mean_field(simple_cubic(), T, 0.5)["a"] == pytest.approx(0.5 * free, rel=1e-10)


def test_mean_field_bounds_both_diffusivities():
    one = uneven()
    bound = mean_field(one, 400, 1.5)
    found = lattice_gas(one, Filling(400, 12, (2, 2, 2)), Sampling(seed=6, runs=60, window_hops=40))
    for axis in AXES:
        for estimate in (found.tracer[axis], found.charge[axis]):
            assert estimate.value < bound[axis] + 3 * estimate.standard_error
        assert found.tracer[axis].value > 0.3 * bound[axis]


def test_a_seed_gives_the_same_result_and_another_gives_another():
    filling = Filling(T, 5, (2, 2, 1))
    first, again, other = (lattice_gas(uneven(), filling, Sampling(seed, runs=4, window_hops=10)) for seed in (1, 1, 2))
    assert again.tracer == first.tracer
    assert again.hops == first.hops
    assert np.array_equal(again.occupations, first.occupations)
    assert other.tracer["a"].value != first.tracer["a"].value


def test_ions_on_unconnected_sites_rest():
    one = network([0.0, -0.1], [(0, 0, (1, 0, 0), 0.3)])
    found = lattice_gas(one, Filling(T, 4, (4, 1, 1)), Sampling(runs=20, window_hops=20))
    assert found.tracer["a"].value > 0
    assert found.tracer["b"].value == 0
    assert found.occupations.sum() * 4 == pytest.approx(4, rel=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 11), st.integers(0, 2**31), st.floats(200, 1500))
def test_windows_hold_as_many_hops_as_asked(ions, seed, temperature):
    # the rates of mean occupations set the scale; fixed numbers of ions and chance leave a part, the more the colder:
    # at 100 K, 4 ions hop half as often as that
    found = lattice_gas(uneven(), Filling(temperature, ions, (2, 2, 1)), Sampling(seed, runs=20, window_hops=20))
    assert found.hops == pytest.approx(20 * 10 * 20 * ions, rel=0.5)


def test_bad_input():
    one = simple_cubic()
    with pytest.raises(InputError, match="8 ions on 8 sites"):
        lattice_gas(one, Filling(T, 8, (2, 2, 2)))
    with pytest.raises(InputError, match="its own image"):
        lattice_gas(one, Filling(T, 1, (2, 2, 1)))
    with pytest.raises(InputError, match="0 ions"):
        Filling(T, 0)
    with pytest.raises(InputError, match="temperature"):
        Filling(-1, 1)
    with pytest.raises(InputError, match="supercell"):
        Filling(T, 1, (0, 1, 1))
    with pytest.raises(InputError, match=r"1 run\(s\)"):
        Sampling(runs=1)
    with pytest.raises(InputError, match="window"):
        Sampling(window_hops=0)
    still = Network(
        SiteGraph(np.zeros(2), np.empty((0, 2), int), np.empty((0, 3), int), np.empty(0)),
        np.zeros((2, 3)), np.eye(3), 1e13,
    )  # fmt: skip
    with pytest.raises(InputError, match="no hop"):
        lattice_gas(still, Filling(T, 1))
