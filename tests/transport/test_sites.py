from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzc_flows.crystal.host import ideal_host
from lzc_flows.transport.basins import basins
from lzc_flows.transport.bvse import energy_field
from lzc_flows.transport.percolation import TARGETS, percolation
from lzc_flows.transport.sites import mobile_sites


def chain(heights):
    """A channel along c with these energies, one node each, behind walls at +inf."""
    energies = np.full((3, 3, len(heights)), np.inf)
    energies[1, 1] = heights
    return basins(energies, np.diag(energies.shape))


def test_a_ripple_joins_the_well_behind_its_lowest_pass():
    # wells 0.0 at 1, 0.30 at 3 (0.01 deep towards 1), 0.1 at 5; saddles 0.31, 0.5 and over the cell's end 0.6
    found = mobile_sites(chain([0.6, 0.0, 0.31, 0.30, 0.5, 0.1]))
    assert found.fractional[:, 2].tolist() == [1 / 6, 5 / 6]
    hops = list(zip(found.graph.translations[:, 2].tolist(), found.graph.levels_ev.tolist(), strict=True))
    assert found.graph.sites.tolist() == [[0, 1], [0, 1]]
    assert hops == [(0, 0.5), (-1, 0.6)]
    # deeper than asked for: a site of its own
    assert len(mobile_sites(chain([0.6, 0.0, 0.31, 0.30, 0.5, 0.1]), 0.005).fractional) == 3


def test_ripples_of_ripples():
    # 0.30, 0.29 and 0.28 flow into each other and, shallow as they are, into 0.0
    found = mobile_sites(chain([0.6, 0.0, 0.300, 0.295, 0.297, 0.29, 0.298, 0.28, 0.9, 0.1]))
    assert found.graph.energies_ev.tolist() == [0.0, 0.1]
    # from 0.28 the way over 0.9 now leads from the well at 0.0
    assert sorted(found.graph.levels_ev.tolist()) == [0.6, 0.9]


def test_a_ripple_beyond_the_cells_end():
    found = mobile_sites(chain([0.30, 0.5, 0.1, 0.6, 0.0, 0.31]))
    assert found.fractional[:, 2].tolist() == [4 / 6, 2 / 6]
    hops = dict(zip(found.graph.translations[:, 2].tolist(), found.graph.levels_ev.tolist(), strict=True))
    assert hops == {0: 0.6, 1: 0.5}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 2.0))
def test_sites_percolate_like_the_landscape_to_within_their_persistence(seed, persistence):
    energies = np.random.default_rng(seed).normal(size=(5, 6, 7))
    found = basins(energies, np.diag(energies.shape))
    simplified, exact = mobile_sites(found, persistence), percolation(found.graph)
    reduced = percolation(simplified.graph)
    assert len(simplified.minima) <= len(found.minima)
    assert reduced.minimum_ev == exact.minimum_ev
    for target in TARGETS:
        level = reduced.thresholds[target].level_ev
        assert exact.thresholds[target].level_ev - persistence <= level <= exact.thresholds[target].level_ev


def test_the_sites_of_the_host_are_its_octahedra_and_tetrahedra():
    # of the 18 octahedra (1a, 1b, 2d, 2d', 6g, 6h), Zr holds 1a and 2d: 6g, 6h, 1b and 2d' are left for Li;
    # every other site must come in orbits of P-3m1 (1, 2, 3, 6 or 12 a cell)
    field = energy_field(ideal_host().structure, resolution_angstrom=0.2)
    found = mobile_sites(basins(field.energies_ev, field.lattice_angstrom))
    orbits = Counter(np.round(found.graph.energies_ev, 5).tolist())
    assert set(orbits.values()) <= {1, 2, 3, 6, 12}
    lowest = found.fractional[:12]
    # the twelve lowest lie at (x, 0, z), x near ±1/3, z = 0 (6g) or 1/2 (6h), and what the threefold axis makes of it
    assert set(np.round(lowest[:, 2], 3).tolist()) == {0.0, 0.5}
    thirds = np.abs(lowest[:, :2] * 3 - np.round(lowest[:, :2] * 3)) / 3
    assert thirds.max() < 0.05
    octahedra = [[0, 0, 0.5], [1 / 3, 2 / 3, 0.98], [2 / 3, 1 / 3, 0.02]]
    for position in octahedra:
        difference = found.fractional - position
        assert (np.abs(difference - np.round(difference)).max(axis=1) < 0.06).sum() == 1
    assert found.graph.energies_ev[0] == pytest.approx(field.energies_ev.min(), rel=1e-12)
