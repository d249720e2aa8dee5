"""Grids over a cell as a document's large data: coarser, and compressed."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import block_reduce


def pack_grids(grids: Mapping[str, NDArray[np.float64]]) -> dict[str, Any]:
    """Return grids as a compressed npz file, base64, in single precision."""
    stream = io.BytesIO()
    arrays: dict[str, Any] = {name: values.astype("<f4") for name, values in grids.items()}
    np.savez_compressed(stream, **arrays)
    return {"npz_base64": base64.b64encode(stream.getvalue()).decode()}


def unpack_grids(content: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
    """Return the grids that `pack_grids` packed."""
    with np.load(io.BytesIO(base64.b64decode(content["npz_base64"]))) as arrays:
        return {name: arrays[name] for name in arrays.files}


def coarser(
    values: NDArray[np.float64], spacing_angstrom: float, lengths_angstrom: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Return a periodic grid averaged over blocks, as large as the spacing allows and the grid divides into."""
    blocks = []
    for count, length in zip(values.shape, lengths_angstrom, strict=True):
        most = max(1, math.floor(spacing_angstrom * count / length + 1e-9))
        blocks.append(max(size for size in range(1, most + 1) if count % size == 0))
    return block_reduce(values, tuple(blocks), np.mean)
