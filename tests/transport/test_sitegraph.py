from __future__ import annotations

import numpy as np
import pytest

from lzc_flows.errors import InputError
from lzc_flows.transport.sitegraph import SiteGraph

GOOD = {
    "energies_ev": np.array([0.0, 0.1]),
    "sites": np.array([[0, 1]]),
    "translations": np.array([[0, 0, 1]]),
    "levels_ev": np.array([0.3]),
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"energies_ev": np.array([])}, "at least one site"),
        ({"sites": np.array([0, 1])}, r"sites of shape \(1, 2\)"),
        ({"translations": np.array([[0, 1]])}, r"translations of shape \(1, 3\), found \(1, 2\) and \(1, 2\)"),
        ({"sites": np.array([[0, 2]])}, "edges may name sites 0 to 1"),
        ({"sites": np.array([[-1, 0]])}, "edges may name sites 0 to 1"),
        ({"levels_ev": np.array([np.inf])}, "finite energies"),
        ({"energies_ev": np.array([np.nan, 0.0])}, "finite energies"),
        ({"levels_ev": np.array([0.05])}, "the saddle between sites 0 and 1 lies below one of them"),
    ],
)
def test_bad_graphs_are_refused(change, message):
    assert len(SiteGraph(**GOOD).levels_ev) == 1
    with pytest.raises(InputError, match=message):
        SiteGraph(**GOOD | change)
