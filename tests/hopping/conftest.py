from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from lzc_flows.crystal.host import Host, ideal_host
from lzc_flows.documents.protocols import BvseProtocol
from lzc_flows.hopping.host_sites import host_sites
from lzc_flows.hopping.landscape_sites import landscape_sites
from lzc_flows.hopping.sites import IonSites
from lzc_flows.jobs.bvse import bvse_field


@cache
def host_of(layers: int) -> Host:
    return ideal_host().supercell((1, 1, layers))


@cache
def from_host(layers: int) -> IonSites:
    return host_sites(host_of(layers).structure, host_of(layers))


@cache
def from_landscape(layers: int) -> IonSites:
    structure = host_of(layers).structure
    return landscape_sites(structure, bvse_field(structure, BvseProtocol(resolution_angstrom=0.2)), "Li")


@pytest.fixture(scope="session", params=[from_host, from_landscape], ids=["host", "bvse"])
def sites_of(request: pytest.FixtureRequest) -> Callable[[int], IonSites]:
    """Sites of the pristine host, one cell wide and some layers tall, from both sources in turn."""
    return request.param


@pytest.fixture(scope="session")
def host_lattice() -> Callable[[int], IonSites]:
    return from_host


@pytest.fixture(scope="session")
def landscape() -> Callable[[int], IonSites]:
    return from_landscape
