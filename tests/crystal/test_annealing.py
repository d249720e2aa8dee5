from __future__ import annotations

from functools import cache

import numba
import numpy as np
import pytest

from lzc_flows.crystal.annealing import search
from lzc_flows.crystal.electrostatics import Electrostatics
from lzc_flows.crystal.enumeration import Enumeration
from lzc_flows.crystal.host import ideal_host
from lzc_flows.crystal.orbits import Placement
from lzc_flows.crystal.sitelattice import SiteLattice
from lzc_flows.crystal.survey import survey
from lzc_flows.errors import InputError


@cache
def sites() -> SiteLattice:
    return SiteLattice(ideal_host(), (2, 2, 1))


def contents() -> dict[str, list[Placement]]:
    metal, chlorine, vacant = sites().with_labels(("1a", "2d")), sites().with_labels(("6i",)), sites().vacant
    return {
        "the source's charges": [Placement("Ti3+", metal, 1), Placement("Li+", vacant, 1)],
        "mixed cations": [Placement("Nb5+", metal, 2), Placement("Al3+", metal, 3), Placement("Li+", vacant, 1)],
        "every site taken": [Placement("Nb5+", metal, 6), Placement("Al3+", metal, 6)],
        "overlap in part": [
            Placement("Mg2+", sites().with_labels(("1a",)), 1),
            Placement("Nb5+", metal, 2),
            Placement("O2-", chlorine, 2),
            Placement("Li+", vacant, 2),
        ],
        "four lithium": [Placement("Mg2+", metal, 2), Placement("Li+", vacant, 4)],
    }


def enumeration(placements: list[Placement]) -> Enumeration:
    return Enumeration(sites().permutations, placements, Electrostatics(sites().ewald_ev, sites().charges))


@pytest.mark.parametrize("name", list(contents()))
def test_finds_the_lowest_of_all(name: str) -> None:
    problem = enumeration(contents()[name])
    exact = survey(problem, 5).lowest
    found = search(problem, 5, seed=0, runs=8)
    assert found.lowest.energies == pytest.approx(exact.energies, rel=0, abs=1e-6)
    assert found.lowest.stabilisers.tolist() == exact.stabilisers.tolist()
    assert found.lowest.states.tolist() == exact.states.tolist()  # the representatives, too
    assert found.runs == 8
    assert 1 <= found.runs_at_lowest <= 8


def test_finds_the_lowest_of_nine_million_orbits() -> None:
    metal, vacant = sites().with_labels(("1a", "2d")), sites().vacant
    problem = enumeration([Placement("Mg2+", metal, 3), Placement("Li+", vacant, 6)])
    assert problem.orbits == 8_941_502
    exact = survey(problem, 5).lowest
    found = search(problem, 5, seed=0)
    assert found.lowest.states.tolist() == exact.states.tolist()
    assert found.lowest.multiplicities.tolist() == exact.multiplicities.tolist()
    assert found.lowest.energies == pytest.approx(exact.energies, rel=0, abs=1e-6)
    assert found.runs_at_lowest > found.runs / 2


def test_the_seed_decides_and_the_threads_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    metal, chlorine = sites().with_labels(("1a", "2d")), sites().with_labels(("6i",))
    placements = [Placement("Mg2+", metal, 2), Placement("F-", chlorine, 9), Placement("Li+", sites().vacant, 4)]
    found = []
    for seed, threads in ((0, 2), (0, 1), (1, 2)):
        monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", threads)
        found.append(search(enumeration(placements), 10, seed, runs=4))
    one, same, other = found
    assert one.lowest.states.tolist() == same.lowest.states.tolist()
    assert one.runs_at_lowest == same.runs_at_lowest
    assert one.lowest.states.tolist() != other.lowest.states.tolist()  # nine F- have many places of one energy


def test_every_orbit_met_comes_once_with_its_multiplicity() -> None:
    chlorine = sites().with_labels(("6i",))
    problem = enumeration([Placement("O2-", chlorine, 1), Placement("Li+", sites().vacant, 1)])
    found = search(problem, 10**4, seed=0, runs=4).lowest
    (every,) = problem
    multiplicities = dict(zip(map(tuple, every.states.tolist()), every.multiplicities.tolist(), strict=True))
    met = [tuple(state) for state in found.states.tolist()]
    assert 10 < len(met) == len(set(met)) <= len(every)
    assert found.multiplicities.tolist() == [multiplicities[state] for state in met]
    assert found.energies.tolist() == sorted(found.energies.tolist())


@pytest.mark.parametrize("placements", [[("F-", 10)], [("F-", 2), ("Br-", 70)], []])
def test_no_search_where_all_energies_tie(placements: list[tuple[str, int]]) -> None:
    chlorine = sites().with_labels(("6i",))
    problem = enumeration([Placement(ion, chlorine, count) for ion, count in placements])
    found = search(problem, 10, seed=0)
    assert (found.runs, found.runs_at_lowest) == (0, 0)
    assert len(found.lowest) == min(10, problem.orbits)
    assert len(np.unique(found.lowest.states, axis=0)) == len(found.lowest)
    base_ev = sites().electrostatic_ev(sites().charges[None, :])[0]
    assert found.lowest.energies == pytest.approx([base_ev] * len(found.lowest), rel=1e-12)


@pytest.mark.parametrize(
    ("size", "seed", "runs", "line"),
    [
        (0, 0, 1, "number of lowest orbits 0: 1 and above is allowed"),
        (1, -1, 1, "seed -1: 0 and above is allowed"),
        (1, 0, 0, "number of runs 0: 1 and above is allowed"),
    ],
)
def test_bad_requests(size: int, seed: int, runs: int, line: str) -> None:
    with pytest.raises(InputError, match=line):
        search(enumeration(contents()["four lithium"]), size, seed, runs)
