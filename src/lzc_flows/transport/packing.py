"""Energy landscapes and what was found in them as small JSON objects, for the data store."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np

from lzc_flows.transport.bvse import EnergyField
from lzc_flows.transport.landscape import Landscape

STORED_RANGE_EV = 4.0
"""Energies are kept up to this far above the minimum; no ion gets higher."""

STEP_EV = STORED_RANGE_EV / (2**16 - 1)
"""Spacing of stored energies, 0.06 meV: the error of a bond-valence energy is far larger."""


def pack_field(field: EnergyField) -> dict[str, Any]:
    """Return a JSON object of a field.

    Energies are steps of `STEP_EV` above the minimum, as zlib-compressed little-endian 16-bit integers in base64;
    what lies more than `STORED_RANGE_EV` above the minimum is stored as that, so that the walls around the
    framework cost next to nothing.
    """
    minimum = float(field.energies_ev.min())
    steps = field.energies_ev - minimum
    # in place: the landscape is the largest thing in memory
    steps /= STEP_EV
    np.minimum(np.rint(steps, out=steps), 2**16 - 1, out=steps)
    packed = np.ascontiguousarray(steps, dtype="<u2")
    return {
        "shape": list(packed.shape),
        "minimum_ev": minimum,
        "step_ev": STEP_EV,
        "steps_u16_zlib_b64": base64.b64encode(zlib.compress(packed.tobytes(), 6)).decode(),
        "lattice_angstrom": field.lattice_angstrom.tolist(),
        "mobile": field.mobile,
        "convention": field.convention,
        "cutoff_angstrom": field.cutoff_angstrom,
        "table_error_ev": field.table_error_ev,
    }


def unpack_field(packed: dict[str, Any]) -> EnergyField:
    """Return the field that `pack_field` stored."""
    raw = zlib.decompress(base64.b64decode(packed["steps_u16_zlib_b64"]))
    steps = np.frombuffer(raw, dtype="<u2").reshape(packed["shape"])
    return EnergyField(
        energies_ev=packed["minimum_ev"] + packed["step_ev"] * steps,
        lattice_angstrom=np.array(packed["lattice_angstrom"], dtype=np.float64),
        mobile=packed["mobile"],
        convention=packed["convention"],
        cutoff_angstrom=packed["cutoff_angstrom"],
        table_error_ev=packed["table_error_ev"],
    )


def pack_network(landscape: Landscape) -> dict[str, Any]:
    """Return a JSON object of sites, hops and paths, in fractional coordinates, eV and Å.

    ``sites``: position and energy each; ``hops``: the two sites, the cell of the second seen from the first, the
    saddle's energy; ``paths``: by direction, the arrays of a `lzc_flows.transport.paths.MigrationPath`.
    """
    sites = landscape.sites
    return {
        "sites": [
            {"fractional": position, "energy_ev": energy}
            for position, energy in zip(sites.fractional.tolist(), sites.graph.energies_ev.tolist(), strict=True)
        ],
        "hops": [
            {"sites": pair, "translation": translation, "saddle_ev": level}
            for pair, translation, level in zip(
                sites.graph.sites.tolist(),
                sites.graph.translations.tolist(),
                sites.graph.levels_ev.tolist(),
                strict=True,
            )
        ],
        "paths": {
            target: {
                "winding": list(path.winding),
                "fractional": path.fractional.tolist(),
                "energies_ev": path.energies_ev.tolist(),
                "distances_angstrom": path.distances_angstrom.tolist(),
                "sites": path.sites.tolist(),
                "saddles": path.saddles.tolist(),
            }
            for target, path in landscape.paths.items()
        },
    }
