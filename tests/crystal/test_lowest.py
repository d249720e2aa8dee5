from __future__ import annotations

import pytest

from lzc_flows.crystal import lowest as module
from lzc_flows.crystal.electrostatics import Electrostatics
from lzc_flows.crystal.enumeration import Enumeration
from lzc_flows.crystal.histogram import Tally
from lzc_flows.crystal.host import ideal_host
from lzc_flows.crystal.lowest import lowest
from lzc_flows.crystal.orbits import Placement
from lzc_flows.crystal.sitelattice import SiteLattice
from lzc_flows.crystal.survey import survey
from lzc_flows.errors import InputError


def problem() -> Enumeration:
    sites = SiteLattice(ideal_host(), (1, 1, 2))
    placements = [Placement("O2-", sites.with_labels(("6i",)), 1), Placement("Li+", sites.vacant, 1)]
    return Enumeration(sites.permutations, placements, Electrostatics(sites.ewald_ev, sites.charges))


def test_the_bound_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    enumeration = problem()
    every = Tally(0.1)
    exact = survey(enumeration, 3, every)
    monkeypatch.setattr(module, "LISTED_UP_TO", enumeration.orbits)
    tally = Tally(0.1)
    listed = lowest(enumeration, 3, 7, tally)
    assert (listed.ground, listed.sampling) == (exact.ground, None)
    assert listed.lowest.states.tolist() == exact.lowest.states.tolist()
    assert tally.weights == every.weights

    monkeypatch.setattr(module, "LISTED_UP_TO", enumeration.orbits - 1)
    tally = Tally(0.1)
    sampled = lowest(enumeration, 3, 7, tally)
    assert sampled.sampling is not None
    assert (sampled.sampling.samples, sampled.sampling.seed) == (module.SAMPLES, 7)
    assert 1 <= sampled.sampling.runs_at_lowest <= sampled.sampling.runs
    assert sampled.lowest.states.tolist() == exact.lowest.states.tolist()
    assert sampled.ground.energy == pytest.approx(exact.ground.energy, rel=0, abs=1e-6)
    # 100,000 samples of 648 arrangements leave no bin out
    assert set(tally.weights) == set(every.weights)
    assert sum(tally.weights.values()) == module.SAMPLES


@pytest.mark.parametrize("bound", [0, 10**6])
def test_bad_requests(monkeypatch: pytest.MonkeyPatch, bound: int) -> None:
    monkeypatch.setattr(module, "LISTED_UP_TO", bound)
    with pytest.raises(InputError, match="number of lowest orbits 0: 1 and above is allowed"):
        lowest(problem(), 0, seed=0)
