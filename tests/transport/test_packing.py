from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from lzc_flows.crystal.host import ideal_host
from lzc_flows.transport.bvse import MAX_ENERGY_EV, EnergyField, energy_field
from lzc_flows.transport.landscape import Landscape, analyse
from lzc_flows.transport.packing import STEP_EV, STORED_RANGE_EV, pack_field, pack_network, unpack_field

fields = st.builds(
    EnergyField,
    energies_ev=arrays(
        np.float64,
        array_shapes(min_dims=3, max_dims=3, max_side=6),
        elements=st.floats(-10, 10) | st.floats(-MAX_ENERGY_EV, MAX_ENERGY_EV),
    ),
    lattice_angstrom=arrays(np.float64, (3, 3), elements=st.floats(-50, 50)),
    mobile=st.sampled_from(["Li+", "Na+"]),
    convention=st.sampled_from(["bvlain", "softbv"]),
    cutoff_angstrom=st.floats(1, 20),
    table_error_ev=st.floats(0, 1e-4),
)


@pytest.fixture(scope="module")
def host() -> Landscape:
    return analyse(energy_field(ideal_host().structure, resolution_angstrom=0.4, cutoff_angstrom=8.0))


@given(fields)
def test_a_field_comes_back_to_within_half_a_step_below_its_cap(field: EnergyField) -> None:
    found = unpack_field(json.loads(json.dumps(pack_field(field))))
    expected = np.minimum(field.energies_ev, field.energies_ev.min() + STORED_RANGE_EV)
    np.testing.assert_allclose(found.energies_ev, expected, rtol=0, atol=0.5001 * STEP_EV)
    np.testing.assert_array_equal(found.lattice_angstrom, field.lattice_angstrom)
    for name in ("mobile", "convention", "cutoff_angstrom", "table_error_ev"):
        assert getattr(found, name) == getattr(field, name)


def test_the_order_in_memory_does_not_matter() -> None:
    energies = np.arange(24.0).reshape(2, 3, 4) / 8
    field = EnergyField(np.asfortranarray(energies), np.eye(3), "Li+", "softbv", 10.0)
    np.testing.assert_allclose(unpack_field(pack_field(field)).energies_ev, energies, rtol=0, atol=STEP_EV)


def test_what_is_unpacked_can_be_written_to() -> None:
    found = unpack_field(pack_field(EnergyField(np.zeros((2, 2, 2)), np.eye(3), "Li+", "softbv", 10.0)))
    found.energies_ev[0, 0, 0] = 1.0
    assert found.energies_ev.sum() == 1.0


def test_barriers_of_the_host_survive_packing(host: Landscape) -> None:
    packed = pack_field(host.field)
    assert len(json.dumps(packed)) < 2.5 * host.field.energies_ev.size
    after = analyse(unpack_field(packed)).percolation
    assert after.minimum_ev == host.percolation.minimum_ev
    for target, then in host.percolation.thresholds.items():
        assert after.thresholds[target].barrier_ev == pytest.approx(then.barrier_ev, rel=0, abs=STEP_EV)


def test_the_network_says_what_was_found(host: Landscape) -> None:
    network = json.loads(json.dumps(pack_network(host)))
    assert len(network["sites"]) == len(host.sites.minima)
    # a hop's saddle lies above both of its sites, and the energies are those of the field
    shape = host.field.energies_ev.shape
    for site in network["sites"]:
        node = tuple(np.rint(np.array(site["fractional"]) * shape).astype(int))
        assert site["energy_ev"] == host.field.energies_ev[node]
    for hop in network["hops"]:
        assert hop["saddle_ev"] >= max(network["sites"][site]["energy_ev"] for site in hop["sites"])
    assert sorted(network["paths"]) == ["1d", "a", "b", "c"]
    path = network["paths"]["c"]
    assert max(path["energies_ev"]) == pytest.approx(host.percolation.thresholds["c"].level_ev, rel=0, abs=1e-3)
    assert np.subtract(path["fractional"][-1], path["fractional"][0]) == pytest.approx(path["winding"], abs=1e-12)
    assert len(path["sites"]) == len(path["saddles"]) + 1
    assert path["distances_angstrom"] == sorted(path["distances_angstrom"])
