from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from lzc_flows.crystal.host import ideal_host
from lzc_flows.transport.bvse import MAX_ENERGY_EV, EnergyField, energy_field
from lzc_flows.transport.packing import pack, unpack
from lzc_flows.transport.percolation import percolation_thresholds

fields = st.builds(
    EnergyField,
    energies_ev=arrays(
        np.float64,
        array_shapes(min_dims=3, max_dims=3, max_side=6),
        elements=st.floats(-MAX_ENERGY_EV, MAX_ENERGY_EV),
    ),
    lattice_angstrom=arrays(np.float64, (3, 3), elements=st.floats(-50, 50)),
    mobile=st.sampled_from(["Li+", "Na+"]),
    convention=st.sampled_from(["bvlain", "softbv"]),
    cutoff_angstrom=st.floats(1, 20),
)


@given(fields)
def test_a_landscape_comes_back_within_float32(field: EnergyField) -> None:
    found = unpack(json.loads(json.dumps(pack(field))))
    # float32 has 24 bits: half of the last one at the largest energy
    half_a_bit = MAX_ENERGY_EV * 2.0**-24
    assert found.energies_ev.dtype == np.float64
    np.testing.assert_allclose(found.energies_ev, field.energies_ev, rtol=0, atol=half_a_bit)
    np.testing.assert_array_equal(found.lattice_angstrom, field.lattice_angstrom)
    for name in ("mobile", "convention", "cutoff_angstrom"):
        assert getattr(found, name) == getattr(field, name)


def test_the_order_in_memory_does_not_matter() -> None:
    energies = np.arange(24.0).reshape(2, 3, 4)
    field = EnergyField(np.asfortranarray(energies), np.eye(3), "Li+", "softbv", 10.0)
    np.testing.assert_array_equal(unpack(pack(field)).energies_ev, energies)


def test_what_is_unpacked_can_be_written_to() -> None:
    found = unpack(pack(EnergyField(np.zeros((2, 2, 2)), np.eye(3), "Li+", "softbv", 10.0)))
    found.energies_ev[0, 0, 0] = 1.0
    assert found.energies_ev.sum() == 1.0


def test_barriers_of_the_host_survive_packing() -> None:
    field = energy_field(ideal_host().structure, resolution_angstrom=0.6, cutoff_angstrom=8.0)
    packed = pack(field)
    assert len(json.dumps(packed)) < 8 * field.energies_ev.size
    before, after = (percolation_thresholds(f.energies_ev) for f in (field, unpack(packed)))
    assert after.minimum_ev == pytest.approx(before.minimum_ev, abs=1e-5)
    for then, now in zip(before.thresholds, after.thresholds, strict=True):
        assert now.level_ev == pytest.approx(then.level_ev, abs=1e-5)
