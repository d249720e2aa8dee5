from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

from lzc_flows.errors import InputError
from lzc_flows.hopping.hops import MECHANISMS, Hop, Move, find_hops
from lzc_flows.hopping.sites import IonSites


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_hop_joins_two_states_of_as_many_ions(sites_of: Callable[[int], IonSites], mechanism: str) -> None:
    sites = sites_of(3)
    found = find_hops(sites, mechanism)
    assert len(found) == len(set(found)) > 0
    for hop in found:
        initial, final = hop.initial(sites), hop.final(sites)
        assert len(initial) == len(final) == len(sites.occupied) + hop.extra_ions
        assert list(initial) == sorted(set(initial))
        moving, reached = {move.site for move in hop.moves}, {move.to for move in hop.moves}
        assert moving <= set(initial)
        # nobody goes to a site that another one keeps
        assert not reached & (set(initial) - moving)
        assert (set(initial) - moving) | reached == set(final)
        assert hop.reversed().reversed() == hop
        assert hop.reversed().initial(sites) == final
        assert hop.reversed().canonical() == hop.canonical() == hop
        assert hop.reversed() not in found or hop.reversed() == hop
        assert hop.reversed().displacements_angstrom(sites)[::-1] == pytest.approx(-hop.displacements_angstrom(sites))


def test_states_of_each_mechanism(host_lattice: Callable[[int], IonSites]) -> None:
    sites = host_lattice(1)
    ions = tuple(sites.occupied)
    for hop in find_hops(sites, "frenkel"):
        assert hop.initial(sites) == ions
    for hop in find_hops(sites, "interstitial"):
        assert hop.initial(sites) == (*ions, hop.moves[0].site)
    for hop in find_hops(sites, "interstitialcy"):
        extra, knocked = hop.moves
        assert extra.to == knocked.site
        assert hop.initial(sites) == (*ions, extra.site)
        assert hop.final(sites) == (*ions, knocked.to)
    for hop in find_hops(sites, "vacancy"):
        out = hop.moves[0].to if hop.vacancy is None else hop.vacancy
        assert set(ions) - set(hop.initial(sites)) == {out}


def brute(sites: IonSites) -> dict[str, int]:
    """Numbers of hops, counted over ordered choices of sites and cells."""
    near = {
        (i, j, t)
        for i, j in product(range(len(sites.labels)), repeat=2)
        for t in product((-1, 0, 1), repeat=3)
        if (j, t) in sites.neighbours[i]
    }
    full = set(sites.occupied)
    ways: dict[int, list[tuple]] = {}
    for i, j, t in near:
        ways.setdefault(i, []).append((j, t))
    return {
        "vacancy": sum(i in full and j in full and i != j for i, j, _ in near) // 2
        + len(
            {
                (i, j, t, k)
                for j in sites.empty
                for i, t in ways.get(j, [])
                for k, _ in ways[j]
                if i in full and k in full and i != k
            }
        ),
        "interstitial": sum(i not in full and j not in full for i, j, _ in near) // 2,
        "interstitialcy": sum(n * (n - 1) // 2 for j in full for n in [sum(k not in full for k, _ in ways[j])]),
        "frenkel": sum(i in full and j not in full for i, j, _ in near),
    }


@pytest.mark.parametrize("layers", [1, 2])
def test_no_hop_is_missed(sites_of: Callable[[int], IonSites], layers: int) -> None:
    sites = sites_of(layers)
    assert {mechanism: len(find_hops(sites, mechanism)) for mechanism in MECHANISMS} == brute(sites)


def test_charge_and_displacement(host_lattice: Callable[[int], IonSites]) -> None:
    sites = host_lattice(1)
    assert [Hop(m, (Move(0, 1, (0, 0, 0)),)).extra_ions for m in MECHANISMS] == [-1, 1, 1, 0]
    whole = Hop("interstitial", (Move(0, 0, (0, 0, 1)),))
    assert whole.displacements_angstrom(sites) == pytest.approx(np.array([[0, 0, 5.9308]]), abs=1e-9)


def test_an_unknown_mechanism_is_refused(host_lattice: Callable[[int], IonSites]) -> None:
    with pytest.raises(InputError, match=r"^mechanism 'exchange': allowed are vacancy, interstitial, interstitialcy, "):
        find_hops(host_lattice(1), "exchange")
