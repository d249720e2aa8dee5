from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from lzc_flows.transport.grid_packing import coarser, pack_grids, unpack_grids

grids = arrays(np.float64, array_shapes(min_dims=3, max_dims=3, max_side=12), elements=st.floats(-1e3, 1e3))
lengths = st.tuples(*[st.floats(2, 30)] * 3)


@given(st.dictionaries(st.sampled_from(["density", "difference", "localisation"]), grids))
def test_grids_come_back_in_single_precision_through_json(content: dict[str, np.ndarray]) -> None:
    back = unpack_grids(json.loads(json.dumps(pack_grids(content))))
    assert set(back) == set(content)
    for name, values in content.items():
        assert back[name].dtype == np.float32
        assert back[name] == pytest.approx(values, rel=1e-6, abs=1e-30)


@given(values=grids, spacing=st.floats(0.05, 3), lengths=lengths)
def test_a_coarser_grid_has_the_mean_and_no_wider_spacing(
    values: np.ndarray, spacing: float, lengths: tuple[float, float, float]
) -> None:
    coarse = coarser(values, spacing, lengths)
    assert coarse.mean() == pytest.approx(values.mean(), rel=1e-9, abs=1e-9)
    for count, fine, length in zip(coarse.shape, values.shape, lengths, strict=True):
        assert fine % count == 0
        assert length / count <= spacing * (1 + 1e-6) or count == fine
        # as coarse as the spacing allows
        assert all(length / fewer > spacing for fewer in range(1, count) if fine % fewer == 0)


def test_blocks_are_means() -> None:
    values = np.arange(4 * 6 * 1, dtype=float).reshape(4, 6, 1)
    coarse = coarser(values, 1.0, (2.0, 2.0, 5.0))
    assert coarse.shape == (2, 2, 1)
    assert coarse[0, 0, 0] == values[:2, :3].mean()
    assert coarse[1, 1, 0] == values[2:, 3:].mean()
