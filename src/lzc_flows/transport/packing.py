"""Energy landscapes as small JSON objects, for the data store."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np

from lzc_flows.transport.bvse import EnergyField


def pack(field: EnergyField) -> dict[str, Any]:
    """Return a JSON object; energies as zlib-compressed little-endian float32, base64.

    float32 holds energies up to 100 eV to 4 µeV, far below the error of any bond-valence energy.
    """
    energies = np.ascontiguousarray(field.energies_ev, dtype="<f4")
    return {
        "shape": list(energies.shape),
        "energies_ev_f32_zlib_b64": base64.b64encode(zlib.compress(energies.tobytes(), 6)).decode(),
        "lattice_angstrom": field.lattice_angstrom.tolist(),
        "mobile": field.mobile,
        "convention": field.convention,
        "cutoff_angstrom": field.cutoff_angstrom,
    }


def unpack(packed: dict[str, Any]) -> EnergyField:
    """Return the landscape that `pack` stored."""
    raw = zlib.decompress(base64.b64decode(packed["energies_ev_f32_zlib_b64"]))
    return EnergyField(
        energies_ev=np.frombuffer(raw, dtype="<f4").reshape(packed["shape"]).astype(np.float64),
        lattice_angstrom=np.array(packed["lattice_angstrom"], dtype=np.float64),
        mobile=packed["mobile"],
        convention=packed["convention"],
        cutoff_angstrom=packed["cutoff_angstrom"],
    )
