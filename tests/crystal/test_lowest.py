from __future__ import annotations

import pytest

from lzc_flows.crystal import lowest as module
from lzc_flows.crystal.enumeration import Electrostatics, Enumeration
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
    exact = survey(enumeration, 3, 0.1)
    monkeypatch.setattr(module, "LISTED_UP_TO", enumeration.orbits)
    listed = lowest(enumeration, 3, 0.1, seed=7)
    assert (listed.method, listed.sampling) == ("enumerated", None)
    assert listed.lowest.states.tolist() == exact.lowest.states.tolist()
    assert listed.histogram.weights.tolist() == exact.histogram.weights.tolist()

    monkeypatch.setattr(module, "LISTED_UP_TO", enumeration.orbits - 1)
    sampled = lowest(enumeration, 3, 0.1, seed=7)
    assert sampled.method == "sampled"
    assert sampled.sampling is not None
    assert (sampled.sampling.samples, sampled.sampling.seed) == (module.SAMPLES, 7)
    assert 1 <= sampled.sampling.runs_at_lowest <= sampled.sampling.runs
    assert sampled.lowest.states.tolist() == exact.lowest.states.tolist()
    # 100,000 samples of 648 arrangements leave no bin out
    assert sampled.histogram.bins.tolist() == exact.histogram.bins.tolist()
    assert sampled.histogram.weights.sum() == module.SAMPLES


@pytest.mark.parametrize("bound", [0, 10**6])
@pytest.mark.parametrize(
    ("size", "bin_ev", "line"),
    [
        (0, 0.1, "number of lowest orbits 0: 1 and above is allowed"),
        (1, 0.0, "histogram bins of 0 eV: above 0 is allowed"),
    ],
)
def test_bad_requests(monkeypatch: pytest.MonkeyPatch, bound: int, size: int, bin_ev: float, line: str) -> None:
    monkeypatch.setattr(module, "LISTED_UP_TO", bound)
    with pytest.raises(InputError, match=line):
        lowest(problem(), size, bin_ev, seed=0)
