"""Paths as small JSON objects, for the data store."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def pack_path(positions: NDArray[np.float64]) -> dict[str, Any]:
    """Return a JSON object of positions (images, atoms, 3) in Å, in single precision: good to 1e-6 Å."""
    packed = np.ascontiguousarray(positions, dtype="<f4")
    return {
        "shape": list(packed.shape),
        "angstrom_f4_zlib_b64": base64.b64encode(zlib.compress(packed.tobytes(), 6)).decode(),
    }


def unpack_path(content: dict[str, Any]) -> NDArray[np.float64]:
    """Return the positions that `pack_path` packed, (images, atoms, 3), Å."""
    raw = zlib.decompress(base64.b64decode(content["angstrom_f4_zlib_b64"]))
    return np.frombuffer(raw, dtype="<f4").reshape(content["shape"]).astype(np.float64)
