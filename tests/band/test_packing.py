from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lzc_flows.band.packing import pack_path, unpack_path

PATHS = arrays(
    np.float64,
    st.tuples(st.integers(2, 9), st.integers(1, 30), st.just(3)),
    elements=st.floats(-15.9, 15.9, allow_subnormal=False),
)


@given(PATHS)
def test_a_path_comes_back_through_json(path: np.ndarray) -> None:
    """Single precision has a spacing of 1e-6 Å up to 16 Å."""
    found = unpack_path(json.loads(json.dumps(pack_path(path))))
    assert (found.shape, found.dtype) == (path.shape, np.float64)
    np.testing.assert_allclose(found, path, rtol=0, atol=5e-7)
    # what was packed once stays
    np.testing.assert_array_equal(unpack_path(pack_path(found)), found)


def test_any_order_in_memory() -> None:
    path = np.asfortranarray(np.arange(24.0).reshape(2, 4, 3))
    np.testing.assert_array_equal(unpack_path(pack_path(path)), path)
    np.testing.assert_array_equal(unpack_path(pack_path(path[::-1])), path[::-1])


def test_a_path_is_small() -> None:
    """Most atoms barely move from image to image, but noise does not shrink: four bytes a number, a third more."""
    path = np.random.default_rng(0).normal(size=(7, 81, 3))
    assert len(json.dumps(pack_path(path))) == pytest.approx(4 * path.size * 4 / 3, rel=0.1)
