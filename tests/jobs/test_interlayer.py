from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzc_flows.crystal.host import WYCKOFF, ideal_host
from lzc_flows.documents.base import EngineStamp
from lzc_flows.documents.neb import HopNetworkDoc, InterlayerScanDoc
from lzc_flows.documents.protocols import HopProtocol, NebProtocol
from lzc_flows.errors import InputError
from lzc_flows.jobs.interlayer import collect_scan, with_scaled_c

HOST = ideal_host().structure


@settings(max_examples=20, deadline=None)
@given(st.floats(0.5, 2.0))
def test_only_c_is_scaled(factor: float) -> None:
    scaled = with_scaled_c(HOST, factor)
    assert scaled.lattice.matrix[:2].tolist() == HOST.lattice.matrix[:2].tolist()
    assert scaled.lattice.matrix[2] == pytest.approx(factor * HOST.lattice.matrix[2], rel=1e-12)
    assert scaled.frac_coords.tolist() == HOST.frac_coords.tolist()
    assert (scaled.species, scaled.site_properties[WYCKOFF]) == (HOST.species, HOST.site_properties[WYCKOFF])
    assert scaled.volume == pytest.approx(factor * HOST.volume, rel=1e-12)


def test_the_crystal_given_stays() -> None:
    before = HOST.copy()
    with_scaled_c(HOST, 1.1)
    assert before == HOST


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan")])
def test_a_factor_that_is_not_positive_is_refused(factor: float) -> None:
    with pytest.raises(InputError, match=r"^scale of c .*: above 0 is allowed$"):
        with_scaled_c(HOST, factor)


def network(scale: float, **changes: Any) -> HopNetworkDoc:
    found = {"structure": with_scaled_c(HOST, scale), "symmetry": "P-3m1", "sites": {}, "hops": [], "carriers": []}
    numbers = {"barriers_eV": {"c": scale}, "statuses": {}, "evaluations": 1, "wall_s": 1.0, "charge_note": ""}
    protocols = {"hop_protocol": HopProtocol(), "protocol": NebProtocol()}
    return HopNetworkDoc(**{**found, **numbers, **protocols, "engine": EngineStamp(name="nep", version="1"), **changes})


def test_points_are_sorted_by_the_distance_of_layers() -> None:
    """Li2ZrCl6 has two cation layers a cell: Supplementary Fig. 4b has 2.965 Å for the crystal as it is."""
    found: InterlayerScanDoc = collect_scan.original([network(1.06), network(0.94), network(1.0)], 2)
    assert [point.barriers_eV["c"] for point in found.points] == [0.94, 1.0, 1.06]
    assert found.points[1].c_angstrom == pytest.approx(HOST.lattice.c, rel=1e-12)
    assert found.points[1].interlayer_angstrom == pytest.approx(HOST.lattice.c / 2, rel=1e-12)
    assert found.engine == EngineStamp(name="nep", version="1")
